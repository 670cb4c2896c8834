/**
 * The first publish and the first subscribe, for trying a server out:
 *
 *     npm run publish -- [--server HOST:PORT] STREAM MESSAGE…
 *     npm run subscribe -- [--server HOST:PORT] STREAM
 *
 * Subscribe goes where the leader of the stream goes; any server of the cluster will do.
 */
import { parseArgs } from 'node:util'
import { GrpcChannel, GrpcError, GrpcStatus } from '@liftbridge/grpc'
import { api, create, fromBinary, toBinary } from '@liftbridge/wire'
import { followStream, type Address } from './follow-stream.ts'

const USAGE =
  'usage: npm run publish -- [--server HOST:PORT] STREAM MESSAGE… | npm run subscribe -- [--server HOST:PORT] STREAM'
const TIMEOUT_MS = 5_000

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { server: { type: 'string', default: '127.0.0.1:9292' } },
    allowPositionals: true,
  })
  const [command, stream, ...messages] = positionals
  const colon = values.server.lastIndexOf(':')
  if (!stream || colon < 0) throw new Error(USAGE)
  const server = {
    host: values.server.slice(0, colon),
    port: Number(values.server.slice(colon + 1)),
  }
  if (command === 'publish' && messages.length > 0) await publish(server, stream, messages)
  else if (command === 'subscribe') await subscribe(server, stream)
  else throw new Error(USAGE)
}

async function publish(server: Address, stream: string, messages: string[]): Promise<void> {
  const channel = await GrpcChannel.connect(server)
  try {
    await createStream(channel, stream)
    for (const message of messages) await publishOne(channel, stream, message)
  } finally {
    await channel.close()
  }
}

async function publishOne(channel: GrpcChannel, stream: string, message: string): Promise<void> {
  const request = create(api.PublishRequestSchema, { stream, value: Buffer.from(message) })
  const response = await channel.unary(
    '/proto.API/Publish',
    toBinary(api.PublishRequestSchema, request),
    { timeoutMs: TIMEOUT_MS },
  )
  const { ack } = fromBinary(api.PublishResponseSchema, response)
  console.log(`stored in ${stream} at offset ${ack?.offset}`)
}

/** A stream that exists already is as good. */
async function createStream(channel: GrpcChannel, stream: string): Promise<void> {
  const request = create(api.CreateStreamRequestSchema, { name: stream, subject: stream })
  try {
    await channel.unary(
      '/proto.API/CreateStream',
      toBinary(api.CreateStreamRequestSchema, request),
      {
        timeoutMs: TIMEOUT_MS,
      },
    )
  } catch (error) {
    if (!(error instanceof GrpcError && error.code === GrpcStatus.ALREADY_EXISTS)) throw error
  }
}

async function subscribe(server: Address, stream: string): Promise<void> {
  await followStream({
    server,
    stream,
    onMessage: (offset, value) => console.log(`${offset}\t${Buffer.from(value).toString()}`),
    onLost: (reason) => console.error(`looking for the leader of ${stream} (${reason})`),
  })
}

try {
  await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}
