/**
 * The first publish and the first subscribe, for trying a server out:
 *
 *     npm run publish -- [--server HOST:PORT] STREAM MESSAGE…
 *     npm run subscribe -- [--server HOST:PORT] STREAM
 */
import { parseArgs } from 'node:util'
import { GrpcChannel, GrpcError, GrpcStatus, messagesOf } from '@liftbridge/grpc'
import { api, create, fromBinary, toBinary } from '@liftbridge/wire'

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
  const channel = await GrpcChannel.connect({
    host: values.server.slice(0, colon),
    port: Number(values.server.slice(colon + 1)),
  })
  try {
    if (command === 'publish' && messages.length > 0) await publish(channel, stream, messages)
    else if (command === 'subscribe') await subscribe(channel, stream)
    else throw new Error(USAGE)
  } finally {
    await channel.close()
  }
}

async function publish(channel: GrpcChannel, stream: string, messages: string[]): Promise<void> {
  await createStream(channel, stream)
  for (const message of messages) {
    const request = create(api.PublishRequestSchema, { stream, value: Buffer.from(message) })
    const response = await channel.unary(
      '/proto.API/Publish',
      toBinary(api.PublishRequestSchema, request),
      { timeoutMs: TIMEOUT_MS },
    )
    const { ack } = fromBinary(api.PublishResponseSchema, response)
    console.log(`stored in ${stream} at offset ${ack?.offset}`)
  }
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

async function subscribe(channel: GrpcChannel, stream: string): Promise<void> {
  const { EARLIEST } = api.StartPosition
  const request = create(api.SubscribeRequestSchema, { stream, startPosition: EARLIEST })
  const call = channel.serverStream(
    '/proto.API/Subscribe',
    toBinary(api.SubscribeRequestSchema, request),
  )
  let first = true
  for await (const chunk of call) {
    for (const bytes of messagesOf(chunk)) {
      const { offset, value } = fromBinary(api.MessageSchema, bytes)
      // The first message is empty: it says that the subscription exists.
      if (!first) console.log(`${offset}\t${Buffer.from(value).toString()}`)
      first = false
    }
  }
}

try {
  await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}
