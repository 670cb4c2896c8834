import { appendBatch, appendVerbatim, type VerbatimOptions } from './append.ts'
import { compactLog } from './compaction.ts'
import { type Damage, LogError } from './errors.ts'
import type { RecordBatch } from './format/record-batch.ts'
import { flushIndex, noteEpoch, writeHighWatermark } from './hints.ts'
import { SharedRun } from './lane.ts'
import type { EpochEnd, EpochStart } from './leader-epochs.ts'
import { LogCore, type LogState } from './log-core.ts'
import { earliestOffsetFrom, latestOffsetUntil } from './lookup.ts'
import { openLog } from './open.ts'
import type { CommitLogOptions, RetentionPolicy } from './options.ts'
import { LogReader, type ReaderOptions } from './reader.ts'
import { applyRetention } from './retention.ts'
import { ReverseReader, type ReverseReaderOptions } from './reverse-reader.ts'
import { isTooOld, roll } from './roll.ts'
import { syncActive, syncNames } from './sync.ts'
import { truncateLog } from './truncate.ts'
import type { LeaderEpoch, Offset, TimestampNs } from './units.ts'

/** What a cleaning did. */
export interface CleanReport {
  /** True when the active segment was sealed because of its age. */
  readonly rolled: boolean
  /** Segments that retention removed. */
  readonly segmentsRemoved: number
  /** Records that compaction removed. */
  readonly recordsCompacted: number
}

/**
 * The durable log of one partition. One owner appends; any number of readers read. No method
 * reads a clock: times are handed in.
 */
export class CommitLog {
  readonly #core: LogCore
  readonly #syncs: SharedRun<Offset>
  #closing: Promise<void> | undefined

  private constructor(core: LogCore) {
    this.#core = core
    this.#syncs = new SharedRun(() => syncActive(core))
  }

  /** Opens the log in its directory, making it when missing and repairing what a crash left. */
  static async open(options: CommitLogOptions): Promise<CommitLog> {
    const core = new LogCore(options)
    await openLog(core)
    return new CommitLog(core)
  }

  get state(): LogState {
    return this.#core.state
  }

  /** Offset of the oldest record, -1 when there is none. */
  get oldestOffset(): Offset {
    return this.#core.oldestOffset
  }

  /** The offset before the next one; -1 in a new log. */
  get newestOffset(): Offset {
    return this.#core.newestOffset
  }

  get nextOffset(): Offset {
    return this.#core.nextOffset
  }

  get highWatermark(): Offset {
    return this.#core.highWatermark
  }

  /** Everything up to here is durable. */
  get syncedOffset(): Offset {
    return this.#core.syncedOffset
  }

  /** The newest leader epoch that the log knows of, 0 when none. */
  get leaderEpoch(): LeaderEpoch {
    return this.#core.epochs.latest
  }

  get epochs(): readonly EpochStart[] {
    return this.#core.epochs.entries
  }

  get readonly(): boolean {
    return this.#core.readonly
  }

  /**
   * What fenced the log, or kept the last writes of its closing from the disk; undefined when
   * nothing did. With it, the next opening in this process needs `distrustBeyond: syncedOffset`.
   */
  get failure(): unknown {
    return this.#core.failure
  }

  /** Bytes of all log files. */
  get sizeBytes(): number {
    return this.#core.segments.reduce((sum, { size }) => sum + size, 0)
  }

  /** Records that are there; fewer than offsets when the log is compacted. */
  get recordCount(): number {
    return this.#core.segments.reduce((sum, { count }) => sum + count, 0)
  }

  /** Compaction has removed records: offsets may be missing in a sound log. */
  get hasGaps(): boolean {
    return this.#core.wasCompacted || this.#core.segments.some(({ isDense }) => !isDense)
  }

  get segmentCount(): number {
    return this.#core.segments.length
  }

  /** Segments whose durable bytes do not verify. Not empty: this replica must not lead [T2]. */
  get quarantined(): readonly Damage[] {
    return this.#core.segments.flatMap(({ damage }) => (damage === undefined ? [] : [damage]))
  }

  /**
   * Appends a batch with one write: its base offset. All records or none. Times never run
   * backwards in the log [O6]. Throws `LogError` when the log takes no appends and `DiskError`
   * when the write failed; the log is then as before [T4], or fenced when that cannot be had.
   * Not durable before `sync`.
   */
  append(
    batch: RecordBatch,
    stamp: { readonly timestampNs: TimestampNs; readonly leaderEpoch: LeaderEpoch },
  ): Promise<Offset> {
    return this.#core.lane.run(() => appendBatch(this.#core, batch, stamp))
  }

  /** Appends a leader's records as they are, all or none: their number. `LogError` `rejected`. */
  appendRaw(bytes: Uint8Array, options: VerbatimOptions): Promise<number> {
    return this.#core.lane.run(() => appendVerbatim(this.#core, bytes, options))
  }

  /**
   * Makes what was appended before the call durable: the offset up to which it is. Callers that
   * arrive during a sync share the next one. A failure fences the log [D7].
   */
  sync(): Promise<Offset> {
    return this.#syncs.join()
  }

  /** Raises the high watermark, never beyond the newest record, never back. */
  advanceHighWatermark(offset: Offset): void {
    const core = this.#core
    const target = Math.min(offset, core.newestOffset)
    if (target <= core.highWatermark) return
    core.highWatermark = target
    core.notify('committed')
  }

  /** Reads forward from an offset. Close it when done. */
  reader(options: ReaderOptions): LogReader {
    return new LogReader(this.#core, options)
  }

  /** Reads backward from an offset to the oldest record. */
  reverseReader(options: ReverseReaderOptions): ReverseReader {
    return new ReverseReader(this.#core, options)
  }

  /** Offset of the first record at or after a time; the next offset when there is none. */
  earliestOffsetFrom(timestampNs: TimestampNs): Promise<Offset> {
    return earliestOffsetFrom(this.#core, timestampNs)
  }

  /** Offset of the last record at or before a time; `LogError` `empty` or `before-log`. */
  latestOffsetUntil(timestampNs: TimestampNs): Promise<Offset> {
    return latestOffsetUntil(this.#core, timestampNs)
  }

  /**
   * Notes durably that `epoch` begins at the next offset: what a new leader does before it writes.
   * Nothing happens for the epoch that is the newest already; an older one is `rejected`.
   */
  beginEpoch(epoch: LeaderEpoch): Promise<void> {
    const core = this.#core
    return core.lane.run(async () => {
      core.assertOpen()
      const { latest } = core.epochs
      if (epoch < latest) {
        throw new LogError('rejected', `epoch ${epoch} is older than the log's ${latest}`)
      }
      await noteEpoch(core, epoch, core.nextOffset)
      await syncNames(core)
    })
  }

  /** Where the largest epoch not above `epoch` ends [reliability 0.1]. */
  epochEndOffset(epoch: LeaderEpoch): EpochEnd {
    return this.#core.epochs.endOf(epoch, this.#core.nextOffset)
  }

  /**
   * Removes the records at and above `offset`, durably. Lowers the high watermark when it must.
   * Readers that were beyond end with `truncated`.
   */
  truncate(offset: Offset): Promise<void> {
    const core = this.#core
    return core.maintenance.run(() => core.lane.run(() => truncateLog(core, offset)))
  }

  /**
   * One round of upkeep: rolls a segment that is too old, applies retention, compacts. Appends and
   * reads go on meanwhile; truncations wait. Throws `DiskError`; what was not done then is done by
   * the next round.
   */
  clean(nowNs: TimestampNs): Promise<CleanReport> {
    const core = this.#core
    return core.maintenance.run(async () => {
      core.assertOpen()
      const rolled = await core.lane.run(async () => {
        core.assertOpen()
        const tooOld = isTooOld(core, nowNs)
        if (tooOld) await roll(core)
        return tooOld
      })
      const segmentsRemoved = await applyRetention(core, nowNs)
      const recordsCompacted = core.options.compact === true ? await compactLog(core) : 0
      return { rolled, segmentsRemoved, recordsCompacted }
    })
  }

  /**
   * Writes the high watermark's file when it changed, at most up to what is synced [R3], and index
   * entries that wait in memory. To be called every few seconds.
   */
  checkpoint(): Promise<void> {
    const core = this.#core
    return core.lane.run(async () => {
      core.assertOpen()
      await flushIndex(core, core.active)
      await writeHighWatermark(core)
    })
  }

  /** What may be removed from now on; the next `clean` acts on it. */
  setRetention(retention: Partial<RetentionPolicy>): void {
    this.#core.options = { ...this.#core.options, retention }
  }

  /** Refuses or takes appends. Readers of a readonly log end at its newest committed record. */
  setReadonly(readonly: boolean): void {
    this.#core.readonly = readonly
    this.#core.notify('state')
  }

  /** Ends all readers, makes everything durable and gives the files back. Never fails. */
  close(): Promise<void> {
    this.#closing ??= this.#shut('closed')
    return this.#closing
  }

  /** Ends the log and removes its directory. A closed log can still be deleted. */
  async delete(): Promise<void> {
    const core = this.#core
    if (this.#closing === undefined) this.#closing = this.#shut('deleted')
    await this.#closing
    core.state = 'deleted'
    await core.disk.removeTree(core.directory)
    await core.disk.syncDirectory(core.directory.slice(0, core.directory.lastIndexOf('/')) || '/')
  }

  async #shut(state: 'closed' | 'deleted'): Promise<void> {
    const core = this.#core
    const wasOpen = core.state === 'open'
    core.state = state
    core.notify('state')
    await this.#syncs.settled()
    await core.maintenance.run(() =>
      core.lane.run(async () => {
        if (wasOpen && state === 'closed') await this.#settle()
        core.tail.clear()
        for (const segment of core.segments) await segment.retire()
      }),
    )
  }

  /** The last writes of a log that ends in order. */
  async #settle(): Promise<void> {
    const core = this.#core
    try {
      if (core.syncedOffset < core.newestOffset) {
        await syncNames(core)
        await core.active.file.sync()
      }
      core.syncedOffset = core.newestOffset
      await flushIndex(core, core.active)
      await writeHighWatermark(core)
    } catch (error) {
      core.failure = error
      core.report({ kind: 'failed', error })
    }
  }
}
