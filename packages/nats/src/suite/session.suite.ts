import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createUser, fromSeed } from '@nats-io/nkeys'
import { LIMIT_GROUPS } from './limit-cases.suite.ts'
import { login, LOGIN_GROUPS, VIOLATION, type CaseGroup } from './login-cases.suite.ts'
import { PERMISSION_GROUPS, RESPONSES_CONF } from './permission-cases.suite.ts'
import { converse } from './protocol.suite.ts'
import { RawClient } from './raw-client.suite.ts'
import type { RunningServer, ServerProgram } from './server-programs.suite.ts'

/** What a server does under configurations with users, permissions and limits. */
export function sessionSuite(program: ServerProgram): void {
  for (const group of [...LOGIN_GROUPS, ...PERMISSION_GROUPS, ...LIMIT_GROUPS]) {
    conversations(program, group)
  }
  nkeys(program)
  responses(program)
  patience(program)
  addresses(program)
}

/** `connect_urls` are the other servers of a cluster: one that stands alone has none to name. */
function addresses(program: ServerProgram): void {
  const everywhere = { title: 'on every address', conf: 'host: "0.0.0.0"' }
  underConf(program, everywhere, (running) => {
    test('INFO names no other address', async () => {
      const client = await RawClient.open({ host: '127.0.0.1', port: running().port }, '')
      const { info } = client
      assert.doesNotMatch(info, /connect_urls/)
      client.socket.destroy()
    })
  })
  const advertised = { title: 'advertised', conf: 'client_advertise: "example.org:4999"' }
  underConf(program, advertised, (running) => {
    test('INFO names what is advertised instead', async () => {
      const client = await RawClient.open({ host: '127.0.0.1', port: running().port }, '')
      const { info } = client
      assert.match(info, /"host":"example\.org","port":4999/)
      assert.doesNotMatch(info, /connect_urls/)
      client.socket.destroy()
    })
  })
}

/** A server of one configuration for all tests inside. */
export function underConf(
  program: ServerProgram,
  { title, conf }: { readonly title: string; readonly conf: string },
  cases: (running: () => RunningServer) => void,
): void {
  describe(title, { concurrency: 1, timeout: 30_000 }, () => {
    let running: RunningServer | undefined
    before(async () => {
      running = await program.start(conf)
    })
    after(() => running?.stop())
    cases(() => {
      assert.ok(running !== undefined)
      return running
    })
  })
}

function conversations(program: ServerProgram, group: CaseGroup): void {
  underConf(program, group, (running) => {
    for (const scenario of group.cases) {
      test(scenario.name, async () => {
        const address = { host: '127.0.0.1', port: running().port }
        const server = { name: program.name, ours: program.ours, address: () => address }
        await converse(server, scenario, (client, text) => client.send(text))
      })
    }
  })
}

/** Opens a raw connection that has logged in. */
export function enter(running: RunningServer, user: string): Promise<RawClient> {
  return RawClient.open({ host: '127.0.0.1', port: running.port }, login({ user, pass: 'x' }))
}

const SEED = createUser().getSeed()

function nkeys(program: ServerProgram): void {
  const mine = fromSeed(SEED)
  const nkey = mine.getPublicKey()
  const conf = `authorization { users = [ {nkey: ${nkey}, permissions: {publish: "mine.>"}} ] }`
  underConf(program, { title: 'nkeys', conf }, (running) => {
    const sign = async (
      by: { sign: (bytes: Uint8Array) => Uint8Array },
      nonceOf: (nonce: string) => string = (nonce) => nonce,
    ): Promise<RawClient> => {
      const client = await RawClient.open({ host: '127.0.0.1', port: running().port }, '')
      const { nonce }: { nonce: string } = JSON.parse(client.info)
      const sig = Buffer.from(by.sign(Buffer.from(nonceOf(nonce)))).toString('base64url')
      client.send(login({ nkey, sig }))
      return client
    }
    test('who signs the nonce is let in, with the permissions of the key', async () => {
      const client = await sign(mine)
      client.send('PUB other 0\r\n\r\nPUB mine.a 0\r\n\r\n')
      assert.equal(
        await client.untilPong(),
        `-ERR 'Permissions Violation for Publish to "other"'\r\n`,
      )
      await client.close()
    })
    test('another key does not', async () => {
      assert.equal(await (await sign(createUser())).untilClosed(), VIOLATION)
    })
    test('the signature of another nonce does not', async () => {
      assert.equal(await (await sign(mine, () => 'AAAAAAAAAAAAAAA')).untilClosed(), VIOLATION)
    })
    test('each connection has a nonce of its own', async () => {
      const [one, other] = await Promise.all([sign(mine), sign(mine)])
      const nonces = [one, other].map(({ info }) => Reflect.get(Object(JSON.parse(info)), 'nonce'))
      assert.match(String(nonces[0]), /^[\w-]{15}$/)
      assert.notEqual(nonces[0], nonces[1])
      await Promise.all([one.close(), other.close()])
    })
    for (const [title, fields] of [
      ['no signature', { nkey }],
      ['a signature that is none', { nkey, sig: 'AAAA' }],
      ['a key that is none', { nkey: 'x', sig: 'AAAA' }],
      ['an unknown key', { nkey: createUser().getPublicKey(), sig: 'AAAA' }],
      ['nothing', {}],
    ] as const) {
      test(`${title} does not`, async () => {
        const address = { host: '127.0.0.1', port: running().port }
        const client = await RawClient.open(address, login(fields))
        assert.equal(await client.untilClosed(), VIOLATION)
      })
    }
  })
}

function responses(program: ServerProgram): void {
  underConf(program, { title: 'allow_responses', conf: RESPONSES_CONF }, (running) => {
    const violation = (subject: string): string =>
      `-ERR 'Permissions Violation for Publish to "${subject}"'\r\n`
    /** `user` gets a request on `svc.<user>` with the reply `r.<user>` and sends `answers`. */
    const serve = async (user: string, answers: string): Promise<{ told: string; got: string }> => {
      const [asker, server] = await Promise.all([enter(running(), 'asker'), enter(running(), user)])
      asker.send(`SUB r.${user} 1\r\n`)
      server.send(`SUB svc.${user} 1\r\n`)
      await Promise.all([asker.untilPong(), server.untilPong()])
      asker.send(`PUB svc.${user} r.${user} 0\r\n\r\n`)
      await server.takeUpTo(`MSG svc.${user} 1 r.${user} 0\r\n\r\n`)
      server.send(answers)
      const told = await server.untilPong()
      const got = await asker.untilPong()
      await Promise.all([asker.close(), server.close()])
      return { told, got }
    }
    const pub = (subject: string): string => `PUB ${subject} 0\r\n\r\n`
    test('one may answer once by default', async () => {
      const { told, got } = await serve('once', pub('r.once').repeat(2))
      assert.deepEqual([told, got], [violation('r.once'), 'MSG r.once 1 0\r\n\r\n'])
    })
    test('and so often as is configured', async () => {
      const { told, got } = await serve('twice', pub('r.twice').repeat(3))
      assert.deepEqual([told, got], [violation('r.twice'), 'MSG r.twice 1 0\r\n\r\n'.repeat(2)])
    })
    test('not to other subjects', async () => {
      const { told } = await serve('once', pub('r.x') + pub('svc.once'))
      assert.equal(told, violation('r.x') + violation('svc.once'))
    })
    test('what else is allowed stays so', async () => {
      const { told, got } = await serve('also', pub('log') + pub('r.also') + pub('r.also'))
      assert.deepEqual([told, got], [violation('r.also'), 'MSG r.also 1 0\r\n\r\n'])
    })
    test('not before anybody asked', async () => {
      const client = await enter(running(), 'once')
      client.send(pub('r.once'))
      assert.equal(await client.untilPong(), violation('r.once'))
      await client.close()
    })
    test('not after the time for it', async () => {
      const [asker, server] = await Promise.all([
        enter(running(), 'asker'),
        enter(running(), 'brief'),
      ])
      server.send('SUB svc.brief 1\r\n')
      await server.untilPong()
      asker.send('PUB svc.brief r 0\r\n\r\n')
      await server.takeUpTo('MSG svc.brief 1 r 0\r\n\r\n')
      // The time is up when an answer is refused.
      let told = ''
      while (told === '') {
        server.send(pub('r'))
        told = await server.untilPong()
      }
      assert.equal(told, violation('r'))
      await Promise.all([asker.close(), server.close()])
    })
    test('a wildcard subscription does not get what is denied', async () => {
      const [asker, deaf] = await Promise.all([enter(running(), 'asker'), enter(running(), 'deaf')])
      deaf.send('SUB s.* 1\r\nSUB t.> 2\r\n')
      await deaf.untilPong()
      asker.send(['s.no', 's.yes', 't.a.x', 't.a.y', 't.a.x.z'].map(pub).join(''))
      await asker.untilPong()
      assert.equal(
        await deaf.untilPong(),
        'MSG s.yes 1 0\r\n\r\nMSG t.a.y 2 0\r\n\r\nMSG t.a.x.z 2 0\r\n\r\n',
      )
      await Promise.all([asker.close(), deaf.close()])
    })
  })
}

/** What happens by the clock; each under a configuration in which nothing else does. */
function patience(program: ServerProgram): void {
  const hello = login({ user: 'a', pass: 'x' })
  const opener =
    (running: () => RunningServer) =>
    (text: string): Promise<RawClient> =>
      RawClient.open({ host: '127.0.0.1', port: running().port }, text)

  const users = 'authorization { user: a, password: x, timeout: 0.2 }'
  underConf(program, { title: 'the authentication timeout', conf: users }, (running) => {
    const open = opener(running)
    for (const said of ['', 'CONNECT {"user":"a",']) {
      test(`who has said ${JSON.stringify(said)} by then is cut`, async () => {
        const client = await open(said)
        assert.equal(await client.untilClosed(), "-ERR 'Authentication Timeout'\r\n")
      })
    }
  })
  const short = 'ping_interval: "100ms"\nping_max: 1'
  underConf(program, { title: 'no answer to pings', conf: short }, (running) => {
    test('is cut as stale', async () => {
      const client = await opener(running)(hello)
      assert.equal(await client.untilClosed(), "PING\r\n-ERR 'Stale Connection'\r\n")
    })
  })
  const long = 'ping_interval: "30ms"\nping_max: 900'
  underConf(program, { title: 'answers to pings', conf: long }, (running) => {
    test('are all that is asked for', async () => {
      const client = await opener(running)(hello)
      for (let i = 0; i < 4; i++) {
        await client.takeUpTo('PING\r\n')
        client.send('PONG\r\n')
      }
      await client.close()
    })
  })
  underConf(program, { title: 'a limit of connections', conf: 'max_connections: 3' }, (running) => {
    test('the next is told so after INFO', async () => {
      const open = opener(running)
      const clients = await Promise.all([open(hello), open(hello), open(hello)])
      const next = await open('')
      assert.equal(await next.untilClosed(), "-ERR 'maximum connections exceeded'\r\n")
      await Promise.all(clients.map((client) => client.close()))
    })
  })
}
