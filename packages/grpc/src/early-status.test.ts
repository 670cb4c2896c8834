import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeFrame } from './frames-out.ts'
import type { MethodTable } from './method.ts'
import { END_HEADERS, END_STREAM, FRAME, frame, grpcHeaders, RawPeer } from './raw-http2.suite.ts'
import { GrpcError, GrpcStatus } from './status.ts'
import { startServer, until } from './loopback-server.suite.ts'

const methods: MethodTable = {
  // Answers much, then ends with an error, while the client never half-closes.
  '/t.T/Refuse': {
    kind: 'bidi',
    handle: async (_call, _requests, responses) => {
      responses.write(encodeFrame(new Uint8Array(60_000)))
      throw new GrpcError(GrpcStatus.PERMISSION_DENIED, 'no')
    },
  },
  '/t.T/Many': {
    kind: 'server-stream',
    handle: async (_request, _call, responses) => {
      responses.write(encodeFrame(new Uint8Array(60_000)))
    },
  },
}

test('the status of a call whose client still sends arrives before its reset', async () => {
  const server = await startServer({ methods })
  try {
    const peer = await RawPeer.connect(server.port)
    // The peer takes nothing for a while, so that answers and status wait for the socket.
    peer.socket.pause()
    const ids = Array.from({ length: 50 }, (_, i) => 2 * i + 1)
    const window = Buffer.from([0x3f, 0xff, 0, 0])
    peer.send(frame(FRAME.WINDOW_UPDATE, 0, 0, window))
    for (const id of ids) {
      peer.send(frame(FRAME.HEADERS, END_HEADERS, id, grpcHeaders('/t.T/Refuse')))
    }
    await until('all calls were served', () => server.grpc.stats.callsStarted === ids.length)
    peer.socket.resume()
    await until('every call was reset', () => peer.count(FRAME.RST_STREAM) === ids.length)
    for (const id of ids) {
      const own = peer.received.filter((f) => f.streamId === id)
      const status = own.findIndex((f) => f.type === FRAME.HEADERS && (f.flags & END_STREAM) !== 0)
      const reset = own.findIndex((f) => f.type === FRAME.RST_STREAM)
      assert.ok(status > 0, `call ${id} has no status`)
      assert.ok(reset > status, `call ${id}: reset at ${reset}, status at ${status}`)
    }
    peer.close()
  } finally {
    await server.close()
  }
})

test('a large answer to a slow reader ends with its status', async () => {
  const server = await startServer({ methods })
  try {
    const channel = await server.channel({ streamWindowBytes: 65_535 })
    const calls = Array.from({ length: 30 }, () =>
      channel.serverStream('/t.T/Many', new Uint8Array(0)),
    )
    for (const call of calls) {
      let bytes = 0
      for await (const chunk of call) bytes += (chunk.ends[0] ?? 0) - (chunk.starts[0] ?? 0)
      assert.equal(bytes, 60_000)
      await call.trailers
    }
  } finally {
    await server.close()
  }
})
