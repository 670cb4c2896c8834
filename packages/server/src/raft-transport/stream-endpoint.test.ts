import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { ACCEPTED_PER_PEER, ACCEPTED_STREAMS } from './limits.ts'
import { BareClient, subjects, TestEndpoint, turns, until, World } from './raft-transport.suite.ts'
import { TamperedBus } from './tampered-bus.suite.ts'

let world: World

beforeEach(() => {
  world = new World()
})

afterEach(() => world.close())

describe('dialing', () => {
  test('a server that is not there fails at once', async () => {
    const a = new TestEndpoint(world, 'a')
    await assert.rejects(a.endpoint.dial('nobody'), { code: 'unreachable' })
    assert.equal(a.endpoint.streams.dialed, 0)
    assert.equal(world.clock.pending, 0)
  })

  test('while NATS is away fails at once, with nothing left behind', async () => {
    const bus = new TamperedBus(world.bus())
    const a = new TestEndpoint(world, 'a', bus)
    bus.connected = false
    await assert.rejects(a.endpoint.dial('b'), { code: 'unreachable' })
    assert.equal(a.endpoint.streams.dialed, 0)
  })

  test('a server whose answer is no handshake fails', async () => {
    const a = new TestEndpoint(world, 'a')
    const other = world.bus()
    for (const answer of [
      '',
      '{}',
      '[]',
      'null',
      '{"inbox":7}',
      '{"inbox":"foo"}',
      '{"inbox":">"}',
    ]) {
      const subscription = other.subscribe(subjects.raftAccept('b'), ({ reply }) =>
        other.publish(reply, Buffer.from(answer)),
      )
      await assert.rejects(a.endpoint.dial('b'), { code: 'unreachable' }, answer)
      subscription.unsubscribe()
    }
    assert.equal(a.endpoint.streams.dialed, 0)
  })

  test('a NATS that does not answer fails in time', async () => {
    const bus = new TamperedBus(world.bus())
    bus.flush = () => new Promise(() => {})
    const refused = assert.rejects(new TestEndpoint(world, 'a', bus).endpoint.dial('b'), {
      code: 'timeout',
    })
    await turns()
    world.clock.advance(2000)
    await refused
  })

  test('after closing is refused', async () => {
    const { endpoint } = new TestEndpoint(world, 'a')
    await endpoint.close()
    await endpoint.close()
    await assert.rejects(endpoint.dial('b'), { code: 'closed' })
  })
})

describe('accepting', () => {
  test('what opens no stream is dropped and told, and harms nothing', async () => {
    const b = new TestEndpoint(world, 'b')
    const stranger = world.bus()
    const accept = subjects.raftAccept('b')
    const dial = (fields: object): Buffer => Buffer.from(JSON.stringify(fields))
    const good = subjects.raftStream('a', 'N')
    const garbage = [
      Buffer.alloc(0),
      Buffer.from('{'),
      Buffer.from('null'),
      Buffer.from([0xff, 0xfe]),
      dial({ id: 'a' }),
      dial({ id: 7, inbox: good }),
      dial({ id: '', inbox: good }),
      dial({ id: 'a', inbox: 'any.subject.at.all' }),
      dial({ id: 'a', inbox: `${good}.*` }),
      dial({ id: 'a', inbox: `${good} x` }),
      dial({ id: 'a', inbox: subjects.propagate }),
      dial({ id: 'a'.repeat(5000), inbox: good }),
    ]
    for (const data of garbage) stranger.publish(accept, data, 'some.reply')
    stranger.publish(accept, dial({ id: 'a', inbox: good }))
    await stranger.flush()
    await turns()
    assert.equal(world.problems.length, garbage.length + 1)
    assert.deepEqual(b.endpoint.streams, { dialed: 0, accepted: 0 })
    const dialed = await new TestEndpoint(world, 'a').endpoint.dial('b')
    await dialed.write(Buffer.from('fine'))
    assert.equal(Buffer.from((await b.streams[0]?.read(1000)) ?? []).toString(), 'fine')
  })

  test('keeps so many streams of a peer; the longest silent one makes room [D-52]', async () => {
    const b = new TestEndpoint(world, 'b')
    const bus = world.bus()
    const clients: BareClient[] = []
    for (let index = 0; index <= ACCEPTED_PER_PEER; index++) {
      const client = new BareClient(bus)
      await client.dial('b')
      clients.push(client)
      world.clock.advance(1)
      // The first one stays busy.
      clients[0]?.send(Buffer.from('x'))
      await turns(2)
    }
    await until(() => clients[1]?.ended === true)
    assert.equal(b.endpoint.streams.accepted, ACCEPTED_PER_PEER)
    assert.deepEqual(
      clients.flatMap(({ ended }, index) => (ended ? [index] : [])),
      [1],
    )
    assert.match(world.problems.join(), /too many streams/)
  })

  test('keeps so many streams in all', async () => {
    const b = new TestEndpoint(world, 'b')
    const bus = world.bus()
    for (let index = 0; index < ACCEPTED_STREAMS + 5; index++) {
      await new BareClient(bus, `p${index}`).dial('b', `p${index}`)
    }
    assert.equal(b.endpoint.streams.accepted, ACCEPTED_STREAMS)
  })
})
