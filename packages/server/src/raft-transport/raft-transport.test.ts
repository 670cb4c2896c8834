import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { encodeRaftRequest, RAFT_PROTOCOL_VERSION, type RaftRequest } from '@liftbridge/wire'
import { answerTo, Held, outcome, requests, snapshotOf, terms } from './calls.suite.ts'
import {
  DIALED_IDLE_MS,
  IDLE_STREAMS_PER_PEER,
  PROBE_EVERY_MS,
  RPC_MS,
  WAITING_CALLS_PER_PEER,
} from './limits.ts'
import {
  append,
  BareClient,
  heartbeat,
  nobody,
  subjects,
  turns,
  until,
  World,
} from './raft-transport.suite.ts'
import type { RaftTransport } from './raft-transport.ts'

let world: World

beforeEach(() => {
  world = new World()
})

afterEach(() => world.close())

describe('two servers', () => {
  test('exchange every call, both ways', async () => {
    const asked: [string, string, RaftRequest][] = []
    const transports = ['a', 'b'].map((id) =>
      world.transport(id, (from, request) => {
        asked.push([id, from, request])
        return Promise.resolve(answerTo(request))
      }),
    )
    const [a, b] = transports as [RaftTransport, RaftTransport]
    for (const [from, to, transport] of [
      ['a', 'b', a],
      ['b', 'a', b],
    ] as const) {
      for (const request of requests) {
        assert.deepEqual(await transport.send(to, request), answerTo(request))
        const [at, sender, received] = asked.at(-1) ?? assert.fail()
        assert.deepEqual([at, sender], [to, from])
        assert.deepEqual(plain(received), plain(request))
      }
    }
    assert.deepEqual(world.problems, [])
  })

  test('an error of the handler comes as text, and the stream goes on', async () => {
    let failing = true
    world.transport('b', (_, request) =>
      failing ? Promise.reject(new Error('not now')) : Promise.resolve(answerTo(request)),
    )
    const a = world.transport('a', nobody)
    for (const request of requests) {
      await assert.rejects(a.send('b', request), {
        name: 'RaftTransportError',
        code: 'remote',
        message: 'not now',
      })
    }
    const before = a.streams.dialed
    failing = false
    for (const request of requests) await a.send('b', request)
    assert.equal(a.streams.dialed, before)
  })

  test('a handler that answers something else is an error, not a wrong answer', async () => {
    world.transport('b', () => Promise.resolve({ kind: 'timeout-now' }))
    const a = world.transport('a', nobody)
    await assert.rejects(a.send('b', append(1)), { code: 'remote' })
  })

  test('a server that is not there is unreachable, for every call', async () => {
    const a = world.transport('a', nobody)
    for (const request of requests) {
      await assert.rejects(a.send('nobody', request), { code: 'unreachable' })
    }
    await assert.rejects(a.sendSnapshot('nobody', snapshotOf(1), [new Uint8Array(1)]), {
      code: 'unreachable',
    })
    assert.deepEqual(a.streams, { dialed: 0, accepted: 0 })
    assert.equal(world.clock.pending, 0)
  })

  test('a request that cannot be written is refused before anything is sent', async () => {
    world.transport('b', nobody)
    const a = world.transport('a', nobody)
    await assert.rejects(a.send('b', append(2 ** 60)), { name: 'RaftTransportError' })
  })
})

/** Views and Buffers aside. */
function plain(request: RaftRequest): unknown {
  if (request.kind !== 'append-entries') return request
  const entries = request.entries.map((each) => ({
    ...each,
    data: Buffer.from(each.data).toString('hex'),
    extensions: Buffer.from(each.extensions).toString('hex'),
  }))
  return { ...request, entries }
}

describe('AppendEntries', () => {
  test('go out in the order of the calls, two at a time, and are answered in order', async () => {
    const held = new Held()
    world.transport('b', held.handler)
    const a = world.transport('a', nobody)
    const answered: number[] = []
    const calls = [1, 2, 3, 4, 5, 6].map(async (term) => {
      answered.push((await a.send('b', append(term))).term)
    })
    await until(() => held.asked.length === 1)
    await turns()
    // The server takes one at a time; the second waits in its stream, the others at home.
    assert.deepEqual(terms(held.asked), [1])
    for (let released = 0; released < 6; released++) await held.release()
    await Promise.all(calls)
    assert.deepEqual(terms(held.asked), [1, 2, 3, 4, 5, 6])
    assert.deepEqual(answered, [1, 2, 3, 4, 5, 6])
    assert.equal(a.streams.dialed, 1)
  })

  test('only two are on the wire before the first is answered', async () => {
    const peer = world.bus()
    const received: Buffer[] = []
    const listener = new BareClient(peer, 'b')
    peer.subscribe(subjects.raftAccept('b'), ({ reply }) => {
      peer.publish(reply, Buffer.from(JSON.stringify({ inbox: listener.inbox })))
    })
    const a = world.transport('a', nobody)
    for (const term of [1, 2, 3]) void outcome(a.send('b', append(term)))
    await until(() => listener.received.length >= 2)
    await turns()
    received.push(...listener.received.map((bytes) => Buffer.from(bytes)))
    const header = { protocolVersion: RAFT_PROTOCOL_VERSION, id: 'a', address: 'a' }
    assert.deepEqual(
      received.map((bytes) => bytes.toString('hex')),
      [1, 2].map((term) => Buffer.from(encodeRaftRequest(append(term), header)).toString('hex')),
    )
  })

  test('do not delay heartbeats and votes', async () => {
    const held = new Held()
    world.transport('b', (from, request) =>
      request.kind === 'append-entries' && request.prevLogIndex > 0
        ? held.handler(from, request)
        : Promise.resolve(answerTo(request)),
    )
    const a = world.transport('a', nobody)
    const slow = a.send('b', append(1))
    await until(() => held.asked.length === 1)
    assert.equal((await a.send('b', heartbeat(2))).term, 2)
    assert.equal((await a.send('b', { kind: 'timeout-now' })).kind, 'timeout-now')
    await held.release()
    await slow
  })

  test('one that fails takes those behind it along; the next one dials again', async () => {
    let silent = true
    const held = new Held()
    world.transport('b', (from, request) =>
      silent ? held.handler(from, request) : Promise.resolve(answerTo(request)),
    )
    const a = world.transport('a', nobody)
    const calls = [1, 2, 3, 4].map((term) => outcome(a.send('b', append(term))))
    await until(() => held.asked.length === 1)
    await turns()
    world.clock.advance(RPC_MS)
    assert.deepEqual(await Promise.all(calls), ['timeout', 'closed', 'closed', 'closed'])
    silent = false
    assert.equal((await a.send('b', append(5))).term, 5)
    assert.equal(a.streams.dialed, 1)
    await held.release()
  })

  test('so many may wait, and no more', async () => {
    const held = new Held()
    world.transport('b', held.handler)
    const a = world.transport('a', nobody)
    const calls = Array.from({ length: WAITING_CALLS_PER_PEER + 1 }, (_, index) =>
      outcome(a.send('b', append(index + 1))),
    )
    assert.equal(await calls.at(-1), 'busy')
    await a.close()
    assert.deepEqual(new Set(await Promise.all(calls.slice(0, -1))), new Set(['closed']))
  })
})

describe('a call without answer', () => {
  test('ends after its time, and its stream with it', async () => {
    const held = new Held()
    world.transport('b', held.handler)
    const a = world.transport('a', nobody)
    const call = a.send('b', requests[2] ?? assert.fail())
    await until(() => held.asked.length === 1)
    await turns()
    world.clock.advance(RPC_MS - 1)
    await turns()
    assert.equal(a.streams.dialed, 1)
    world.clock.advance(1)
    await assert.rejects(call, { code: 'timeout' })
    assert.equal(a.streams.dialed, 0)
  })

  test('ends at once when the peer was killed and said nothing', async () => {
    const bus = world.bus()
    world.transport('b', (_, request) => Promise.resolve(answerTo(request)), bus)
    const a = world.transport('a', nobody)
    for (const request of requests) await a.send('b', request)
    world.clock.advance(1000)
    await bus.close()
    for (const request of requests) {
      await assert.rejects(a.send('b', request), { code: 'unreachable' })
    }
    assert.equal(a.streams.dialed, 0)
  })

  test('ends soon when the peer is killed before it answers', async () => {
    const bus = world.bus()
    const held = new Held()
    world.transport('b', held.handler, bus)
    const a = world.transport('a', nobody)
    const calls = requests.map((request) => outcome(a.send('b', request)))
    await until(() => held.asked.length === requests.length)
    await bus.close()
    await turns()
    world.clock.advance(PROBE_EVERY_MS)
    assert.deepEqual(new Set(await Promise.all(calls)), new Set(['unreachable']))
    assert.equal(a.streams.dialed, 0)
  })

  test('a vote goes to a peer that was killed and is back, on a new stream', async () => {
    const bus = world.bus()
    world.transport('b', (_, request) => Promise.resolve(answerTo(request)), bus)
    const a = world.transport('a', nobody)
    const votes = requests.filter(({ kind }) => kind !== 'append-entries')
    for (const request of votes) await a.send('b', request)
    world.clock.advance(1000)
    await bus.close()
    world.transport('b', (_, request) => Promise.resolve(answerTo(request)))
    for (const request of votes) assert.deepEqual(await a.send('b', request), answerTo(request))
    // Entries and heartbeats are Raft's to repeat; they do so at the next round.
    assert.equal((await a.send('b', append(2))).term, 2)
  })

  test('ends when the peer closes', async () => {
    const held = new Held()
    const b = world.transport('b', held.handler)
    const a = world.transport('a', nobody)
    const calls = requests.map((request) => outcome(a.send('b', request)))
    await until(() => held.asked.length === requests.length)
    await b.close()
    assert.deepEqual(new Set(await Promise.all(calls)), new Set(['closed']))
    await until(() => a.streams.dialed === 0)
  })

  test('ends when this side closes, and later ones are refused', async () => {
    const held = new Held()
    world.transport('b', held.handler)
    const a = world.transport('a', nobody)
    const calls = requests.map((request) => outcome(a.send('b', request)))
    await until(() => held.asked.length === requests.length)
    await a.close()
    assert.deepEqual(new Set(await Promise.all(calls)), new Set(['closed']))
    await assert.rejects(a.send('b', append(1)), { code: 'closed' })
    await assert.rejects(a.sendSnapshot('b', snapshotOf(0), []), { code: 'closed' })
    assert.equal(world.clock.pending, 0)
  })

  test('ends when the peer is forgotten, and it can be called again', async () => {
    const held = new Held()
    world.transport('b', held.handler)
    const a = world.transport('a', nobody)
    const call = outcome(a.send('b', append(1)))
    await until(() => held.asked.length === 1)
    a.forget('b')
    assert.equal(await call, 'closed')
    const again = a.send('b', append(2))
    await held.release(2)
    assert.equal((await again).term, 2)
  })

  test('a call that has to dial does not outlive the closing', async () => {
    world.transport('b', nobody)
    const a = world.transport('a', nobody)
    const calls = requests.map((request) => outcome(a.send('b', request)))
    await a.close()
    for (const each of await Promise.all(calls)) assert.ok(['closed', 'unreachable'].includes(each))
    await turns()
    assert.deepEqual(a.streams, { dialed: 0, accepted: 0 })
  })
})

describe('streams for votes', () => {
  const vote = requests[2] ?? assert.fail()

  test('are kept, up to three', async () => {
    const held = new Held()
    world.transport('b', held.handler)
    const a = world.transport('a', nobody)
    const calls = [1, 2, 3, 4, 5].map(() => a.send('b', vote))
    await held.release(5)
    await Promise.all(calls)
    await until(() => a.streams.dialed === IDLE_STREAMS_PER_PEER)
    const again = a.send('b', vote)
    await held.release()
    await again
    assert.equal(a.streams.dialed, IDLE_STREAMS_PER_PEER)
  })

  test('are not used again when they have been idle for long', async () => {
    const b = world.transport('b', (_, request) => Promise.resolve(answerTo(request)))
    const a = world.transport('a', nobody)
    await a.send('b', vote)
    const [before] = [b.streams.accepted]
    world.clock.advance(DIALED_IDLE_MS)
    await a.send('b', vote)
    await until(() => b.streams.accepted === before)
    assert.equal(a.streams.dialed, 1)
  })

  test('are not used again when the peer has closed them', async () => {
    const b = world.transport('b', (_, request) => Promise.resolve(answerTo(request)))
    const a = world.transport('a', nobody)
    for (const request of requests) await a.send('b', request)
    await b.close()
    world.transport('b', (_, request) => Promise.resolve(answerTo(request)))
    for (const request of requests) assert.equal((await a.send('b', request)).kind, request.kind)
  })
})
