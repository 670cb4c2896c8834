import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import {
  STREAM_BUFFER_BYTES,
  STREAM_WINDOW_BYTES,
  STREAMS_BUFFER_BYTES,
  WRITE_STALL_MS,
} from './limits.ts'
import type { NatsStream } from './nats-stream.ts'
import { BareClient, subjects, TestEndpoint, turns, until, World } from './raft-transport.suite.ts'
import { TamperedBus } from './tampered-bus.suite.ts'

let world: World

beforeEach(() => {
  world = new World()
})

afterEach(() => world.close())

/** A stream between two servers: the dialer's side and the other one. */
async function pair(): Promise<[NatsStream, NatsStream, TestEndpoint, TestEndpoint]> {
  const [a, b] = [new TestEndpoint(world, 'a'), new TestEndpoint(world, 'b')]
  const dialed = await a.endpoint.dial('b')
  const accepted = b.streams[0] ?? assert.fail('nothing was accepted')
  return [dialed, accepted, a, b]
}

async function readAll(stream: NatsStream): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for (let part = await stream.read(1e6); part !== undefined; part = await stream.read(1e6)) {
    parts.push(part)
  }
  return Buffer.concat(parts)
}

describe('a stream over NATS', () => {
  test('carries the same bytes wherever they are split, both ways', async () => {
    const [dialed, accepted] = await pair()
    const text = Buffer.from('0123456789')
    for (const [from, to] of [
      [dialed, accepted],
      [accepted, dialed],
    ] as const) {
      for (let cut = 0; cut <= text.length; cut++) {
        await from.write(text.subarray(0, cut))
        await from.write(text.subarray(cut))
        let got = Buffer.alloc(0)
        while (got.length < text.length) {
          got = Buffer.concat([got, (await to.read(1000)) ?? assert.fail('the end')])
        }
        assert.equal(got.toString(), text.toString())
      }
    }
  })

  test('knows whom it goes to', async () => {
    const [dialed, accepted] = await pair()
    assert.deepEqual([dialed.peer, accepted.peer], ['b', 'a'])
    assert.ok(subjects.isRaftStream(dialed.inbox))
  })

  test('ends for the other side when one closes it, after what was written', async () => {
    for (const closer of [0, 1] as const) {
      const [dialed, accepted, a, b] = await pair()
      const [from, to] = closer === 0 ? [dialed, accepted] : [accepted, dialed]
      await from.write(Buffer.from('last words'))
      from.close()
      from.close()
      assert.equal((await readAll(to)).toString(), 'last words')
      assert.equal(await to.read(1000), undefined)
      await assert.rejects(to.write(Buffer.from('x')), { code: 'closed' })
      assert.equal(await from.read(1000), undefined)
      await assert.rejects(from.write(Buffer.from('x')), { code: 'closed' })
      assert.deepEqual([a.endpoint.streams.dialed, b.endpoint.streams.accepted], [0, 0])
      await a.endpoint.close()
      await b.endpoint.close()
    }
  })

  test('gives no message for no bytes: that would be its end', async () => {
    const [dialed, accepted] = await pair()
    await dialed.write(new Uint8Array())
    await dialed.write(Buffer.from('x'))
    assert.equal(Buffer.from((await accepted.read(1000)) ?? []).toString(), 'x')
  })

  test('splits what NATS does not take in one message', async () => {
    const [dialed, accepted] = await pair()
    const large = Buffer.alloc(3_000_001, 'ab')
    await Promise.all([
      dialed.write(large).then(() => dialed.close()),
      readAll(accepted).then((got) => assert.ok(got.equals(large))),
    ])
  })

  test('writes in the order of the calls, also when one waits', async () => {
    const [dialed, accepted] = await pair()
    const writes = [dialed.write(Buffer.alloc(2_000_000, 'a')), dialed.write(Buffer.from('b'))]
    const got = readAll(accepted)
    await Promise.all(writes)
    dialed.close()
    assert.equal((await got).indexOf('b'), 2_000_000)
  })

  test('waits for bytes as long as it is told, and goes on', async () => {
    const [dialed, accepted] = await pair()
    const read = accepted.read(2000)
    const refused = assert.rejects(read, { code: 'timeout' })
    await turns()
    world.clock.advance(2000)
    await refused
    await dialed.write(Buffer.from('late'))
    assert.equal(Buffer.from((await accepted.read(2000)) ?? []).toString(), 'late')
    assert.equal(world.clock.pending, 0)
  })

  test('several streams to one peer do not mix', async () => {
    const [a, b] = [new TestEndpoint(world, 'a'), new TestEndpoint(world, 'b')]
    const dialed = await Promise.all([1, 2, 3].map(() => a.endpoint.dial('b')))
    for (const [index, stream] of dialed.entries()) {
      await stream.write(Buffer.from(`stream ${index}`))
      stream.close()
    }
    const got = await Promise.all(b.streams.map(async (one) => (await readAll(one)).toString()))
    assert.deepEqual(got.toSorted(), ['stream 0', 'stream 1', 'stream 2'])
  })
})

describe('memory [D-54]', () => {
  test('a peer that heeds no window and is not read ends its own stream', async () => {
    const b = new TestEndpoint(world, 'b')
    const client = new BareClient(world.bus())
    await client.dial('b')
    const stream = b.streams[0] ?? assert.fail()
    const step = new Uint8Array(1024 * 1024)
    for (let sent = 0; sent < STREAM_BUFFER_BYTES; sent += step.length) {
      client.send(step)
      await client.bus.flush()
    }
    assert.equal(stream.unreadBytes, STREAM_BUFFER_BYTES)
    client.send(step)
    await until(() => client.ended)
    assert.equal(stream.unreadBytes, 0)
    await assert.rejects(stream.read(1000), { code: 'closed' })
    assert.equal(b.endpoint.streams.accepted, 0)
  })

  test('all streams together hold so much, and give it back', async () => {
    const b = new TestEndpoint(world, 'b')
    const bus = world.bus()
    const clients: BareClient[] = []
    for (let index = 0; index < 4; index++) {
      const client = new BareClient(bus)
      await client.dial('b')
      clients.push(client)
      for (let sent = 0; sent < 47; sent++) client.send(new Uint8Array(1024 * 1024))
      await bus.flush()
    }
    // 47 MiB each: neither the third nor the fourth fits beside the first two.
    await until(() => clients[2]?.ended === true)
    const held = b.streams.reduce((sum, stream) => sum + stream.unreadBytes, 0)
    assert.ok(held <= STREAMS_BUFFER_BYTES)
    assert.deepEqual(
      clients.map(({ ended }) => ended),
      [false, false, true, true],
    )
    for (const stream of b.streams) stream.close()
    const last = new BareClient(bus)
    await last.dial('b')
    last.send(new Uint8Array(1024 * 1024))
    await until(() => b.streams.at(-1)?.unreadBytes === 1024 * 1024)
  })

  test('between servers of ours no more than the window is under way', async () => {
    const [dialed, accepted] = await pair()
    const total = 3 * STREAM_WINDOW_BYTES
    const writing = dialed.write(Buffer.alloc(total, 7)).then(() => dialed.close())
    let got = 0
    for (;;) {
      await turns(30)
      assert.ok(accepted.unreadBytes <= STREAM_WINDOW_BYTES, String(accepted.unreadBytes))
      const part = await accepted.read(1000)
      if (part === undefined) break
      got += part.length
    }
    assert.equal(got, total)
    await writing
  })

  test('a reader that does not read on ends the stream of its writer', async () => {
    const [dialed, accepted] = await pair()
    const writing = dialed.write(new Uint8Array(2 * STREAM_WINDOW_BYTES))
    const refused = assert.rejects(writing, { code: 'timeout' })
    await until(() => accepted.unreadBytes === STREAM_WINDOW_BYTES)
    await turns()
    world.clock.advance(WRITE_STALL_MS)
    await refused
    assert.equal(dialed.open, false)
    await until(() => !accepted.open)
  })

  test('credit that nobody can give is ignored', async () => {
    const [dialed, accepted] = await pair()
    const forger = world.bus()
    for (const credit of ['-5', '1e300', 'x', '99999999', '9'.repeat(40), '']) {
      forger.publish(`${dialed.inbox}.credit`, Buffer.from(credit))
    }
    await forger.flush()
    void dialed.write(new Uint8Array(2 * STREAM_WINDOW_BYTES)).catch(() => {})
    await until(() => accepted.unreadBytes === STREAM_WINDOW_BYTES)
    await turns()
    assert.equal(accepted.unreadBytes, STREAM_WINDOW_BYTES)
  })

  test('a writer waits for a connection that holds too much', async () => {
    const bus = new TamperedBus(world.bus())
    const a = new TestEndpoint(world, 'a', bus)
    const b = new TestEndpoint(world, 'b')
    const dialed = await a.endpoint.dial('b')
    const relief = Promise.withResolvers<void>()
    bus.pendingBytes = 1e9
    bus.drained = () => relief.promise
    const writing = dialed.write(Buffer.from('x'))
    await turns()
    assert.equal(b.streams[0]?.unreadBytes, 0)
    bus.pendingBytes = 0
    relief.resolve()
    await writing
    await until(() => b.streams[0]?.unreadBytes === 1)
  })
})

describe('when NATS does not bring each message once [M1]', () => {
  async function tampered(): Promise<[TamperedBus, NatsStream, NatsStream]> {
    const bus = new TamperedBus(world.bus())
    const a = new TestEndpoint(world, 'a', bus)
    const b = new TestEndpoint(world, 'b')
    const dialed = await a.endpoint.dial('b')
    return [bus, dialed, b.streams[0] ?? assert.fail('nothing was accepted')]
  }

  test('what comes twice is read once, and ends the stream once', async () => {
    const [bus, dialed, accepted] = await tampered()
    bus.copies = 2
    await dialed.write(Buffer.from('one,'))
    await dialed.write(Buffer.from('two'))
    dialed.close()
    assert.equal((await readAll(accepted)).toString(), 'one,two')
  })

  test('a stream with a gap fails instead of reading on behind it', async () => {
    const [bus, dialed, accepted] = await tampered()
    await dialed.write(Buffer.from('one'))
    bus.copies = 0
    await dialed.write(Buffer.from('two'))
    bus.copies = 1
    await dialed.write(Buffer.from('three'))
    await until(() => !accepted.open)
    await assert.rejects(accepted.read(1000), { code: 'closed', message: /lost a message/ })
  })

  test('nor does a lost message pass when the end is what comes next', async () => {
    const [bus, dialed, accepted] = await tampered()
    bus.copies = 0
    await dialed.write(Buffer.from('one'))
    bus.copies = 1
    dialed.close()
    await assert.rejects(accepted.read(1000), { code: 'closed', message: /lost a message/ })
  })
})

describe('when NATS goes away', () => {
  test('every stream fails, those that wait as well', async () => {
    const bus = new TamperedBus(world.bus())
    const a = new TestEndpoint(world, 'a', bus)
    const b = new TestEndpoint(world, 'b')
    const dialed = await a.endpoint.dial('b')
    const accepted = b.streams[0] ?? assert.fail()
    await accepted.write(Buffer.from('arrived'))
    await until(() => dialed.unreadBytes > 0)
    const writing = assert.rejects(dialed.write(new Uint8Array(2 * STREAM_WINDOW_BYTES)), {
      code: 'closed',
    })
    await until(() => accepted.unreadBytes === STREAM_WINDOW_BYTES)
    bus.tell({ kind: 'disconnected', reason: 'cut' })
    await writing
    await assert.rejects(dialed.read(1000), { code: 'closed', message: /NATS is away: cut/ })
    assert.equal(a.endpoint.streams.dialed, 0)
    assert.equal(world.clock.pending, 0)
  })

  test('closing ends the reader although nothing can be unsubscribed or said [D-53]', async () => {
    const bus = new TamperedBus(world.bus())
    const a = new TestEndpoint(world, 'a', bus)
    new TestEndpoint(world, 'b')
    const dialed = await a.endpoint.dial('b')
    bus.failing = true
    const reading = dialed.read(1e6)
    await turns()
    dialed.close()
    assert.equal(await reading, undefined)
    assert.equal(a.endpoint.streams.dialed, 0)
    await assert.rejects(a.endpoint.dial('b'), { code: 'unreachable' })
  })

  test('a message that NATS refuses ends the stream with a typed error', async () => {
    const bus = new TamperedBus(world.bus())
    const a = new TestEndpoint(world, 'a', bus)
    new TestEndpoint(world, 'b')
    const dialed = await a.endpoint.dial('b')
    bus.failing = true
    await assert.rejects(dialed.write(Buffer.from('x')), {
      name: 'RaftTransportError',
      code: 'closed',
    })
    assert.equal(dialed.open, false)
  })

  test('an answer to a dial that cannot be sent leaves no stream', async () => {
    const bus = new TamperedBus(world.bus())
    const b = new TestEndpoint(world, 'b', bus)
    bus.failing = true
    const client = new BareClient(world.bus())
    await assert.rejects(client.bus.request(subjects.raftAccept('b'), dialOf(client), 20))
    bus.failing = false
    assert.equal(b.endpoint.streams.accepted, 0)
    assert.equal(world.problems.length, 1)
  })
})

function dialOf(client: BareClient): Buffer {
  return Buffer.from(JSON.stringify({ id: 'go', inbox: client.inbox }))
}
