import type { Offset } from './units.ts'

/**
 * Whole records back to back, as they are stored: `bytes[start..end)`. Valid until the reader's
 * next call: its memory, be it the tail's or a buffer, is used again after that.
 */
export interface LogBlock {
  readonly kind: 'block'
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
  readonly firstOffset: Offset
  readonly lastOffset: Offset
  readonly count: number
}

/**
 * Why a reader ended; every later call gives the same.
 * - `readonly`: all records of a readonly log were read.
 * - `closed`, `deleted`, `failed`: the log's state.
 * - `truncated`: records that the reader had passed were cut off.
 * - `aborted`: the caller's signal.
 * - `start`: a reverse reader passed the oldest record.
 */
export type LogEndReason =
  | 'readonly'
  | 'closed'
  | 'deleted'
  | 'failed'
  | 'truncated'
  | 'aborted'
  | 'start'

export interface LogEnd {
  readonly kind: 'end'
  readonly reason: LogEndReason
}
