/**
 * Words of the metadata. Indexes and epochs are safe-integer numbers: positions in the log of
 * operations, the first of which is 1; 0 means "none".
 */

/** Identity of a server: a NATS subject token. */
export type ServerId = string

/** Position of an operation in the log that all servers apply in the same order. */
export type LogIndex = number

/** Nanoseconds since the Unix epoch; 0n means "never" or "unknown". */
export type TimestampNs = bigint

/**
 * What tells two streams of one name apart. The index alone is unique within one log of
 * operations; the creation time tells logs apart when one was lost and begun anew [M9, D-67].
 */
export interface StreamIdentity {
  readonly name: string
  /** Index of the operation that created the stream; 0 when a foreign snapshot did not say. */
  readonly incarnation: LogIndex
  readonly creationTimestampNs: TimestampNs
}
