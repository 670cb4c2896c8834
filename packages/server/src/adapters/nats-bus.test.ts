import assert from 'node:assert/strict'
import { createServer, type Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { NatsServer } from '@liftbridge/nats'
import {
  findNatsServer,
  startNatsServer,
  type NatsProcess,
} from '../../../nats/src/debian-server.suite.ts'
import type { Bus, BusStatus } from '../bus.ts'
import { bytes, Mailbox, settle } from './bus-mailbox.suite.ts'
import { busSuite } from './bus.suite.ts'
import { connectNatsBus } from './nats-bus.ts'

/** A NATS that can be killed and started again on its port. */
interface Restartable {
  readonly port: number
  stop(): Promise<void>
}

type Start = (port: number) => Promise<Restartable>

async function startOurs(port: number): Promise<Restartable> {
  const server = new NatsServer({ port })
  await server.listen()
  return { port: server.port, stop: () => server.close() }
}

describe('our server', () => suites('TCP to our server', startOurs))

describe('nats-server', () => {
  const program = findNatsServer()
  if (program === undefined) {
    test('bus on nats-server', { skip: 'nats-server is not installed' }, () => {})
    return
  }
  suites('TCP to nats-server', (port): Promise<NatsProcess> => startNatsServer(program, port))
})

function suites(name: string, start: Start): void {
  let nats: Restartable | undefined
  before(async () => {
    nats = await start(-1)
  })
  after(() => nats?.stop())
  busSuite({
    name,
    connect: ({ echo, name: client = 'test' }) =>
      connectNatsBus({ servers: [`nats://127.0.0.1:${nats?.port}`], name: client, echo }),
  })
  busSuite({
    name: `${name}, with time to gather`,
    connect: ({ echo, name: client = 'test' }) => {
      const servers = [`nats://127.0.0.1:${nats?.port}`]
      return connectNatsBus({ servers, name: client, echo, lingerMs: 2 })
    },
  })
  test(`${name}: what must leave now does not wait for more`, async () => {
    const servers = [`nats://127.0.0.1:${nats?.port}`]
    const hearing = await connectNatsBus({ servers, name: 'hearing', echo: false })
    const gathering = await connectNatsBus({
      servers,
      name: 'gathering',
      echo: false,
      lingerMs: 60_000,
    })
    const heard: string[] = []
    await new Promise<void>((resolve) => {
      hearing.subscribe('now.>', ({ subject }) => {
        if (heard.push(subject) === 2) resolve()
      })
      void hearing.flush().then(() => {
        gathering.publish('now.first', Buffer.from('x'), '', 'now')
        gathering.publish('now.second', Buffer.from('x'), '', 'now')
      })
    })
    assert.deepEqual(heard, ['now.first', 'now.second'])
    await Promise.all([hearing.close(), gathering.close()])
  })
  reconnecting(name, start)
}

test('a NATS that does not read fills no memory: publishing is refused beyond a bound', async () => {
  const sockets: Socket[] = []
  const deaf = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.write(`INFO ${JSON.stringify({ server_id: 'deaf', version: '2.9.10', proto: 1 })}\r\n`)
    socket.on('data', (read) => {
      if (read.includes('PING')) socket.write('PONG\r\n')
      if (read.includes('PUB')) socket.pause()
    })
  })
  await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve))
  const address = deaf.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const bus = await connectNatsBus({
    servers: [`nats://127.0.0.1:${port}`],
    name: 'to the deaf',
    echo: false,
  })
  const payload = Buffer.alloc(512 * 1024)
  let taken = 0
  const publishAll = (): void => {
    for (let i = 0; i < 1000; i++) {
      bus.publish('big', payload)
      taken++
    }
  }
  assert.throws(publishAll, { name: 'BusError', message: 'nats: outbound buffer limit exceeded' })
  assert.ok(taken * payload.length < 40 * 1024 * 1024, `${taken} were taken`)
  for (const socket of sockets) socket.destroy()
  deaf.close()
  await bus.close()
})

interface Watched {
  readonly bus: Bus
  readonly statuses: BusStatus[]
  readonly until: (kind: BusStatus['kind'], count: number) => Promise<void>
}

async function watched(port: number, more: readonly number[] = []): Promise<Watched> {
  const statuses: BusStatus[] = []
  let changed: () => void = () => {}
  const bus = await connectNatsBus({
    servers: [port, ...more].map((one) => `nats://user:secret@127.0.0.1:${one}`),
    name: 'watched',
    echo: true,
    reconnectWaitMs: 20,
    onStatus: (status) => {
      statuses.push(status)
      changed()
    },
  })
  return {
    bus,
    statuses,
    until: async (kind, count) => {
      while (statuses.filter((status) => status.kind === kind).length < count) {
        const { promise, resolve } = Promise.withResolvers<void>()
        changed = resolve
        await promise
      }
    },
  }
}

function reconnecting(name: string, start: Start): void {
  describe(`reconnecting: ${name}`, { timeout: 20_000 }, () => {
    test('while NATS is away publishing is refused, and nothing of it is sent later', async () => {
      const nats = await start(-1)
      const { bus, until } = await watched(nats.port)
      const box = new Mailbox()
      bus.subscribe('away', box.handler)
      await bus.flush()
      bus.publish('away', bytes('before'))
      await box.until(1)
      await nats.stop()
      await until('disconnected', 1)
      assert.equal(bus.connected, false)
      for (let i = 0; i < 100; i++) {
        assert.throws(() => bus.publish('away', bytes('lost')), { code: 'disconnected' })
      }
      await assert.rejects(bus.request('away', bytes('lost'), 1000), { code: 'disconnected' })
      await assert.rejects(bus.flush(), { code: 'disconnected' })
      const again = await start(nats.port)
      await until('connected', 2)
      bus.publish('away', bytes('after'))
      await settle(bus)
      assert.deepEqual(box.texts, ['before', 'after'])
      await bus.close()
      await again.stop()
    })

    test('what is published at every moment of a restart arrives at most once, in order', async () => {
      const nats = await start(-1)
      const { bus, until } = await watched(nats.port)
      const box = new Mailbox()
      bus.subscribe('churn', box.handler)
      await bus.flush()
      const accepted = new Set<string>()
      let next = 0
      let running = true
      const publishing = (async () => {
        while (running) {
          const payload = String(next++)
          try {
            bus.publish('churn', bytes(payload))
            accepted.add(payload)
          } catch (error) {
            assert.equal(Reflect.get(Object(error), 'code'), 'disconnected')
          }
          await new Promise((resolve) => setImmediate(resolve))
        }
      })()
      await box.until(50)
      await nats.stop()
      await until('disconnected', 1)
      const again = await start(nats.port)
      await until('connected', 2)
      await box.until(box.texts.length + 50)
      running = false
      await publishing
      await settle(bus)
      const got = box.texts.map(Number)
      assert.deepEqual(
        got,
        [...new Set(got)].toSorted((a, b) => a - b),
        'twice or out of order',
      )
      for (const one of box.texts) assert.ok(accepted.has(one), `${one} was refused and arrived`)
      await bus.close()
      await again.stop()
    })

    test('subscriptions of the time away are there after it, ended ones are not', async () => {
      const nats = await start(-1)
      const { bus, until } = await watched(nats.port)
      const [kept, added, ended] = [new Mailbox(), new Mailbox(), new Mailbox()]
      bus.subscribe('subs', kept.handler)
      const early = bus.subscribe('subs', ended.handler)
      await bus.flush()
      await nats.stop()
      await until('disconnected', 1)
      bus.subscribe('subs', added.handler, { queue: 'q' })
      early.unsubscribe()
      const again = await start(nats.port)
      await until('connected', 2)
      bus.publish('subs', bytes('x'))
      await settle(bus)
      assert.deepEqual([kept.texts, added.texts, ended.texts], [['x'], ['x'], []])
      await bus.close()
      await again.stop()
    })

    test('a bus in want of NATS waits for it and says so without the password', async () => {
      const nats = await start(-1)
      await nats.stop()
      const waiting = watched(nats.port)
      const reasons: string[] = []
      const aborted = new AbortController()
      const given = connectNatsBus({
        servers: [`nats://user:secret@127.0.0.1:${nats.port}`],
        name: 'given up',
        echo: false,
        reconnectWaitMs: 10,
        signal: aborted.signal,
        onStatus: (status) => {
          if (status.kind === 'disconnected') reasons.push(status.reason)
          if (reasons.length === 3) aborted.abort()
        },
      })
      await assert.rejects(given, { code: 'closed' })
      assert.equal(reasons.length, 3)
      const again = await start(nats.port)
      const { bus, statuses } = await waiting
      assert.equal(bus.connected, true)
      assert.equal(statuses.at(-1)?.kind, 'connected')
      assert.doesNotMatch(JSON.stringify([statuses, reasons]), /secret/)
      await bus.close()
      await again.stop()
    })

    test('of several servers one that is there is taken, and another when it goes', async () => {
      const [one, two] = [await start(-1), await start(-1)]
      const { bus, statuses, until } = await watched(one.port, [two.port])
      await one.stop()
      await until('connected', 2)
      assert.match(JSON.stringify(statuses.at(-1)), new RegExp(String(two.port)))
      await bus.flush()
      await bus.close()
      await two.stop()
    })

    test('a bus closes while NATS is away', async () => {
      const nats = await start(-1)
      const { bus, until } = await watched(nats.port)
      await nats.stop()
      await until('disconnected', 1)
      await bus.close()
      assert.throws(() => bus.publish('a', bytes('')), { code: 'closed' })
    })
  })
}
