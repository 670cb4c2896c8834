/** Who is there, and where clients reach them: what FetchMetadata lists [LB control plane 4.5]. */
import {
  create,
  decodeEnvelopeOf,
  decodeMessage,
  encodeEnvelope,
  EnvelopeType,
  internal,
  toBinary,
  type ClusterSubjects,
} from '@liftbridge/wire'
import type { Bus, BusMessage, BusSubscription } from '../bus.ts'
import type { Clock, Random } from '../clock.ts'
import type { HostPort } from '../config/addresses.ts'
import type { Logger } from '../logging/logger.ts'
import { untilDone } from './until-done.ts'

export type BrokersOptions = {
  readonly bus: Bus
  readonly subjects: ClusterSubjects
  readonly serverId: string
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly advertised: () => HostPort
  /** The cluster's servers, dead or alive. */
  readonly members: () => readonly { readonly id: string }[]
  /** `metadata.cache.max.age`, in milliseconds. */
  readonly cacheMaxAgeMs: () => number
}

export type Broker = HostPort & { readonly id: string }

/** Answers of a survey are good for so long: many clients ask at once when a leader has failed. */
const FRESH_MS = 1_000
/** A server that answered the last survey is waited for so long in the next one. */
const SURVEY_MS = 250

type Heard = { readonly broker: Broker; readonly atMs: number }

/**
 * Asks all servers of the cluster, and answers when they ask. A server that is dead holds up one
 * survey, for a quarter of a second; it is not waited for again until it has been heard of. Go
 * Liftbridge waits for it every time, and then remembers a list with a hole for minutes [D-39].
 */
export class Brokers {
  readonly #options: BrokersOptions
  readonly #heard = new Map<string, Heard>()
  /** Who was silent in the last survey. */
  #silent: ReadonlySet<string> = new Set()
  #surveyedMs = Number.NEGATIVE_INFINITY
  #survey: Promise<void> | undefined
  #wanted: Set<string> = new Set()
  #onHeard: () => void = () => undefined
  readonly #inbox: string
  #subscriptions: readonly BusSubscription[] = []

  constructor(options: BrokersOptions) {
    this.#options = options
    this.#inbox = options.subjects.serverInfoInbox(options.random.id())
  }

  start(): void {
    const { bus, subjects } = this.#options
    this.#subscriptions = [
      bus.subscribe(subjects.serverInfo, (message) => this.#answer(message)),
      bus.subscribe(this.#inbox, ({ data }) => this.#hear(data)),
    ]
  }

  stop(): void {
    for (const subscription of this.#subscriptions) subscription.unsubscribe()
    this.#subscriptions = []
    this.#onHeard()
  }

  /** This server, and those of the cluster that answer. */
  async list(): Promise<readonly Broker[]> {
    const { clock, serverId, advertised } = this.#options
    const freshMs = Math.min(FRESH_MS, this.#options.cacheMaxAgeMs())
    if (clock.monotonicMs() - this.#surveyedMs > freshMs) {
      this.#survey ??= this.#ask().finally(() => (this.#survey = undefined))
      await this.#survey
    }
    const brokers: Broker[] = [{ id: serverId, ...advertised() }]
    for (const id of this.#others()) {
      const heard = this.#heard.get(id)
      if (heard !== undefined && !this.#silent.has(id)) brokers.push(heard.broker)
    }
    return brokers
  }

  #others(): readonly string[] {
    const { members, serverId } = this.#options
    return members()
      .map(({ id }) => id)
      .filter((id) => id !== serverId)
  }

  async #ask(): Promise<void> {
    const { bus, subjects, clock, serverId } = this.#options
    const startMs = clock.monotonicMs()
    const others = this.#others()
    this.#wanted = new Set(others.filter((id) => !this.#silent.has(id)))
    const all = new Promise<void>((resolve) => (this.#onHeard = resolve))
    if (others.length > 0) {
      const request = create(internal.ServerInfoRequestSchema, { id: serverId })
      const payload = toBinary(internal.ServerInfoRequestSchema, request)
      try {
        bus.publish(
          subjects.serverInfo,
          encodeEnvelope(EnvelopeType.ServerInfoRequest, payload),
          this.#inbox,
        )
        if (this.#wanted.size > 0) await untilDone(clock, SURVEY_MS, all)
      } catch (error) {
        this.#options.logger.limited('survey', 'warn', 'servers could not be asked', { error })
      }
    }
    const silent = others.filter((id) => (this.#heard.get(id)?.atMs ?? -1) < startMs)
    this.#silent = new Set(silent)
    this.#surveyedMs = clock.monotonicMs()
  }

  #hear(data: Uint8Array): void {
    const opened = decodeEnvelopeOf(EnvelopeType.ServerInfoResponse, data)
    if (opened.kind === 'rejected') return
    const decoded = decodeMessage(
      internal.ServerInfoResponseSchema,
      data.subarray(opened.payloadStart),
    )
    if (decoded.kind === 'rejected') return
    const { id, host, port } = decoded.message
    // Whoever is no server of the cluster takes no memory [A5, B1].
    if (!this.#others().includes(id)) return
    this.#heard.set(id, { broker: { id, host, port }, atMs: this.#options.clock.monotonicMs() })
    if (this.#silent.has(id)) this.#silent = new Set([...this.#silent].filter((it) => it !== id))
    this.#wanted.delete(id)
    if (this.#wanted.size === 0) this.#onHeard()
  }

  #answer({ data, reply }: BusMessage): void {
    const { bus, serverId, advertised, logger } = this.#options
    const opened = decodeEnvelopeOf(EnvelopeType.ServerInfoRequest, data)
    if (opened.kind === 'rejected' || reply === '') return
    const decoded = decodeMessage(
      internal.ServerInfoRequestSchema,
      data.subarray(opened.payloadStart),
    )
    if (decoded.kind === 'rejected' || decoded.message.id === serverId) return
    const response = create(internal.ServerInfoResponseSchema, { id: serverId, ...advertised() })
    const payload = toBinary(internal.ServerInfoResponseSchema, response)
    try {
      bus.publish(reply, encodeEnvelope(EnvelopeType.ServerInfoResponse, payload))
    } catch (error) {
      logger.limited('survey', 'warn', 'a survey could not be answered', { error })
    }
  }
}
