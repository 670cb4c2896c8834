import { CommitLog, RecordBatch, type CommitLogOptions, type Disk } from '@liftbridge/log'

/** Where the log under test lives; two levels below what exists, as partitions do. */
export const LOG_DIRECTORY = '/data/streams/foo/0'

/** One record as the workload knows it. */
export interface KnownRecord {
  readonly offset: number
  readonly epoch: number
  readonly key: string | undefined
  readonly value: string
}

/** What the log owes to its users at some moment. */
export interface LogClaim {
  /**
   * The histories that may be found, the current one last. There is more than one while a
   * truncation is not durable. Each may hold records that were only attempted at its end.
   */
  readonly histories: readonly (readonly KnownRecord[])[]
  /** The log had said that all records of the history up to here are written. */
  readonly written: number
  /** The log had said that all records up to here are durable. */
  readonly synced: number
  /** Records that retention or compaction may have removed, and which of them it is. */
  readonly removable: ReadonlySet<number>
  readonly removal: 'none' | 'retention' | 'compaction'
  /** The high watermark that was durable. */
  readonly checkpointed: number
}

export const NOTHING_CLAIMED: LogClaim = {
  histories: [[]],
  written: -1,
  synced: -1,
  removable: new Set(),
  removal: 'none',
  checkpointed: -1,
}

export interface AppendPlan {
  readonly count: number
  readonly valueBytes?: number
  readonly key?: string
  readonly epoch?: number
}

/**
 * Uses a log and keeps the books: every step claims beforehand what may be found from now on, and
 * afterwards what must be.
 */
export class LogActor {
  readonly log: CommitLog
  readonly #claim: (claim: LogClaim) => void
  #state: LogClaim
  #epoch = 1
  #made = 0

  private constructor(log: CommitLog, state: LogClaim, claim: (claim: LogClaim) => void) {
    this.log = log
    this.#state = state
    this.#claim = claim
  }

  static async open(
    disk: Disk,
    claim: (claim: LogClaim) => void,
    options: Partial<CommitLogOptions> = {},
  ): Promise<LogActor> {
    const log = await openLog(disk, options)
    return new LogActor(log, NOTHING_CLAIMED, claim)
  }

  get state(): LogClaim {
    return this.#state
  }

  get #history(): readonly KnownRecord[] {
    return this.#state.histories.at(-1) ?? []
  }

  /** Appends records with values that occur only once. */
  async append(plan: AppendPlan): Promise<void> {
    this.#epoch = plan.epoch ?? this.#epoch
    const epoch = this.#epoch
    const batch = new RecordBatch()
    const records: KnownRecord[] = []
    for (let index = 0; index < plan.count; index++) {
      const value = `value-${this.#made++}`.padEnd(plan.valueBytes ?? 40, '.')
      const { key } = plan
      const problem = batch.addRecord({
        value: Buffer.from(value),
        ...(key === undefined ? {} : { key: Buffer.from(key) }),
      })
      if (problem !== undefined) throw new Error(`the batch refused a record: ${problem}`)
      records.push({ offset: this.log.nextOffset + index, epoch, key, value })
    }
    const before = this.#history
    this.#set({ histories: [...this.#state.histories.slice(0, -1), [...before, ...records]] })
    try {
      const stamp = { timestampNs: BigInt(this.#made) * 1_000_000n, leaderEpoch: epoch }
      await this.log.append(batch, stamp)
    } catch (error) {
      // An attempt that failed is gone, unless the log cannot tell any more.
      if (this.log.state === 'open') {
        this.#set({ histories: [...this.#state.histories.slice(0, -1), before] })
      }
      throw error
    }
    this.#set({ written: this.log.newestOffset, synced: this.log.syncedOffset })
  }

  async sync(): Promise<void> {
    const synced = await this.log.sync()
    // Older histories end here: the cut that separates them is durable with the sync.
    this.#set({ synced, histories: [this.#history] })
  }

  async checkpoint(highWatermark: number): Promise<void> {
    this.log.advanceHighWatermark(highWatermark)
    await this.log.checkpoint()
    const checkpointed = Math.min(this.log.highWatermark, this.log.syncedOffset)
    this.#set({ checkpointed: Math.max(this.#state.checkpointed, checkpointed) })
  }

  /** Both histories are possible until it returns; then the longer one must never come back. */
  async truncate(offset: number): Promise<void> {
    const history = this.#history
    const cut = history.filter((record) => record.offset < offset)
    const { written, synced, checkpointed } = this.#state
    this.#set({
      histories: [history, cut],
      written: Math.min(written, offset - 1),
      synced: Math.min(synced, offset - 1),
      checkpointed: Math.min(checkpointed, offset - 1),
    })
    await this.log.truncate(offset)
    this.#set({ histories: [cut] })
  }

  /** Retention may take all but the newest `keep` records. */
  async retain(keep: number, nowNs = 0n): Promise<void> {
    const { highWatermark } = this.log
    const old = this.#history.slice(0, -keep).map(({ offset }) => offset)
    const removable = old.filter((offset) => offset <= highWatermark)
    this.#set({ removable: new Set(removable), removal: 'retention' })
    await this.log.clean(nowNs)
  }

  /** Compaction may take records with a later one of their key at or below the high watermark. */
  async compact(): Promise<void> {
    const { highWatermark } = this.log
    const committed = this.#history.filter(({ offset }) => offset <= highWatermark)
    const latest = new Map(committed.map(({ key, offset }) => [key, offset]))
    const superseded = committed.filter(
      ({ key, offset }) => key !== undefined && (latest.get(key) ?? -1) > offset,
    )
    this.#set({ removable: new Set(superseded.map(({ offset }) => offset)), removal: 'compaction' })
    await this.log.clean(0n)
  }

  /** Goes on with the log after it was closed. */
  async reopen(disk: Disk, options: Partial<CommitLogOptions> = {}): Promise<LogActor> {
    const actor = new LogActor(await openLog(disk, options), this.#state, this.#claim)
    actor.#made = this.#made
    actor.#epoch = this.#epoch
    return actor
  }

  async close(): Promise<void> {
    await this.log.close()
    this.#set({ written: this.log.newestOffset, synced: this.log.newestOffset })
  }

  #set(change: Partial<LogClaim>): void {
    this.#state = { ...this.#state, ...change }
    this.#claim(this.#state)
  }
}

export function openLog(disk: Disk, options: Partial<CommitLogOptions> = {}): Promise<CommitLog> {
  return CommitLog.open({ disk, directory: LOG_DIRECTORY, segmentMaxBytes: 600, ...options })
}

/** Makes the directory that the server makes before it opens logs. */
export async function prepareDisk(disk: Disk): Promise<void> {
  await disk.makeDirectory('/data/streams')
  await disk.syncDirectory('/data')
  await disk.syncDirectory('/')
}
