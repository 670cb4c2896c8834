/**
 * npm run demo: three servers in this process, a replicated stream, a publisher and a subscriber.
 * The partition's leader is killed in the middle; the output tells what the publisher and the
 * subscriber saw, in times.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { GrpcChannel, messagesOf } from '@liftbridge/grpc'
import { startCluster, type Cluster } from '@liftbridge/server'
import { api, create, fromBinary, toBinary } from '@liftbridge/wire'

const STREAM = 'orders'
const BEFORE_KILL_MS = 2_000
const AFTER_KILL_MS = 6_000
/** An ack that takes longer is asked for again, by publishing again. */
const ACK_WITHIN_MS = 1_000
const RETRY_MS = 50
/** How long followers wait before they report their leader; the default of 15 s bores. */
const LEADER_TIMEOUT = '1s'

const startedMs = performance.now()
const tell = (text: string): void => {
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(2).padStart(6)
  console.log(`${seconds} s  ${text}`)
}

/** Talks to whichever server leads the partition. */
class Client {
  readonly #cluster: Cluster
  readonly #channels = new Map<string, GrpcChannel>()

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  async channel(id: string): Promise<GrpcChannel> {
    const known = this.#channels.get(id)
    if (known) return known
    const { host, port } = this.#cluster.address(id)
    const channel = await GrpcChannel.connect({ host, port })
    this.#channels.set(id, channel)
    return channel
  }

  forget(id: string): void {
    void this.#channels.get(id)?.close()
    this.#channels.delete(id)
  }

  /** Asks any living server who leads. */
  async leader(): Promise<string> {
    for (;;) {
      for (const id of this.#cluster.ids.filter((it) => this.#cluster.server(it))) {
        const leader = await this.#leaderAsToldBy(id)
        if (leader !== undefined) return leader
      }
      await sleep(RETRY_MS)
    }
  }

  async #leaderAsToldBy(id: string): Promise<string | undefined> {
    try {
      const channel = await this.channel(id)
      const response = await channel.unary(
        '/proto.API/FetchMetadata',
        toBinary(api.FetchMetadataRequestSchema, create(api.FetchMetadataRequestSchema)),
        { timeoutMs: ACK_WITHIN_MS },
      )
      const metadata = fromBinary(api.FetchMetadataResponseSchema, response)
      const leader = metadata.streamMetadata.find(({ name }) => name === STREAM)?.partitions[0]
        ?.leader
      return leader !== undefined && this.#cluster.server(leader) ? leader : undefined
    } catch {
      this.forget(id)
      return undefined
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#channels.values()].map((channel) => channel.close()))
  }
}

/** Publishes numbers one after the other; a number is sent again until it is acknowledged. */
class Publisher {
  readonly acknowledged = new Map<number, bigint>()
  longestGapMs = 0
  #stopped = false
  readonly #client: Client

  constructor(client: Client) {
    this.#client = client
  }

  async run(): Promise<void> {
    let lastMs = performance.now()
    for (let number = 0; !this.#stopped; number += 1) {
      this.acknowledged.set(number, await this.#publish(number))
      const nowMs = performance.now()
      this.longestGapMs = Math.max(this.longestGapMs, nowMs - lastMs)
      lastMs = nowMs
    }
  }

  stop(): void {
    this.#stopped = true
  }

  async #publish(number: number): Promise<bigint> {
    const request = create(api.PublishRequestSchema, {
      stream: STREAM,
      value: Buffer.from(`order ${number}`),
      ackPolicy: api.AckPolicy.ALL,
    })
    const bytes = toBinary(api.PublishRequestSchema, request)
    for (;;) {
      const leader = await this.#client.leader()
      try {
        const channel = await this.#client.channel(leader)
        const options = { timeoutMs: ACK_WITHIN_MS }
        const response = await channel.unary('/proto.API/Publish', bytes, options)
        const { ack } = fromBinary(api.PublishResponseSchema, response)
        if (ack) return ack.offset
      } catch {
        await sleep(RETRY_MS)
      }
    }
  }
}

/** Reads the partition from the beginning, and goes on where it was when a server goes away. */
class Subscriber {
  readonly received = new Map<bigint, string>()
  outOfOrder = 0
  readonly #client: Client
  #next = 0n
  #stopped = false

  constructor(client: Client) {
    this.#client = client
  }

  stop(): void {
    this.#stopped = true
  }

  async run(): Promise<void> {
    while (!this.#stopped) {
      const leader = await this.#client.leader()
      try {
        await this.#read(await this.#client.channel(leader))
      } catch {
        await sleep(RETRY_MS)
      }
    }
  }

  async #read(channel: GrpcChannel): Promise<void> {
    const request = create(api.SubscribeRequestSchema, {
      stream: STREAM,
      startPosition: api.StartPosition.OFFSET,
      startOffset: this.#next,
    })
    const call = channel.serverStream(
      '/proto.API/Subscribe',
      toBinary(api.SubscribeRequestSchema, request),
    )
    let first = true
    for await (const chunk of call) {
      for (const bytes of messagesOf(chunk)) {
        // The first message is empty: it says that the subscription exists.
        if (!first) this.#take(fromBinary(api.MessageSchema, bytes))
        first = false
      }
      if (this.#stopped) return
    }
  }

  #take({ offset, value }: api.Message): void {
    if (offset !== this.#next) this.outOfOrder += 1
    this.received.set(offset, Buffer.from(value).toString())
    this.#next = offset + 1n
  }
}

async function createStream(client: Client, cluster: Cluster): Promise<void> {
  const [first = ''] = cluster.ids
  const channel = await client.channel(first)
  const request = create(api.CreateStreamRequestSchema, {
    name: STREAM,
    subject: STREAM,
    replicationFactor: cluster.ids.length,
    minIsr: { value: 2 },
  })
  const bytes = toBinary(api.CreateStreamRequestSchema, request)
  await channel.unary('/proto.API/CreateStream', bytes, { timeoutMs: 10_000 })
}

async function main(): Promise<void> {
  tell('starting three servers in this process, on one embedded NATS …')
  const cluster = await startCluster({
    servers: 3,
    settings: { 'clustering.replica.max.leader.timeout': LEADER_TIMEOUT },
  })
  const client = new Client(cluster)
  const publisher = new Publisher(client)
  const subscriber = new Subscriber(client)
  for (const id of cluster.ids) tell(`  ${id} serves on port ${cluster.address(id).port}`)
  await createStream(client, cluster)
  const leader = await client.leader()
  tell(`stream "${STREAM}": 3 replicas, 2 must have a message before it is acknowledged`)
  tell(`${leader} leads it; publishing with AckPolicy ALL, one message at a time …`)
  const work = [publisher.run(), subscriber.run()]
  await sleep(BEFORE_KILL_MS)

  tell(`${publisher.acknowledged.size} messages acknowledged; now ${leader} is killed`)
  const killedMs = performance.now()
  client.forget(leader)
  await cluster.kill(leader)
  const atKill = publisher.acknowledged.size
  const successor = await client.leader()
  tell(`${successor} leads now, ${Math.round(performance.now() - killedMs)} ms after the kill`)
  while (publisher.acknowledged.size === atKill) await sleep(1)
  tell(`the next ack came ${Math.round(performance.now() - killedMs)} ms after the kill`)
  await sleep(AFTER_KILL_MS / 2)
  tell(`${leader} starts again`)
  await cluster.restart(leader)
  await sleep(AFTER_KILL_MS / 2)

  publisher.stop()
  await sleep(500)
  subscriber.stop()
  const lost = [...publisher.acknowledged].filter(
    ([number, offset]) => subscriber.received.get(offset) !== `order ${number}`,
  )
  tell(`${publisher.acknowledged.size} messages acknowledged, ${subscriber.received.size} received`)
  tell(`longest time between two acks: ${Math.round(publisher.longestGapMs)} ms`)
  tell(`acknowledged and lost or changed: ${lost.length}; out of order: ${subscriber.outOfOrder}`)
  // The servers first: they end the subscription, for which closing a channel would wait.
  await cluster.stop()
  await client.close()
  await Promise.race([Promise.allSettled(work), sleep(1_000)])
  process.exit(lost.length === 0 && subscriber.outOfOrder === 0 ? 0 : 1)
}

await main()
