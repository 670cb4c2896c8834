/**
 * How the answer to a published record finds its way back.
 *
 * A record is accepted together with an `AckSink`: a PublishAsync call, a unary call, or a NATS
 * inbox. When its fate is known, the sink is shown `AckFields`, one object that the partition
 * reuses for every record: a sink copies what it needs before it returns.
 */
import { AckEnvelopeWriter, PublishResponseWriter, type AckFields } from '@liftbridge/wire'

/**
 * Result of a publish, numbered as `proto.Ack.Error`, from 100 on by ourselves: an ack on NATS has
 * no number for these and says UNKNOWN; gRPC clients are told.
 */
export type AckError = 0 | 1 | 2 | 3 | 4 | 101 | 102
export const ACK_OK: AckError = 0
export const ACK_UNKNOWN: AckError = 1
export const ACK_INCORRECT_OFFSET: AckError = 2
export const ACK_TOO_LARGE: AckError = 3
export const ACK_ENCRYPTION: AckError = 4
/** The partition became readonly while the message waited for its writer. */
export const ACK_READONLY: AckError = 101
export const ACK_NO_SPACE: AckError = 102

/** The number that stands in an ack for `error`. */
export function wireError(error: number): number {
  return error > ACK_ENCRYPTION ? ACK_UNKNOWN : error
}

/** Ack policies, numbered as `proto.AckPolicy`. */
export const POLICY_LEADER = 0
export const POLICY_ALL = 1
export const POLICY_NONE = 2

/** What is constant for all acks of one partition. */
export class AckSource {
  readonly stream: string
  readonly partition: number
  /** The stream's subject, without the partition's suffix [LB data plane 4.6]. */
  readonly subject: string
  readonly responses: PublishResponseWriter
  readonly envelopes: AckEnvelopeWriter

  constructor(stream: string, partition: number, subject: string) {
    this.stream = stream
    this.partition = partition
    this.subject = subject
    this.responses = new PublishResponseWriter(stream, subject)
    this.envelopes = new AckEnvelopeWriter(stream, subject)
  }
}

export interface AckSink {
  /**
   * Takes the answer to one record: `ack` is reused for the next one. Acks of one policy come in
   * offset order. Must not throw.
   */
  deliver(source: AckSource, ack: AckFields): void
  /** Called after a run of `deliver` calls: the place to write once. Must not throw. */
  flush(): void
}

/** An unknown policy promises nothing, like NONE. */
export function knownPolicy(policy: number): number {
  return policy === POLICY_LEADER || policy === POLICY_ALL ? policy : POLICY_NONE
}

/** Splits nanoseconds into the two words in which acks and records carry them. */
export function setReception(ack: AckFields, timestampNs: bigint): void {
  ack.receptionTimestampHigh = Number(timestampNs >> 32n)
  ack.receptionTimestampLow = Number(timestampNs & 0xffff_ffffn)
}

export function setCommit(ack: AckFields, timestampNs: bigint): void {
  ack.commitTimestampHigh = Number(timestampNs >> 32n)
  ack.commitTimestampLow = Number(timestampNs & 0xffff_ffffn)
}
