import { constantFields } from './constant-fields.ts'
import { copyInto, writeBytes } from './copy.ts'
import { varint32Size, varintSize, varintWordsSize } from './varint.ts'
import { writeVarint, writeVarintWords } from './varint.ts'

const NOTHING = new Uint8Array()

/**
 * What varies between the acks of a partition. One object is reused for every ack; texts are UTF-8
 * in place. Timestamps are nanoseconds since the Unix epoch as two 32-bit words; 0 omits them.
 */
export class AckFields {
  /** -1 and above; a nack has 0. */
  offset = 0
  /** Subject on which the message arrived. */
  msgSubject: Uint8Array = NOTHING
  msgSubjectStart = 0
  msgSubjectEnd = 0
  ackInbox: Uint8Array = NOTHING
  ackInboxStart = 0
  ackInboxEnd = 0
  correlationId: Uint8Array = NOTHING
  correlationIdStart = 0
  correlationIdEnd = 0
  ackPolicy = 0
  receptionTimestampHigh = 0
  receptionTimestampLow = 0
  commitTimestampHigh = 0
  commitTimestampLow = 0
  /** A value of `api.Ack_Error`; 0 is OK. */
  ackError = 0
}

/**
 * Writes the `Ack` message of one partition: 1 stream, 2 partitionSubject, 3 msgSubject, 4 offset,
 * 5 ackInbox, 6 correlationId, 7 ackPolicy, 8 receptionTimestamp, 9 commitTimestamp, 10 ackError.
 * No prefix, no envelope: `PublishResponseWriter` and `AckEnvelopeWriter` put it in theirs.
 */
export class AckWriter {
  /** Fields 1 and 2, the same in each ack. */
  readonly #constant: Uint8Array

  /** `partitionSubject` is the subject of the stream, without the partition's number [LB 4.6]. */
  constructor(stream: string, partitionSubject: string) {
    this.#constant = constantFields([
      [1, stream],
      [2, partitionSubject],
    ])
  }

  size(ack: AckFields): number {
    let size = this.#constant.length
    size += textFieldSize(ack.msgSubjectEnd - ack.msgSubjectStart)
    if (ack.offset !== 0) size += 1 + varintSize(ack.offset)
    size += textFieldSize(ack.ackInboxEnd - ack.ackInboxStart)
    size += textFieldSize(ack.correlationIdEnd - ack.correlationIdStart)
    if (ack.ackPolicy !== 0) size += 1 + varintSize(ack.ackPolicy)
    size += timestampSize(ack.receptionTimestampHigh, ack.receptionTimestampLow)
    size += timestampSize(ack.commitTimestampHigh, ack.commitTimestampLow)
    if (ack.ackError !== 0) size += 1 + varintSize(ack.ackError)
    return size
  }

  /** Writes the ack and returns the position after it. `target` has room for `size(ack)`. */
  write(target: Uint8Array, at: number, ack: AckFields): number {
    let position = copyInto(target, at, this.#constant)
    if (ack.msgSubjectEnd > ack.msgSubjectStart) {
      target[position] = 0x1a
      const { msgSubject, msgSubjectStart, msgSubjectEnd } = ack
      position = writeBytes(target, position + 1, msgSubject, msgSubjectStart, msgSubjectEnd)
    }
    if (ack.offset !== 0) {
      target[position] = 0x20
      position = writeVarint(target, position + 1, ack.offset)
    }
    if (ack.ackInboxEnd > ack.ackInboxStart) {
      target[position] = 0x2a
      const { ackInbox, ackInboxStart, ackInboxEnd } = ack
      position = writeBytes(target, position + 1, ackInbox, ackInboxStart, ackInboxEnd)
    }
    position = writeCorrelationId(target, position, 0x32, ack)
    if (ack.ackPolicy !== 0) {
      target[position] = 0x38
      position = writeVarint(target, position + 1, ack.ackPolicy)
    }
    if (ack.receptionTimestampHigh !== 0 || ack.receptionTimestampLow !== 0) {
      target[position] = 0x40
      const { receptionTimestampHigh, receptionTimestampLow } = ack
      position = writeVarintWords(
        target,
        position + 1,
        receptionTimestampHigh,
        receptionTimestampLow,
      )
    }
    if (ack.commitTimestampHigh !== 0 || ack.commitTimestampLow !== 0) {
      target[position] = 0x48
      const { commitTimestampHigh, commitTimestampLow } = ack
      position = writeVarintWords(target, position + 1, commitTimestampHigh, commitTimestampLow)
    }
    if (ack.ackError !== 0) {
      target[position] = 0x50
      position = writeVarint(target, position + 1, ack.ackError)
    }
    return position
  }
}

/** Bytes of a text field, tag included; nothing when it is empty. */
export function textFieldSize(length: number): number {
  return length > 0 ? 1 + varint32Size(length) + length : 0
}

/** Writes the correlation id as the field with this tag, or nothing when it is empty. */
export function writeCorrelationId(
  target: Uint8Array,
  at: number,
  tag: number,
  ack: AckFields,
): number {
  const { correlationId, correlationIdStart, correlationIdEnd } = ack
  if (correlationIdEnd <= correlationIdStart) return at
  target[at] = tag
  return writeBytes(target, at + 1, correlationId, correlationIdStart, correlationIdEnd)
}

function timestampSize(high: number, low: number): number {
  return high === 0 && low === 0 ? 0 : 1 + varintWordsSize(high, low)
}
