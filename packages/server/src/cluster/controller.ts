/**
 * Changes of the metadata, from wherever they are asked for: on the metadata leader they are
 * decided and proposed, elsewhere they travel to it [ARCHITECTURE 4, LB control plane 4.2]. One
 * place for all of them.
 */
import {
  decodeAnswer,
  decodeRequest,
  encodeAnswer,
  encodeRequest,
  Failover,
  planCreateStream,
  rejected,
  type CreateStreamLimits,
  type LeaderReport,
  type LogIndex,
  type MetadataAnswer,
  type MetadataRequest,
  type PlacementServer,
  type Rejection,
  type StreamDefaults,
  type StreamRequest,
} from '@liftbridge/metadata'
import {
  decodeEnvelopeOf,
  encodeEnvelope,
  EnvelopeType,
  type ClusterSubjects,
} from '@liftbridge/wire'
import { BusError, type Bus, type BusMessage, type BusSubscription } from '../bus.ts'
import type { Clock } from '../clock.ts'
import { FORWARDED_MAX, SERVER_PARTITIONS_MAX, STREAM_PARTITIONS_MAX } from '../config/limits.ts'
import type { Logger } from '../logging/logger.ts'
import type { Metadata } from '../metadata/metadata.ts'
import { untilDone } from './until-done.ts'

export type ControllerOptions = {
  readonly metadata: Metadata
  /** Requests to other servers, and theirs. */
  readonly bus: Bus
  readonly subjects: ClusterSubjects
  readonly serverId: string
  readonly clock: Clock
  readonly logger: Logger
  readonly streamDefaults: () => StreamDefaults
  /** `clustering.replica.max.leader.timeout`, in milliseconds. */
  readonly reportTimeoutMs: number
}

/** How long a change may take when its caller names no deadline [LB control plane 4.2]. */
const REQUEST_TIMEOUT_MS = 5_000
/** A server that the metadata leader has not heard of for so long is not alive: two leases. */
const ALIVE_MS = 1_000
/** Between two attempts while no leader is known, or the known one does not listen yet. */
const RETRY_MS = 50

export const LIMITS: CreateStreamLimits = {
  maxPartitionsPerStream: STREAM_PARTITIONS_MAX,
  maxPartitions: SERVER_PARTITIONS_MAX,
}

export class Controller {
  readonly #options: ControllerOptions
  readonly #failover: Failover
  #subscription: BusSubscription | undefined
  /** Requests of other servers that are being carried out. */
  #serving = 0
  #stopped = false

  constructor(options: ControllerOptions) {
    this.#options = options
    this.#failover = new Failover({
      timeoutMs: options.reportTimeoutMs,
      alive: (server) => this.isAlive(server),
    })
  }

  start(): void {
    const { metadata } = this.#options
    metadata.onLeadership(() => this.#followLeadership())
    this.#followLeadership()
  }

  stop(): void {
    this.#stopped = true
    this.#subscription?.unsubscribe()
    this.#subscription = undefined
  }

  /** Whether the server has been heard of lately; this one always. True where nobody can tell. */
  isAlive(server: string): boolean {
    const { metadata, serverId } = this.#options
    if (server === serverId) return true
    const silence = metadata.silenceMs(server)
    return silence === undefined || silence < ALIVE_MS
  }

  /**
   * Carries a change through. Never rejects: a refusal is a value, with INTERNAL when nobody could
   * be asked, or the answer did not come in time; the change may then take effect later. Resolves
   * after the change is visible here. When `signal` aborts no further attempt is made: a change
   * whose caller has given up must not take effect after others that the caller made since.
   */
  async submit(
    request: MetadataRequest,
    timeoutMs: number = REQUEST_TIMEOUT_MS,
    signal?: AbortSignal,
  ): Promise<MetadataAnswer> {
    const { clock } = this.#options
    const deadlineMs = clock.monotonicMs() + timeoutMs
    for (;;) {
      const attempt = await this.#attempt(request, deadlineMs)
      if (attempt.kind !== 'again') return attempt
      const left = deadlineMs - clock.monotonicMs()
      if (this.#stopped || left <= 0 || signal?.aborted) return rejected('INTERNAL', attempt.reason)
      await new Promise<void>((resolve) => clock.after(Math.min(RETRY_MS, left), resolve))
    }
  }

  async #attempt(
    request: MetadataRequest,
    deadlineMs: number,
  ): Promise<MetadataAnswer | { readonly kind: 'again'; readonly reason: string }> {
    const { metadata, clock } = this.#options
    switch (metadata.leadership.kind) {
      case 'here':
        return this.#decide(request)
      case 'unknown':
        return { kind: 'again', reason: 'no known metadata leader' }
      case 'elsewhere':
    }
    const answer = await this.#forward(request, Math.max(1, deadlineMs - clock.monotonicMs()))
    if (answer.kind !== 'done') return answer
    // Whoever was told of success finds it here, too [M8].
    const left = Math.max(1, deadlineMs - clock.monotonicMs())
    await untilDone(clock, left, metadata.whenApplied(answer.index))
    return answer
  }

  async #forward(
    request: MetadataRequest,
    timeoutMs: number,
  ): Promise<MetadataAnswer | { readonly kind: 'again'; readonly reason: string }> {
    const { bus, subjects } = this.#options
    const envelope = encodeEnvelope(EnvelopeType.PropagatedRequest, encodeRequest(request))
    try {
      const { data } = await bus.request(subjects.propagate, envelope, timeoutMs)
      const opened = decodeEnvelopeOf(EnvelopeType.PropagatedResponse, data)
      return opened.kind === 'rejected'
        ? rejected('INTERNAL', 'invalid response')
        : decodeAnswer(data.subarray(opened.payloadStart))
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      // Nobody got it: an election is under way, and asking again changes nothing twice.
      if (error instanceof BusError && error.code === 'no-responders') {
        return { kind: 'again', reason }
      }
      return rejected('INTERNAL', reason)
    }
  }

  /** The metadata leader's part. */
  async #decide(request: MetadataRequest): Promise<MetadataAnswer> {
    switch (request.kind) {
      case 'create-stream':
        return this.#createStream(request.stream)
      case 'report-leader':
        return this.#reported(request)
      case 'read-index':
        return this.#readIndex()
      case 'expand-isr':
        return this.#expandIsr(request)
      case 'shrink-isr':
      case 'delete-stream':
      case 'pause-stream':
      case 'resume-stream':
      case 'set-stream-readonly':
      case 'join-consumer-group':
      case 'leave-consumer-group':
        return answerOf(await this.#options.metadata.propose(request))
      default:
        return request satisfies never
    }
  }

  async #expandIsr(
    change: Extract<MetadataRequest, { kind: 'expand-isr' }>,
  ): Promise<MetadataAnswer> {
    const { metadata } = this.#options
    const answer = answerOf(await metadata.propose(change))
    if (answer.kind === 'done') this.#failover.admitted(metadata.state, change)
    return answer
  }

  async #createStream(stream: StreamRequest): Promise<MetadataAnswer> {
    const { metadata, clock, streamDefaults } = this.#options
    const planned = planCreateStream(metadata.state, stream, {
      servers: this.#servers(),
      defaults: streamDefaults(),
      limits: LIMITS,
      nowNs: clock.wallNs(),
    })
    if (planned.kind === 'rejected') return planned
    return answerOf(await metadata.propose(planned.operation))
  }

  /** Everything acknowledged before the call is at or below the answer [Raft thesis 6.4]. */
  async #readIndex(): Promise<MetadataAnswer> {
    const { metadata } = this.#options
    try {
      await metadata.barrier()
      return { kind: 'done', index: metadata.state.appliedIndex }
    } catch (error) {
      return rejected('INTERNAL', error instanceof Error ? error.message : String(error))
    }
  }

  #servers(): readonly PlacementServer[] {
    return this.#options.metadata.members.map(({ id }) => ({ id, alive: this.isAlive(id) }))
  }

  async #reported(report: LeaderReport): Promise<MetadataAnswer> {
    const { metadata, clock, logger } = this.#options
    const decision = this.#failover.report(metadata.state, report, clock.monotonicMs())
    switch (decision.kind) {
      case 'rejected':
        return decision
      case 'counted':
        return { kind: 'done', index: 0 }
      case 'shrink':
        return answerOf(await metadata.propose(decision.operation))
      case 'elect': {
        const { stream, partition, leader: newLeader } = decision.operation
        const answer = answerOf(await metadata.propose(decision.operation))
        logger.info('metadata: partition gets another leader', {
          stream,
          partition,
          leader: newLeader,
          reported: report.leader,
          reason: report.reason,
          outcome: answer.kind === 'done' ? 'done' : answer.text,
        })
        return answer
      }
      default:
        return decision satisfies never
    }
  }

  #followLeadership(): void {
    const leads = this.#options.metadata.leadership.kind === 'here' && !this.#stopped
    if (leads && !this.#subscription) {
      this.#failover.clear()
      const { bus, subjects } = this.#options
      this.#subscription = bus.subscribe(subjects.propagate, (message) => this.#serve(message))
    } else if (!leads && this.#subscription) {
      this.#subscription.unsubscribe()
      this.#subscription = undefined
      this.#failover.clear()
    }
  }

  /** Each on its own: a slow creation must not hold up a failover [D-40]. */
  #serve({ data, reply }: BusMessage): void {
    const { logger } = this.#options
    const opened = decodeEnvelopeOf(EnvelopeType.PropagatedRequest, data)
    const decoded =
      opened.kind === 'rejected'
        ? { kind: 'malformed' as const, reason: opened.reason }
        : decodeRequest(data.subarray(opened.payloadStart))
    if (decoded.kind === 'malformed' || reply === '') {
      const reason = decoded.kind === 'malformed' ? decoded.reason : 'no reply subject'
      logger.limited('propagate', 'warn', 'metadata: a forwarded request was dropped', { reason })
      return
    }
    const { request } = decoded
    if (this.#serving >= FORWARDED_MAX) {
      this.#answer(reply, request, rejected('RESOURCE_EXHAUSTED', 'too many metadata operations'))
      return
    }
    this.#serving += 1
    void this.submit(request).then((answer) => {
      this.#serving -= 1
      this.#answer(reply, request, answer)
    })
  }

  #answer(reply: string, request: MetadataRequest, answer: MetadataAnswer): void {
    try {
      const payload = encodeAnswer(request, answer)
      this.#options.bus.publish(reply, encodeEnvelope(EnvelopeType.PropagatedResponse, payload))
    } catch (error) {
      // NATS is gone, or the reply subject is none: the asker meets its deadline.
      this.#options.logger.limited('propagate', 'warn', 'metadata: an answer was lost', { error })
    }
  }
}

const answerOf = (
  proposed: Rejection | { readonly kind: 'applied'; readonly index: LogIndex },
): MetadataAnswer =>
  proposed.kind === 'rejected' ? proposed : { kind: 'done', index: proposed.index }
