import { byteAt, readInt32, readUint16, readUint32 } from './big-endian.ts'
import { constantFields } from './constant-fields.ts'
import { copyInto, writeBytes } from './copy.ts'
import { GRPC_PREFIX_BYTES, writeGrpcPrefix } from './grpc-prefix.ts'
import {
  varint32Size,
  varintSize,
  varintWordsSize,
  writeVarint,
  writeVarint32,
  writeVarintWords,
} from './varint.ts'

/**
 * Transcodes stored records into what Subscribe sends: a gRPC prefix and a `Message` [LB 1.6].
 *
 *     stored body   crc:4 magic:1 attributes:1 key:int32+bytes value:int32+bytes count:uint16
 *                   count x (key:uint16+bytes value:uint32+bytes)          length -1 means null
 *     Message       1 offset, 2 key, 3 value, 4 timestamp, 5 stream, 6 partition,
 *                   7 subject and 8 replySubject from the headers of those names, 9 all headers
 *
 * Nothing is allocated for a message but a view for each part of 48 bytes or more. Null and empty
 * look alike in proto3: both are omitted.
 */

/**
 * A record as the log's reader points at it. The same object may be reused for every record.
 * `log` has checked the body's checksum.
 */
export interface StoredRecord {
  bytes: Uint8Array
  /** Where the body begins, at its CRC. */
  bodyStart: number
  bodyEnd: number
  /** A safe integer. */
  offset: number
  /** Nanoseconds since the Unix epoch as two 32-bit words, signed or unsigned. */
  timestampHigh: number
  timestampLow: number
}

/** `write` returns it when the message does not fit behind the given position. */
export const DOES_NOT_FIT = -1
/** `write` and `size` return it for a body whose lengths do not add up. */
export const MALFORMED_RECORD = -2

const FIXED_BODY_BYTES = 6
const NULL = -1

/** Writes the messages of one subscription. */
export class MessageWriter {
  /** Fields 5 and 6, the same in each message. */
  readonly #constant: Uint8Array

  // What `size` found in the record, for `write`. An absent part is empty.
  #messageBytes = 0
  #keyStart = 0
  #keyEnd = 0
  #valueStart = 0
  #valueEnd = 0
  #headersStart = 0
  #headerCount = 0
  #subjectStart = 0
  #subjectEnd = 0
  #replyStart = 0
  #replyEnd = 0

  constructor(stream: string, partition: number) {
    this.#constant = constantFields([
      [5, stream],
      [6, partition],
    ])
  }

  /** Bytes that the record takes, prefix included, or MALFORMED_RECORD. */
  size(record: StoredRecord): number {
    if (!this.#parse(record)) return MALFORMED_RECORD
    let size = this.#constant.length
    if (record.offset !== 0) size += 1 + varintSize(record.offset)
    if (record.timestampHigh !== 0 || record.timestampLow !== 0) {
      size += 1 + varintWordsSize(record.timestampHigh, record.timestampLow)
    }
    size += partSize(this.#keyEnd - this.#keyStart) + partSize(this.#valueEnd - this.#valueStart)
    size +=
      partSize(this.#subjectEnd - this.#subjectStart) + partSize(this.#replyEnd - this.#replyStart)
    this.#messageBytes = size + this.#headersSize(record.bytes)
    return GRPC_PREFIX_BYTES + this.#messageBytes
  }

  /**
   * Writes the record to `target` at `at` and returns the position after it, or DOES_NOT_FIT
   * or MALFORMED_RECORD, in which case nothing is written.
   */
  write(target: Uint8Array, at: number, record: StoredRecord): number {
    const size = this.size(record)
    if (size < 0) return size
    if (at + size > target.length) return DOES_NOT_FIT
    const source = record.bytes
    let position = writeGrpcPrefix(target, at, this.#messageBytes)
    if (record.offset !== 0) {
      target[position] = 0x08
      position = writeVarint(target, position + 1, record.offset)
    }
    if (this.#keyEnd > this.#keyStart) {
      target[position] = 0x12
      position = writeBytes(target, position + 1, source, this.#keyStart, this.#keyEnd)
    }
    if (this.#valueEnd > this.#valueStart) {
      target[position] = 0x1a
      position = writeBytes(target, position + 1, source, this.#valueStart, this.#valueEnd)
    }
    if (record.timestampHigh !== 0 || record.timestampLow !== 0) {
      target[position] = 0x20
      const { timestampHigh, timestampLow } = record
      position = writeVarintWords(target, position + 1, timestampHigh, timestampLow)
    }
    position = copyInto(target, position, this.#constant)
    if (this.#subjectEnd > this.#subjectStart) {
      target[position] = 0x3a
      position = writeBytes(target, position + 1, source, this.#subjectStart, this.#subjectEnd)
    }
    if (this.#replyEnd > this.#replyStart) {
      target[position] = 0x42
      position = writeBytes(target, position + 1, source, this.#replyStart, this.#replyEnd)
    }
    return this.#writeHeaders(target, position, source)
  }

  /** Finds the parts of the body; false when they do not fill it exactly. */
  #parse(record: StoredRecord): boolean {
    const { bytes, bodyStart, bodyEnd } = record
    let at = bodyStart + FIXED_BODY_BYTES
    if (bodyEnd > bytes.length || at + 4 > bodyEnd) return false
    const keyLength = readInt32(bytes, at)
    if (keyLength < NULL) return false
    this.#keyStart = at + 4
    this.#keyEnd = at + 4 + (keyLength === NULL ? 0 : keyLength)
    at = this.#keyEnd
    if (at + 4 > bodyEnd) return false
    const valueLength = readInt32(bytes, at)
    if (valueLength < NULL) return false
    this.#valueStart = at + 4
    this.#valueEnd = at + 4 + (valueLength === NULL ? 0 : valueLength)
    at = this.#valueEnd
    if (at + 2 > bodyEnd) return false
    this.#headerCount = readUint16(bytes, at)
    this.#headersStart = at + 2
    return this.#parseHeaders(bytes, bodyEnd)
  }

  /** Checks the bounds of the headers and finds `subject` and `reply`. */
  #parseHeaders(bytes: Uint8Array, bodyEnd: number): boolean {
    this.#subjectStart = 0
    this.#subjectEnd = 0
    this.#replyStart = 0
    this.#replyEnd = 0
    let at = this.#headersStart
    for (let left = this.#headerCount; left > 0; left--) {
      if (at + 2 > bodyEnd) return false
      const keyStart = at + 2
      const keyLength = readUint16(bytes, at)
      const valueStart = keyStart + keyLength + 4
      if (valueStart > bodyEnd) return false
      const valueLength = readUint32(bytes, valueStart - 4)
      // Beyond the end? Then the next header does not fit, or the last one did not end there.
      at = valueStart + valueLength
      if (keyLength === 7 && isSubject(bytes, keyStart)) {
        this.#subjectStart = valueStart
        this.#subjectEnd = at
      } else if (keyLength === 5 && isReply(bytes, keyStart)) {
        this.#replyStart = valueStart
        this.#replyEnd = at
      }
    }
    return at === bodyEnd
  }

  #headersSize(bytes: Uint8Array): number {
    let size = 0
    let at = this.#headersStart
    for (let left = this.#headerCount; left > 0; left--) {
      const keyLength = readUint16(bytes, at)
      const valueLength = readUint32(bytes, at + 2 + keyLength)
      const entry = entrySize(keyLength, valueLength)
      size += 1 + varint32Size(entry) + entry
      at += 6 + keyLength + valueLength
    }
    return size
  }

  /** One map entry for each header: `4A length, 0A key, 12 value`. */
  #writeHeaders(target: Uint8Array, at: number, bytes: Uint8Array): number {
    let position = at
    let from = this.#headersStart
    for (let left = this.#headerCount; left > 0; left--) {
      const keyStart = from + 2
      const keyEnd = keyStart + readUint16(bytes, from)
      const valueStart = keyEnd + 4
      const valueEnd = valueStart + readUint32(bytes, keyEnd)
      target[position] = 0x4a
      const entry = entrySize(keyEnd - keyStart, valueEnd - valueStart)
      position = writeVarint32(target, position + 1, entry)
      target[position] = 0x0a
      position = writeBytes(target, position + 1, bytes, keyStart, keyEnd)
      target[position] = 0x12
      position = writeBytes(target, position + 1, bytes, valueStart, valueEnd)
      from = valueEnd
    }
    return position
  }
}

/** Bytes of a field with a length, tag included; nothing when it is null or empty. */
function partSize(length: number): number {
  return length > 0 ? 1 + varint32Size(length) + length : 0
}

/** Bytes of a map entry: unlike fields of a message, an empty key or value is written. */
function entrySize(keyLength: number, valueLength: number): number {
  return 2 + varint32Size(keyLength) + keyLength + varint32Size(valueLength) + valueLength
}

/** Whether the seven bytes at `at` are "subject". */
function isSubject(bytes: Uint8Array, at: number): boolean {
  return (
    byteAt(bytes, at) === 0x73 &&
    byteAt(bytes, at + 1) === 0x75 &&
    byteAt(bytes, at + 2) === 0x62 &&
    byteAt(bytes, at + 3) === 0x6a &&
    byteAt(bytes, at + 4) === 0x65 &&
    byteAt(bytes, at + 5) === 0x63 &&
    byteAt(bytes, at + 6) === 0x74
  )
}

/** Whether the five bytes at `at` are "reply". */
function isReply(bytes: Uint8Array, at: number): boolean {
  return (
    byteAt(bytes, at) === 0x72 &&
    byteAt(bytes, at + 1) === 0x65 &&
    byteAt(bytes, at + 2) === 0x70 &&
    byteAt(bytes, at + 3) === 0x6c &&
    byteAt(bytes, at + 4) === 0x79
  )
}
