/**
 * The other replicas of a partition and the ISR, as their leader keeps them: it takes fetches in,
 * holds those that cannot be answered yet, watches who keeps up, proposes changes of the ISR, and
 * knows whether its server may still lead.
 */
import { committedIsr, isCounted, proposalOf, withPending, type Isr } from './isr.ts'
import type {
  FetchAnswer,
  FetchInput,
  FetchRefusal,
  IsrProposal,
  LeaderStanding,
  MetadataInput,
  ReplicationOptions,
} from './leader-types.ts'
import { fetchProblem, newReplica, noteProgress, release, type Replica } from './replicas.ts'
import type { Offset, ServerId } from './units.ts'

const NOBODY: readonly ServerId[] = []
const NO_ANSWERS: readonly FetchAnswer[] = []
const LEADING: LeaderStanding = { kind: 'leading' }
const ISOLATED: LeaderStanding = { kind: 'isolated' }

/** The whole state, as plain data: for transcripts, and for exploring what could happen next. */
export type ReplicaSetState = {
  readonly isr: Isr
  readonly replicas: readonly Readonly<Replica>[]
  readonly standing: LeaderStanding
  readonly tellAtMs: number
  readonly nowMs: number
}

/** What came out of a step besides offsets. */
export type ReplicaSetOutput = {
  readonly standing: LeaderStanding | undefined
  readonly answers: readonly FetchAnswer[]
  readonly notify: readonly ServerId[]
  readonly propose: IsrProposal | undefined
}

export const NO_OUTPUT: ReplicaSetOutput = {
  standing: undefined,
  answers: NO_ANSWERS,
  notify: NOBODY,
  propose: undefined,
}

export class ReplicaSet {
  readonly #options: ReplicationOptions
  /** First offset of this leadership. */
  readonly #epochStart: Offset
  readonly #replicas: Replica[]
  #isr: Isr
  #standing: LeaderStanding = LEADING
  /** Smallest held offset of the other replicas that count; Infinity when there are none. */
  #bound = Number.POSITIVE_INFINITY
  /** Held fetches and replicas to be notified. */
  #idle = 0
  /** When idle replicas are told of a high watermark that moved; Infinity when they know. */
  #tellAtMs = Number.POSITIVE_INFINITY
  /** The latest time heard of. */
  #nowMs: number
  #output: ReplicaSetOutput = NO_OUTPUT

  constructor(options: ReplicationOptions, epochStart: Offset) {
    this.#options = options
    this.#epochStart = epochStart
    this.#nowMs = options.now
    this.#isr = committedIsr(options.isr, options.partitionEpoch)
    this.#replicas = options.replicas
      .filter((id) => id !== options.serverId)
      .map((id) => newReplica(id, options.now))
    const deposed = this.#find(options.deposed ?? '')
    if (deposed !== undefined) deposed.caughtUpAtMs = options.now - options.maxLagMs - 1
    if (!options.isr.includes(options.serverId)) this.#fence('not-in-isr')
    this.#recount()
  }

  static restore(
    options: ReplicationOptions,
    epochStart: Offset,
    state: ReplicaSetState,
  ): ReplicaSet {
    const set = new ReplicaSet(options, epochStart)
    set.#replicas.splice(0, Infinity, ...state.replicas.map((replica) => ({ ...replica })))
    set.#isr = state.isr
    set.#standing = state.standing
    set.#tellAtMs = state.tellAtMs
    set.#nowMs = state.nowMs
    set.#output = NO_OUTPUT
    set.#recount()
    return set
  }

  get state(): ReplicaSetState {
    return {
      isr: this.#isr,
      replicas: this.#replicas.map((replica) => ({ ...replica })),
      standing: this.#standing,
      tellAtMs: this.#tellAtMs,
      nowMs: this.#nowMs,
    }
  }

  get standing(): LeaderStanding {
    return this.#standing
  }

  /** True when there is another replica. */
  get isShared(): boolean {
    return this.#replicas.length > 0
  }

  /** Members of the ISR that is certain. */
  get isrSize(): number {
    return this.#isr.members.length
  }

  /** The newest offset that all other replicas hold which may be in the ISR [R4]. */
  get bound(): Offset {
    return this.#bound
  }

  /** When the next `tick` is due; Infinity for never. */
  get wakeAt(): number {
    if (this.#standing.kind === 'fenced') return Number.POSITIVE_INFINITY
    let at = this.#tellAtMs
    const { maxLagMs, isolatedAfterMs } = this.#options
    const { pending, members } = this.#isr
    if (pending !== undefined) {
      at = Math.min(at, pending.retryAtMs)
      const isolatedAt = pending.sinceMs + isolatedAfterMs
      if (this.#standing.kind === 'leading' && isolatedAt >= this.#nowMs) {
        at = Math.min(at, isolatedAt + 1)
      }
    }
    for (const replica of this.#replicas) {
      if (replica.waiting !== undefined) at = Math.min(at, replica.waiting.untilMs)
      const isWatched = pending === undefined && members.includes(replica.id)
      if (isWatched) at = Math.min(at, replica.caughtUpAtMs + maxLagMs + 1)
    }
    return at
  }

  /** What came out since the last call. */
  drain(): ReplicaSetOutput {
    const output = this.#output
    this.#output = NO_OUTPUT
    return output
  }

  /** Counts a fetch, or tells why it is not counted. It is answered by `answer`. */
  take(fetch: FetchInput, newestOffset: Offset): FetchRefusal | undefined {
    this.#nowMs = Math.max(this.#nowMs, fetch.now)
    const { leaderEpoch, maxLagMs } = this.#options
    if (this.#standing.kind === 'fenced') return 'not-leading'
    const replica = this.#find(fetch.replicaId)
    if (replica === undefined) return 'unknown-replica'
    // Epoch 0, "any" to Go servers, is none of ours either [G9].
    if (fetch.leaderEpoch < leaderEpoch) return 'stale-epoch'
    if (fetch.leaderEpoch > leaderEpoch) return 'newer-epoch'
    const problem = fetchProblem(replica, fetch, { newestOffset, maxLagMs })
    if (problem !== undefined) return problem
    noteProgress(replica, fetch, newestOffset)
    this.#recount()
    return undefined
  }

  /** Answers a counted fetch: with records if there are any, else held, else empty. */
  answer(fetch: FetchInput, newestOffset: Offset, highWatermark: Offset): void {
    const replica = this.#find(fetch.replicaId)
    if (replica === undefined) return
    this.#release(replica, highWatermark, 'superseded')
    replica.notify = false
    const answer = { token: fetch.token, replicaId: replica.id, highWatermark }
    const maxWaitMs = Math.min(fetch.maxWaitMs ?? 0, this.#options.maxLagMs / 3)
    if (fetch.offset < newestOffset) {
      replica.toldHighWatermark = highWatermark
      this.#answers([{ ...answer, kind: 'serve', fromOffset: fetch.offset + 1 }])
    } else if (maxWaitMs > 0) {
      const { token, offset } = fetch
      replica.waiting = { token, offset, untilMs: fetch.now + maxWaitMs }
      if (replica.toldHighWatermark < highWatermark) this.#tellLater()
    } else {
      replica.toldHighWatermark = highWatermark
      replica.notify = fetch.maxWaitMs === undefined
      this.#answers([{ ...answer, kind: 'empty' }])
    }
    this.#countIdle()
  }

  refuse(fetch: FetchInput, reason: FetchRefusal, highWatermark: Offset): void {
    const { token, replicaId } = fetch
    this.#answers([{ kind: 'refuse', token, replicaId, highWatermark, reason }])
  }

  /** Records were written: whoever waits for some gets them. Costs one comparison when nobody does. */
  onWritten(highWatermark: Offset): void {
    if (this.#idle === 0) return
    const notify: ServerId[] = []
    for (const replica of this.#replicas) {
      this.#release(replica, highWatermark, 'serve')
      if (replica.notify) notify.push(replica.id)
      replica.notify = false
    }
    if (notify.length > 0) this.#output = { ...this.#output, notify }
    this.#countIdle()
  }

  onHighWatermarkMoved(): void {
    if (this.#idle > 0) this.#tellLater()
  }

  /** The servers agreed on something; stale news is ignored. */
  onMetadata(metadata: MetadataInput): void {
    this.#nowMs = Math.max(this.#nowMs, metadata.now)
    const { leaderEpoch, serverId } = this.#options
    if (metadata.leaderEpoch < leaderEpoch || this.#standing.kind === 'fenced') return
    if (metadata.leaderEpoch > leaderEpoch || metadata.leader !== serverId) {
      this.#fence('deposed')
      return
    }
    if (metadata.partitionEpoch <= this.#isr.partitionEpoch) return
    this.#isr = committedIsr(metadata.isr, metadata.partitionEpoch)
    if (!metadata.isr.includes(serverId)) this.#fence('not-in-isr')
    this.#recount()
  }

  onIsrAnswered(partitionEpoch: number, applied: boolean, now: number): void {
    this.#nowMs = Math.max(this.#nowMs, now)
    const { pending } = this.#isr
    if (applied || pending === undefined || partitionEpoch !== this.#isr.partitionEpoch) return
    const retryAtMs = now + this.#options.proposalRetryMs
    this.#isr = { ...this.#isr, pending: { ...pending, retryAtMs } }
  }

  /** Everything that time brings about, and what new offsets allow; called after each such step. */
  review(highWatermark: Offset, now: number): void {
    this.#nowMs = Math.max(this.#nowMs, now)
    if (this.#standing.kind === 'fenced') {
      for (const replica of this.#replicas) this.#release(replica, highWatermark, 'not-leading')
      this.#countIdle()
      return
    }
    this.#releaseDue(highWatermark)
    this.#reviewIsr(highWatermark)
    this.#reviewStanding()
  }

  #releaseDue(highWatermark: Offset): void {
    if (this.#idle === 0) return
    const tell = this.#tellAtMs <= this.#nowMs
    if (tell) this.#tellAtMs = Number.POSITIVE_INFINITY
    for (const replica of this.#replicas) {
      const { waiting, toldHighWatermark } = replica
      if (waiting === undefined) continue
      const isDue = waiting.untilMs <= this.#nowMs || (tell && toldHighWatermark < highWatermark)
      if (isDue) this.#release(replica, highWatermark, 'empty')
    }
    this.#countIdle()
  }

  #reviewIsr(highWatermark: Offset): void {
    const { pending } = this.#isr
    if (pending !== undefined) {
      if (pending.retryAtMs <= this.#nowMs) this.#propose(this.#isr.kind, pending.replica)
      return
    }
    const leaving = this.#replicas.find((replica) => this.#mustLeave(replica, highWatermark))
    if (leaving !== undefined) {
      this.#propose('pending-shrink', leaving.id)
      return
    }
    const joining = this.#replicas.find((replica) => this.#mayJoin(replica, highWatermark))
    if (joining !== undefined) this.#propose('pending-expand', joining.id)
  }

  /** A member that lags, or that has lost what it was counted for [KIP-903, R8]. */
  #mustLeave(replica: Replica, highWatermark: Offset): boolean {
    if (!this.#isr.members.includes(replica.id)) return false
    const isLagging = this.#nowMs - replica.caughtUpAtMs > this.#options.maxLagMs
    return isLagging || (replica.known && replica.held < highWatermark)
  }

  /**
   * A replica joins only with everything that is committed, and with everything that was there
   * when this leadership began: its high watermark may be behind the true one [LB 7.A4, KIP-966].
   */
  #mayJoin(replica: Replica, highWatermark: Offset): boolean {
    if (this.#isr.members.includes(replica.id) || !replica.caughtUp) return false
    if (this.#nowMs - replica.caughtUpAtMs > this.#options.maxLagMs) return false
    return replica.held >= highWatermark && replica.held + 1 >= this.#epochStart
  }

  #propose(kind: Isr['kind'], id: ServerId): void {
    if (kind === 'committed') return
    const now = this.#nowMs
    this.#isr = withPending(this.#isr, kind, {
      replica: id,
      incarnation: this.#isr.pending?.incarnation ?? this.#find(id)?.incarnation,
      sinceMs: this.#isr.pending?.sinceMs ?? now,
      // Sooner when the driver says that it failed.
      retryAtMs: now + this.#options.isolatedAfterMs,
    })
    const propose = proposalOf(this.#isr, this.#options.leaderEpoch)
    this.#output = { ...this.#output, propose }
    this.#recount()
  }

  #reviewStanding(): void {
    const { maxLagMs, isolatedAfterMs } = this.#options
    const { pending, members } = this.#isr
    const isIsolated =
      pending !== undefined &&
      this.#nowMs - pending.sinceMs > isolatedAfterMs &&
      this.#replicas.some(
        ({ id, fetchedAtMs }) => members.includes(id) && this.#nowMs - fetchedAtMs > maxLagMs,
      )
    if (isIsolated !== (this.#standing.kind === 'isolated')) {
      this.#stand(isIsolated ? ISOLATED : LEADING)
    }
  }

  #fence(reason: 'deposed' | 'not-in-isr'): void {
    this.#stand({ kind: 'fenced', reason })
  }

  #stand(standing: LeaderStanding): void {
    this.#standing = standing
    this.#output = { ...this.#output, standing }
  }

  #tellLater(): void {
    this.#tellAtMs = Math.min(this.#tellAtMs, this.#nowMs + this.#options.highWatermarkDelayMs)
  }

  #release(replica: Replica, highWatermark: Offset, how: 'serve' | 'empty' | FetchRefusal): void {
    if (replica.waiting !== undefined) this.#answers(release(replica, highWatermark, how))
  }

  #answers(more: readonly FetchAnswer[]): void {
    this.#output = { ...this.#output, answers: [...this.#output.answers, ...more] }
  }

  #find(id: ServerId): Replica | undefined {
    return this.#replicas.find((replica) => replica.id === id)
  }

  #countIdle(): void {
    this.#idle = this.#replicas.filter(({ waiting, notify }) => waiting || notify).length
    if (this.#idle === 0) this.#tellAtMs = Number.POSITIVE_INFINITY
  }

  #recount(): void {
    let bound = Number.POSITIVE_INFINITY
    for (const replica of this.#replicas) {
      if (isCounted(this.#isr, replica.id)) bound = Math.min(bound, replica.held)
    }
    this.#bound = bound
    this.#countIdle()
  }
}
