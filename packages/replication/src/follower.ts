/**
 * A follower of one partition under one leadership, as a pure state machine. A new leadership gets
 * a new follower, which starts from the log as it is.
 *
 *     asking ──answers──> cutting ──truncated──> syncing ──synced──> fetching ──records──> appending
 *       ^  (until the logs agree)                   ^                    │                     │
 *       └──────── a request or an append failed ────┼────────────────────┘                     │
 *                                                   └────────────────appended──────────────────┘
 *
 * Invariants: nothing is removed but what a fenced answer of this very leadership rules out, and
 * never at or below the high watermark, unless nothing is ever synced; an unreachable leader is
 * waited for [R6]. Records are
 * appended only at the end of the log, with epochs that neither fall nor exceed the leader's [R9].
 * The offset that a fetch tells is durable, unless the sync policy is `never` [R4]. The high
 * watermark is the smaller of the leader's and the own end, and is taken over only when the logs
 * agree [R3, LB 7.A6]. At most one request is under way.
 */
import { latestEpoch } from './epochs.ts'
import type {
  EpochAnswerInput,
  FetchedInput,
  FetchedRecords,
  FollowerFault,
  FollowerInput,
  FollowerOptions,
  FollowerOutput,
  LogView,
} from './follower-types.ts'
import { continueSearch, type Search } from './truncation.ts'
import { NO_OFFSET, type Offset } from './units.ts'

/** What the follower is busy with. */
export type FollowerPhase =
  | { readonly kind: 'asking'; readonly search: Search }
  | { readonly kind: 'cutting'; readonly end: Offset }
  | { readonly kind: 'syncing' }
  | { readonly kind: 'fetching' }
  | { readonly kind: 'appending'; readonly lastOffset: Offset }
  /** The log knows a newer leader than the one to follow: newer metadata will come. */
  | { readonly kind: 'outdated' }
  | { readonly kind: 'faulted'; readonly fault: FollowerFault }

/** The whole state, as plain data: for transcripts, and for exploring what could happen next. */
export type FollowerState = {
  readonly phase: FollowerPhase
  readonly log: LogView
  /** The request under way. */
  readonly request: PendingRequest | undefined
  readonly lastRequestId: number
  /** When the next request may be sent. */
  readonly resumeAtMs: number
  /** Attempts that failed in a row. */
  readonly failures: number
  readonly leaderSeenAtMs: number
  readonly reportAtMs: number
  /** The newest high watermark that the leader told, and what it held then; Infinity: not known. */
  readonly leaderHighWatermark: Offset
  readonly leaderNewestOffset: Offset
  readonly proven: boolean
  /** The leader said that there is something, while a request was under way. */
  readonly notified: boolean
}

type PendingRequest = {
  readonly id: number
  readonly sentAtMs: number
  readonly deadlineMs: number
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] }

const NOTHING: FollowerOutput = {
  fault: undefined,
  truncateTo: NO_OFFSET,
  append: undefined,
  sync: false,
  highWatermark: NO_OFFSET,
  ask: undefined,
  fetch: undefined,
  reportLeader: false,
}

export class PartitionFollower {
  readonly #options: FollowerOptions
  #state: Mutable<FollowerState>
  #output: Mutable<FollowerOutput> = { ...NOTHING }

  constructor(options: FollowerOptions) {
    const { log, leaderEpoch, now } = options
    const isOutdated = latestEpoch(log.epochs) > leaderEpoch
    this.#options = options
    this.#state = {
      phase: isOutdated ? { kind: 'outdated' } : this.#beginSearch(log),
      log,
      request: undefined,
      lastRequestId: 0,
      resumeAtMs: now,
      failures: 0,
      leaderSeenAtMs: now,
      reportAtMs: now,
      leaderHighWatermark: NO_OFFSET,
      leaderNewestOffset: Number.POSITIVE_INFINITY,
      proven: options.proven,
      notified: false,
    }
  }

  /** A follower in a given state; `options` are those of its birth. */
  static restore(options: FollowerOptions, state: FollowerState): PartitionFollower {
    const follower = new PartitionFollower(options)
    follower.#state = { ...state }
    return follower
  }

  get state(): FollowerState {
    return { ...this.#state }
  }

  get phase(): FollowerPhase {
    return this.#state.phase
  }

  /**
   * True when nothing that this replica was ever counted for can be missing: it was so at the
   * start, or it has since held everything that a leader of this epoch had [R8].
   */
  get proven(): boolean {
    return this.#state.proven
  }

  get highWatermark(): Offset {
    return this.#state.log.highWatermark
  }

  /** When the next `tick` is due; may change with every step. */
  get wakeAt(): number {
    const { phase, request, resumeAtMs, leaderSeenAtMs, reportAtMs } = this.#state
    if (phase.kind === 'faulted' || phase.kind === 'outdated') return Number.POSITIVE_INFINITY
    const reportAt = Math.max(leaderSeenAtMs + this.#options.maxLeaderTimeoutMs + 1, reportAtMs)
    if (request !== undefined) return Math.min(reportAt, request.deadlineMs)
    return isSending(phase) ? Math.min(reportAt, resumeAtMs) : reportAt
  }

  step(input: FollowerInput): FollowerOutput {
    this.#output = { ...NOTHING }
    const { kind } = this.#state.phase
    if (kind === 'faulted' || kind === 'outdated') return this.#output
    this.#take(input)
    this.#proceed(input.now)
    return this.#output
  }

  #take(input: FollowerInput): void {
    switch (input.kind) {
      case 'tick':
        return this.#onTick(input.now)
      case 'epoch-answer':
        return this.#onEpochAnswer(input)
      case 'fetched':
        return this.#onFetched(input)
      case 'request-failed':
        if (input.requestId === this.#state.request?.id) this.#fail(input.now)
        return undefined
      case 'truncated':
        return this.#onTruncated(input.log)
      case 'appended':
        return this.#onAppended(input.log)
      case 'append-refused':
        return this.#onAppendRefused(input.log, input.now)
      case 'synced':
        return this.#onSynced(input.offset)
      case 'notified':
        return this.#onNotified(input.now)
      default:
        return input satisfies never
    }
  }

  #onTick(now: number): void {
    const { request, leaderSeenAtMs, reportAtMs } = this.#state
    if (request !== undefined && request.deadlineMs <= now) this.#fail(now)
    const isSilent = now - leaderSeenAtMs > this.#options.maxLeaderTimeoutMs
    if (!isSilent || now < reportAtMs) return
    this.#state.reportAtMs = now + this.#options.reportEveryMs
    this.#output.reportLeader = true
  }

  #onEpochAnswer(answer: EpochAnswerInput): void {
    const state = this.#state
    const { phase, log } = state
    if (phase.kind !== 'asking' || answer.requestId !== state.request?.id) return
    if (!this.#isFromLeader(answer)) return this.#fail(answer.now)
    const step = continueSearch(log, phase.search, answer, this.#options.syncPolicy)
    if (step.kind === 'senseless') return this.#fail(answer.now)
    this.#heard(answer.now)
    switch (step.kind) {
      case 'ask':
        state.phase = { kind: 'asking', search: step.search }
        return undefined
      case 'fault':
        state.phase = { kind: 'faulted', fault: step.fault }
        this.#output.fault = step.fault
        return undefined
      case 'agreed':
        return this.#cut(step.end)
      default:
        return step satisfies never
    }
  }

  /** An answer that echoes who leads must echo this leadership [R6]; a Go server echoes nothing. */
  #isFromLeader({ leaderId, leaderEpoch }: EpochAnswerInput): boolean {
    if (leaderId !== undefined && leaderId !== this.#options.leaderId) return false
    return leaderEpoch === undefined || leaderEpoch === this.#options.leaderEpoch
  }

  #cut(end: Offset): void {
    const { newestOffset, epochs } = this.#state.log
    // An epoch without records that begins there goes too: what follows may be older than it.
    const hasEmptyEpoch = epochs.some(({ start }) => start >= end)
    if (end > newestOffset && !hasEmptyEpoch) return this.#makeDurable()
    this.#state.phase = { kind: 'cutting', end }
    this.#output.truncateTo = end
  }

  #onTruncated(log: LogView): void {
    const { phase } = this.#state
    if (phase.kind !== 'cutting') return
    this.#see(log)
    const highWatermark = Math.min(this.#state.log.highWatermark, log.newestOffset)
    this.#state.log = { ...this.#state.log, highWatermark }
    // A log that still has what had to go is not what was agreed on: ask again.
    if (log.newestOffset >= phase.end) this.#state.phase = this.#beginSearch(log)
    else this.#makeDurable()
  }

  /** What is there must be durable before a fetch tells of it. */
  #makeDurable(): void {
    const { log } = this.#state
    if (this.#options.syncPolicy === 'never' || log.syncedOffset >= log.newestOffset) {
      this.#beginFetching()
      return
    }
    this.#state.phase = { kind: 'syncing' }
    this.#output.sync = true
  }

  #onSynced(offset: Offset): void {
    const { log, phase } = this.#state
    const syncedOffset = Math.max(log.syncedOffset, Math.min(offset, log.newestOffset))
    this.#state.log = { ...log, syncedOffset }
    if (phase.kind === 'syncing') this.#makeDurable()
  }

  #beginFetching(): void {
    this.#state.phase = { kind: 'fetching' }
    this.#notePossession()
  }

  #onFetched(answer: FetchedInput): void {
    const state = this.#state
    if (state.phase.kind !== 'fetching' || answer.requestId !== state.request?.id) return
    if (answer.leaderEpoch !== this.#options.leaderEpoch) return this.#fail(answer.now)
    const { records } = answer
    const gaps = records === undefined ? false : this.#fits(answer)
    if (gaps === undefined) return this.#fail(answer.now)
    const sentAtMs = state.request.sentAtMs
    const hasNews = answer.highWatermark > state.leaderHighWatermark || state.notified
    this.#heard(answer.now)
    state.leaderHighWatermark = Math.max(state.leaderHighWatermark, answer.highWatermark)
    // A Go server shows that there is no more by sending nothing.
    const newest = records === undefined ? state.log.newestOffset : Number.POSITIVE_INFINITY
    state.leaderNewestOffset = answer.newestOffset ?? newest
    state.notified = false
    this.#raiseHighWatermark()
    if (records === undefined) {
      this.#notePossession()
      // An answer that was held, or that brought news, is followed by the next request at once.
      const wasHeld = answer.now - sentAtMs >= this.#options.maxWaitMs / 2
      if (!wasHeld && !hasNews) state.resumeAtMs = answer.now + this.#options.idleWaitMs
      return
    }
    state.phase = { kind: 'appending', lastOffset: records.lastOffset }
    // Old records before a hole would be served to others as if nothing were missing between.
    const { newestOffset } = state.log
    const restart = newestOffset !== NO_OFFSET && this.#isJump(records, answer.oldestOffset)
    this.#output.append = restart ? { gaps, restart } : { gaps }
  }

  /** Whether the records may be appended [R9], and if so whether offsets may be missing. */
  #fits({ records, oldestOffset }: FetchedInput): boolean | undefined {
    if (records === undefined) return undefined
    const { log } = this.#state
    const { firstOffset, lastOffset, firstEpoch, lastEpoch } = records
    const next = log.newestOffset + 1
    const gaps = this.#options.gaps || this.#isJump(records, oldestOffset)
    if (firstOffset < next || lastOffset < firstOffset || (firstOffset > next && !gaps)) {
      return undefined
    }
    const isOrdered = latestEpoch(log.epochs) <= firstEpoch && firstEpoch <= lastEpoch
    return isOrdered && lastEpoch <= this.#options.leaderEpoch ? gaps : undefined
  }

  /** The leader's log begins later than ours ends: retention removed what we miss. */
  #isJump({ firstOffset }: FetchedRecords, oldestOffset: Offset | undefined): boolean {
    return firstOffset > this.#state.log.newestOffset + 1 && firstOffset === oldestOffset
  }

  #onAppended(log: LogView): void {
    if (this.#state.phase.kind !== 'appending') return
    this.#see(log)
    this.#raiseHighWatermark()
    this.#makeDurable()
  }

  #onAppendRefused(log: LogView, now: number): void {
    if (this.#state.phase.kind !== 'appending') return
    this.#see(log)
    this.#fail(now)
  }

  #see(log: LogView): void {
    const highWatermark = Math.max(log.highWatermark, this.#state.log.highWatermark)
    this.#state.log = { ...log, highWatermark }
  }

  #onNotified(now: number): void {
    if (this.#state.request !== undefined) this.#state.notified = true
    else if (this.#state.phase.kind === 'fetching') {
      this.#state.resumeAtMs = Math.min(this.#state.resumeAtMs, now)
    }
  }

  /** The request under way has been answered by the leader. */
  #heard(now: number): void {
    const state = this.#state
    state.request = undefined
    state.failures = 0
    state.resumeAtMs = now
    state.leaderSeenAtMs = now
  }

  /** Something went wrong: after a pause, find out anew how far the logs agree. */
  #fail(now: number): void {
    const state = this.#state
    const { retryMinMs, retryMaxMs } = this.#options
    state.request = undefined
    state.resumeAtMs = now + Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(state.failures, 30))
    state.failures += 1
    state.phase = this.#beginSearch(state.log)
  }

  #beginSearch(log: LogView): FollowerPhase {
    // There is nothing to disagree on.
    if (log.newestOffset === NO_OFFSET && log.epochs.length === 0) return { kind: 'fetching' }
    const epoch = Math.max(latestEpoch(log.epochs), 0)
    return { kind: 'asking', search: { epoch, limit: log.newestOffset + 1 } }
  }

  #raiseHighWatermark(): void {
    const { log, leaderHighWatermark } = this.#state
    const highWatermark = Math.min(leaderHighWatermark, log.newestOffset)
    if (highWatermark <= log.highWatermark) return
    this.#state.log = { ...log, highWatermark }
    this.#output.highWatermark = highWatermark
  }

  /** Whoever holds, durably, all that the leader of this epoch had is as good as anyone [R8]. */
  #notePossession(): void {
    const { log, leaderHighWatermark, leaderNewestOffset } = this.#state
    if (log.newestOffset >= Math.max(leaderHighWatermark, leaderNewestOffset)) {
      this.#state.proven = true
    }
  }

  /** Sends the next request when it is time. */
  #proceed(now: number): void {
    const { phase, request, resumeAtMs, lastRequestId } = this.#state
    if (request !== undefined || now < resumeAtMs || !isSending(phase)) return
    const { requestTimeoutMs, maxWaitMs, leaderEpoch, serverId, incarnation } = this.#options
    const requestId = lastRequestId + 1
    const isFetch = phase.kind === 'fetching'
    const deadlineMs = now + requestTimeoutMs + (isFetch ? maxWaitMs : 0)
    this.#state.request = { id: requestId, sentAtMs: now, deadlineMs }
    this.#state.lastRequestId = requestId
    if (phase.kind === 'asking') {
      this.#output.ask = { requestId, leaderEpoch, epoch: phase.search.epoch }
      return
    }
    const { newestOffset: offset, syncedOffset: synced } = this.#state.log
    const syncedOffset = this.#options.syncPolicy === 'never' ? offset : synced
    const possession = { offset, syncedOffset, incarnation }
    this.#output.fetch = { requestId, replicaId: serverId, leaderEpoch, maxWaitMs, ...possession }
  }
}

function isSending(phase: FollowerPhase): boolean {
  return phase.kind === 'asking' || phase.kind === 'fetching'
}
