/**
 * One term of following a leader: drives the follower core. It asks the leader where their logs
 * part, cuts its own there, and then fetches, appends and syncs, one fetch at a time. A response
 * that is corrupt, late or of another leadership costs that request and nothing else.
 */
import { LogError, type CommitLog } from '@liftbridge/log'
import {
  PartitionFollower,
  type EpochRequest,
  type FetchRequest,
  type FollowerFault,
  type FollowerInput,
  type FollowerOptions,
  type FollowerOutput,
  type LogView,
} from '@liftbridge/replication'
import {
  decodeLeaderEpochOffsetResponse,
  decodeReplicationResponse,
  encodeLeaderEpochOffsetRequest,
  encodeReplicationRequest,
  type ClusterSubjects,
} from '@liftbridge/wire'
import { BusError, type Bus } from '../bus.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logging/logger.ts'
import { SyncLoop } from '../partition/sync-loop.ts'
import { WakeTimer } from './wake-timer.ts'

export type FollowingOptions = {
  readonly stream: string
  readonly partition: number
  /** What the core is told at birth besides the log and the time. */
  readonly core: Omit<FollowerOptions, 'log' | 'now'>
  readonly log: CommitLog
  readonly bus: Bus
  readonly subjects: ClusterSubjects
  readonly clock: Clock
  readonly logger: Logger
  /** The leader is silent: the metadata leader should know. Must not throw. */
  readonly reportLeader: () => void
  /** The log, which lacked records, has everything now. */
  readonly onProven: () => void
  /** The log cannot go on. */
  readonly onFailed: (reason: string, error: unknown) => void
  /** The log contradicts its leader's: nothing is touched any more, an operator has to look [R6]. */
  readonly onFault: (fault: FollowerFault) => void
}

export class Following {
  readonly #options: FollowingOptions
  readonly #core: PartitionFollower
  readonly #syncs: SyncLoop
  readonly #wakes: WakeTimer
  /** Records of the latest response, until they are appended. */
  #records: Uint8Array | undefined
  /** An append or a truncation under way. */
  #writing: Promise<void> = Promise.resolve()
  /** The request that waits for its answer; 0 when none does. */
  #requestId = 0
  /** Appends in a row that the log did not take. */
  #refusals = 0
  #ended = false

  constructor(options: FollowingOptions) {
    const { log, clock } = options
    this.#options = options
    this.#core = new PartitionFollower({
      ...options.core,
      log: viewOf(log),
      now: clock.monotonicMs(),
    })
    this.#syncs = new SyncLoop({
      log,
      onSynced: (offset) => this.#step({ kind: 'synced', offset, now: this.#now }),
      onFailed: (error) => this.#fail('the log could not be synced', error),
    })
    this.#wakes = new WakeTimer(clock, () => this.#step({ kind: 'tick', now: this.#now }))
  }

  /** Whether nothing that this replica was counted for is missing from its log, as far as known. */
  get proven(): boolean {
    return this.#core.proven
  }

  begin(): void {
    this.#step({ kind: 'tick', now: this.#now })
  }

  /** The leader says that there is something to fetch. */
  notified(): void {
    this.#step({ kind: 'notified', now: this.#now })
  }

  /** NATS is there again: a request that was under way is not waited for any longer. */
  reconnected(): void {
    if (this.#requestId !== 0) this.#requestFailed(this.#requestId, undefined)
  }

  /** Nothing is stepped any more; work in the log's hands may still be, until `stop` resolves. */
  end(): void {
    this.#ended = true
    this.#wakes.end()
    this.#syncs.end()
    this.#records = undefined
  }

  /** Ends, and resolves when the log is no longer touched. */
  async stop(): Promise<void> {
    this.end()
    await this.#writing
    await this.#syncs.settled()
  }

  get #now(): number {
    return this.#options.clock.monotonicMs()
  }

  #step(input: FollowerInput): void {
    if (this.#ended) return
    const { proven } = this.#core
    try {
      this.#carryOut(this.#core.step(input))
      if (!proven && this.#core.proven) this.#options.onProven()
    } catch (error) {
      this.#fail('an invariant is broken', error)
    }
  }

  #carryOut(output: FollowerOutput): void {
    const { fault, truncateTo, append, sync, highWatermark, ask, fetch, reportLeader } = output
    if (fault !== undefined) {
      this.end()
      this.#options.onFault(fault)
      return
    }
    if (truncateTo >= 0) this.#writing = this.#truncate(truncateTo)
    if (append !== undefined) this.#writing = this.#append(append)
    if (sync) this.#syncs.request()
    if (highWatermark >= 0) this.#options.log.advanceHighWatermark(highWatermark)
    // These two never reject.
    if (ask !== undefined) void this.#ask(ask)
    if (fetch !== undefined) void this.#fetch(fetch)
    if (reportLeader) this.#options.reportLeader()
    this.#wakes.by(this.#core.wakeAt)
  }

  /** Never rejects. */
  async #truncate(offset: number): Promise<void> {
    const { log, logger } = this.#options
    const { newestOffset, highWatermark } = log
    try {
      await log.truncate(offset)
    } catch (error) {
      this.#fail('the log could not be truncated', error)
      return
    }
    const text = 'replication: records that the leader does not have were removed'
    const cut = { ...this.#at(), from: offset, to: newestOffset }
    // With `streams.sync.policy: never` a power cut may take committed records from the leader.
    if (offset <= highWatermark) logger.error(`${text}, committed ones too`, cut)
    else logger.info(text, cut)
    this.#step({ kind: 'truncated', log: viewOf(log), now: this.#now })
  }

  /** Never rejects. */
  async #append({ gaps, restart }: NonNullable<FollowerOutput['append']>): Promise<void> {
    const { log, core } = this.#options
    const records = this.#records
    this.#records = undefined
    try {
      if (records === undefined) throw new LogError('rejected', 'no records to append')
      if (restart === true) await this.#restart()
      await log.appendRaw(records, { leaderEpoch: core.leaderEpoch, gaps })
    } catch (error) {
      this.#onAppendFailed(error)
      return
    }
    this.#refusals = 0
    this.#step({ kind: 'appended', log: viewOf(log), now: this.#now })
  }

  /** A crash in the middle leaves a shorter log, whose end is as far behind the leader's start. */
  async #restart(): Promise<void> {
    const { log, logger } = this.#options
    const { oldestOffset: from, newestOffset: to } = log
    logger.warn('replication: records older than all that the leader kept were removed', {
      ...this.#at(),
      from,
      to,
    })
    await log.truncate(0)
  }

  /** Records that do not verify, or a full disk, leave the log as it was [R9, T4]. */
  #onAppendFailed(error: unknown): void {
    const { log, logger, stream, partition, core, clock } = this.#options
    if (this.#ended) return
    if (log.state !== 'open') {
      this.#fail('the log cannot be written', error)
      return
    }
    logger.limited(`follow ${stream} ${partition}`, 'error', 'replication: append refused', {
      ...this.#at(),
      error,
    })
    // The leader answers every attempt, so the core sees no reason to ask less often; the log is one.
    const { retryMinMs, retryMaxMs } = core
    const pauseMs = Math.min(retryMinMs * 2 ** Math.min(this.#refusals, 16), retryMaxMs)
    this.#refusals++
    clock.after(pauseMs, () => {
      this.#step({ kind: 'append-refused', log: viewOf(log), now: this.#now })
    })
  }

  /** Never rejects. */
  async #ask(request: EpochRequest): Promise<void> {
    const { stream, partition, subjects, core } = this.#options
    const { requestId, epoch, leaderEpoch } = request
    const payload = encodeLeaderEpochOffsetRequest({
      epoch: Math.max(0, epoch),
      replicaId: core.serverId,
      leaderEpoch,
      incarnation: core.incarnation,
    })
    const subject = subjects.leaderEpochOffset(stream, partition)
    this.#requestId = requestId
    const answer = await this.#request(subject, payload, core.requestTimeoutMs)
    if (!this.#isAwaited(requestId)) return
    const decoded = answer && decodeLeaderEpochOffsetResponse(answer)
    if (decoded?.kind !== 'message') {
      this.#requestFailed(requestId, decoded?.reason)
      return
    }
    const { endOffset, fence } = decoded.message
    this.#step({
      kind: 'epoch-answer',
      requestId,
      endOffset,
      ...(fence === undefined
        ? {}
        : { leaderId: fence.leaderId, leaderEpoch: fence.leaderEpoch, epoch: fence.epoch }),
      now: this.#now,
    })
  }

  /** Never rejects. */
  async #fetch(request: FetchRequest): Promise<void> {
    const { stream, partition, subjects, core } = this.#options
    const { requestId, maxWaitMs } = request
    const payload = encodeReplicationRequest(request)
    const subject = subjects.replicate(stream, partition)
    this.#requestId = requestId
    const answer = await this.#request(subject, payload, core.requestTimeoutMs + maxWaitMs)
    if (!this.#isAwaited(requestId)) return
    const decoded = answer && decodeReplicationResponse(answer)
    if (decoded?.kind !== 'message') {
      this.#requestFailed(requestId, decoded?.reason)
      return
    }
    const { leaderEpoch, highWatermark, bounds, records, range } = decoded.message
    this.#records = records
    this.#step({
      kind: 'fetched',
      requestId,
      leaderEpoch,
      highWatermark,
      records: range,
      ...bounds,
      now: this.#now,
    })
    this.#records = undefined
  }

  /** Whether the end of this request still matters; it has come. */
  #isAwaited(requestId: number): boolean {
    if (this.#ended || this.#requestId !== requestId) return false
    this.#requestId = 0
    return true
  }

  /** The answer's bytes; undefined when there was none. */
  async #request(
    subject: string,
    payload: Uint8Array,
    timeoutMs: number,
  ): Promise<Uint8Array | undefined> {
    try {
      return (await this.#options.bus.request(subject, payload, timeoutMs)).data
    } catch (error) {
      if (error instanceof BusError) return undefined
      this.#fail('an invariant is broken', error)
      return undefined
    }
  }

  #requestFailed(requestId: number, reason: string | undefined): void {
    if (reason !== undefined) {
      const { stream, partition, logger } = this.#options
      const key = `follow ${stream} ${partition}`
      logger.limited(key, 'warn', 'replication: a response was dropped', { ...this.#at(), reason })
    }
    if (this.#requestId === requestId) this.#requestId = 0
    this.#step({ kind: 'request-failed', requestId, now: this.#now })
  }

  #fail(reason: string, error: unknown): void {
    if (this.#ended) return
    this.end()
    this.#options.onFailed(reason, error)
  }

  #at(): Record<string, string | number> {
    const { stream, partition, core } = this.#options
    return { stream, partition, leader: core.leaderId, epoch: core.leaderEpoch }
  }
}

function viewOf(log: CommitLog): LogView {
  const { newestOffset, syncedOffset, highWatermark, epochs } = log
  return { newestOffset, syncedOffset, highWatermark, epochs }
}
