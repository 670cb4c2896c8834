import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { encodeFrame, encodeFrames } from './frames-out.ts'
import { messagesOf } from './message-chunk.ts'
import { Metadata } from './metadata.ts'
import type { MethodTable, ResponseStream, ServerCall } from './method.ts'
import { GrpcError, GrpcStatus } from './status.ts'
import { failure, startServer, until, type TestServer } from './loopback-server.suite.ts'

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
const bytes = (value: string): Uint8Array => Buffer.from(value)

let lastCall: ServerCall | undefined
/** What the newest of the long responses is written to. */
let lastResponses: ResponseStream | undefined
const errors: unknown[] = []

const methods: MethodTable = {
  '/t.T/Echo': {
    kind: 'unary',
    async handle(request, call) {
      lastCall = call
      const seen = call.metadata.get('x-in')
      if (seen !== undefined) call.trailers.set('x-out', seen)
      return request
    },
  },
  '/t.T/Fail': {
    kind: 'unary',
    async handle(request) {
      const metadata = new Metadata()
      metadata.set('why-bin', Uint8Array.of(0, 255))
      throw new GrpcError(GrpcStatus.NOT_FOUND, text(request), { metadata })
    },
  },
  '/t.T/Throw': {
    kind: 'unary',
    async handle() {
      throw new Error('a secret')
    },
  },
  '/t.T/Hang': {
    kind: 'unary',
    handle(_request, call) {
      lastCall = call
      return new Promise((_resolve, reject) => {
        call.signal.addEventListener('abort', () => reject(call.signal.reason as Error))
      })
    },
  },
  '/t.T/Count': {
    kind: 'server-stream',
    async handle(request, call, responses) {
      lastCall = call
      responses.sendHeaders()
      const count = Number(text(request))
      for (let i = 0; i < count; i += 1000) {
        const batch = Array.from({ length: Math.min(1000, count - i) }, (_, k) => bytes(`${i + k}`))
        if (!responses.write(encodeFrames(batch))) await responses.drained()
      }
    },
  },
  '/t.T/Forever': {
    kind: 'server-stream',
    async handle(_request, _call, responses) {
      lastResponses = responses
      for (;;) {
        if (!responses.write(encodeFrame(new Uint8Array(10_000)))) await responses.drained()
        await new Promise((resolve) => setImmediate(resolve))
      }
    },
  },
  '/t.T/Lend': {
    kind: 'server-stream',
    async handle(_request, call, responses) {
      lastResponses = responses
      lent = 0
      given = 0
      for (; lent < 40 && !call.signal.aborted; lent++) {
        if (!responses.write(encodeFrame(new Uint8Array(60_000)), () => given++)) {
          await responses.drained()
        }
      }
    },
  },
  '/t.T/Sum': {
    kind: 'client-stream',
    async handle(_call, requests) {
      let sum = 0
      for await (const chunk of requests) for (const m of messagesOf(chunk)) sum += Number(text(m))
      return bytes(String(sum))
    },
  },
  '/t.T/EchoAll': {
    kind: 'bidi',
    async handle(call, requests, responses) {
      lastCall = call
      for await (const chunk of requests) {
        if (!responses.write(encodeFrames([...messagesOf(chunk)]))) await responses.drained()
      }
    },
  },
}

/** Buffers that the handler of Lend wrote, and those it may use again. */
let lent = 0
let given = 0

let server: TestServer
before(async () => {
  server = await startServer({ methods, onError: (error) => errors.push(error) })
})
after(() => server.close())

test('a unary call returns what the handler returned, with metadata both ways', async () => {
  const channel = await server.channel()
  const metadata = new Metadata()
  metadata.set('x-in', 'seen')
  const answer = await channel.unaryWithTrailers('/t.T/Echo', bytes('hello'), { metadata })
  assert.equal(text(answer.response), 'hello')
  assert.equal(answer.trailers.get('x-out'), 'seen')
  assert.equal(lastCall?.deadlineMs, undefined)
  assert.equal(lastCall?.peer.address, '127.0.0.1')
})

test('an empty message and one of the largest size pass, one byte more is refused', async () => {
  const channel = await server.channel()
  assert.equal((await channel.unary('/t.T/Echo', new Uint8Array(0))).length, 0)
  const largest = Buffer.alloc(4 * 1024 * 1024, 7)
  assert.ok(largest.equals(await channel.unary('/t.T/Echo', largest)))
  const error = await failure(channel.unary('/t.T/Echo', Buffer.alloc(5_000_010)))
  assert.equal(error.code, GrpcStatus.RESOURCE_EXHAUSTED)
  assert.equal(error.message, 'grpc: received message larger than max (5000010 vs. 4194304)')
})

test('a GrpcError crosses with code, non-ASCII text and metadata', async () => {
  const channel = await server.channel()
  const error = await failure(channel.unary('/t.T/Fail', bytes('nö %41 such → 😀\n')))
  assert.equal(error.code, GrpcStatus.NOT_FOUND)
  assert.equal(error.message, 'nö %41 such → 😀\n')
  assert.deepEqual([...(error.metadata?.getBinary('why-bin') ?? [])], [0, 255])
})

test('what a handler throws by mistake is INTERNAL, reported, and not told to the client', async () => {
  const channel = await server.channel()
  const error = await failure(channel.unary('/t.T/Throw', bytes('')))
  assert.equal(error.code, GrpcStatus.INTERNAL)
  assert.equal(error.message, 'internal error')
  assert.match(String(errors.pop()), /a secret/)
})

test('an unknown method of a known service and an unknown service are UNIMPLEMENTED', async () => {
  const channel = await server.channel()
  const method = await failure(channel.unary('/t.T/Nope', bytes('')))
  assert.equal(method.code, GrpcStatus.UNIMPLEMENTED)
  assert.equal(method.message, 'unknown method Nope for service t.T')
  const service = await failure(channel.unary('/x.Y/Nope', bytes('')))
  assert.equal(service.message, 'unknown service x.Y')
})

test('a server stream delivers every message in order and ends OK', async () => {
  const channel = await server.channel()
  const call = channel.serverStream('/t.T/Count', bytes('25000'))
  let next = 0
  for await (const chunk of call)
    for (const m of messagesOf(chunk)) assert.equal(text(m), `${next++}`)
  assert.equal(next, 25000)
  await call.trailers
})

test('a client stream is answered once after the half-close', async () => {
  const channel = await server.channel()
  const call = channel.clientStream('/t.T/Sum')
  for (let i = 0; i < 100; i++) call.write(encodeFrames([bytes(`${i}`), bytes('1')]))
  call.halfClose()
  assert.equal(text(await call.response), String(4950 + 100))
})

test('a bidirectional call echoes while both sides are open, then ends OK', async () => {
  const channel = await server.channel()
  const call = channel.bidi('/t.T/EchoAll')
  const responses = call.responses[Symbol.asyncIterator]()
  call.write(encodeFrame(bytes('one')))
  const first = await responses.next()
  assert.equal(first.done === true ? '' : text([...messagesOf(first.value)][0] ?? bytes('')), 'one')
  call.halfClose()
  assert.equal((await responses.next()).done, true)
  await call.trailers
})

test('the deadline ends a call once, with DEADLINE_EXCEEDED, and the handler learns it', async () => {
  const channel = await server.channel()
  const error = await failure(channel.unary('/t.T/Hang', bytes(''), { timeoutMs: 30 }))
  assert.equal(error.code, GrpcStatus.DEADLINE_EXCEEDED)
  assert.notEqual(lastCall?.deadlineMs, undefined)
  const call = lastCall
  await until('the handler is told', () => call?.signal.aborted === true)
})

test('a cancelled call aborts the signal of its handler', async () => {
  const channel = await server.channel()
  const controller = new AbortController()
  const pending = failure(channel.unary('/t.T/Hang', bytes(''), { signal: controller.signal }))
  const before = lastCall
  await until('the handler runs', () => lastCall !== before)
  const call = lastCall
  controller.abort()
  assert.equal((await pending).code, GrpcStatus.CANCELLED)
  await until('the signal fires', () => call?.signal.aborted === true)
  assert.equal((call?.signal.reason as GrpcError | undefined)?.code, GrpcStatus.CANCELLED)
})

test('leaving a response loop early cancels the call', async () => {
  const channel = await server.channel()
  for await (const chunk of channel.serverStream('/t.T/Forever', bytes(''))) {
    assert.ok(chunk.count > 0)
    break
  }
  await until('the server forgot the call', () => server.grpc.stats.calls === 0)
})

test('a consumer that does not read holds the server back, within the window', async () => {
  const channel = await server.channel({ streamWindowBytes: 65_535 })
  const call = channel.serverStream('/t.T/Forever', bytes(''))
  const iterator = call[Symbol.asyncIterator]()
  await iterator.next()
  const backlog = (): number => lastResponses?.backlogBytes ?? 0
  await until('the server has a backlog', () => backlog() > 0)
  let last = -1
  let still = 0
  await until('the backlog grows no more', () => {
    still = backlog() === last ? still + 1 : 0
    last = backlog()
    return still === 20
  })
  assert.ok(last < 200_000, `backlog ${last}`)
  call.cancel()
})

test('gzip requests are inflated, and answers are gzipped for those who accept it', async () => {
  const gzip = await startServer({ methods, compressResponses: true })
  try {
    const channel = await gzip.channel()
    const long = Buffer.alloc(300_000, 'abcdefgh')
    assert.ok(long.equals(await channel.unary('/t.T/Echo', long, { compress: true })))
    const bomb = await failure(
      channel.unary('/t.T/Echo', Buffer.alloc(8 * 1024 * 1024), { compress: true }),
    )
    assert.equal(bomb.code, GrpcStatus.RESOURCE_EXHAUSTED)
    assert.equal(bomb.message, 'grpc: received message larger than max (8388608 vs. 4194304)')
  } finally {
    await gzip.close()
  }
})

test('each buffer of a response comes back once its bytes have left', async () => {
  const channel = await server.channel()
  let received = 0
  for await (const chunk of channel.serverStream('/t.T/Lend', bytes(''))) received += chunk.count
  assert.deepEqual([received, lent, given], [40, 40, 40])
})

test('a buffer whose bytes wait for a client that gives up does not come back', async () => {
  const channel = await server.channel()
  lastResponses = undefined
  const call = channel.serverStream('/t.T/Lend', bytes(''))
  await until('the client holds the server up', () => (lastResponses?.backlogBytes ?? 0) > 0)
  call.cancel()
  await until('the call is over', () => server.grpc.stats.calls === 0)
  assert.ok(given < lent, `${given} of ${lent}`)
})
