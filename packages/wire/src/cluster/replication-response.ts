import { readInt32, readUint32 } from '../big-endian.ts'
import {
  ENVELOPE_HEADER_BYTES,
  EnvelopeType,
  payloadStartOf,
  writeEnvelopeHeader,
} from '../envelope.ts'
import { WireError, decodedBy, type Decoded } from '../wire-error.ts'

/**
 * The answer to a fetch: binary, so that records go from the leader's log to the follower's as they
 * are [LB 4.5]. Integers are big-endian.
 *
 *     envelope       8 bytes, type 3
 *     bounds         only between servers of ours, see below: oldest and newest offset, int64 each
 *     leader epoch   uint64
 *     high watermark int64, -1 for none
 *     records        none or more, each: offset int64, timestamp int64, leader epoch uint64,
 *                    size uint32, and `size` bytes of body
 *
 * The bounds of the leader's log lie inside the envelope's header, whose length says 24 then, with
 * flag bit 1: a Go server looks at neither. They are written only for a follower whose request
 * carries an incarnation.
 */
export type ReplicationResponseHeader = {
  readonly leaderEpoch: number
  /** -1 for none. */
  readonly highWatermark: number
  /** Bounds of the leader's log, -1 when it is empty; absent from a Go Liftbridge leader. */
  readonly bounds?: LogBounds
}

export type LogBounds = { readonly oldestOffset: number; readonly newestOffset: number }

export type ReplicationResponse = ReplicationResponseHeader & {
  /** A view of what was decoded: whole records, unverified but for their lengths and order. */
  readonly records: Uint8Array
  /** Undefined when there are no records. */
  readonly range: RecordRange | undefined
}

export type RecordRange = {
  readonly count: number
  readonly firstOffset: number
  readonly lastOffset: number
  readonly firstEpoch: number
  readonly lastEpoch: number
}

/** Bytes before the records without bounds: what a Go server needs for itself. */
export const REPLICATION_HEADER_BYTES = 24
/** The same with bounds. */
export const REPLICATION_HEADER_WITH_BOUNDS_BYTES = 40

const BOUNDS_BYTES = 16
const BOUNDS_FLAG = 0x02
const PREFIX_BYTES = 16
const RECORD_FRAME_BYTES = 28
/** Checksum, magic, attributes, two null lengths and the number of headers. */
const RECORD_BODY_MIN_BYTES = 16
const TWO_32 = 0x1_0000_0000

/** Bytes that `writeReplicationHeader` takes. */
export function replicationHeaderBytes(header: ReplicationResponseHeader): number {
  return header.bounds ? REPLICATION_HEADER_WITH_BOUNDS_BYTES : REPLICATION_HEADER_BYTES
}

/** Writes all but the records, which go behind it, and returns where. */
export function writeReplicationHeader(
  target: Uint8Array,
  at: number,
  header: ReplicationResponseHeader,
): number {
  let next = writeEnvelopeHeader(target, at, EnvelopeType.ReplicationResponse)
  if (header.bounds) {
    target[at + 5] = ENVELOPE_HEADER_BYTES + BOUNDS_BYTES
    target[at + 6] = BOUNDS_FLAG
    next = writeInt64(target, next, header.bounds.oldestOffset)
    next = writeInt64(target, next, header.bounds.newestOffset)
  }
  return writeInt64(target, writeInt64(target, next, header.leaderEpoch), header.highWatermark)
}

/** The whole answer, with a copy of `records`. */
export function encodeReplicationResponse(
  header: ReplicationResponseHeader,
  records: Uint8Array = new Uint8Array(),
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(replicationHeaderBytes(header) + records.length)
  bytes.set(records, writeReplicationHeader(bytes, 0, header))
  return bytes
}

/**
 * Opens the envelope and checks that the records fill the rest exactly [G5]. Whether they verify,
 * and whether they go where the log ends, is the log's business. Never throws.
 */
export function decodeReplicationResponse(bytes: Uint8Array): Decoded<ReplicationResponse> {
  return decodedBy(() => {
    const start = payloadStartOf(bytes, 0, bytes.length, EnvelopeType.ReplicationResponse)
    if (start < 0) throw new WireError('malformed', 'not the envelope of a replication response')
    if (bytes.length - start < PREFIX_BYTES) throw new WireError('cut', 'not enough data')
    const records = bytes.subarray(start + PREFIX_BYTES)
    const bounds = readBounds(bytes, start)
    return {
      leaderEpoch: readUnsigned(bytes, start),
      highWatermark: readOffset(bytes, start + 8),
      ...(bounds ? { bounds } : {}),
      records,
      range: recordRange(records),
    }
  })
}

function readBounds(bytes: Uint8Array, payloadStart: number): LogBounds | undefined {
  const flagged = ((bytes[6] ?? 0) & BOUNDS_FLAG) !== 0
  if (!flagged || payloadStart !== ENVELOPE_HEADER_BYTES + BOUNDS_BYTES) return undefined
  return { oldestOffset: readOffset(bytes, 8), newestOffset: readOffset(bytes, 16) }
}

/**
 * What lies between the first record and the last. Throws WireError unless they are whole, begin at
 * offset 0 or later, go up, and their epochs do not fall. One step for each record, no allocation.
 */
function recordRange(records: Uint8Array): RecordRange | undefined {
  if (records.length === 0) return undefined
  let [count, at, offset, epoch] = [0, 0, -1, 0]
  while (at < records.length) {
    if (records.length - at < RECORD_FRAME_BYTES) throw new WireError('cut', 'a record is cut')
    const next = readOffset(records, at)
    const nextEpoch = readUnsigned(records, at + 16)
    const size = readUint32(records, at + 24)
    if (size < RECORD_BODY_MIN_BYTES) throw new WireError('malformed', 'a record without a body')
    if (size > records.length - at - RECORD_FRAME_BYTES) {
      throw new WireError('cut', 'a record is cut')
    }
    if (next <= offset || nextEpoch < epoch) {
      throw new WireError('malformed', 'records out of order')
    }
    offset = next
    epoch = nextEpoch
    at += RECORD_FRAME_BYTES + size
    count++
  }
  const [firstOffset, firstEpoch] = [readOffset(records, 0), readUnsigned(records, 16)]
  return { count, firstOffset, lastOffset: offset, firstEpoch, lastEpoch: epoch }
}

/** An int64 that is an offset, or -1 for none. */
function readOffset(bytes: Uint8Array, at: number): number {
  const value = readInt32(bytes, at) * TWO_32 + readUint32(bytes, at + 4)
  if (value < -1 || value > Number.MAX_SAFE_INTEGER) {
    throw new WireError('too-large', 'an offset below -1 or beyond 2^53')
  }
  return value
}

function readUnsigned(bytes: Uint8Array, at: number): number {
  const value = readUint32(bytes, at) * TWO_32 + readUint32(bytes, at + 4)
  if (value > Number.MAX_SAFE_INTEGER) throw new WireError('too-large', 'a number beyond 2^53')
  return value
}

/** Writes a safe integer as int64 and returns the position after it. */
function writeInt64(target: Uint8Array, at: number, value: number): number {
  const high = Math.floor(value / TWO_32)
  const low = value - high * TWO_32
  for (let index = 0; index < 4; index++) {
    target[at + index] = (high >> (24 - 8 * index)) & 0xff
    target[at + 4 + index] = (low >>> (24 - 8 * index)) & 0xff
  }
  return at + 8
}
