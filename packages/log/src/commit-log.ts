import { appendBatch, appendVerbatim, type VerbatimOptions } from './append.ts'
import type { RecordBatch } from './format/record-batch.ts'
import { writeHighWatermark } from './hints.ts'
import { SharedRun } from './lane.ts'
import { LogCore, type LogState } from './log-core.ts'
import { openLog } from './open.ts'
import type { CommitLogOptions } from './options.ts'
import { LogReader, type ReaderOptions } from './reader.ts'
import { syncActive } from './sync.ts'
import type { LeaderEpoch, Offset, TimestampNs } from './units.ts'

/**
 * The durable log of one partition. One owner appends; any number of readers read. No method
 * reads a clock: times are handed in.
 */
export class CommitLog {
  readonly #core: LogCore
  readonly #syncs: SharedRun<Offset>

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

  /** Writes the high watermark's file when it changed, at most up to what is synced [R3]. */
  checkpoint(): Promise<void> {
    return this.#core.lane.run(() => writeHighWatermark(this.#core))
  }
}
