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
