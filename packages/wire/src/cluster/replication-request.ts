import { copyInto } from '../copy.ts'
import {
  ENVELOPE_HEADER_BYTES,
  EnvelopeType,
  payloadStartOf,
  writeEnvelopeHeader,
} from '../envelope.ts'
import { FieldReader, WireType } from '../field-reader.ts'
import { decodeText, encodeText, isUtf8 } from '../text.ts'
import { writeVarint } from '../varint.ts'
import { WireError, decodedBy, type Decoded } from '../wire-error.ts'

/**
 * A follower's fetch, in an envelope of type ReplicationRequest [LB 4.5]. Written by hand: one goes
 * out for each response, and the generated code would make a bigint of each number.
 */
export type ReplicationRequest = {
  readonly replicaId: string
  /** Newest offset of the replica, -1 when it has none; it wants the next one. */
  readonly offset: number
  /** The epoch in which the replica follows. 0 fences nothing; only tests of Go send it [G9]. */
  readonly leaderEpoch: number
  /** Which run of the replica's process asks; absent from a Go Liftbridge server. */
  readonly incarnation?: number
  /** Newest durable offset; absent from a Go Liftbridge server. */
  readonly syncedOffset?: number
  /** How long the answer may be held back; absent from a Go Liftbridge server. */
  readonly maxWaitMs?: number
}

const REPLICA_ID = tag(1, WireType.Bytes)
const OFFSET = tag(2, WireType.Varint)
const LEADER_EPOCH = tag(3, WireType.Varint)
const INCARNATION = tag(100, WireType.Varint)
const SYNCED_OFFSET = tag(101, WireType.Varint)
const MAX_WAIT_MS = tag(102, WireType.Varint)

/** Header, five numbers of ten bytes each with their tags, tag and length of the id. */
const MOST_BYTES: number = ENVELOPE_HEADER_BYTES + 5 * 12 + 7

function tag(field: number, wireType: number): number {
  return (field << 3) | wireType
}

/** Envelope and all. Offsets and epochs are safe integers. */
export function encodeReplicationRequest(request: ReplicationRequest): Uint8Array<ArrayBuffer> {
  const id = encodeText(request.replicaId)
  const bytes = new Uint8Array(MOST_BYTES + id.length)
  let at = writeEnvelopeHeader(bytes, 0, EnvelopeType.ReplicationRequest)
  if (id.length > 0) {
    at = writeVarint(bytes, at, REPLICA_ID)
    at = copyInto(bytes, writeVarint(bytes, at, id.length), id)
  }
  // Proto3 leaves zeros out, except where absence has a meaning.
  if (request.offset !== 0) at = writeNumber(bytes, at, OFFSET, request.offset)
  if (request.leaderEpoch !== 0) at = writeNumber(bytes, at, LEADER_EPOCH, request.leaderEpoch)
  const { incarnation, syncedOffset, maxWaitMs } = request
  if (incarnation !== undefined) at = writeNumber(bytes, at, INCARNATION, incarnation)
  if (syncedOffset !== undefined) at = writeNumber(bytes, at, SYNCED_OFFSET, syncedOffset)
  if (maxWaitMs !== undefined) at = writeNumber(bytes, at, MAX_WAIT_MS, maxWaitMs)
  return bytes.subarray(0, at)
}

// eslint-disable-next-line max-params -- like the other writers of fields
function writeNumber(target: Uint8Array, at: number, key: number, value: number): number {
  return writeVarint(target, writeVarint(target, at, key), value)
}

/** Opens the envelope and reads the request. Never throws. */
export function decodeReplicationRequest(bytes: Uint8Array): Decoded<ReplicationRequest> {
  return decodedBy(() => {
    const start = payloadStartOf(bytes, 0, bytes.length, EnvelopeType.ReplicationRequest)
    if (start < 0) throw new WireError('malformed', 'not the envelope of a replication request')
    return readRequest(bytes, start)
  })
}

function readRequest(bytes: Uint8Array, start: number): ReplicationRequest {
  const fields = new FieldReader()
  fields.open(bytes, start, bytes.length)
  const read: { -readonly [Name in keyof ReplicationRequest]: ReplicationRequest[Name] } = {
    replicaId: '',
    offset: 0,
    leaderEpoch: 0,
  }
  while (fields.at < fields.end) {
    switch (fields.readTag()) {
      case 0:
        throw new WireError('malformed', 'a tag that is cut or malformed')
      case REPLICA_ID:
        read.replicaId = readText(fields)
        break
      case OFFSET:
        read.offset = readOffset(fields)
        break
      case LEADER_EPOCH:
        read.leaderEpoch = readUnsigned(fields)
        break
      case INCARNATION:
        read.incarnation = readUnsigned(fields)
        break
      case SYNCED_OFFSET:
        read.syncedOffset = readOffset(fields)
        break
      case MAX_WAIT_MS:
        read.maxWaitMs = readUnsigned(fields)
        break
      default:
        skipUnknown(fields)
    }
  }
  return read
}

/** Passes over a field that this message does not have; one that it has is of another type here. */
function skipUnknown(fields: FieldReader): void {
  const field = fields.low >>> 3
  if (field <= 3 || (field >= 100 && field <= 102)) {
    throw new WireError('malformed', 'a field of another type')
  }
  if (!fields.skip(fields.low & 7)) throw new WireError('malformed', 'a field that is cut')
}

function readText(fields: FieldReader): string {
  const length = fields.readLength()
  if (length < 0) throw new WireError('cut', 'text that is cut')
  const [start, end] = [fields.at, fields.at + length]
  if (!isUtf8(fields.bytes, start, end)) throw new WireError('malformed', 'text that is not UTF-8')
  fields.at = end
  return decodeText(fields.bytes, start, end)
}

/** An offset, -1 for none. */
function readOffset(fields: FieldReader): number {
  const value = readNumber(fields)
  if (value < -1) throw new WireError('malformed', 'an offset below -1')
  return value
}

function readUnsigned(fields: FieldReader): number {
  const value = readNumber(fields)
  if (value < 0) throw new WireError('too-large', 'a number beyond 2^53')
  return value
}

function readNumber(fields: FieldReader): number {
  if (!fields.readVarint()) throw new WireError('cut', 'a number that is cut')
  const high = fields.high | 0
  if (high < -0x20_0000 || high >= 0x20_0000) {
    throw new WireError('too-large', 'a number beyond 2^53')
  }
  return fields.int64
}
