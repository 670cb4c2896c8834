/**
 * Units of the commit log. Offsets and positions are safe-integer numbers, timestamps are
 * nanoseconds since the Unix epoch as bigint and are converted once, at the codec.
 */

/** Number of a record in its partition; the first is 0, "none" is -1. */
export type Offset = number

/** Byte position in a segment's log file. */
export type Position = number

/** Raft index of the change that installed the partition leader who wrote a record. */
export type LeaderEpoch = number

/** Nanoseconds since the Unix epoch. */
export type TimestampNs = bigint

/** "No offset": an empty log's newest offset, a high watermark before the first commit. */
export const NO_OFFSET: Offset = -1

const WORD = 0x1_0000_0000

/** The upper 32 bits of a non-negative safe integer. */
export function highWord(value: number): number {
  return Math.floor(value / WORD)
}

/** A number from two unsigned 32-bit words; exact up to 2^53. */
export function joinWords(high: number, low: number): number {
  return high * WORD + low
}

/** A timestamp from the two unsigned words in which records and index entries carry it. */
export function timestampFromWords(high: number, low: number): TimestampNs {
  return BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low))
}

/** The upper word of a timestamp, as an unsigned number. */
export function timestampHigh(timestampNs: TimestampNs): number {
  return Number(BigInt.asUintN(32, timestampNs >> 32n))
}

/** The lower word of a timestamp, as an unsigned number. */
export function timestampLow(timestampNs: TimestampNs): number {
  return Number(BigInt.asUintN(32, timestampNs))
}
