/**
 * The leader of one partition, as a pure state machine: it turns what was written, what was made
 * durable and what replicas hold into a high watermark, into the acknowledgements that are due,
 * into answers to fetches, and into proposals to change the ISR.
 *
 * Terms. *Written*: the record is in the leader's log file. *Synced*: fdatasync has returned.
 * *Held offset* of a replica: the newest offset it may be counted for. Of another replica that is
 * what its fetches tell, and before its first fetch in this leadership it is -1 [LB 7.A5]. Of the
 * leader itself it depends on the sync policy:
 *
 * | policy     | several replicas | the only replica                                            |
 * |------------|------------------|-------------------------------------------------------------|
 * | `always`   | synced           | synced                                                      |
 * | `interval` | synced           | written, but not past an unsynced record with AckPolicy ALL |
 * | `never`    | written          | written                                                     |
 *
 * Invariants: the high watermark never falls [R4], never passes what a member of the ISR holds
 * [R4], does not move while the ISR is smaller than min ISR [R5]; a record with AckPolicy ALL is
 * acknowledged only at or below the high watermark and, unless the policy is `never`, only when it
 * is synced here [D1, D2]. A leader that was deposed, or is not in the ISR, acknowledges and
 * answers nothing any more [E2, #354].
 */
import type {
  FetchInput,
  LeaderInput,
  LeaderOptions,
  LeaderOutput,
  LeaderStanding,
  MetadataInput,
} from './leader-types.ts'
import { NO_OUTPUT, ReplicaSet, type ReplicaSetState } from './replica-set.ts'
import { NO_OFFSET, type Offset, type SyncPolicy } from './units.ts'

const LEADING: LeaderStanding = { kind: 'leading' }

/** The whole state, as plain data: for transcripts, and for exploring what could happen next. */
export type LeaderState = {
  readonly written: Offset
  readonly synced: Offset
  readonly highWatermark: Offset
  readonly ackedAll: Offset
  readonly ackableLeader: Offset
  readonly firstUnsyncedAll: Offset
  readonly lastWrittenAll: Offset
  readonly replicas: ReplicaSetState | undefined
}

export class PartitionLeader {
  readonly #policy: SyncPolicy
  readonly #minIsr: number
  /** Members of the ISR of a leader without `replication`. */
  readonly #isrSize: number
  /** The other replicas and the ISR. */
  #replicas: ReplicaSet | undefined
  /** True when there are other replicas. */
  readonly #isShared: boolean
  #written: Offset
  #synced: Offset
  #highWatermark: Offset
  #ackedAll: Offset
  /** Acks to LEADER that are withheld while isolated go up to here; -1 for none. */
  #ackableLeader: Offset = NO_OFFSET
  /** First record with AckPolicy ALL that is not synced, -1 when there is none. */
  #firstUnsyncedAll: Offset = NO_OFFSET
  /** The last of them, so that one sync that covers it clears the mark. */
  #lastWrittenAll: Offset = NO_OFFSET

  constructor(options: LeaderOptions) {
    const { replication } = options
    this.#policy = options.syncPolicy
    this.#minIsr = options.minIsr
    this.#isrSize = options.isrSize ?? 1
    this.#written = options.newestOffset
    this.#synced = Math.min(options.syncedOffset, options.newestOffset)
    this.#highWatermark = options.highWatermark
    this.#ackedAll = options.highWatermark
    this.#replicas = replication && new ReplicaSet(replication, options.newestOffset + 1)
    this.#isShared = this.#replicas?.isShared ?? false
  }

  /** A leader in a given state; `options` are those of its birth. */
  static restore(options: LeaderOptions, state: LeaderState): PartitionLeader {
    const leader = new PartitionLeader(options)
    leader.#written = state.written
    leader.#synced = state.synced
    leader.#highWatermark = state.highWatermark
    leader.#ackedAll = state.ackedAll
    leader.#ackableLeader = state.ackableLeader
    leader.#firstUnsyncedAll = state.firstUnsyncedAll
    leader.#lastWrittenAll = state.lastWrittenAll
    if (options.replication !== undefined && state.replicas !== undefined) {
      const epochStart = options.newestOffset + 1
      leader.#replicas = ReplicaSet.restore(options.replication, epochStart, state.replicas)
    }
    return leader
  }

  get state(): LeaderState {
    return {
      written: this.#written,
      synced: this.#synced,
      highWatermark: this.#highWatermark,
      ackedAll: this.#ackedAll,
      ackableLeader: this.#ackableLeader,
      firstUnsyncedAll: this.#firstUnsyncedAll,
      lastWrittenAll: this.#lastWrittenAll,
      replicas: this.#replicas?.state,
    }
  }

  get highWatermark(): Offset {
    return this.#highWatermark
  }

  get standing(): LeaderStanding {
    return this.#replicas?.standing ?? LEADING
  }

  /** Members of the ISR, as far as it is certain. */
  get isrSize(): number {
    return this.#replicas?.isrSize ?? this.#isrSize
  }

  /** When the next `tick` is due, Infinity for never; may change with every step. */
  get wakeAt(): number {
    return this.#replicas?.wakeAt ?? Number.POSITIVE_INFINITY
  }

  step(input: LeaderInput): LeaderOutput {
    switch (input.kind) {
      case 'written':
        return this.#onWritten(input.newestOffset, input.firstAllOffset)
      case 'synced':
        return this.#onSynced(input.offset)
      case 'fetch':
        return this.#onFetch(input)
      case 'metadata':
        return this.#onMetadata(input)
      case 'isr-answered':
        this.#replicas?.onIsrAnswered(input.partitionEpoch, input.applied, input.now)
        return this.#onTick(input.now)
      case 'tick':
        return this.#onTick(input.now)
      default:
        return input satisfies never
    }
  }

  #onWritten(newestOffset: Offset, firstAllOffset: Offset): LeaderOutput {
    this.#written = Math.max(this.#written, newestOffset)
    if (firstAllOffset >= 0) {
      if (this.#firstUnsyncedAll < 0) this.#firstUnsyncedAll = firstAllOffset
      this.#lastWrittenAll = newestOffset
    }
    const wanted =
      this.#policy === 'always' ||
      (this.#policy === 'interval' && (this.#isShared || this.#firstUnsyncedAll >= 0))
    const moved = this.#advance()
    this.#replicas?.onWritten(this.#highWatermark)
    // With `always` even an ack for LEADER waits for its sync.
    return this.#output(moved, this.#policy === 'always' ? NO_OFFSET : newestOffset, wanted)
  }

  #onSynced(offset: Offset): LeaderOutput {
    const before = this.#synced
    this.#synced = Math.max(this.#synced, Math.min(offset, this.#written))
    if (this.#firstUnsyncedAll >= 0 && this.#synced >= this.#firstUnsyncedAll) {
      // What lies between the sync and the last such record still waits.
      this.#firstUnsyncedAll = this.#synced >= this.#lastWrittenAll ? NO_OFFSET : this.#synced + 1
    }
    const isDue = this.#policy === 'always' && this.#synced > before
    const wanted =
      this.#policy !== 'never' &&
      (this.#firstUnsyncedAll >= 0 || (this.#isShared && this.#synced < this.#written))
    return this.#output(this.#advance(), isDue ? this.#synced : NO_OFFSET, wanted)
  }

  #onFetch(fetch: FetchInput): LeaderOutput {
    const replicas = this.#replicas
    if (replicas === undefined) {
      const { token, replicaId } = fetch
      const refusal = { token, replicaId, highWatermark: this.#highWatermark }
      const answers = [{ ...refusal, kind: 'refuse', reason: 'unknown-replica' }] as const
      return { ...this.#output(NO_OFFSET, NO_OFFSET, false), answers }
    }
    const refusal = replicas.take(fetch, this.#written)
    const moved = this.#advance()
    if (refusal === undefined) replicas.answer(fetch, this.#written, this.#highWatermark)
    else replicas.refuse(fetch, refusal, this.#highWatermark)
    replicas.review(this.#highWatermark, fetch.now)
    return this.#output(moved, NO_OFFSET, false)
  }

  #onMetadata(metadata: MetadataInput): LeaderOutput {
    this.#replicas?.onMetadata(metadata)
    const moved = this.#advance()
    this.#replicas?.review(this.#highWatermark, metadata.now)
    return this.#output(moved, NO_OFFSET, false)
  }

  #onTick(now: number): LeaderOutput {
    this.#replicas?.review(this.#highWatermark, now)
    return this.#output(NO_OFFSET, NO_OFFSET, false)
  }

  /** The newest offset the leader itself is counted for. */
  #heldByLeader(): Offset {
    switch (this.#policy) {
      case 'always':
        return this.#synced
      case 'interval':
        if (this.#isShared) return this.#synced
        return this.#firstUnsyncedAll < 0 ? this.#written : this.#firstUnsyncedAll - 1
      case 'never':
        return this.#written
      default:
        return this.#policy satisfies never
    }
  }

  /** Raises the high watermark as far as it may go; the new one, or -1 when it did not move. */
  #advance(): Offset {
    const replicas = this.#replicas
    let held = this.#heldByLeader()
    if (replicas !== undefined) {
      if (replicas.standing.kind === 'fenced') return NO_OFFSET
      held = Math.min(held, replicas.bound)
    }
    if (held <= this.#highWatermark || this.isrSize < this.#minIsr) return NO_OFFSET
    this.#highWatermark = held
    replicas?.onHighWatermarkMoved()
    return held
  }

  #output(highWatermark: Offset, ackLeader: Offset, syncNow: boolean): LeaderOutput {
    const replicas = this.#replicas
    if (replicas === undefined) {
      const ackAllThrough = this.#nextAckAll()
      return {
        highWatermark,
        ackLeaderThrough: ackLeader,
        ackAllThrough,
        syncNow,
        standing: undefined,
        answers: NO_OUTPUT.answers,
        notify: NO_OUTPUT.notify,
        propose: undefined,
      }
    }
    const { standing, answers, notify, propose } = replicas.drain()
    const isFenced = replicas.standing.kind === 'fenced'
    return {
      highWatermark,
      ackLeaderThrough: this.#releaseLeaderAcks(ackLeader, replicas),
      ackAllThrough: isFenced ? NO_OFFSET : this.#nextAckAll(),
      syncNow: syncNow && !isFenced,
      standing,
      answers,
      notify,
      propose,
    }
  }

  /** How far AckPolicy ALL may be acknowledged now, -1 when that is nothing new. */
  #nextAckAll(): Offset {
    const through =
      this.#policy === 'never' ? this.#highWatermark : Math.min(this.#highWatermark, this.#synced)
    if (through <= this.#ackedAll) return NO_OFFSET
    this.#ackedAll = through
    return through
  }

  /** Acks to LEADER wait while the leader is isolated: a newer leader may not have the record [E2]. */
  #releaseLeaderAcks(due: Offset, replicas: ReplicaSet): Offset {
    const through = Math.max(due, this.#ackableLeader)
    const isLeading = replicas.standing.kind === 'leading'
    this.#ackableLeader = isLeading ? NO_OFFSET : through
    return isLeading ? through : NO_OFFSET
  }
}
