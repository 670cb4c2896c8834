/*
 * Interoperability with @grpc/grpc-js: our client calls its server. Messages are
 * plain bytes, so the codecs given to grpc-js are the identity.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as grpcjs from '@grpc/grpc-js'
import { GrpcChannel } from './client.ts'
import { encodeFrames } from './frames-out.ts'
import { messagesOf } from './message-chunk.ts'
import { Metadata } from './metadata.ts'
import { GrpcStatus } from './status.ts'
import { failure, until } from './loopback-server.suite.ts'

const identity = (value: Buffer): Buffer => value
const codec = {
  requestSerialize: identity,
  requestDeserialize: identity,
  responseSerialize: identity,
  responseDeserialize: identity,
}
const definition = {
  Echo: { path: '/t.T/Echo', requestStream: false, responseStream: false, ...codec },
  Fail: { path: '/t.T/Fail', requestStream: false, responseStream: false, ...codec },
  Hang: { path: '/t.T/Hang', requestStream: false, responseStream: false, ...codec },
  Count: { path: '/t.T/Count', requestStream: false, responseStream: true, ...codec },
  Flood: { path: '/t.T/Flood', requestStream: false, responseStream: true, ...codec },
  Sum: { path: '/t.T/Sum', requestStream: true, responseStream: false, ...codec },
  EchoAll: { path: '/t.T/EchoAll', requestStream: true, responseStream: true, ...codec },
} satisfies grpcjs.ServiceDefinition

const TEXT = 'grün %25 → 😀\nzeile'
const MIB = 1024 * 1024
const quiet = { 'grpc.enable_channelz': 0 }

let theirs: grpcjs.Server
let channel: GrpcChannel

function startTheirs(): Promise<number> {
  theirs = new grpcjs.Server(quiet)
  theirs.addService(definition, {
    Echo(call: grpcjs.ServerUnaryCall<Buffer, Buffer>, done: grpcjs.sendUnaryData<Buffer>) {
      const first = new grpcjs.Metadata()
      first.set('first', String(call.metadata.get('ping')[0] ?? ''))
      call.sendMetadata(first)
      const trailers = new grpcjs.Metadata()
      trailers.set('last-bin', Buffer.from([0, 1, 255]))
      done(null, call.request, trailers)
    },
    Fail(_call: grpcjs.ServerUnaryCall<Buffer, Buffer>, done: grpcjs.sendUnaryData<Buffer>) {
      const metadata = new grpcjs.Metadata()
      metadata.set('why', 'because')
      done({ code: grpcjs.status.FAILED_PRECONDITION, details: TEXT, metadata })
    },
    Hang: () => undefined,
    Count(call: grpcjs.ServerWritableStream<Buffer, Buffer>) {
      const count = call.request.readUInt32BE(0)
      for (let i = 0; i < count; i++) call.write(Buffer.from(String(i)))
      call.end()
    },
    Flood(call: grpcjs.ServerWritableStream<Buffer, Buffer>) {
      const more = (): void => {
        if (!call.cancelled) while (call.write(Buffer.alloc(8192)));
      }
      call.on('drain', more)
      more()
    },
    Sum(call: grpcjs.ServerReadableStream<Buffer, Buffer>, done: grpcjs.sendUnaryData<Buffer>) {
      let bytes = 0
      call.on('data', (message: Buffer) => (bytes += message.length))
      call.on('end', () => done(null, Buffer.from(String(bytes))))
    },
    EchoAll(call: grpcjs.ServerDuplexStream<Buffer, Buffer>) {
      call.on('data', (message: Buffer) => call.write(message))
      call.on('end', () => call.end())
    },
  })
  return new Promise((resolve, reject) => {
    theirs.bindAsync('127.0.0.1:0', grpcjs.ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port)
      else reject(error)
    })
  })
}

before(async () => {
  channel = await GrpcChannel.connect({ host: '127.0.0.1', port: await startTheirs() })
})
after(async () => {
  await channel.close(0)
  theirs.forceShutdown()
})

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

test('grpc-js server: unary with metadata both ways', async () => {
  const metadata = new Metadata()
  metadata.set('ping', 'pong')
  const answer = await channel.unaryWithTrailers('/t.T/Echo', Buffer.from('hi'), { metadata })
  assert.equal(Buffer.from(answer.response).toString(), 'hi')
  assert.deepEqual([...(answer.trailers.getBinary('last-bin') ?? [])], [0, 1, 255])
})

test('grpc-js server: errors, deadline, cancellation, unknown method', async () => {
  const failed = await failure(channel.unary('/t.T/Fail', Buffer.alloc(0)))
  assert.equal(failed.code, GrpcStatus.FAILED_PRECONDITION)
  assert.equal(failed.message, TEXT)
  assert.equal(failed.metadata?.get('why'), 'because')
  const late = await failure(channel.unary('/t.T/Hang', Buffer.alloc(0), { timeoutMs: 40 }))
  assert.equal(late.code, GrpcStatus.DEADLINE_EXCEEDED)
  const cancelled = await failure(
    channel.unary('/t.T/Hang', Buffer.alloc(0), { signal: AbortSignal.timeout(20) }),
  )
  assert.equal(cancelled.code, GrpcStatus.CANCELLED)
  const unknown = await failure(channel.unary('/t.T/Nope', Buffer.alloc(0)))
  assert.equal(unknown.code, GrpcStatus.UNIMPLEMENTED)
})

test('grpc-js server: gzip requests and a response over our limit', async () => {
  const large = Buffer.alloc(MIB, 'abc')
  assert.ok(large.equals(await channel.unary('/t.T/Echo', large, { compress: true })))
  const small = await GrpcChannel.connect({
    host: '127.0.0.1',
    port: channel.peer.port,
    maxMessageBytes: 1000,
  })
  const error = await failure(small.unary('/t.T/Echo', Buffer.alloc(2000)))
  assert.equal(error.code, GrpcStatus.RESOURCE_EXHAUSTED)
  assert.equal(error.message, 'grpc: received message larger than max (2000 vs. 1000)')
  await small.close(0)
})

test('grpc-js server: server streaming, client streaming, bidirectional', async () => {
  let next = 0
  for await (const chunk of channel.serverStream('/t.T/Count', uint32(5000))) {
    for (const m of messagesOf(chunk)) assert.equal(Buffer.from(m).toString(), String(next++))
  }
  assert.equal(next, 5000)
  const sum = channel.clientStream('/t.T/Sum')
  for (let i = 0; i < 50; i++) {
    const batch = Array.from({ length: 40 }, () => Buffer.alloc(500))
    if (!sum.write(encodeFrames(batch))) await sum.drained()
  }
  sum.halfClose()
  assert.equal(Buffer.from(await sum.response).toString(), '1000000')
  const echo = channel.bidi('/t.T/EchoAll')
  echo.write(encodeFrames(Array.from({ length: 1000 }, (_, i) => Buffer.from(String(i)))))
  echo.halfClose()
  let back = 0
  for await (const chunk of echo.responses) {
    for (const m of messagesOf(chunk)) assert.equal(Buffer.from(m).toString(), String(back++))
  }
  assert.equal(back, 1000)
  await echo.trailers
})

test('grpc-js server: leaving a flood early frees the call', async () => {
  const call = channel.serverStream('/t.T/Flood', Buffer.alloc(0))
  for await (const chunk of call) if (chunk.count > 0) break
  await until('the call is over', () => channel.openCalls === 0)
})
