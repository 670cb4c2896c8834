import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import { NatsServer } from '@liftbridge/nats'
import type { RaftResponse } from '@liftbridge/wire'
import { findNatsServer, startNatsServer } from '../../../nats/src/debian-server.suite.ts'
import { connectNatsBus } from '../adapters/nats-bus.ts'
import { createSystemClock } from '../adapters/system-clock.ts'
import { createSystemRandom } from '../adapters/system-random.ts'
import type { Bus } from '../bus.ts'
import { RPC_MS } from './limits.ts'
import type { RaftRequestHandler } from './raft-server.ts'
import { append, heartbeat, subjects } from './raft-transport.suite.ts'
import { RaftTransport } from './raft-transport.ts'

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

describe('Raft transport over TCP to our NATS', { timeout: 30_000 }, () => suite(startOurs))

describe('Raft transport over nats-server', { timeout: 30_000 }, () => {
  const program = findNatsServer()
  if (program === undefined) {
    test('everything', { skip: 'nats-server is not installed' }, () => {})
    return
  }
  suite((port) => startNatsServer(program, port))
})

type Side = {
  readonly bus: Bus
  readonly transport: RaftTransport
  readonly back: () => Promise<void>
}

async function side(
  cleanup: Cleanup,
  port: number,
  serverId: string,
  onRequest: RaftRequestHandler,
): Promise<Side> {
  let connected: () => void = () => {}
  const bus = await connectNatsBus({
    servers: [`nats://127.0.0.1:${port}`],
    name: serverId,
    echo: false,
    reconnectWaitMs: 20,
  })
  bus.onStatus((status) => {
    if (status.kind === 'connected') connected()
  })
  const transport = new RaftTransport({
    bus,
    subjects,
    serverId,
    clock: createSystemClock(),
    random: createSystemRandom(),
    onRequest,
    onProblem: () => {},
  })
  cleanup.add(() => bus.close())
  cleanup.add(() => transport.close())
  transport.start()
  await bus.flush()
  const back = async (): Promise<void> => {
    while (!bus.connected) await new Promise<void>((resolve) => (connected = resolve))
    await bus.flush()
  }
  return { bus, transport, back }
}

/** What a test has opened, closed after it in the reverse order, however it ends. */
class Cleanup {
  readonly #closers: (() => Promise<void>)[] = []

  constructor(t: TestContext) {
    t.after(async () => {
      for (const close of this.#closers.toReversed()) await close()
    })
  }

  add(close: () => Promise<void>): void {
    this.#closers.push(close)
  }
}

const snapshot = {
  kind: 'install-snapshot',
  snapshotVersion: 1,
  term: 3,
  lastLogIndex: 8,
  lastLogTerm: 3,
  configuration: { servers: [] },
  configurationIndex: 1,
} as const

const done: RaftResponse = { kind: 'install-snapshot', term: 3, success: true }

function suite(start: Start): void {
  test('calls and a snapshot of 20 MB pass', async (t) => {
    const cleanup = new Cleanup(t)
    const nats = await start(-1)
    cleanup.add(() => nats.stop())
    let received = 0
    await side(cleanup, nats.port, 'b', async (_, request, body) => {
      for await (const part of body ?? []) received += part.length
      if (request.kind !== 'append-entries') return done
      const { kind, term } = request
      return { kind, term, lastLogIndex: 0, success: true, noRetryBackoff: false }
    })
    const a = await side(cleanup, nats.port, 'a', () => Promise.resolve(done))
    const terms = await Promise.all(
      Array.from({ length: 60 }, (_, term) => a.transport.send('b', append(term + 1))),
    )
    assert.deepEqual(
      terms.map(({ term }) => term),
      Array.from({ length: 60 }, (_, term) => term + 1),
    )
    assert.equal((await a.transport.send('b', heartbeat(7))).term, 7)
    const pieces = Array.from({ length: 20 }, () => new Uint8Array(1_000_000).fill(5))
    const response = await a.transport.sendSnapshot('b', { ...snapshot, size: 20_000_000 }, pieces)
    assert.deepEqual(response, done)
    assert.equal(received, 20_000_000)
  })

  test('a peer that was killed and is back is called again at once', async (t) => {
    const cleanup = new Cleanup(t)
    const nats = await start(-1)
    cleanup.add(() => nats.stop())
    const answering: RaftRequestHandler = (_, { kind }) =>
      Promise.resolve(
        kind === 'request-vote' ? { kind, term: 1, granted: true } : { kind: 'timeout-now' },
      )
    const killed = await side(cleanup, nats.port, 'b', answering)
    const a = await side(cleanup, nats.port, 'a', answering)
    const vote = { term: 1, lastLogIndex: 0, lastLogTerm: 0, leadershipTransfer: false } as const
    await a.transport.send('b', { kind: 'request-vote', ...vote })
    await killed.bus.close()
    await side(cleanup, nats.port, 'b', answering)
    const began = performance.now()
    await a.transport.send('b', { kind: 'request-vote', ...vote })
    assert.ok(performance.now() - began < RPC_MS, 'the dead stream had to time out')
  })

  test('NATS killed in the middle ends every stream, and calls pass when it is back', async (t) => {
    const cleanup = new Cleanup(t)
    let nats = await start(-1)
    cleanup.add(() => nats.stop())
    const arriving = Promise.withResolvers<void>()
    const broken = Promise.withResolvers<unknown>()
    const b = await side(cleanup, nats.port, 'b', async (_, request, body) => {
      if (request.kind === 'append-entries') {
        const { kind, term } = request
        return { kind, term, lastLogIndex: 0, success: true, noRetryBackoff: false }
      }
      try {
        for await (const part of body ?? []) if (part.length > 0) arriving.resolve()
      } catch (error) {
        broken.resolve(error)
        throw error
      }
      return done
    })
    const a = await side(cleanup, nats.port, 'a', () => Promise.resolve(done))
    await a.transport.send('b', append(1))
    const endless = (function* () {
      for (;;) yield new Uint8Array(100_000)
    })()
    const call = a.transport.sendSnapshot('b', { ...snapshot, size: 2 ** 50 }, endless)
    const failed = assert.rejects(call, { name: 'RaftTransportError', code: 'closed' })
    await arriving.promise
    await nats.stop()
    await failed
    assert.equal(Reflect.get(Object(await broken.promise), 'code'), 'closed')
    await assert.rejects(a.transport.send('b', append(2)), { code: 'unreachable' })
    assert.deepEqual(a.transport.streams, { dialed: 0, accepted: 0 })
    nats = await start(nats.port)
    await Promise.all([a.back(), b.back()])
    assert.equal((await a.transport.send('b', append(3))).term, 3)
    assert.deepEqual([a.transport.streams.dialed, b.transport.streams.accepted], [1, 1])
  })
}
