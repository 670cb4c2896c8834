/** Reads a stream from its first message on, from whichever server leads it. */
import { GrpcChannel, GrpcError, GrpcStatus, messagesOf } from '@liftbridge/grpc'
import { api, create, fromBinary, toBinary } from '@liftbridge/wire'

export interface Address {
  readonly host: string
  readonly port: number
}

export interface FollowOptions {
  /** A server of the cluster. */
  readonly server: Address
  readonly stream: string
  readonly onMessage: (offset: number, value: Uint8Array) => void
  /** Told once each time the leader has to be looked for. */
  readonly onLost: (reason: string) => void
  /** Between two attempts to find it. */
  readonly pauseMs?: number
}

const TIMEOUT_MS = 5_000
const PAUSE_MS = 250

/** Says what a server answers that does not lead, or is gone; the stream may be well elsewhere. */
const ELSEWHERE: ReadonlySet<GrpcStatus> = new Set([
  GrpcStatus.UNAVAILABLE,
  GrpcStatus.FAILED_PRECONDITION,
  GrpcStatus.DEADLINE_EXCEEDED,
])

/**
 * Calls `onMessage` for every message of partition 0, once and in order. When the leader moves, it
 * is looked up with FetchMetadata, and reading goes on at the next offset there. Resolves at the
 * end of a stream that is read-only; rejects with the GrpcError of a server that has another
 * objection, and when not even the first server answers.
 */
export async function followStream(options: FollowOptions): Promise<void> {
  const reading = new Reading(options)
  let lost = false
  for (;;) {
    try {
      return await reading.readOn()
    } catch (error) {
      if (!(error instanceof GrpcError) || !ELSEWHERE.has(error.code)) throw error
      if (!reading.hasMetAServer) throw error
      if (!lost || reading.takeProgress()) options.onLost(error.message)
      lost = true
    }
    await reading.findLeader()
  }
}

class Reading {
  readonly #options: FollowOptions
  /** Every address that is known, the likeliest first. */
  #servers: readonly Address[]
  #nextOffset: number | undefined
  #progress = false
  hasMetAServer = false

  constructor(options: FollowOptions) {
    this.#options = options
    this.#servers = [options.server]
  }

  /** Whether a server took the subscription since this was last asked. */
  takeProgress(): boolean {
    const progress = this.#progress
    this.#progress = false
    return progress
  }

  /** Subscribes at the likeliest server and reads until that ends. */
  async readOn(): Promise<void> {
    const { stream, onMessage } = this.#options
    const channel = await this.#connect(this.#servers[0] ?? this.#options.server)
    try {
      const { EARLIEST, OFFSET } = api.StartPosition
      const position =
        this.#nextOffset === undefined
          ? { startPosition: EARLIEST }
          : { startPosition: OFFSET, startOffset: BigInt(this.#nextOffset) }
      const request = create(api.SubscribeRequestSchema, { stream, ...position })
      const call = channel.serverStream(
        '/proto.API/Subscribe',
        toBinary(api.SubscribeRequestSchema, request),
      )
      let first = true
      for await (const chunk of call) {
        for (const bytes of messagesOf(chunk)) {
          const { offset, value } = fromBinary(api.MessageSchema, bytes)
          // The first message is empty: it says that the subscription exists.
          if (first) this.#progress = true
          else onMessage(Number(offset), value)
          if (!first) this.#nextOffset = Number(offset) + 1
          first = false
        }
      }
    } finally {
      await channel.close(0)
    }
  }

  /** Asks all known servers in turn, until one names a leader; after a pause in any case. */
  async findLeader(): Promise<void> {
    const pauseMs = this.#options.pauseMs ?? PAUSE_MS
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
      for (const server of this.#servers) if (await this.#askFor(server)) return
    }
  }

  /** Puts the leader first among the servers, as `server` sees it; false when it names none. */
  async #askFor(server: Address): Promise<boolean> {
    let metadata: api.FetchMetadataResponse
    try {
      metadata = await this.#metadataOf(server)
    } catch (error) {
      if (error instanceof GrpcError && ELSEWHERE.has(error.code)) return false
      throw error
    }
    const { brokers, streamMetadata } = metadata
    const [found] = streamMetadata
    // A stream that is gone is for Subscribe to tell.
    const leader = found?.partitions[0]?.leader
    const isLed = brokers.find(({ id }) => id === leader)
    if (isLed === undefined && found?.error !== api.StreamMetadata_Error.UNKNOWN_STREAM)
      return false
    const known = new Map<string, Address>()
    for (const address of [isLed ?? server, ...brokers, ...this.#servers]) {
      const { host, port } = address
      known.set(`${host}:${port}`, { host, port })
    }
    this.#servers = [...known.values()]
    return true
  }

  async #metadataOf(server: Address): Promise<api.FetchMetadataResponse> {
    const channel = await this.#connect(server)
    try {
      const request = create(api.FetchMetadataRequestSchema, { streams: [this.#options.stream] })
      const response = await channel.unary(
        '/proto.API/FetchMetadata',
        toBinary(api.FetchMetadataRequestSchema, request),
        { timeoutMs: TIMEOUT_MS },
      )
      return fromBinary(api.FetchMetadataResponseSchema, response)
    } finally {
      await channel.close(0)
    }
  }

  async #connect({ host, port }: Address): Promise<GrpcChannel> {
    const channel = await GrpcChannel.connect({ host, port, connectTimeoutMs: TIMEOUT_MS })
    this.hasMetAServer = true
    return channel
  }
}
