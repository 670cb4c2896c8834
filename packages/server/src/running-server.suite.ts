/** A whole server in this process, on free ports and a directory of its own, and its clients. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import {
  encodeFrame,
  encodeFrames,
  GrpcChannel,
  GrpcError,
  messagesOf,
  statusName,
  type BidiCall,
  type MessageChunk,
  type ServerStreamCall,
} from '@liftbridge/grpc'
import { api, create, fromBinary, toBinary, type MessageInitShape } from '@liftbridge/wire'
import type { Disk } from '@liftbridge/log'
import type { Config } from './config/config.ts'
import { loadConfig } from './config/load.ts'
import { silentLogger, type Logger } from './logging/logger.ts'
import { startServer, type LiftbridgeServer } from './server.ts'

export type PublishInit = MessageInitShape<typeof api.PublishRequestSchema>
export type SubscribeInit = MessageInitShape<typeof api.SubscribeRequestSchema>
export type CreateInit = MessageInitShape<typeof api.CreateStreamRequestSchema>

/** Nothing here takes as long on any machine; a test that hangs ends by it. */
const PATIENT_MS = 15_000

const cleanups = new WeakMap<TestContext, (() => Promise<void>)[]>()

/**
 * Runs at the end of the test, the latest first: servers stop before their directories go. Hooks
 * of node:test run the other way round.
 */
function atEnd(t: TestContext, cleanup: () => Promise<void>): void {
  const known = cleanups.get(t)
  if (known) {
    known.push(cleanup)
    return
  }
  const stack = [cleanup]
  cleanups.set(t, stack)
  t.after(async () => {
    for (let next = stack.pop(); next; next = stack.pop()) await next()
  })
}

export async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'liftbridge-server-'))
  atEnd(t, () => rm(directory, { recursive: true, force: true }))
  return directory
}

export function configOf(dataDir: string, settings: Readonly<Record<string, string>> = {}): Config {
  const yaml = {
    listen: '127.0.0.1:0',
    'data.dir': dataDir,
    'nats.embedded': 'true',
    'nats.embedded.port': '-1',
    ...settings,
  }
  const text = Object.entries(yaml).map(([key, value]) => `${key}: ${value}`)
  const loaded = loadConfig({
    argv: ['--config', 'test.yaml'],
    env: {},
    version: 'test',
    readFile: () => Buffer.from(`${text.join('\n')}\n`),
  })
  assert.ok(loaded.kind === 'config')
  return loaded.config
}

export type RunOptions = {
  readonly directory?: string
  readonly settings?: Readonly<Record<string, string>>
  readonly masterKey?: Uint8Array
  readonly logger?: Logger
  readonly disk?: Disk
  readonly onFailed?: (error: Error) => void
}

export type Running = {
  readonly server: LiftbridgeServer
  readonly directory: string
  readonly client: TestClient
  /** Another connection to the same server. */
  readonly connect: () => Promise<TestClient>
  readonly nats: () => Promise<NatsConnection>
}

/** Starts a server; everything is closed when the test ends. */
export async function run(t: TestContext, options: RunOptions = {}): Promise<Running> {
  const directory = options.directory ?? (await temporaryDirectory(t))
  const server = await startServer({
    config: configOf(directory, options.settings),
    logger: options.logger ?? silentLogger,
    version: 'test',
    masterKey: options.masterKey,
    ...(options.disk ? { disk: options.disk } : {}),
    ...(options.onFailed ? { onFailed: options.onFailed } : {}),
  })
  const clients: TestClient[] = []
  const connections: NatsConnection[] = []
  const connectClient = async (): Promise<TestClient> => {
    const client = await TestClient.connect(server.address.port)
    clients.push(client)
    return client
  }
  atEnd(t, async () => {
    for (const connection of connections) await connection.close()
    for (const client of clients) await client.close()
    await server.stop()
  })
  return {
    server,
    directory,
    client: await connectClient(),
    connect: connectClient,
    nats: async () => {
      const connection = await connect({ servers: server.natsUrl ?? '', noEcho: false })
      connections.push(connection)
      return connection
    },
  }
}

/** Calls the API as a Liftbridge client does. */
export class TestClient {
  readonly channel: GrpcChannel

  private constructor(channel: GrpcChannel) {
    this.channel = channel
  }

  static async connect(port: number): Promise<TestClient> {
    return new TestClient(await GrpcChannel.connect({ host: '127.0.0.1', port }))
  }

  async close(): Promise<void> {
    await this.channel.close(0)
  }

  async create(name: string, init: CreateInit = {}): Promise<void> {
    const request = create(api.CreateStreamRequestSchema, { subject: name, name, ...init })
    await this.#unary('CreateStream', toBinary(api.CreateStreamRequestSchema, request))
  }

  async delete(name: string): Promise<void> {
    const request = create(api.DeleteStreamRequestSchema, { name })
    await this.#unary('DeleteStream', toBinary(api.DeleteStreamRequestSchema, request))
  }

  async pause(name: string, init: { partitions?: number[]; resumeAll?: boolean } = {}) {
    const request = create(api.PauseStreamRequestSchema, { name, ...init })
    await this.#unary('PauseStream', toBinary(api.PauseStreamRequestSchema, request))
  }

  async setReadonly(name: string, readonly: boolean): Promise<void> {
    const request = create(api.SetStreamReadonlyRequestSchema, { name, readonly })
    await this.#unary('SetStreamReadonly', toBinary(api.SetStreamReadonlyRequestSchema, request))
  }

  async metadata(...streams: string[]): Promise<api.FetchMetadataResponse> {
    const request = create(api.FetchMetadataRequestSchema, { streams })
    const bytes = toBinary(api.FetchMetadataRequestSchema, request)
    return fromBinary(api.FetchMetadataResponseSchema, await this.#unary('FetchMetadata', bytes))
  }

  async partition(stream: string, partition = 0): Promise<api.PartitionMetadata> {
    const request = create(api.FetchPartitionMetadataRequestSchema, { stream, partition })
    const bytes = toBinary(api.FetchPartitionMetadataRequestSchema, request)
    const answer = await this.#unary('FetchPartitionMetadata', bytes)
    const { metadata } = fromBinary(api.FetchPartitionMetadataResponseSchema, answer)
    assert.ok(metadata)
    return metadata
  }

  /** `deadlineMs` 0 sends none: then nobody waits for the ack. */
  async publish(
    stream: string,
    value: string,
    init: PublishInit & { readonly deadlineMs?: number } = {},
  ): Promise<api.Ack | undefined> {
    const { deadlineMs = PATIENT_MS, ...rest } = init
    const answer = await this.#unary('Publish', publishBytes(stream, value, rest), deadlineMs)
    return fromBinary(api.PublishResponseSchema, answer).ack
  }

  async publishToSubject(subject: string, value: string): Promise<api.Ack | undefined> {
    const init = { subject, value: Buffer.from(value) }
    const request = create(api.PublishToSubjectRequestSchema, init)
    const bytes = toBinary(api.PublishToSubjectRequestSchema, request)
    const answer = await this.#unary('PublishToSubject', bytes)
    return fromBinary(api.PublishToSubjectResponseSchema, answer).ack
  }

  publishAsync(): AsyncPublisher {
    return new AsyncPublisher(this.channel.bidi('/proto.API/PublishAsync'))
  }

  subscribe(stream: string, init: SubscribeInit = {}): Subscription {
    const request = create(api.SubscribeRequestSchema, { stream, ...init })
    const bytes = toBinary(api.SubscribeRequestSchema, request)
    return new Subscription(this.channel.serverStream('/proto.API/Subscribe', bytes))
  }

  /** All values from the oldest on, in order. */
  async values(stream: string, partition = 0): Promise<string[]> {
    const { StartPosition, StopPosition } = api
    const init = {
      partition,
      startPosition: StartPosition.EARLIEST,
      stopPosition: StopPosition.STOP_LATEST,
    }
    try {
      const { messages } = await this.subscribe(stream, init).toEnd()
      return messages.map(valueOf)
    } catch (error) {
      if (error instanceof GrpcError && error.message === 'Stream is empty') return []
      throw error
    }
  }

  #unary(method: string, request: Uint8Array, timeoutMs: number = PATIENT_MS): Promise<Uint8Array> {
    return this.channel.unary(`/proto.API/${method}`, request, timeoutMs > 0 ? { timeoutMs } : {})
  }
}

export function publishBytes(stream: string, value: string, init: PublishInit = {}): Uint8Array {
  const whole = { stream, value: Buffer.from(value), expectedOffset: -1n, ...init }
  return toBinary(api.PublishRequestSchema, create(api.PublishRequestSchema, whole))
}

export function valueOf(message: api.Message): string {
  return Buffer.from(message.value).toString()
}

/** How a call ended: the name of its status and the text. */
export type Ending = { readonly status: string; readonly text: string }

export async function endingOf(call: Promise<unknown>): Promise<Ending> {
  try {
    await call
    return { status: 'OK', text: '' }
  } catch (error) {
    assert.ok(error instanceof GrpcError, String(error))
    return { status: statusName(error.code), text: error.message }
  }
}

/** Reads single messages from chunks. */
class Messages {
  readonly #chunks: AsyncIterator<MessageChunk>
  #waiting: Uint8Array[] = []

  constructor(chunks: AsyncIterable<MessageChunk>) {
    this.#chunks = chunks[Symbol.asyncIterator]()
  }

  /** Undefined at the end of a call that ended OK; rejects with the status otherwise. */
  async next(): Promise<Uint8Array | undefined> {
    while (this.#waiting.length === 0) {
      const next = await this.#chunks.next()
      if (next.done === true) return undefined
      this.#waiting = [...messagesOf(next.value)].map((bytes) => Buffer.from(bytes))
    }
    return this.#waiting.shift()
  }
}

export class Subscription {
  readonly call: ServerStreamCall
  readonly #messages: Messages
  #greeted = false

  constructor(call: ServerStreamCall) {
    this.call = call
    this.#messages = new Messages(call)
  }

  /** Resolves when the server has the subscription. */
  async started(): Promise<void> {
    if (this.#greeted) return
    const first = await this.#messages.next()
    assert.equal(first?.length, 0, 'the first message says that the subscription exists')
    this.#greeted = true
  }

  async take(count: number): Promise<api.Message[]> {
    await this.started()
    const messages: api.Message[] = []
    while (messages.length < count) {
      const bytes = await this.#messages.next()
      assert.ok(bytes, `the call ended after ${messages.length} of ${count} messages`)
      messages.push(fromBinary(api.MessageSchema, bytes))
    }
    return messages
  }

  /** The messages until the end of the call, and how it ended. */
  async toEnd(): Promise<{ readonly messages: api.Message[]; readonly ending: Ending }> {
    const messages: api.Message[] = []
    const ending = await endingOf(
      (async () => {
        await this.started()
        for (;;) {
          const bytes = await this.#messages.next()
          if (bytes === undefined) return
          messages.push(fromBinary(api.MessageSchema, bytes))
        }
      })(),
    )
    if (ending.text === 'Stream is empty') throw new GrpcError(8, ending.text)
    return { messages, ending }
  }
}

export class AsyncPublisher {
  readonly call: BidiCall
  readonly #messages: Messages

  constructor(call: BidiCall) {
    this.call = call
    this.#messages = new Messages(call.responses)
  }

  send(stream: string, value: string, init: PublishInit = {}): void {
    const correlationId = init.correlationId ?? value
    this.call.write(encodeFrame(publishBytes(stream, value, { ...init, correlationId })))
  }

  sendAll(requests: readonly Uint8Array[]): void {
    this.call.write(encodeFrames(requests))
  }

  async answers(count: number): Promise<api.PublishResponse[]> {
    const answers: api.PublishResponse[] = []
    while (answers.length < count) {
      const bytes = await this.#messages.next()
      assert.ok(bytes, `the call ended after ${answers.length} of ${count} answers`)
      answers.push(fromBinary(api.PublishResponseSchema, bytes))
    }
    return answers
  }

  /** The answers until the end of the call, and how it ended. */
  async toEnd(): Promise<{ readonly answers: api.PublishResponse[]; readonly ending: Ending }> {
    const answers: api.PublishResponse[] = []
    const ending = await endingOf(
      (async () => {
        for (;;) {
          const bytes = await this.#messages.next()
          if (bytes === undefined) return
          answers.push(fromBinary(api.PublishResponseSchema, bytes))
        }
      })(),
    )
    return { answers, ending }
  }
}

/** Awaits a condition that no event tells; fails after a while with what was awaited. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpMs = performance.now() + PATIENT_MS
  while (!(await holds())) {
    if (performance.now() > giveUpMs) throw new Error(`gave up waiting until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
