import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  connect,
  headers,
  nkeyAuthenticator,
  type Msg,
  type NatsConnection,
  type NodeConnectionOptions,
  type Subscription,
} from '@nats-io/transport-node'
import { createUser } from '@nats-io/nkeys'
import type { RunningServer, ServerProgram } from './server-programs.suite.ts'

const KEY = createUser()
const CONF = `
  max_payload: 64kb
  authorization { users = [
    {user: all, password: x}
    {user: some, password: x, permissions: {publish: {deny: "no.>"}, subscribe: {deny: "no.>"}}}
    {nkey: ${KEY.getPublicKey()}}
  ] }`

/** The makers' own client at work: every case has subjects of its own, and they run side by side. */
export function clientLibrarySuite(program: ServerProgram): void {
  describe('@nats-io/transport-node', { concurrency: 8, timeout: 30_000 }, () => {
    let running: RunningServer | undefined
    before(async () => {
      running = await program.start(CONF)
    })
    after(() => running?.stop())
    const open: Open = (options = {}) =>
      connect({ servers: `127.0.0.1:${running?.port}`, user: 'all', pass: 'x', ...options })
    connecting(open)
    publishing(open)
    requesting(open)
    ending(open)
    refusing(open)
  })
}

type Open = (options?: NodeConnectionOptions) => Promise<NatsConnection>

/** Runs `body` on as many connections as it takes arguments, and closes them. */
async function on(
  open: Open,
  count: number,
  body: (...all: Link[]) => Promise<void>,
): Promise<void> {
  const links = await Promise.all(Array.from({ length: count }, () => open()))
  await body(...links)
  await Promise.all(links.map((link) => link.close()))
}

type Link = NatsConnection

/** The texts of the next `count` messages. */
async function take(subscription: Subscription, count: number): Promise<string[]> {
  const texts: string[] = []
  for await (const message of subscription) {
    texts.push(message.string())
    if (texts.length === count) break
  }
  return texts
}

function connecting(open: Open): void {
  test('INFO arrives as the client wants it', () =>
    on(open, 1, async (link) => {
      assert.equal(link?.info?.headers, true)
      assert.equal(link?.info?.max_payload, 65_536)
      assert.equal(link?.info?.auth_required, true)
      assert.equal(link?.info?.client_ip, '127.0.0.1')
    }))
  test('a password that is wrong is told by name', async () => {
    await assert.rejects(open({ pass: 'y' }), /Authorization Violation/i)
  })
  test('an nkey connects', async () => {
    const authenticator = nkeyAuthenticator(KEY.getSeed())
    const link = await connect({ servers: await portOf(open), authenticator })
    await link.flush()
    await link.close()
  })
  test('another nkey does not', async () => {
    const authenticator = nkeyAuthenticator(createUser().getSeed())
    const servers = await portOf(open)
    await assert.rejects(connect({ servers, authenticator }), /Authorization Violation/i)
  })
  test('round trips are measured', () =>
    on(open, 1, async (link) => {
      assert.ok((await link?.rtt()) !== undefined)
    }))
  test('twenty connections at once are served', () =>
    on(open, 20, async (...links) => {
      await Promise.all(links.map((link) => link.flush()))
    }))
}

async function portOf(open: Open): Promise<string> {
  const link = await open()
  const server = link.getServer()
  await link.close()
  return server
}

function publishing(open: Open): void {
  test('messages arrive in order', () =>
    on(open, 2, async (from, to) => {
      const got = to?.subscribe('order.>')
      await to?.flush()
      for (let i = 0; i < 1000; i++) from?.publish(`order.${i % 3}`, String(i))
      assert.ok(got !== undefined)
      assert.deepEqual(
        await take(got, 1000),
        Array.from({ length: 1000 }, (_, i) => String(i)),
      )
    }))
  test('headers arrive', () =>
    on(open, 2, async (from, to) => {
      const got = to?.subscribe('headers', { max: 1 })
      await to?.flush()
      const given = headers()
      given.append('Key', 'one')
      given.append('Key', 'two')
      from?.publish('headers', 'x', { headers: given, reply: 'r' })
      const message = await first(got)
      assert.deepEqual(message.headers?.values('Key'), ['one', 'two'])
      assert.equal(message.reply, 'r')
      assert.equal(message.string(), 'x')
    }))
  test('a client without echo does not hear itself, others do', async () => {
    const [silent, other] = await Promise.all([open({ noEcho: true }), open()])
    const mine = silent.subscribe('echo', { max: 1 })
    const theirs = other.subscribe('echo', { max: 1 })
    await Promise.all([silent.flush(), other.flush()])
    silent.publish('echo', 'a')
    await silent.flush()
    other.publish('echo', 'b')
    assert.equal((await first(mine)).string(), 'b')
    assert.equal((await first(theirs)).string(), 'a')
    await Promise.all([silent.close(), other.close()])
  })
  test('a queue group shares, each message once', () =>
    on(open, 3, async (from, one, two) => {
      const seen: number[] = []
      const { promise, resolve } = Promise.withResolvers<void>()
      for (const link of [one, two]) {
        link?.subscribe('queue.*', {
          queue: 'workers',
          callback: (_, message) => {
            seen.push(Number(message.string()))
            if (seen.length === 200) resolve()
          },
        })
        await link?.flush()
      }
      for (let i = 0; i < 200; i++) from?.publish(`queue.${i}`, String(i))
      await promise
      assert.deepEqual(
        seen.sort((a, b) => a - b),
        Array.from({ length: 200 }, (_, i) => i),
      )
    }))
  test('a subscription with a maximum ends by itself', () =>
    on(open, 2, async (from, to) => {
      const got = to?.subscribe('max', { max: 3 })
      await to?.flush()
      for (let i = 0; i < 10; i++) from?.publish('max', String(i))
      assert.ok(got !== undefined)
      assert.deepEqual(await all(got), ['0', '1', '2'])
    }))
  test('UNSUB while messages come loses none before it and has none after the count', () =>
    on(open, 2, async (from, to) => {
      for (let round = 0; round < 20; round++) {
        const got = to?.subscribe(`race.${round}`)
        await to?.flush()
        for (let i = 0; i < 50; i++) from?.publish(`race.${round}`, String(i))
        got?.unsubscribe(7)
        assert.ok(got !== undefined)
        assert.deepEqual(await all(got), ['0', '1', '2', '3', '4', '5', '6'])
      }
    }))
  test('several subscriptions of one client each get the message', () =>
    on(open, 1, async (link) => {
      const wanted = ['multi.a', 'multi.*', 'multi.>', '*.a'].map((subject) =>
        link?.subscribe(subject, { max: 1 }),
      )
      link?.publish('multi.a', 'x')
      const got = await Promise.all(wanted.map(first))
      assert.deepEqual(
        got.map((message) => message.string()),
        ['x', 'x', 'x', 'x'],
      )
    }))
  test('max_payload is kept by the client, and the server takes what it says', () =>
    on(open, 1, async (link) => {
      const got = link?.subscribe('large', { max: 1 })
      assert.throws(() => link?.publish('large', new Uint8Array(65_537)), /payload/i)
      link?.publish('large', new Uint8Array(65_536).fill(7))
      const { data } = await first(got)
      assert.equal(data.length, 65_536)
      assert.ok(data.every((byte) => byte === 7))
    }))
}

async function all(subscription: Subscription): Promise<string[]> {
  const texts: string[] = []
  for await (const message of subscription) texts.push(message.string())
  return texts
}

async function first(subscription: Subscription | undefined): Promise<Msg> {
  assert.ok(subscription !== undefined)
  for await (const message of subscription) return message
  throw new Error('the subscription ended')
}

function requesting(open: Open): void {
  test('a request is answered', () =>
    on(open, 2, async (asker, answerer) => {
      answerer?.subscribe('ask', {
        callback: (_, message) => void message.respond(`re: ${message.string()}`),
      })
      await answerer?.flush()
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, i) => asker?.request('ask', String(i))),
      )
      assert.deepEqual(
        answers.map((answer) => answer?.string()),
        Array.from({ length: 50 }, (_, i) => `re: ${i}`),
      )
    }))
  test('a request with an inbox of its own is answered', () =>
    on(open, 2, async (asker, answerer) => {
      answerer?.subscribe('ask.own', { callback: (_, message) => void message.respond('yes') })
      await answerer?.flush()
      const answer = await asker?.request('ask.own', '', { noMux: true, timeout: 5000 })
      assert.equal(answer?.string(), 'yes')
    }))
  test('a request nobody answers fails at once', () =>
    on(open, 1, async (link) => {
      await assert.rejects(link?.request('nobody', '', { timeout: 20_000 }), /no responders/i)
      await assert.rejects(
        link?.request('nobody', '', { timeout: 20_000, noMux: true }),
        /no responders/i,
      )
    }))
  test('a request to a subscriber that is silent runs out of time', () =>
    on(open, 1, async (link) => {
      link?.subscribe('silent')
      await assert.rejects(link?.request('silent', '', { timeout: 30 }), /timeout/i)
    }))
  test('one request, many answers', () =>
    on(open, 3, async (asker, one, two) => {
      for (const link of [one, two]) {
        link?.subscribe('many', {
          callback: (_, message) => {
            message.respond('a')
            message.respond('b')
          },
        })
        await link?.flush()
      }
      const answers: string[] = []
      const found = await asker?.requestMany('many', '', {
        strategy: 'count',
        maxMessages: 4,
        maxWait: 5000,
      })
      for await (const answer of found ?? []) answers.push(answer.string())
      assert.deepEqual(answers.sort(), ['a', 'a', 'b', 'b'])
    }))
  test('one request, answers until an empty one', () =>
    on(open, 2, async (asker, answerer) => {
      answerer?.subscribe('until', {
        callback: (_, message) => {
          for (const text of ['a', 'b', 'c', '']) message.respond(text)
        },
      })
      await answerer?.flush()
      const answers: string[] = []
      const options = { strategy: 'sentinel', maxWait: 5000 } as const
      for await (const answer of (await asker?.requestMany('until', '', options)) ?? []) {
        answers.push(answer.string())
      }
      assert.deepEqual(answers, ['a', 'b', 'c', ''])
    }))
  test('headers go with requests and answers', () =>
    on(open, 2, async (asker, answerer) => {
      answerer?.subscribe('ask.headers', {
        callback: (_, message) => {
          const answer = headers()
          answer.set('Re', message.headers?.get('Question') ?? '')
          message.respond('', { headers: answer })
        },
      })
      await answerer?.flush()
      const question = headers()
      question.set('Question', 'why')
      const answer = await asker?.request('ask.headers', '', { headers: question, timeout: 5000 })
      assert.equal(answer?.headers?.get('Re'), 'why')
    }))
}

function ending(open: Open): void {
  test('draining a connection takes what is under way', async () => {
    const [from, to] = await Promise.all([open(), open()])
    let count = 0
    to.subscribe('drain', { callback: () => void count++ })
    await to.flush()
    for (let i = 0; i < 500; i++) from.publish('drain')
    await from.flush()
    await to.drain()
    assert.equal(count, 500)
    assert.ok(to.isClosed())
    await from.close()
  })
  test('draining a subscription leaves the others', () =>
    on(open, 2, async (from, to) => {
      const one = to?.subscribe('drain.sub.one')
      const other = to?.subscribe('drain.sub.other', { max: 1 })
      await to?.flush()
      from?.publish('drain.sub.one', 'last')
      await from?.flush()
      assert.ok(one !== undefined)
      const got = all(one)
      await one.drain()
      assert.deepEqual(await got, ['last'])
      from?.publish('drain.sub.other', 'x')
      assert.equal((await first(other)).string(), 'x')
    }))
  test('who has closed gets nothing more, and the next request has no responder', () =>
    on(open, 1, async (link) => {
      const gone = await open()
      gone.subscribe('gone')
      await gone.flush()
      await gone.close()
      // Closing is not waited for by the client: the server hears of it in its own time.
      for (;;) {
        const outcome = await link?.request('gone', '', { timeout: 50 }).then(String, String)
        if (/no responders/i.test(outcome ?? '')) return
      }
    }))
  test('after a reconnect the subscriptions are there again', async () => {
    const link = await open({ reconnectTimeWait: 5, reconnectJitter: 1 })
    const other = await open()
    const got = link.subscribe('again', { max: 1 })
    const queued = link.subscribe('again.queue', { queue: 'q', max: 1 })
    await link.flush()
    const back = new Promise<void>((resolve) => {
      void (async () => {
        for await (const { type } of link.status()) if (type === 'reconnect') resolve()
      })()
    })
    await link.reconnect()
    await back
    await link.flush()
    other.publish('again', 'x')
    other.publish('again.queue', 'y')
    assert.equal((await first(got)).string(), 'x')
    assert.equal((await first(queued)).string(), 'y')
    await Promise.all([link.close(), other.close()])
  })
}

function refusing(open: Open): void {
  test('a subscription without permission fails, the connection stays', async () => {
    const link = await open({ user: 'some' })
    const refused = link.subscribe('no.a')
    await assert.rejects(take(refused, 1), /Permissions Violation for Subscription to "no\.a"/i)
    await link.flush()
    await link.close()
  })
  test('a subscription in a queue group names the group', async () => {
    const link = await open({ user: 'some' })
    const refused = link.subscribe('no.a', { queue: 'q' })
    await assert.rejects(take(refused, 1), /using queue "q"/i)
    await link.close()
  })
  test('publishing without permission is reported, the connection stays', async () => {
    const link = await open({ user: 'some' })
    const told = new Promise<string>((resolve) => {
      void (async () => {
        for await (const status of link.status()) {
          if (status.type === 'error') resolve(String(status.error))
        }
      })()
    })
    link.publish('no.a')
    assert.match(await told, /Permissions Violation for Publish to "no\.a"/i)
    await link.flush()
    await link.close()
  })
  test('a request without permission fails', async () => {
    const link = await open({ user: 'some' })
    await assert.rejects(link.request('no.a', '', { timeout: 5000 }), /Permissions Violation/i)
    await link.close()
  })
}
