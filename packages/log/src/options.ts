import type { Disk } from './disk.ts'
import type { Damage } from './errors.ts'
import type { FileCache } from './file-cache.ts'
import type { TailCache } from './tail-cache.ts'
import type { Offset } from './units.ts'

/** What may be removed; 0 means no limit. Whole oldest segments only, never past the HW [K2]. */
export interface RetentionPolicy {
  readonly maxBytes: number
  readonly maxMessages: number
  readonly maxAgeMs: number
}

/** Something that an operator should know of and that did not stop the log. */
export type LogProblem =
  /** Durable bytes do not verify: the segment takes no more records, and these are not served [T2]. */
  | { readonly kind: 'segment-quarantined'; readonly damage: Damage }
  /** The log ends before the offset that was durable once; `lostFrom` is the first one missing. */
  | { readonly kind: 'durable-tail-missing'; readonly lostFrom: Offset; readonly mark: Offset }
  /** Bytes after the last whole record were cut off on opening [T1]. */
  | { readonly kind: 'tail-cut'; readonly path: string; readonly bytes: number }
  /** A hint file did not agree with the log and was made again [T3]. */
  | { readonly kind: 'hint-rebuilt'; readonly path: string; readonly reason: string }
  /** A hint file could not be written; it will be tried again. */
  | { readonly kind: 'hint-not-written'; readonly path: string; readonly error: unknown }
  /** The log is fenced: a sync or a roll-back failed [D7]. */
  | { readonly kind: 'failed'; readonly error: unknown }

export interface CommitLogOptions {
  readonly disk: Disk
  /** Absolute path of this log's own directory; made when missing. */
  readonly directory: string
  /** A segment this large is followed by a new one. 1 byte to 2 GiB; default 256 MiB. */
  readonly segmentMaxBytes?: number
  /** A segment whose first record is this old is followed by a new one; 0 = never (default). */
  readonly segmentMaxAgeMs?: number
  readonly retention?: Partial<RetentionPolicy>
  /** Keep only the newest record per key in sealed segments. Off by default. */
  readonly compact?: boolean
  /** Memory that compaction may use for keys; beyond it, it removes less. Default 64 MiB. */
  readonly compactMaxKeyBytes?: number
  /**
   * For opening a log of which a sync failed, or may have failed, since the machine started: the
   * last offset known to be durable then, -1 for none. What lies beyond it, and beyond the high
   * watermark on disk, is written again before it counts as durable.
   */
  readonly distrustBeyond?: Offset
  /** Open files shared by all logs of a server. */
  readonly files?: FileCache
  /** Recent records shared by all logs of a server. */
  readonly tails?: TailCache
  /** Called once per problem, synchronously; must not throw. */
  readonly onProblem?: (problem: LogProblem) => void
}

export const DEFAULT_SEGMENT_MAX_BYTES: number = 256 * 1024 * 1024
export const DEFAULT_COMPACT_MAX_KEY_BYTES: number = 64 * 1024 * 1024
