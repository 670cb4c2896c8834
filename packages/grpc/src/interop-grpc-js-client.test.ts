/*
 * Interoperability with @grpc/grpc-js: its client calls our server. Messages are
 * plain bytes, so the codecs given to grpc-js are the identity.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as grpcjs from '@grpc/grpc-js'
import { ServingStatus } from './health-codec.ts'
import { FAIL_TEXT, InteropService } from './interop-service.suite.ts'
import { startServer, until, type TestServer } from './loopback-server.suite.ts'

const identity = (value: Buffer): Buffer => value
const MIB = 1024 * 1024
const quiet = { 'grpc.enable_channelz': 0 }

const service = new InteropService()

let ours: TestServer
let theirClient: grpcjs.Client
let gzipClient: grpcjs.Client

before(async () => {
  ours = await startServer({ methods: service.methods, compressResponses: true })
  const insecure = grpcjs.credentials.createInsecure()
  theirClient = new grpcjs.Client(ours.target, insecure, quiet)
  gzipClient = new grpcjs.Client(ours.target, insecure, {
    ...quiet,
    'grpc.default_compression_algorithm': 2,
    'grpc.use_local_subchannel_pool': 1,
  })
})
after(async () => {
  theirClient.close()
  gzipClient.close()
  await ours.close()
})

interface TheirAnswer {
  readonly error: grpcjs.ServiceError | null
  readonly response: Buffer | undefined
  readonly call: grpcjs.ClientUnaryCall
  readonly trailers: grpcjs.Metadata
  readonly headers: grpcjs.Metadata | undefined
}

interface TheirOptions {
  readonly metadata?: grpcjs.Metadata
  readonly deadline?: number
  readonly client?: grpcjs.Client
  readonly onCall?: (call: grpcjs.ClientUnaryCall) => void
}

function theirUnary(
  path: string,
  request: Buffer,
  options: TheirOptions = {},
): Promise<TheirAnswer> {
  return new Promise((resolve) => {
    let headers: grpcjs.Metadata | undefined
    let answer: [grpcjs.ServiceError | null, Buffer | undefined] | undefined
    const client = options.client ?? theirClient
    const call = client.makeUnaryRequest(
      path,
      identity,
      identity,
      request,
      options.metadata ?? new grpcjs.Metadata(),
      options.deadline === undefined ? {} : { deadline: options.deadline },
      (error, response) => (answer = [error, response]),
    )
    call.on('metadata', (metadata: grpcjs.Metadata) => (headers = metadata))
    call.on('status', (status: grpcjs.StatusObject) => {
      setImmediate(() => {
        const [error = null, response] = answer ?? []
        resolve({ error, response, call, trailers: status.metadata, headers })
      })
    })
    options.onCall?.(call)
  })
}

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

test('grpc-js client: unary with metadata and binary metadata both ways', async () => {
  const metadata = new grpcjs.Metadata()
  metadata.set('ping-bin', Buffer.from([9, 8, 7, 255]))
  const { response, trailers, headers } = await theirUnary('/t.T/Echo', Buffer.from('hi'), {
    metadata,
  })
  assert.equal(response?.toString(), 'hi')
  assert.deepEqual(headers?.get('first'), ['yes'])
  assert.deepEqual(trailers.get('last-bin'), [Buffer.from([9, 8, 7, 255])])
})

test('grpc-js client: an error keeps code, non-ASCII text and metadata', async () => {
  const { error, trailers } = await theirUnary('/t.T/Fail', Buffer.alloc(0))
  assert.equal(error?.code, grpcjs.status.FAILED_PRECONDITION)
  assert.equal(error.details, FAIL_TEXT)
  assert.deepEqual(trailers.get('many').join(', '), 'a, b')
})

test('grpc-js client: the deadline travels and ends the call on both sides', async () => {
  const { error } = await theirUnary('/t.T/Hang', Buffer.alloc(0), { deadline: Date.now() + 60 })
  assert.equal(error?.code, grpcjs.status.DEADLINE_EXCEEDED)
  const left = service.lastCall?.remainingMs ?? 1000
  assert.ok(left < 60)
  const call = service.lastCall
  await until('the handler is told', () => call?.signal.aborted === true)
})

test('grpc-js client: cancellation reaches the handler', async () => {
  const before = service.lastCall
  let started: grpcjs.ClientUnaryCall | undefined
  const answer = theirUnary('/t.T/Hang', Buffer.alloc(0), { onCall: (call) => (started = call) })
  await until('the handler runs', () => service.lastCall !== before)
  const call = service.lastCall
  started?.cancel()
  assert.equal((await answer).error?.code, grpcjs.status.CANCELLED)
  await until('the signal fires', () => call?.signal.aborted === true)
})

test('grpc-js client: large messages, limit and unknown method', async () => {
  const large = Buffer.alloc(3 * MIB, 'x')
  assert.ok((await theirUnary('/t.T/Echo', large)).response?.equals(large))
  const over = await theirUnary('/t.T/Echo', Buffer.alloc(5_000_010))
  assert.equal(over.error?.code, grpcjs.status.RESOURCE_EXHAUSTED)
  assert.equal(over.error.details, 'grpc: received message larger than max (5000010 vs. 4194304)')
  const unknown = await theirUnary('/t.T/Nope', Buffer.alloc(0))
  assert.equal(unknown.error?.code, grpcjs.status.UNIMPLEMENTED)
})

test('grpc-js client: gzip in both directions', async () => {
  const large = Buffer.alloc(MIB, 'abc')
  const { response, error } = await theirUnary('/t.T/Echo', large, { client: gzipClient })
  assert.equal(error, null)
  assert.ok(response?.equals(large))
  assert.equal(service.lastCall?.metadata.get('grpc-encoding'), undefined)
})

test('grpc-js client: server streaming', async () => {
  const stream = theirClient.makeServerStreamRequest('/t.T/Count', identity, identity, uint32(5000))
  let next = 0
  for await (const message of stream) assert.equal(String(message), String(next++))
  assert.equal(next, 5000)
})

test('grpc-js client: client streaming', async () => {
  const answer = await new Promise<string>((resolve, reject) => {
    const call = theirClient.makeClientStreamRequest(
      '/t.T/Sum',
      identity,
      identity,
      (error, response) => {
        if (error === null) resolve(String(response))
        else reject(error)
      },
    )
    for (let i = 0; i < 200; i++) call.write(Buffer.alloc(1000))
    call.end()
  })
  assert.equal(answer, '200000')
})

test('grpc-js client: bidirectional', async () => {
  const call = theirClient.makeBidiStreamRequest('/t.T/EchoAll', identity, identity)
  let next = 0
  const done = new Promise<grpcjs.StatusObject>((resolve) => call.on('status', resolve))
  call.on('data', (message: Buffer) => {
    assert.equal(String(message), String(next++))
    if (next === 3000) call.end()
  })
  for (let i = 0; i < 3000; i++) call.write(Buffer.from(String(i)))
  assert.equal((await done).code, grpcjs.status.OK)
  assert.equal(next, 3000)
})

test('grpc-js client: a reader that stops holds the writer back', async () => {
  const call = theirClient.makeServerStreamRequest(
    '/t.T/Flood',
    identity,
    identity,
    Buffer.alloc(0),
  )
  call.on('error', () => undefined)
  await new Promise((resolve) => call.once('data', resolve))
  call.pause()
  const backlog = (): number => service.flood?.backlogBytes ?? 0
  await until('the server has a backlog', () => backlog() > 0)
  assert.ok(backlog() < MIB)
  call.cancel()
  await until('the server forgot the call', () => ours.grpc.stats.calls === 0)
})

test('grpc-js client: the health service', async () => {
  const check = (name: string): Promise<TheirAnswer> =>
    theirUnary(
      '/grpc.health.v1.Health/Check',
      Buffer.concat([Buffer.from([10, name.length]), Buffer.from(name)]),
    )
  assert.deepEqual([...((await check('')).response ?? [])], [8, ServingStatus.SERVING])
  const unknown = await check('proto.API')
  assert.equal(unknown.error?.code, grpcjs.status.NOT_FOUND)
  assert.equal(unknown.error.details, 'unknown service')
  const seen: number[] = []
  const watch = theirClient.makeServerStreamRequest(
    '/grpc.health.v1.Health/Watch',
    identity,
    identity,
    Buffer.from('\n\x09proto.API', 'latin1'),
  )
  watch.on('error', () => undefined)
  watch.on('data', (message: Buffer) => seen.push(message[1] ?? 0))
  await until('the first status came', () => seen.length === 1)
  service.health.set('proto.API', ServingStatus.SERVING)
  await until('the change came', () => seen.length === 2)
  service.health.set('proto.API', ServingStatus.NOT_SERVING)
  await until('the second change came', () => seen.length === 3)
  assert.deepEqual(seen, [3, 1, 2])
  watch.cancel()
})
