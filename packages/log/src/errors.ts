import type { Offset, Position } from './units.ts'

/**
 * Why an operation on a log was refused.
 * - `closed`, `deleted`: the log was ended by its owner.
 * - `readonly`: appends are refused until the flag is cleared.
 * - `failed`: a sync or a roll-back failed earlier; what the file holds is not known any more, so
 *   the log is fenced for good and must be opened again [reliability D7].
 * - `corrupt`: bytes that were durable no longer verify [reliability T2].
 * - `rejected`: records offered by a peer do not continue this log; nothing was appended [R9].
 * - `before-log`: a time look-up asked for a time before the first record.
 * - `empty`: a look-up needs at least one record.
 */
export type LogErrorCode =
  | 'closed'
  | 'deleted'
  | 'readonly'
  | 'failed'
  | 'corrupt'
  | 'rejected'
  | 'before-log'
  | 'empty'

/** An expected refusal of the commit log. Failures of storage itself are `DiskError`. */
export class LogError extends Error {
  readonly code: LogErrorCode
  constructor(code: LogErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'LogError'
    this.code = code
  }
}

/** Where durable bytes stopped verifying. */
export interface Damage {
  /** Path of the segment's log file. */
  readonly path: string
  readonly baseOffset: Offset
  readonly position: Position
  /** The first offset that cannot be read; `truncate` to it makes room for a replica's copy. */
  readonly offset: Offset
  /** What does not hold, for people. */
  readonly reason: string
}

/** Durable bytes do not verify: the segment is quarantined, and these are never served [T2]. */
export class CorruptSegmentError extends LogError {
  readonly damage: Damage
  constructor(damage: Damage) {
    super('corrupt', `${damage.path} is damaged at position ${damage.position}: ${damage.reason}`)
    this.name = 'CorruptSegmentError'
    this.damage = damage
  }
}
