/** One server with its streams and everything recorded about them. */
import type { Anomaly } from './history.ts'
import { PartitionHistory } from './history.ts'
import { type LoadCounts, noCounts, Publisher, type Target } from './load.ts'
import { NatsProcess } from './nats-process.ts'
import { RawConnection } from './raw-grpc.ts'
import { bytesField, encodeCreateStream, FieldReader } from './raw-messages.ts'
import { type ReadResult, readBack } from './read-back.ts'
import { ServerProcess, type ServerOptions } from './server-process.ts'

export type LoadOptions = {
  readonly ratePerSecond: number
  /** Messages of one PublishAsync call that may wait for their ack. */
  readonly window: number
}

/** Messages in one write: large enough that a kill always finds some half-way. */
const BATCH = 100
const CONNECTIONS = 2

/** The streams of one server; partition 0 of the second has two publishers that compete. */
const STREAMS = [
  { name: 'one', partitions: 1 },
  { name: 'three', partitions: 3 },
  { name: 'strange.name/ünï', partitions: 1 },
] as const

export class ServerUnderLoad {
  readonly server: ServerProcess
  readonly nats: NatsProcess | undefined
  readonly targets: Target[] = []
  readonly #created = new Set<string>()
  readonly #deleted = new Set<string>()
  #names = 0

  private constructor(server: ServerProcess, nats: NatsProcess | undefined) {
    this.server = server
    this.nats = nats
  }

  static async start(
    external: boolean,
    options: Omit<ServerOptions, 'natsUrl'> = {},
  ): Promise<ServerUnderLoad> {
    const nats = external ? await NatsProcess.start() : undefined
    const natsUrl = nats === undefined ? {} : { natsUrl: nats.url }
    const server = await ServerProcess.start({ ...options, ...natsUrl })
    const load = new ServerUnderLoad(server, nats)
    await load.#createStreams()
    return load
  }

  async remove(): Promise<void> {
    await this.server.remove()
    await this.nats?.kill()
  }

  /** Publishes until `stop` resolves, then ends the calls as they are. */
  async publishUntil(
    stop: (counts: LoadCounts) => Promise<void>,
    options: LoadOptions,
  ): Promise<LoadRun> {
    const counts = noCounts()
    const connections = await this.#connect(CONNECTIONS)
    const targets = [...this.targets, ...this.targets.slice(1, 2)]
    const publishers = targets.map((target, i) => {
      const connection = connections[i % connections.length]
      if (connection === undefined) throw new Error('no connection')
      return new Publisher(connection, target, { window: options.window, counts })
    })
    const batches = options.ratePerSecond / BATCH / publishers.length
    const began = performance.now()
    const running = publishers.map((publisher) => publisher.run(BATCH, batches))
    await stop(counts)
    const seconds = (performance.now() - began) / 1000
    const inFlight = publishers.reduce((sum, publisher) => sum + publisher.outstanding, 0)
    for (const publisher of publishers) publisher.stop()
    await Promise.all(running)
    for (const { fault } of publishers) if (fault !== undefined) throw fault
    return { counts, seconds, inFlight, publishers, connections }
  }

  /** Creates and deletes streams, one call after the other, until a call fails. */
  async churnStreams(): Promise<void> {
    const [connection] = await this.#connect(1)
    try {
      for (;;) {
        const name = `churn-${this.#names++}`
        await connection?.unary('CreateStream', encodeCreateStream(name, name, 1))
        this.#created.add(name)
        if (this.#names % 3 !== 0) continue
        // From the moment the deletion is asked for, the stream may or may not be there.
        this.#created.delete(name)
        await connection?.unary('DeleteStream', bytesField(1, name))
        this.#deleted.add(name)
      }
    } catch {
      // The server was killed, which is what this waits for.
    } finally {
      connection?.close()
    }
  }

  /** Creates a stream that no history watches. */
  async createStream(name: string): Promise<void> {
    const [connection] = await this.#connect(1)
    await connection?.unary('CreateStream', encodeCreateStream(name, name, 1))
    connection?.close()
  }

  /** What the server shows of everything acknowledged: messages, created and deleted streams. */
  async verify(): Promise<ReadResult> {
    const read = await readBack(this.server.address, this.targets)
    return {
      messages: read.messages,
      anomalies: [...read.anomalies, ...(await this.#checkNames())],
    }
  }

  async #checkNames(): Promise<readonly Anomaly[]> {
    const [connection] = await this.#connect(1)
    if (connection === undefined) throw new Error('no connection')
    const reply = await connection.unary('FetchMetadata', Buffer.alloc(0))
    connection.close()
    const known = streamNames(reply)
    const anomalies: Anomaly[] = []
    for (const name of this.#created) {
      if (!known.has(name)) anomalies.push({ kind: 'lost', detail: `stream ${name} [M8]` })
    }
    for (const name of this.#deleted) {
      if (known.has(name)) anomalies.push({ kind: 'phantom', detail: `deleted stream ${name}` })
    }
    return anomalies
  }

  get streamsCreated(): number {
    return this.#created.size
  }

  async #connect(count: number): Promise<RawConnection[]> {
    const connections: RawConnection[] = []
    while (connections.length < count) {
      connections.push(await RawConnection.open(this.server.address))
    }
    return connections
  }

  async #createStreams(): Promise<void> {
    const [connection] = await this.#connect(1)
    for (const { name, partitions } of STREAMS) {
      const subject = `subject-${name.replaceAll(/[^a-z]/g, '')}`
      await connection?.unary('CreateStream', encodeCreateStream(name, subject, partitions))
      for (let partition = 0; partition < partitions; partition++) {
        const history = new PartitionHistory(`${name} ${partition}`)
        this.targets.push({ stream: name, partition, history })
      }
    }
    connection?.close()
  }
}

/** What a period of load did. */
export type LoadRun = {
  readonly counts: LoadCounts
  readonly seconds: number
  readonly inFlight: number
  readonly publishers: readonly Publisher[]
  readonly connections: readonly RawConnection[]
}

/** Gives up the calls of a run; what is unanswered stays unknown. */
export function endRun(run: LoadRun): void {
  for (const publisher of run.publishers) publisher.close()
  for (const connection of run.connections) connection.close()
}

/** FetchMetadataResponse { 2 streamMetadata { 1 name, 3 error } } */
function streamNames(reply: Buffer): Set<string> {
  const names = new Set<string>()
  const outer = new FieldReader()
  const inner = new FieldReader()
  outer.reset(reply, 0, reply.length)
  while (outer.next()) {
    if (outer.field !== 2) continue
    inner.reset(reply, outer.start, outer.end)
    while (inner.next()) {
      if (inner.field === 1) names.add(reply.toString('utf8', inner.start, inner.end))
    }
  }
  return names
}
