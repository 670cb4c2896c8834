import { readUint32 } from './big-endian.ts'
import { crc32c } from './crc32c.ts'

/**
 * The envelope around every message between servers, and around publishes and acks [LB 1.1]:
 *
 *     0-3   magic B9 0E 43 B4
 *     4     version, 0
 *     5     header length H: where the payload begins; 8, or 12 with a checksum
 *     6     flags: bit 0 says that a CRC-32C is present, the others are ignored
 *     7     type
 *     8-11  CRC-32C of the payload, big-endian, only with flag bit 0
 *     H..   payload: protobuf, except for a ReplicationResponse
 *
 * We never write a checksum, like Go Liftbridge, but verify one that is there.
 */
export const EnvelopeType = {
  Publish: 0,
  Ack: 1,
  ReplicationRequest: 2,
  ReplicationResponse: 3,
  RaftJoinRequest: 4,
  RaftJoinResponse: 5,
  LeaderEpochOffsetRequest: 6,
  LeaderEpochOffsetResponse: 7,
  PropagatedRequest: 8,
  PropagatedResponse: 9,
  ServerInfoRequest: 10,
  ServerInfoResponse: 11,
  PartitionStatusRequest: 12,
  PartitionStatusResponse: 13,
  PartitionNotification: 14,
} as const

export type EnvelopeType = (typeof EnvelopeType)[keyof typeof EnvelopeType]

/** Length of the header that we write. */
export const ENVELOPE_HEADER_BYTES = 8
const CHECKED_HEADER_BYTES = 12
const CHECKSUM_FLAG = 1
const LAST_TYPE = EnvelopeType.PartitionNotification

/** Why bytes are not an acceptable envelope. */
export type EnvelopeProblem =
  | 'shorter than a header'
  | 'wrong magic'
  | 'unknown version'
  | 'header length outside of the message'
  | 'other type than expected'
  | 'unknown type'
  | 'checksum without its header length'
  | 'wrong checksum'

export type DecodedEnvelope =
  | {
      readonly kind: 'envelope'
      readonly type: EnvelopeType
      /** Where the payload begins in the bytes given; it ends where they end. */
      readonly payloadStart: number
    }
  | { readonly kind: 'rejected'; readonly reason: EnvelopeProblem }

const problems: readonly EnvelopeProblem[] = [
  'shorter than a header',
  'wrong magic',
  'unknown version',
  'header length outside of the message',
  'other type than expected',
  'checksum without its header length',
  'wrong checksum',
]

/**
 * Opens an envelope of any type. Never throws: what comes from NATS may be anything.
 * Stricter than Go Liftbridge in one point: a header length beyond the message, which kills a Go
 * server [D-02, G3], or below 8, which makes header bytes payload, is rejected.
 */
export function decodeEnvelope(bytes: Uint8Array): DecodedEnvelope {
  const type = bytes.length < ENVELOPE_HEADER_BYTES ? 0 : (bytes[7] as number)
  const payloadStart = payloadStartOf(bytes, 0, bytes.length, type)
  if (payloadStart < 0) {
    return { kind: 'rejected', reason: problems[-1 - payloadStart] as EnvelopeProblem }
  }
  if (!isEnvelopeType(type)) return { kind: 'rejected', reason: 'unknown type' }
  return { kind: 'envelope', type, payloadStart }
}

/** The same where one type is expected; any other is rejected. */
export function decodeEnvelopeOf(type: EnvelopeType, bytes: Uint8Array): DecodedEnvelope {
  const payloadStart = payloadStartOf(bytes, 0, bytes.length, type)
  if (payloadStart < 0) {
    return { kind: 'rejected', reason: problems[-1 - payloadStart] as EnvelopeProblem }
  }
  return { kind: 'envelope', type, payloadStart }
}

/**
 * Where the payload of the envelope in `bytes[start, end)` begins, or a negative number when it is
 * not an acceptable envelope of type `wanted`. The form for the hot path: nothing is allocated.
 */
export function payloadStartOf(
  bytes: Uint8Array,
  start: number,
  end: number,
  wanted: number,
): number {
  if (end - start < ENVELOPE_HEADER_BYTES) return -1
  if (
    bytes[start] !== 0xb9 ||
    bytes[start + 1] !== 0x0e ||
    bytes[start + 2] !== 0x43 ||
    bytes[start + 3] !== 0xb4
  ) {
    return -2
  }
  if (bytes[start + 4] !== 0) return -3
  const headerLength = bytes[start + 5] as number
  if (headerLength < ENVELOPE_HEADER_BYTES || start + headerLength > end) return -4
  if (bytes[start + 7] !== wanted) return -5
  const payloadStart = start + headerLength
  if (((bytes[start + 6] as number) & CHECKSUM_FLAG) !== 0) {
    if (headerLength !== CHECKED_HEADER_BYTES) return -6
    if (readUint32(bytes, start + 8) !== crc32c(bytes, payloadStart, end)) return -7
  }
  return payloadStart
}

/** Writes the header of an envelope without checksum and returns where its payload goes. */
export function writeEnvelopeHeader(target: Uint8Array, at: number, type: EnvelopeType): number {
  target[at] = 0xb9
  target[at + 1] = 0x0e
  target[at + 2] = 0x43
  target[at + 3] = 0xb4
  target[at + 4] = 0
  target[at + 5] = ENVELOPE_HEADER_BYTES
  target[at + 6] = 0
  target[at + 7] = type
  return at + ENVELOPE_HEADER_BYTES
}

/** An envelope around a copy of `payload`. */
export function encodeEnvelope(type: EnvelopeType, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ENVELOPE_HEADER_BYTES + payload.length)
  bytes.set(payload, writeEnvelopeHeader(bytes, 0, type))
  return bytes
}

/** An envelope with the optional checksum of its payload. */
export function encodeCheckedEnvelope(
  type: EnvelopeType,
  payload: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(CHECKED_HEADER_BYTES + payload.length)
  writeEnvelopeHeader(bytes, 0, type)
  bytes[5] = CHECKED_HEADER_BYTES
  bytes[6] = CHECKSUM_FLAG
  new DataView(bytes.buffer).setUint32(8, crc32c(payload))
  bytes.set(payload, CHECKED_HEADER_BYTES)
  return bytes
}

function isEnvelopeType(type: number): type is EnvelopeType {
  return type <= LAST_TYPE
}
