/**
 * The state that the parts of one log share: append, sync, readers, truncation, retention and
 * compaction each stand in their own file and work on this. Private to the package.
 *
 * Invariants: `segments` is never empty and ascends; the last is active; offsets of a segment lie
 * below the base of the next; highWatermark and syncedOffset never exceed newestOffset.
 */
import type { Disk } from './disk.ts'
import { type Damage, LogError } from './errors.ts'
import { FileCache } from './file-cache.ts'
import { Lane } from './lane.ts'
import { LeaderEpochs } from './leader-epochs.ts'
import { type CommitLogOptions, DEFAULT_SEGMENT_MAX_BYTES, type LogProblem } from './options.ts'
import { MAX_SEGMENT_BYTES, type Segment } from './segment.ts'
import { LogTail, TailCache } from './tail-cache.ts'
import { NO_OFFSET, type Offset, type TimestampNs } from './units.ts'

/** `open` takes work; the others say why none is taken any more. */
export type LogState = 'open' | 'closed' | 'deleted' | 'failed'

/** What readers wait for: one of the two limits of reading moved, or the log's state changed. */
export type LogChange = 'written' | 'committed' | 'state'

export interface LogListener {
  changed(what: LogChange): void
  /** Records from `offset` on were cut off. */
  truncated(offset: Offset): void
}

export class LogCore {
  readonly disk: Disk
  readonly directory: string
  options: CommitLogOptions
  readonly files: FileCache
  readonly tail: LogTail
  readonly segmentMaxBytes: number
  /** Appends, rolls, and whatever else changes the active segment, one after the other. */
  readonly lane: Lane = new Lane()
  /** Cleaning, truncation and closing exclude each other; appends and reads go on beside the first. */
  readonly maintenance: Lane = new Lane()
  readonly listeners: Set<LogListener> = new Set()
  segments: Segment[] = []
  epochs: LeaderEpochs = new LeaderEpochs()
  state: LogState = 'open'
  failure: unknown
  readonly = false
  /** Compaction has removed records, so that offsets may be missing, whatever is configured now. */
  wasCompacted = false
  highWatermark: Offset = NO_OFFSET
  /** What the high watermark's file holds. */
  checkpointed: Offset | undefined
  syncedOffset: Offset = NO_OFFSET
  /** The names that lead to the log's files are durable, those of its directories included. */
  namesSynced = false
  /** Grows when records or segments are replaced; long operations compare it across awaits. */
  generation = 0
  lastTimestampNs: TimestampNs = 0n
  /** Files of removed segments that could not be removed yet. */
  doomed: string[] = []

  constructor(options: CommitLogOptions) {
    this.options = options
    this.disk = options.disk
    this.directory = options.directory
    this.files = options.files ?? new FileCache(options.disk, { maxOpen: 64 })
    this.tail = new LogTail(options.tails ?? new TailCache())
    const wanted = options.segmentMaxBytes ?? DEFAULT_SEGMENT_MAX_BYTES
    this.segmentMaxBytes = Math.min(Math.max(1, wanted), MAX_SEGMENT_BYTES)
  }

  get active(): Segment {
    const last = this.segments.at(-1)
    if (last === undefined) throw new Error('a log always has a segment')
    return last
  }

  get nextOffset(): Offset {
    return this.active.nextOffset
  }

  /** The offset before the next one; not necessarily that of a record that is still there. */
  get newestOffset(): Offset {
    return this.active.nextOffset - 1
  }

  /** Where the log begins; the records right after may have been compacted away. */
  get startOffset(): Offset {
    return this.segments[0]?.baseOffset ?? 0
  }

  get oldestOffset(): Offset {
    for (const segment of this.segments) {
      if (segment.firstOffset !== NO_OFFSET) return segment.firstOffset
    }
    return NO_OFFSET
  }

  /** Throws unless the log takes work. */
  assertOpen(): void {
    if (this.state !== 'open') throw this.stateError()
  }

  stateError(): LogError {
    switch (this.state) {
      case 'open':
        return new LogError('failed', 'the log is open')
      case 'closed':
        return new LogError('closed', 'commit log was closed')
      case 'deleted':
        return new LogError('deleted', 'commit log was deleted')
      case 'failed':
        return new LogError('failed', 'the log is fenced after a storage failure', {
          cause: this.failure,
        })
    }
  }

  /** Fences the log for good: nothing it wrote lately can be trusted any more [D7]. */
  fail(error: unknown): void {
    if (this.state !== 'open') return
    this.state = 'failed'
    this.failure = error
    this.report({ kind: 'failed', error })
    this.notify('state')
  }

  /** Notes a segment's damage, once. The active one is sealed before the next append. */
  quarantine(segment: Segment, damage: Damage): void {
    if (segment.damage !== undefined) return
    segment.damage = damage
    this.tail.clear()
    this.report({ kind: 'segment-quarantined', damage })
  }

  report(problem: LogProblem): void {
    this.options.onProblem?.(problem)
  }

  /**
   * What a reader meets that goes on at `offset` and would come to `segment` next: records that were
   * durable and are gone are not passed over in silence [T2]. Where retention has removed all that
   * stood before them the log simply begins later.
   */
  missingBefore(segment: Segment, offset: Offset): Damage | undefined {
    const { missingFrom, baseOffset } = segment
    if (missingFrom === undefined || offset >= baseOffset) return undefined
    if (segment === this.segments[0]) return undefined
    const reason = `the records from offset ${missingFrom} to ${baseOffset - 1} are missing`
    return { path: segment.file.path, baseOffset, position: 0, offset: missingFrom, reason }
  }

  /** Wakes whoever waits for this change. */
  notify(what: LogChange): void {
    for (const listener of this.listeners) listener.changed(what)
  }

  /** The first segment that may hold a record at or after `offset`. */
  segmentFor(offset: Offset): Segment | undefined {
    let low = 0
    let high = this.segments.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const segment = this.segments[middle]
      if (segment !== undefined && segment.nextOffset <= offset) low = middle + 1
      else high = middle
    }
    return this.segments[low]
  }

  segmentAfter(segment: Segment): Segment | undefined {
    const at = this.segments.indexOf(segment)
    return at < 0 ? undefined : this.segments[at + 1]
  }
}
