/** `npm run subscribe` against servers that say what servers of a cluster say. */
import assert from 'node:assert/strict'
import { createServer, type AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import {
  encodeFrame,
  GrpcError,
  GrpcServer,
  GrpcStatus,
  type MethodTable,
  type ResponseStream,
} from '@liftbridge/grpc'
import { api, create, fromBinary, toBinary } from '@liftbridge/wire'
import { followStream, type Address } from '../scripts/follow-stream.ts'

/** A cluster of two; whoever leads answers Subscribe. */
const cluster = {
  leader: '',
  brokers: new Map<string, Address>(),
  /** The start of every subscription that was taken. */
  starts: [] as string[],
  stored: 0,
}

const closers: (() => Promise<void>)[] = []
after(async () => {
  for (const close of closers) await close()
})

const metadata = (): Uint8Array => {
  const brokers = [...cluster.brokers].map(([id, address]) => ({ id, ...address }))
  const partitions = { 0: { id: 0, leader: cluster.leader } }
  const streamMetadata = [{ name: 's', partitions }]
  return toBinary(
    api.FetchMetadataResponseSchema,
    create(api.FetchMetadataResponseSchema, { brokers, streamMetadata }),
  )
}

const messageFrame = (offset: number): Uint8Array =>
  encodeFrame(toBinary(api.MessageSchema, create(api.MessageSchema, { offset: BigInt(offset) })))

/** Gives two messages more than there were, and then ends as a leader does that has moved. */
async function serve(id: string, request: Uint8Array, responses: ResponseStream): Promise<void> {
  if (cluster.leader !== id) {
    throw new GrpcError(GrpcStatus.FAILED_PRECONDITION, 'Server not partition leader')
  }
  const { startPosition, startOffset } = fromBinary(api.SubscribeRequestSchema, request)
  const position = startPosition === api.StartPosition.OFFSET ? `offset ${startOffset}` : 'earliest'
  cluster.starts.push(`${id}: ${position}`)
  responses.write(encodeFrame(new Uint8Array(0)))
  if (cluster.starts.length === 3) throw new GrpcError(GrpcStatus.NOT_FOUND, 'it was deleted')
  responses.write(messageFrame(cluster.stored))
  responses.write(messageFrame(cluster.stored + 1))
  cluster.stored += 2
  cluster.leader = id === 'a' ? 'b' : 'a'
  throw new GrpcError(GrpcStatus.UNAVAILABLE, 'the partition has moved')
}

async function startBroker(id: string): Promise<Address> {
  const methods: MethodTable = {
    '/proto.API/FetchMetadata': { kind: 'unary', handle: async () => metadata() },
    '/proto.API/Subscribe': {
      kind: 'server-stream',
      handle: (request, _call, responses) => serve(id, request, responses),
    },
  }
  const grpc = new GrpcServer({ methods })
  const listener = createServer((socket) => grpc.handleConnection(socket))
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  closers.push(async () => {
    await grpc.stop()
    await new Promise<void>((resolve) => listener.close(() => resolve()))
  })
  const { port } = listener.address() as AddressInfo
  const address = { host: '127.0.0.1', port }
  cluster.brokers.set(id, address)
  return address
}

test('a subscription follows its leader from server to server, at the next offset', async () => {
  const a = await startBroker('a')
  await startBroker('b')
  cluster.leader = 'b'
  const offsets: number[] = []
  const lost: string[] = []
  const following = followStream({
    server: a,
    stream: 's',
    onMessage: (offset) => offsets.push(offset),
    onLost: (reason) => lost.push(reason),
    pauseMs: 1,
  })
  await assert.rejects(following, { message: /it was deleted/ })
  assert.deepEqual(cluster.starts, ['b: earliest', 'a: offset 2', 'b: offset 4'])
  assert.deepEqual(offsets, [0, 1, 2, 3])
  assert.equal(lost.length, 3)
})

test('a first server that is not there ends it', async () => {
  const nobody = { host: '127.0.0.1', port: 1 }
  const never = (): never => assert.fail()
  const following = followStream({ server: nobody, stream: 's', onMessage: never, onLost: never })
  await assert.rejects(following, GrpcError)
})
