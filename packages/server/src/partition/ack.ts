/**
 * How the answer to a published record finds its way back.
 *
 * A record is accepted together with an `AckSink`: a PublishAsync call, a unary call, or a NATS
 * inbox. When its fate is known, the sink is shown an `AckView`, one object that the partition
 * reuses for every record: a sink copies what it needs before it returns.
 */

/** Result of a publish, numbered as `proto.Ack.Error`. */
export type AckError = 0 | 1 | 2 | 3 | 4
export const ACK_OK: AckError = 0
export const ACK_UNKNOWN: AckError = 1
export const ACK_INCORRECT_OFFSET: AckError = 2
export const ACK_TOO_LARGE: AckError = 3
export const ACK_ENCRYPTION: AckError = 4

/** Ack policies, numbered as `proto.AckPolicy`. */
export const POLICY_LEADER = 0
export const POLICY_ALL = 1
export const POLICY_NONE = 2

/** What is constant for all acks of one partition. */
export type AckSource = {
  readonly stream: string
  readonly partition: number
  /** The stream's subject, without the partition's suffix [LB data plane 4.6]. */
  readonly subject: string
}

export interface AckView {
  readonly source: AckSource
  /** Subject on which the record arrived. */
  readonly subject: string
  readonly error: AckError
  readonly offset: number
  readonly policy: number
  /** Bytes that hold the correlation id and the ack inbox. */
  readonly text: Uint8Array
  readonly correlationStart: number
  readonly correlationEnd: number
  readonly inboxStart: number
  readonly inboxEnd: number
  /** Nanoseconds; 0 when it was never received into a log. */
  readonly receptionTimestampNs: bigint
  readonly commitTimestampNs: bigint
}

export interface AckSink {
  /** Takes the answer to one record. Acks of one policy come in offset order. Must not throw. */
  deliver(view: AckView): void
  /** Called after a run of `deliver` calls: the place to write once. Must not throw. */
  flush(): void
}
