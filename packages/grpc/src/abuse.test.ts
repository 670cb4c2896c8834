/*
 * Each abuse of HTTP/2 that we know [reliability 3e] ends bounded: the connection is cut or held,
 * a well-behaved second connection keeps working all the time, and afterwards no session and no
 * socket of the abuser is left.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { GrpcChannel } from './client.ts'
import { encodeFrame } from './frames-out.ts'
import type { MethodTable } from './method.ts'
import {
  END_HEADERS,
  END_STREAM,
  FRAME,
  frame,
  grpcHeaders,
  PREFACE,
  RawPeer,
} from './raw-http2.suite.ts'
import { GrpcStatus } from './status.ts'
import { startServer, until, type TestServer } from './loopback-server.suite.ts'

let handled = 0
const methods: MethodTable = {
  '/t.T/Echo': {
    kind: 'unary',
    handle: async (request) => {
      handled++
      return request
    },
  },
  // Never reads its requests and never ends by itself.
  '/t.T/Stuck': {
    kind: 'bidi',
    handle: (call) => {
      handled++
      return new Promise((_resolve, reject) => {
        call.signal.addEventListener('abort', () => reject(call.signal.reason as Error))
      })
    },
  },
  '/t.T/Drain': {
    kind: 'bidi',
    handle: async (_call, requests) => {
      for await (const chunk of requests) handled += chunk.count
    },
  },
  // Gives its client up at once, with bytes on their way.
  '/t.T/Cut': {
    kind: 'server-stream',
    handle: async (_request, call, responses) => {
      responses.write(encodeFrame(new Uint8Array(1_000_000)))
      call.cut?.()
      assert.throws(() => responses.write(encodeFrame(new Uint8Array(1))))
    },
  },
  '/t.T/Flood': {
    kind: 'server-stream',
    handle: async (_request, _call, responses) => {
      for (;;) if (!responses.write(encodeFrame(new Uint8Array(8192)))) await responses.drained()
    },
  },
}

const cuts: string[] = []
let server: TestServer
let good: GrpcChannel

before(async () => {
  server = await startServer({
    methods,
    limits: {
      sweepIntervalMs: 20,
      handshakeTimeoutMs: 200,
      requestTimeoutMs: 300,
      lingerMs: 200,
      maxConcurrentStreams: 100,
      maxBufferedBytes: 4 * 1024 * 1024,
      resetBurst: 100,
      pingBurst: 1000,
      pingsPerSecond: 100,
    },
    onCut: (reason) => cuts.push(reason),
  })
  good = await server.channel()
})
after(() => server.close())

beforeEach(() => {
  cuts.length = 0
  handled = 0
})

afterEach(async () => {
  await until('only the good connection is left', () => {
    const { sockets, sessions, calls } = server.grpc.stats
    return sockets === 1 && sessions === 1 && calls === 0
  })
  assert.equal(server.grpc.stats.bufferedBytes, 0)
  await goodWorks()
})

async function goodWorks(): Promise<void> {
  const answer = await good.unary('/t.T/Echo', Buffer.from('alive'), { timeoutMs: 2000 })
  assert.equal(Buffer.from(answer).toString(), 'alive')
}

async function cutOff(peer: RawPeer): Promise<void> {
  await goodWorks()
  await until('the abuser is cut', () => peer.closed)
}

const open = (id: number, path: string): Buffer =>
  frame(FRAME.HEADERS, END_HEADERS, id, grpcHeaders(path))

test('rapid reset reaches few handlers and ends the connection', async () => {
  const peer = await RawPeer.connect(server.port)
  const reset = Buffer.from([0, 0, 0, 8])
  await peer.flood(20_000, (i) =>
    Buffer.concat([open(2 * i + 1, '/t.T/Stuck'), frame(FRAME.RST_STREAM, 0, 2 * i + 1, reset)]),
  )
  await cutOff(peer)
  assert.ok(handled < 250, `handlers started: ${handled}`)
})

test('reset of calls that already run is bounded too', async () => {
  const peer = await RawPeer.connect(server.port)
  for (let i = 0; i < 400 && !peer.closed; i++) {
    peer.send(open(2 * i + 1, '/t.T/Stuck'))
    const wanted = handled + 1
    await until('the handler runs or the peer is cut', () => handled >= wanted || peer.closed)
    peer.send(frame(FRAME.RST_STREAM, 0, 2 * i + 1, Buffer.from([0, 0, 0, 8])))
  }
  await cutOff(peer)
  assert.ok(handled < 250, `handlers started: ${handled}`)
})

test('a flood of CONTINUATION frames ends the connection', async () => {
  const peer = await RawPeer.connect(server.port)
  await peer.flood(20_000, (i) =>
    i === 0
      ? frame(FRAME.HEADERS, END_STREAM, 1, grpcHeaders('/t.T/Echo'))
      : frame(FRAME.CONTINUATION, 0, 1, Buffer.from([0x40, 1, 0x61, 1, 0x62])),
  )
  await cutOff(peer)
})

test('a flood of PING ends the connection', async () => {
  const peer = await RawPeer.connect(server.port)
  await peer.flood(20_000, () => frame(FRAME.PING, 0, 0, Buffer.alloc(8)))
  await cutOff(peer)
})

test('ordinary PINGs are answered for as long as they come, with no GOAWAY', async () => {
  const peer = await RawPeer.connect(server.port)
  for (let i = 0; i < 100; i++) {
    peer.send(frame(FRAME.PING, 0, 0, Buffer.alloc(8)))
    await until('it is answered', () => peer.count(FRAME.PING) === i + 1)
  }
  assert.equal(peer.count(FRAME.GOAWAY), 0)
  assert.equal(peer.closed, false)
  peer.close()
})

test('a flood of SETTINGS ends the connection', async () => {
  const peer = await RawPeer.connect(server.port)
  const settings = Buffer.from([0, 3, 0, 0, 0, 100])
  const sent = await peer.flood(20_000, () => frame(FRAME.SETTINGS, 0, 0, settings), 5)
  await cutOff(peer)
  assert.ok(sent < 20_000)
})

test('a flood of empty DATA frames ends the connection', async () => {
  const peer = await RawPeer.connect(server.port)
  await peer.flood(40_000, (i) => (i === 0 ? open(1, '/t.T/Drain') : frame(FRAME.DATA, 0, 1)))
  await cutOff(peer)
})

test('a message that comes byte by byte, each in a DATA frame, ends the connection', async () => {
  const peer = await RawPeer.connect(server.port)
  const prefix = Buffer.from([0, 0, 1, 0, 0])
  const byte = frame(FRAME.DATA, 0, 1, Buffer.alloc(1))
  await peer.flood(40_000, (i) => {
    if (i === 0) return open(1, '/t.T/Drain')
    return i === 1 ? frame(FRAME.DATA, 0, 1, prefix) : byte
  })
  await cutOff(peer)
})

test('many short messages in frames of their own pass, even with prefixes apart', async () => {
  const peer = await RawPeer.connect(server.port)
  peer.send(open(1, '/t.T/Drain'))
  const prefix = frame(FRAME.DATA, 0, 1, Buffer.from([0, 0, 0, 0, 1]))
  const body = frame(FRAME.DATA, 0, 1, Buffer.from('x'))
  await peer.flood(20_000, (i) => (i % 2 === 0 ? prefix : body))
  await until('all have arrived', () => handled === 10_000)
  assert.equal(peer.closed, false)
  assert.deepEqual(cuts, [])
  peer.close()
})

test('a flood of WINDOW_UPDATE or PRIORITY frames ends the connection', async () => {
  for (const [type, payload] of [
    [FRAME.WINDOW_UPDATE, Buffer.from([0, 0, 0, 1])],
    [FRAME.PRIORITY, Buffer.from([0, 0, 0, 0, 1])],
  ] as const) {
    const peer = await RawPeer.connect(server.port)
    await peer.flood(60_000, (i) => (i === 0 ? open(1, '/t.T/Drain') : frame(type, 0, 1, payload)))
    await cutOff(peer)
  }
})

test('a WINDOW_UPDATE overflow ends the connection', async () => {
  const peer = await RawPeer.connect(server.port)
  await peer.flood(3, () => frame(FRAME.WINDOW_UPDATE, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff])))
  await cutOff(peer)
})

test('a frame of impossible size ends the connection and its socket', async () => {
  const peer = await RawPeer.connect(server.port)
  peer.send(Buffer.from([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]))
  await cutOff(peer)
})

test('a bad header block ends session and socket', async () => {
  const peer = await RawPeer.connect(server.port)
  peer.send(frame(FRAME.HEADERS, END_HEADERS | END_STREAM, 1, Buffer.alloc(50, 0xff)))
  await cutOff(peer)
})

test('garbage, a bad preface and HTTP/1 end the connection', async () => {
  const inputs = [
    Buffer.alloc(1000, 0xff),
    Buffer.from('PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n'),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
  ]
  for (const input of inputs) await cutOff(await RawPeer.connect(server.port, input))
})

test('a peer that says nothing, or only half a preface, is cut after the handshake time', async () => {
  await cutOff(await RawPeer.connect(server.port, new Uint8Array(0)))
  await cutOff(await RawPeer.connect(server.port, PREFACE.subarray(0, 20)))
  assert.deepEqual(cuts, ['handshake-timeout', 'handshake-timeout'])
})

test('calls opened without a request are bounded in time', async () => {
  const peer = await RawPeer.connect(server.port)
  await peer.acknowledgeSettings()
  await peer.flood(100, (i) => open(2 * i + 1, '/t.T/Echo'))
  await until('they wait', () => server.grpc.stats.calls === 100)
  await goodWorks()
  await until('each was answered', () => peer.count(FRAME.HEADERS) === 100)
  assert.equal(handled, 1)
  assert.equal(peer.closed, false)
  peer.close()
})

test('calls opened without a request are bounded in number, whatever the peer acknowledged', async () => {
  for (const acknowledge of [true, false]) {
    const peer = await RawPeer.connect(server.port)
    if (acknowledge) await peer.acknowledgeSettings()
    let most = 0
    await peer.flood(1000, (i) => {
      most = Math.max(most, server.grpc.stats.calls)
      return open(2 * i + 1, '/t.T/Echo')
    })
    assert.ok(most <= 100, `${most} calls`)
    await goodWorks()
    peer.close()
  }
})

test('a declared length costs no memory until the bytes come, and only for a while', async () => {
  const peer = await RawPeer.connect(server.port)
  const prefix = Buffer.from([0, 0, 0x3f, 0xff, 0xff])
  for (let i = 0; i < 100; i++)
    peer.send(open(2 * i + 1, '/t.T/Echo'), frame(FRAME.DATA, 0, 2 * i + 1, prefix))
  await until('the calls are there', () => server.grpc.stats.calls === 100)
  await until('the prefixes arrived', () => server.grpc.stats.bufferedBytes === 500)
  await goodWorks()
  await until('all of them timed out', () => server.grpc.stats.calls === 0)
  peer.close()
})

test('a message over the limit is refused at its prefix, without its bytes', async () => {
  const peer = await RawPeer.connect(server.port)
  peer.send(open(1, '/t.T/Echo'), frame(FRAME.DATA, 0, 1, Buffer.from([0, 0xff, 0xff, 0xff, 0xff])))
  await until(
    'the call is over',
    () => peer.count(FRAME.HEADERS) === 1 && server.grpc.stats.calls === 0,
  )
  assert.equal(peer.closed, false)
  peer.close()
})

test('a header list over 16 KiB is refused, the connection goes on', async () => {
  const peer = await RawPeer.connect(server.port)
  const started = server.grpc.stats.callsStarted
  const block = grpcHeaders('/t.T/Echo', { 'x-a': 'a'.repeat(9000), 'x-b': 'b'.repeat(9000) })
  peer.send(frame(FRAME.HEADERS, 0, 1, block.subarray(0, 16_000)))
  peer.send(frame(FRAME.CONTINUATION, END_HEADERS, 1, block.subarray(16_000)))
  await until('it is refused', () => peer.count(FRAME.HEADERS) === 1)
  assert.equal(server.grpc.stats.callsStarted, started)
  await peer.acknowledgeSettings()
  peer.send(frame(FRAME.HEADERS, 0, 3, block.subarray(0, 16_000)))
  peer.send(frame(FRAME.CONTINUATION, END_HEADERS, 3, block.subarray(16_000)))
  await until('it is refused by RST_STREAM', () => peer.count(FRAME.RST_STREAM) === 2)
  assert.equal(server.grpc.stats.callsStarted, started)
  assert.equal(peer.closed, false)
  peer.close()
})

test('requests for a handler that does not read stop at a bound', async () => {
  const peer = await RawPeer.connect(server.port)
  await peer.acknowledgeSettings()
  const payload = encodeFrame(new Uint8Array(16_000))
  peer.send(
    open(1, '/t.T/Stuck'),
    ...Array.from({ length: 30 }, () => frame(FRAME.DATA, 0, 1, payload)),
  )
  const buffered = (): number => server.grpc.stats.bufferedBytes
  await until('the call is paused', () => buffered() > 512 * 1024)
  assert.ok(buffered() < 1024 * 1024, `${buffered()} bytes`)
  await peer.flood(1000, () => frame(FRAME.DATA, 0, 1, payload))
  // The peer ignored our window of 512 KiB: that is a flow control error and ends the call.
  await until('the call or the peer is cut', () => server.grpc.stats.calls === 0)
  await goodWorks()
  peer.close()
})

test('many calls that each stay within their bound meet the bound of the server', async () => {
  const peer = await RawPeer.connect(server.port)
  await peer.acknowledgeSettings()
  const payload = encodeFrame(new Uint8Array(16_000))
  let worst = 0
  for (let i = 0; i < 40 && !peer.closed; i++) {
    const id = 2 * i + 1
    peer.send(open(id, '/t.T/Stuck'))
    for (let k = 0; k < 25; k++) peer.send(frame(FRAME.DATA, 0, id, payload))
    await new Promise((resolve) => setImmediate(resolve))
    worst = Math.max(worst, server.grpc.stats.bufferedBytes)
  }
  await goodWorks()
  await until('some were refused', () => peer.count(FRAME.HEADERS) > 0)
  assert.ok(worst < 6 * 1024 * 1024, `${worst} bytes`)
  peer.close()
})

test('a chunk full of gzip bombs is opened one at a time and refused at the limit', async () => {
  const bomb = encodeFrame(gzipSync(Buffer.alloc(5 * 1024 * 1024)), true)
  const peer = await RawPeer.connect(server.port)
  const headers = grpcHeaders('/t.T/Drain', { 'grpc-encoding': 'gzip' })
  peer.send(frame(FRAME.HEADERS, END_HEADERS, 1, headers))
  peer.send(frame(FRAME.DATA, 0, 1, Buffer.concat([bomb, bomb, bomb])))
  await until(
    'it is refused',
    () => server.grpc.stats.callsStarted > 0 && peer.count(FRAME.HEADERS) === 1,
  )
  assert.equal(handled, 0)
  peer.close()
})

test('a client that never reads holds one bounded backlog, and its loss frees it', async () => {
  const peer = await RawPeer.connect(server.port)
  peer.socket.pause()
  peer.send(open(1, '/t.T/Flood'), frame(FRAME.DATA, END_STREAM, 1, encodeFrame(new Uint8Array(0))))
  await until('the call runs', () => server.grpc.stats.calls === 1)
  await goodWorks()
  peer.close()
})

test('connections lost in the middle of frames and calls leave nothing behind', async () => {
  for (let i = 0; i < 50; i++) {
    const peer = await RawPeer.connect(server.port)
    const bytes = Buffer.concat([open(1, '/t.T/Stuck'), frame(FRAME.DATA, 0, 1, Buffer.alloc(100))])
    peer.send(bytes.subarray(0, 9 + ((i * 37) % (bytes.length - 9))))
    await new Promise((resolve) => setImmediate(resolve))
    peer.close()
  }
})

test('a call that its handler cuts ends with RESOURCE_EXHAUSTED, whatever is unread', async () => {
  const call = good.serverStream('/t.T/Cut', new Uint8Array(0))
  await assert.rejects(
    async () => {
      for await (const chunk of call) assert.ok(chunk.count >= 0)
    },
    { code: GrpcStatus.RESOURCE_EXHAUSTED },
  )
})
