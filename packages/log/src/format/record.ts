/**
 * One stored record: a 28-byte frame and a body. All integers are big-endian.
 *
 *     frame  +0  8  offset            int64
 *            +8  8  timestamp         int64, nanoseconds
 *            +16 8  leader epoch      uint64
 *            +24 4  body size         uint32
 *     body   +28 4  CRC-32C of the rest of the body (the frame is not covered)
 *            +32 1  magic, 1
 *            +33 1  attributes, 0
 *            +34 4  key length        int32, -1 = null; then the key
 *                4  value length      int32, -1 = null; then the value
 *                2  header count      uint16
 *                   per header: 2 key length, key, 4 value length, value
 *
 * The readers below neither allocate nor check: a caller walks only what `scanRecords` accepted.
 */
import { joinWords, type LeaderEpoch, type Offset, timestampFromWords } from '../units.ts'
import type { TimestampNs } from '../units.ts'

export const FRAME_SIZE = 28
/** CRC, magic, attributes, two lengths and the header count. */
export const MIN_BODY_SIZE = 16
export const MIN_RECORD_SIZE: number = FRAME_SIZE + MIN_BODY_SIZE
/** What the original accepts when it rebuilds; a larger body size is taken for garbage. */
export const MAX_BODY_SIZE = 104_857_600
export const MAGIC = 1
/** A longer header key crashes Go Liftbridge servers that replicate the record [LB 7.F2, G6]. */
export const MAX_HEADER_KEY_SIZE = 32_767
/** The count is read as int16 by Go Liftbridge [G6]. */
export const MAX_HEADER_COUNT = 32_767

export function readUint32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] ?? 0) << 24) |
      ((bytes[at + 1] ?? 0) << 16) |
      ((bytes[at + 2] ?? 0) << 8) |
      (bytes[at + 3] ?? 0)) >>>
    0
  )
}

export function readUint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
}

export function recordOffset(bytes: Uint8Array, at: number): Offset {
  return joinWords(readUint32(bytes, at), readUint32(bytes, at + 4))
}

/** Upper unsigned word of the timestamp. */
export function recordTimestampHigh(bytes: Uint8Array, at: number): number {
  return readUint32(bytes, at + 8)
}

/** Lower unsigned word of the timestamp. */
export function recordTimestampLow(bytes: Uint8Array, at: number): number {
  return readUint32(bytes, at + 12)
}

/** Allocates a bigint: not for loops over records. */
export function recordTimestamp(bytes: Uint8Array, at: number): TimestampNs {
  return timestampFromWords(readUint32(bytes, at + 8), readUint32(bytes, at + 12))
}

export function recordEpoch(bytes: Uint8Array, at: number): LeaderEpoch {
  return joinWords(readUint32(bytes, at + 16), readUint32(bytes, at + 20))
}

export function recordBodySize(bytes: Uint8Array, at: number): number {
  return readUint32(bytes, at + 24)
}

/** Frame and body: where the next record starts, relative to this one. */
export function recordSize(bytes: Uint8Array, at: number): number {
  return FRAME_SIZE + readUint32(bytes, at + 24)
}

export function recordBodyStart(at: number): number {
  return at + FRAME_SIZE
}

export function recordBodyEnd(bytes: Uint8Array, at: number): number {
  return at + FRAME_SIZE + readUint32(bytes, at + 24)
}

/**
 * Where the parts of one record lie. One instance is reused for all records of a loop; a field of
 * -1 as start means null. Headers stay in stored form.
 */
export class RecordView {
  offset: Offset = -1
  timestampHigh = 0
  timestampLow = 0
  leaderEpoch: LeaderEpoch = 0
  keyStart = -1
  keyEnd = -1
  valueStart = -1
  valueEnd = -1
  headerCount = 0
  headersStart = 0
  headersEnd = 0
  /** Where the next record starts. */
  end = 0

  /**
   * Points at the record whose frame starts at `at`. False when the lengths inside do not add up:
   * a checksum that fits does not prove a well-formed body, since a peer may have made both.
   */
  load(bytes: Uint8Array, at: number): boolean {
    if (bytes.length - at < MIN_RECORD_SIZE) return false
    this.offset = recordOffset(bytes, at)
    this.timestampHigh = readUint32(bytes, at + 8)
    this.timestampLow = readUint32(bytes, at + 12)
    this.leaderEpoch = recordEpoch(bytes, at)
    const end = recordBodyEnd(bytes, at)
    this.end = end
    if (end > bytes.length || end - at < MIN_RECORD_SIZE) return false
    if (bytes[at + FRAME_SIZE + 4] !== MAGIC) return false
    return this.#loadBody(bytes, at + FRAME_SIZE + 6, end)
  }

  #loadBody(bytes: Uint8Array, keyAt: number, end: number): boolean {
    const keySize = readUint32(bytes, keyAt) | 0
    this.keyStart = keySize === -1 ? -1 : keyAt + 4
    this.keyEnd = keySize === -1 ? -1 : keyAt + 4 + keySize
    const valueAt = keyAt + 4 + (keySize === -1 ? 0 : keySize)
    if (keySize < -1 || end - valueAt < 6) return false
    const valueSize = readUint32(bytes, valueAt) | 0
    this.valueStart = valueSize === -1 ? -1 : valueAt + 4
    this.valueEnd = valueSize === -1 ? -1 : valueAt + 4 + valueSize
    const countAt = valueAt + 4 + (valueSize === -1 ? 0 : valueSize)
    if (valueSize < -1 || end - countAt < 2) return false
    this.headerCount = readUint16(bytes, countAt)
    this.headersStart = countAt + 2
    this.headersEnd = end
    return walkHeaders(bytes, countAt + 2, end) === this.headerCount
  }
}

/** The headers' lengths do not fill their bytes. */
export const HEADERS_MALFORMED = -1
/** A header key is longer than `MAX_HEADER_KEY_SIZE`. */
export const HEADER_KEY_TOO_LONG = -2

/** The number of headers that fill `bytes[start..end)` exactly, or one of the two codes above. */
export function walkHeaders(bytes: Uint8Array, start: number, end: number): number {
  let at = start
  let count = 0
  while (at < end) {
    if (end - at < 6) return HEADERS_MALFORMED
    const keySize = readUint16(bytes, at)
    if (keySize > MAX_HEADER_KEY_SIZE) return HEADER_KEY_TOO_LONG
    at += 2 + keySize
    if (end - at < 4) return HEADERS_MALFORMED
    at += 4 + readUint32(bytes, at)
    count++
  }
  return at === end ? count : HEADERS_MALFORMED
}
