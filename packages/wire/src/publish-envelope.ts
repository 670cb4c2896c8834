import { constantFields } from './constant-fields.ts'
import { copyInto, writeBytes } from './copy.ts'
import {
  ENVELOPE_HEADER_BYTES,
  EnvelopeType,
  payloadStartOf,
  writeEnvelopeHeader,
} from './envelope.ts'
import { Role, type PublishView } from './publish-view.ts'
import { varint32Size, varintSize, writeVarint, writeVarint32 } from './varint.ts'

/**
 * A publish on its way over NATS: an envelope of type Publish around a `Message`, whose offset is
 * the expected offset and whose stream, partition, subject, replySubject and timestamp the
 * receiver ignores [LB 1.5].
 */
const messageRoles = Uint8Array.of(
  Role.Unknown,
  Role.ExpectedOffset,
  Role.Key,
  Role.Value,
  Role.IgnoredNumber,
  Role.Stream,
  Role.Partition,
  Role.Subject,
  Role.IgnoredText,
  Role.Headers,
  Role.AckInbox,
  Role.CorrelationId,
  Role.AckPolicy,
)

/** Reads the `Message` of a Publish envelope; false when it is malformed, see `view.problem`. */
export function decodePublishMessage(
  view: PublishView,
  bytes: Uint8Array,
  start = 0,
  end: number = bytes.length,
): boolean {
  return view.decode(messageRoles, bytes, start, end)
}

/**
 * Reads a whole NATS payload; false when it is not an acceptable Publish envelope. The partition
 * leader then stores the payload as it is, as a plain message [LB 1.3].
 */
export function decodePublishEnvelope(view: PublishView, payload: Uint8Array): boolean {
  const start = payloadStartOf(payload, 0, payload.length, EnvelopeType.Publish)
  if (start < 0) {
    view.problem = 'not a Publish envelope'
    return false
  }
  return decodePublishMessage(view, payload, start, payload.length)
}

/**
 * Writes Publish envelopes for one stream and subject straight from a view. A key or value that is
 * present but empty stays so: whether a record comes over NATS or not, it is stored the same.
 */
export class PublishEnvelopeWriter {
  /** Fields 5 and 7, the same in each message. */
  readonly #constant: Uint8Array

  constructor(stream: string, subject: string) {
    this.#constant = constantFields([
      [5, stream],
      [7, subject],
    ])
  }

  /** Bytes of the envelope. `ackInbox` (UTF-8) stands for the view's own when it is given. */
  size(view: PublishView, ackInbox?: Uint8Array): number {
    let size = ENVELOPE_HEADER_BYTES + this.#constant.length
    if (view.expectedOffset !== 0) size += 1 + varintSize(view.expectedOffset)
    if (view.keyStart >= 0) size += fieldSize(view.keyEnd - view.keyStart)
    if (view.valueStart >= 0) size += fieldSize(view.valueEnd - view.valueStart)
    const { headers } = view
    for (let index = 0; index < headers.count; index++) {
      size += fieldSize(entrySize(view, index))
    }
    size += textSize(ackInbox?.length ?? view.ackInboxEnd - view.ackInboxStart)
    size += textSize(view.correlationIdEnd - view.correlationIdStart)
    if (view.ackPolicy !== 0) size += 1 + varintSize(view.ackPolicy)
    return size
  }

  /** Writes the envelope and returns the position after it. `target` has room for `size(…)`. */
  write(target: Uint8Array, at: number, view: PublishView, ackInbox?: Uint8Array): number {
    const { bytes } = view
    let position = writeEnvelopeHeader(target, at, EnvelopeType.Publish)
    if (view.expectedOffset !== 0) {
      target[position] = 0x08
      position = writeVarint(target, position + 1, view.expectedOffset)
    }
    if (view.keyStart >= 0) {
      target[position] = 0x12
      position = writeBytes(target, position + 1, bytes, view.keyStart, view.keyEnd)
    }
    if (view.valueStart >= 0) {
      target[position] = 0x1a
      position = writeBytes(target, position + 1, bytes, view.valueStart, view.valueEnd)
    }
    position = copyInto(target, position, this.#constant)
    for (let index = 0; index < view.headers.count; index++) {
      position = writeHeader(target, position, view, index)
    }
    const inboxBytes = ackInbox ?? bytes
    const inboxStart = ackInbox === undefined ? view.ackInboxStart : 0
    const inboxEnd = ackInbox === undefined ? view.ackInboxEnd : ackInbox.length
    if (inboxEnd > inboxStart) {
      target[position] = 0x52
      position = writeBytes(target, position + 1, inboxBytes, inboxStart, inboxEnd)
    }
    if (view.correlationIdEnd > view.correlationIdStart) {
      target[position] = 0x5a
      const { correlationIdStart, correlationIdEnd } = view
      position = writeBytes(target, position + 1, bytes, correlationIdStart, correlationIdEnd)
    }
    if (view.ackPolicy !== 0) {
      target[position] = 0x60
      position = writeVarint(target, position + 1, view.ackPolicy)
    }
    return position
  }
}

function writeHeader(target: Uint8Array, at: number, view: PublishView, index: number): number {
  const { bytes, headers } = view
  const keyStart = headers.keyStart[index] as number
  const keyEnd = headers.keyEnd[index] as number
  const valueStart = headers.valueStart[index] as number
  const valueEnd = headers.valueEnd[index] as number
  target[at] = 0x4a
  let position = writeVarint32(target, at + 1, entrySize(view, index))
  target[position] = 0x0a
  position = writeBytes(target, position + 1, bytes, keyStart, keyEnd)
  target[position] = 0x12
  return writeBytes(target, position + 1, bytes, valueStart, valueEnd)
}

function entrySize({ headers }: PublishView, index: number): number {
  const key = (headers.keyEnd[index] as number) - (headers.keyStart[index] as number)
  const value = (headers.valueEnd[index] as number) - (headers.valueStart[index] as number)
  return fieldSize(key) + fieldSize(value)
}

function fieldSize(length: number): number {
  return 1 + varint32Size(length) + length
}

function textSize(length: number): number {
  return length > 0 ? fieldSize(length) : 0
}
