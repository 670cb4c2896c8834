import type { Damage } from './errors.ts'
import { CachedFile, type FileCache } from './file-cache.ts'
import { SegmentIndex } from './segment-index.ts'
import { NO_OFFSET, type Offset, type TimestampNs } from './units.ts'

/** Positions and relative offsets are int32 in the index; beyond that it would wrap [LB 2.3]. */
export const MAX_SEGMENT_BYTES = 0x7fff_ffff
export const MAX_SEGMENT_SPAN = 0x7fff_ffff

export const LOG_SUFFIX = '.log'
export const INDEX_SUFFIX = '.index'
/** Compaction's output until it takes the segment's place. */
export const CLEANED_SUFFIX = '.cleaned'

/** The name shared by a segment's files: its base offset in 20 digits. */
export function segmentStem(baseOffset: Offset): string {
  return String(baseOffset).padStart(20, '0')
}

/** The base offset in the name of a log file; undefined when it is none that we or Go wrote. */
export function parseSegmentName(name: string): Offset | undefined {
  if (!/^\d{20}\.log$/.test(name)) return undefined
  const base = Number(name.slice(0, 20))
  return Number.isSafeInteger(base) ? base : undefined
}

/** What is known of a segment without reading its records. */
export interface SegmentExtent {
  /** Bytes of whole records. */
  readonly size: number
  readonly firstOffset: Offset
  readonly lastOffset: Offset
  readonly firstTimestampNs: TimestampNs
  readonly lastTimestampNs: TimestampNs
}

export const EMPTY_EXTENT: SegmentExtent = {
  size: 0,
  firstOffset: NO_OFFSET,
  lastOffset: NO_OFFSET,
  firstTimestampNs: 0n,
  lastTimestampNs: 0n,
}

/**
 * One stretch of the log: a log file and its index. The last segment of a log is active and takes
 * appends; the others are sealed, and what a sealed one holds was durable before its successor
 * was created.
 */
export class Segment {
  readonly baseOffset: Offset
  readonly file: CachedFile
  readonly index: SegmentIndex
  size = 0
  firstOffset: Offset = NO_OFFSET
  lastOffset: Offset = NO_OFFSET
  firstTimestampNs: TimestampNs = 0n
  lastTimestampNs: TimestampNs = 0n
  /** False once retention, truncation or compaction took it out of the log. */
  live = true
  /** Set when durable bytes did not verify; such a segment takes no more records [T2]. */
  damage: Damage | undefined
  /**
   * The first of the offsets right before this segment that a file which is gone had held;
   * undefined when none are missing there.
   */
  missingFrom: Offset | undefined

  constructor(
    files: FileCache,
    options: {
      readonly directory: string
      readonly baseOffset: Offset
      /** Entries its index file holds. */
      readonly indexed?: number
    },
  ) {
    this.baseOffset = options.baseOffset
    const stem = `${options.directory}/${segmentStem(options.baseOffset)}`
    this.file = new CachedFile(files, stem + LOG_SUFFIX)
    this.index = new SegmentIndex(files, stem + INDEX_SUFFIX, options.indexed ?? 0)
  }

  /** Number of records. */
  get count(): number {
    return this.index.count
  }

  /** The offset after the last record. */
  get nextOffset(): Offset {
    return this.lastOffset === NO_OFFSET ? this.baseOffset : this.lastOffset + 1
  }

  /** True when no offset is missing between the first record and the last. */
  get isDense(): boolean {
    return this.count === 0 || this.lastOffset - this.firstOffset + 1 === this.count
  }

  /**
   * False when none of its records may be read. Those of a damaged segment may as long as its index
   * names every one of them: then offsets are verified as well as checksums, so what is read is
   * what was written, and only the damaged records are missed.
   */
  get isReadable(): boolean {
    return this.damage === undefined || this.isDense
  }

  /** No offset in this segment can be larger; one that claims to be is damage. */
  get maxOffset(): Offset {
    return this.baseOffset + MAX_SEGMENT_SPAN
  }

  setExtent(extent: SegmentExtent): void {
    this.size = extent.size
    this.firstOffset = extent.firstOffset
    this.lastOffset = extent.lastOffset
    this.firstTimestampNs = extent.firstTimestampNs
    this.lastTimestampNs = extent.lastTimestampNs
  }

  /** Closes both files once nobody uses them; they will not be opened again. */
  async retire(): Promise<void> {
    this.live = false
    await this.file.discard()
    await this.index.file.discard()
  }
}
