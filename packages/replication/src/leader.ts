/**
 * The leader of one partition, as a pure state machine: it turns what was written, what was made
 * durable and what replicas hold into a high watermark and into the acknowledgements that are due.
 *
 * Terms. *Written*: the record is in the leader's log file. *Synced*: fdatasync has returned.
 * *Held offset* of a replica: the newest offset it may be counted for.
 *
 * Which of its offsets the leader itself is counted for depends on the sync policy:
 *
 * | policy     | counted for                                                                 |
 * |------------|-----------------------------------------------------------------------------|
 * | `always`   | synced                                                                      |
 * | `interval` | written, but not past a record with AckPolicy ALL that is not synced yet     |
 * | `never`    | written                                                                     |
 *
 * Invariants: the high watermark never falls [R4], never passes what a member of the ISR holds
 * [R4], does not move while the ISR is smaller than min ISR [R5]; a record with AckPolicy ALL is
 * acknowledged only at or below the high watermark and, unless the policy is `never`, only when it
 * is synced here [D1, D2].
 */

export type SyncPolicy = 'always' | 'interval' | 'never'

export type LeaderInput =
  /**
   * A batch was written. `firstAllOffset` is the first offset in it whose ack policy is ALL, -1
   * when there is none.
   */
  | { readonly kind: 'written'; readonly newestOffset: number; readonly firstAllOffset: number }
  | { readonly kind: 'synced'; readonly offset: number }

export type LeaderOutput = {
  /** The new high watermark, or -1 when it did not move. */
  readonly highWatermark: number
  /** Records up to here, inclusive, may be acknowledged to AckPolicy LEADER; -1 when nothing is due. */
  readonly ackLeaderThrough: number
  /** Records up to here, inclusive, may be acknowledged to AckPolicy ALL; -1 when nothing new is due. */
  readonly ackAllThrough: number
  /** True when somebody waits for durability: the driver should sync now rather than later. */
  readonly syncNow: boolean
}

export type LeaderOptions = {
  readonly syncPolicy: SyncPolicy
  readonly minIsr: number
  /** Members of the ISR, the leader among them. */
  readonly isrSize: number
  /** Newest offset in the log, and the newest known durable, at the start of the leadership. */
  readonly newestOffset: number
  readonly syncedOffset: number
  readonly highWatermark: number
}

export class PartitionLeader {
  readonly #policy: SyncPolicy
  readonly #minIsr: number
  readonly #isrSize: number
  #written: number
  #synced: number
  #highWatermark: number
  #ackedAll: number
  /** First record with AckPolicy ALL that is not synced, -1 when there is none. */
  #firstUnsyncedAll = -1
  /** The last of them, so that one sync that covers it clears the mark. */
  #lastWrittenAll = -1

  constructor(options: LeaderOptions) {
    this.#policy = options.syncPolicy
    this.#minIsr = options.minIsr
    this.#isrSize = options.isrSize
    this.#written = options.newestOffset
    this.#synced = Math.min(options.syncedOffset, options.newestOffset)
    this.#highWatermark = options.highWatermark
    this.#ackedAll = options.highWatermark
  }

  get highWatermark(): number {
    return this.#highWatermark
  }

  step(input: LeaderInput): LeaderOutput {
    switch (input.kind) {
      case 'written':
        return this.#onWritten(input.newestOffset, input.firstAllOffset)
      case 'synced':
        return this.#onSynced(input.offset)
      default:
        return input satisfies never
    }
  }

  #onWritten(newestOffset: number, firstAllOffset: number): LeaderOutput {
    this.#written = Math.max(this.#written, newestOffset)
    if (firstAllOffset >= 0) {
      if (this.#firstUnsyncedAll < 0) this.#firstUnsyncedAll = firstAllOffset
      this.#lastWrittenAll = newestOffset
    }
    const wanted =
      this.#policy === 'always' || (this.#policy === 'interval' && this.#firstUnsyncedAll >= 0)
    // With `always` even an ack for LEADER waits for its sync.
    return this.#advance(this.#policy === 'always' ? -1 : newestOffset, wanted)
  }

  #onSynced(offset: number): LeaderOutput {
    const before = this.#synced
    this.#synced = Math.max(this.#synced, Math.min(offset, this.#written))
    if (this.#firstUnsyncedAll >= 0 && this.#synced >= this.#firstUnsyncedAll) {
      // What lies between the sync and the last such record still waits.
      this.#firstUnsyncedAll = this.#synced >= this.#lastWrittenAll ? -1 : this.#synced + 1
    }
    const leaderThrough = this.#policy === 'always' && this.#synced > before ? this.#synced : -1
    return this.#advance(leaderThrough, this.#firstUnsyncedAll >= 0 && this.#policy !== 'never')
  }

  /** The newest offset the leader itself is counted for. */
  #heldByLeader(): number {
    switch (this.#policy) {
      case 'always':
        return this.#synced
      case 'interval':
        return this.#firstUnsyncedAll < 0 ? this.#written : this.#firstUnsyncedAll - 1
      case 'never':
        return this.#written
      default:
        return this.#policy satisfies never
    }
  }

  #advance(ackLeaderThrough: number, syncNow: boolean): LeaderOutput {
    let highWatermark = -1
    const held = this.#heldByLeader()
    if (this.#isrSize >= this.#minIsr && held > this.#highWatermark) {
      this.#highWatermark = held
      highWatermark = held
    }
    const allThrough =
      this.#policy === 'never' ? this.#highWatermark : Math.min(this.#highWatermark, this.#synced)
    let ackAllThrough = -1
    if (allThrough > this.#ackedAll) {
      this.#ackedAll = allThrough
      ackAllThrough = allThrough
    }
    return { highWatermark, ackLeaderThrough, ackAllThrough, syncNow }
  }
}
