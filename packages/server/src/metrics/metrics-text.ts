/** `/metrics`: the text of Prometheus, made from what the parts of a server tell when it is asked for. */
import type { NatsServerStats } from '@liftbridge/nats'
import { collectDefaultMetrics, Registry } from 'prom-client'
import type { Buses } from '../bus.ts'
import type { Partition } from '../partition/partition.ts'
import { type MeasuredMetadata, metadataMetrics } from './metadata-metrics.ts'
import { register } from './metric.ts'
import { busMetrics, embeddedNatsMetrics } from './nats-metrics.ts'
import { partitionMetrics } from './partition-metrics.ts'

export type MetricsOptions = {
  readonly version: string
  readonly serverId: () => string
  /** Connections of clients on the one port. */
  readonly connections: () => number
  readonly metadata: () => MeasuredMetadata
  readonly partitions: () => Iterable<Partition>
  readonly buses: () => Buses | undefined
  /** Undefined where NATS runs elsewhere. */
  readonly natsStats: () => NatsServerStats | undefined
}

/** A text holds for so long: who asks more often gets the same. */
const SCRAPE_EVERY_MS = 100

export class MetricsText {
  readonly contentType: string
  readonly #own: Registry
  readonly #nowMs: () => number
  #latest: { readonly text: Promise<string>; readonly atMs: number } | undefined

  constructor(options: MetricsOptions, nowMs = (): number => performance.now()) {
    this.#nowMs = nowMs
    const own = new Registry()
    register(own, [
      {
        name: 'liftbridge_info',
        help: 'The server; always 1',
        labels: ['version', 'server_id'],
        read: () => [
          { labels: { version: options.version, server_id: options.serverId() }, value: 1 },
        ],
      },
      {
        name: 'liftbridge_connections',
        help: 'Connections of clients to the listening port',
        read: () => [{ value: options.connections() }],
      },
      ...metadataMetrics(options.metadata),
      ...partitionMetrics(options.partitions),
      ...busMetrics(options.buses),
      ...embeddedNatsMetrics(options.natsStats),
    ])
    this.#own = own
    this.contentType = own.contentType
  }

  /** Rejects only with what a part threw. */
  read(): Promise<string> {
    const nowMs = this.#nowMs()
    if (this.#latest !== undefined && nowMs - this.#latest.atMs < SCRAPE_EVERY_MS) {
      return this.#latest.text
    }
    const text = this.#text()
    this.#latest = { text, atMs: nowMs }
    return text
  }

  async #text(): Promise<string> {
    const [process, own] = await Promise.all([ofThisProcess().metrics(), this.#own.metrics()])
    return `${process}\n${own}`
  }
}

let processMetrics: Registry | undefined

/**
 * CPU, memory, descriptors, event loop and garbage collection, under the names that dashboards for
 * Node know. One for all servers of a process, and none before the first scrape: looking at the
 * event loop costs a timer.
 */
function ofThisProcess(): Registry {
  if (processMetrics === undefined) {
    processMetrics = new Registry()
    collectDefaultMetrics({
      register: processMetrics,
      eventLoopMonitoringPrecision: LOOK_EVERY_MS,
    })
  }
  return processMetrics
}

const LOOK_EVERY_MS = 20
