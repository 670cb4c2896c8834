import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { encodeRaftRequest, UNSUPPORTED_PROTOCOL } from '@liftbridge/wire'
import { answerTo, Held, requests } from './calls.suite.ts'
import { ACCEPTED_IDLE_MS, REQUEST_STALL_MS } from './limits.ts'
import {
  append,
  BareClient,
  heartbeat,
  nobody,
  turns,
  until,
  World,
} from './raft-transport.suite.ts'

let world: World

beforeEach(() => {
  world = new World()
})

afterEach(() => world.close())

describe('serving', () => {
  test('a request is understood wherever its bytes are split', async () => {
    world.transport('b', (_, request) => Promise.resolve(answerTo(request)))
    const client = new BareClient(world.bus())
    await client.dial('b')
    const header = { protocolVersion: 3, id: 'go', address: 'go' }
    const frame = encodeRaftRequest(requests[1] ?? assert.fail(), header)
    for (let cut = 1; cut < frame.length; cut++) {
      client.send(frame.subarray(0, cut))
      client.send(frame.subarray(cut))
    }
    await until(() => client.received.length === frame.length - 1)
    const kinds = client.received.map(() => 'append-entries' as const)
    for (const reply of client.replies(...kinds)) assert.equal(reply?.kind, 'response')
  })

  test('requests sent at once are handled one by one and answered in order', async () => {
    const held = new Held()
    world.transport('b', held.handler)
    const client = new BareClient(world.bus())
    await client.dial('b')
    for (const term of [1, 2, 3]) client.request(append(term))
    await until(() => held.asked.length === 1)
    await turns()
    assert.equal(held.asked.length, 1)
    for (let index = 0; index < 3; index++) await held.release()
    await until(() => client.received.length === 3)
    const replies = client.replies('append-entries', 'append-entries', 'append-entries')
    assert.deepEqual(
      replies.map((reply) => reply?.kind === 'response' && Reflect.get(reply.response, 'term')),
      [1, 2, 3],
    )
  })

  test('a peer of another protocol version is refused, but for its heartbeats', async () => {
    world.transport('b', (_, request) => Promise.resolve(answerTo(request)))
    const client = new BareClient(world.bus())
    await client.dial('b')
    client.request(append(1), 1)
    client.request(heartbeat(2), 1)
    client.request(append(3), 2)
    await until(() => client.received.length === 3)
    const replies = client.replies('append-entries', 'append-entries', 'append-entries')
    assert.deepEqual(replies[0], { kind: 'error', error: UNSUPPORTED_PROTOCOL })
    assert.deepEqual([replies[1]?.kind, replies[2]?.kind], ['response', 'response'])
  })

  test('bytes that are no request close their stream and no other', async () => {
    const b = world.transport('b', (_, request) => Promise.resolve(answerTo(request)))
    const [good, bad] = [new BareClient(world.bus()), new BareClient(world.bus())]
    await good.dial('b')
    await bad.dial('b')
    bad.send(Buffer.from([9, 1, 2, 3]))
    await until(() => bad.ended)
    assert.match(world.problems.join(), /unknown RPC type 9/)
    good.request(append(1))
    await until(() => good.received.length === 1)
    assert.equal(b.streams.accepted, 1)
  })

  test('a dialer that vanished is let go after a while [D-52]', async () => {
    const b = world.transport('b', (_, request) => Promise.resolve(answerTo(request)))
    const client = new BareClient(world.bus())
    await client.dial('b')
    client.request(append(1))
    await until(() => client.received.length === 1)
    await turns()
    world.clock.advance(ACCEPTED_IDLE_MS - 1)
    await turns()
    assert.equal(b.streams.accepted, 1)
    world.clock.advance(1)
    await until(() => b.streams.accepted === 0)
  })

  test('a dialer that vanished within a request is let go sooner', async () => {
    const b = world.transport('b', nobody)
    const client = new BareClient(world.bus())
    await client.dial('b')
    client.send(Buffer.from([0, 0x89]))
    await turns()
    world.clock.advance(REQUEST_STALL_MS)
    await until(() => b.streams.accepted === 0)
    assert.equal(world.problems.length, 1)
  })

  test('a stream that ends within a request is told, one that ends after it is not', async () => {
    world.transport('b', (_, request) => Promise.resolve(answerTo(request)))
    const client = new BareClient(world.bus())
    await client.dial('b')
    client.request(append(1))
    await until(() => client.received.length === 1)
    client.send(new Uint8Array())
    await turns()
    assert.deepEqual(world.problems, [])
    const broken = new BareClient(world.bus())
    await broken.dial('b')
    broken.send(Buffer.from([0, 0x89]))
    broken.send(new Uint8Array())
    await until(() => world.problems.length === 1)
    assert.match(world.problems.join(), /ended within a request/)
  })
})
