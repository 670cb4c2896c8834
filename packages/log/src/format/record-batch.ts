import { highWord, type LeaderEpoch, type Offset } from '../units.ts'
import { crc32cView } from './crc32c.ts'
import {
  FRAME_SIZE,
  HEADER_KEY_TOO_LONG,
  HEADERS_MALFORMED,
  MAGIC,
  MAX_BODY_SIZE,
  MAX_HEADER_COUNT,
  MAX_HEADER_KEY_SIZE,
  MIN_RECORD_SIZE,
  walkHeaders,
} from './record.ts'

/** The parts of a record to be stored, as views into buffers the caller owns. */
export interface RecordSource {
  /** Holds the key and, without `valueBytes`, the value. */
  readonly bytes: Uint8Array
  /** -1: null key. */
  readonly keyStart: number
  readonly keyEnd: number
  /** -1: null value. */
  readonly valueStart: number
  readonly valueEnd: number
  /** Where the value lies when it is not in `bytes`, for example because it was sealed. */
  readonly valueBytes?: Uint8Array | undefined
  readonly headerCount: number
  /** Headers in stored form: u16 key length, key, u32 value length, value; repeated. */
  readonly headers: Uint8Array
  readonly headersStart: number
  readonly headersEnd: number
}

/** Why a record cannot be stored, or not in this batch. */
export type RecordProblem =
  /** Stored, it would be larger than the batch's `maxRecordBytes`. */
  | 'too-large'
  | 'too-many-headers'
  | 'header-key-too-long'
  /** The header bytes are not `headerCount` headers. */
  | 'bad-headers'
  /** It fits a new batch, but not what is left of this one. */
  | 'batch-full'

export interface RecordBatchOptions {
  /** The buffer never grows beyond this, except for one record that alone is larger. */
  readonly maxBytes?: number
  /** Upper bound of one record's stored size: frame, body, headers, sealing. */
  readonly maxRecordBytes?: number
}

const INITIAL_BYTES = 16 * 1024
const INITIAL_RECORDS = 64
const DEFAULT_MAX_BYTES = 4 * 1024 * 1024
/** Below this a copy loop is faster than a call into the engine's `set`. */
const LOOP_COPY_BYTES = 24

/** What a record of these parts occupies on disk; -1 stands for a null key or value. */
export function storedSize(parts: {
  readonly keySize: number
  readonly valueSize: number
  /** In stored form: 6 bytes per header, plus keys and values. */
  readonly headersSize: number
}): number {
  return (
    MIN_RECORD_SIZE + Math.max(0, parts.keySize) + Math.max(0, parts.valueSize) + parts.headersSize
  )
}

/**
 * Records encoded back to back, ready to be written with one call. Reused from batch to batch, and
 * touched by one writer only: fill it, `append` it, wait, `clear` it. Offsets, timestamps and
 * epochs are filled in by the append, since they are not covered by the checksum.
 */
export class RecordBatch {
  readonly #maxBytes: number
  readonly #maxRecordBytes: number
  #bytes = new Uint8Array(INITIAL_BYTES)
  #view = new DataView(this.#bytes.buffer)
  #starts = new Uint32Array(INITIAL_RECORDS)
  #count = 0
  #byteLength = 0

  constructor(options: RecordBatchOptions = {}) {
    this.#maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES
    this.#maxRecordBytes = Math.min(
      options.maxRecordBytes ?? Number.MAX_SAFE_INTEGER,
      MAX_BODY_SIZE + FRAME_SIZE,
    )
  }

  get count(): number {
    return this.#count
  }

  get byteLength(): number {
    return this.#byteLength
  }

  /** The encoded records; valid until the next `add`. */
  get bytes(): Uint8Array {
    return this.#bytes
  }

  get view(): DataView {
    return this.#view
  }

  /** Where record `index` starts in `bytes`. */
  recordStart(index: number): number {
    return this.#starts[index] ?? 0
  }

  /** Stored size of record `index`, frame included. */
  recordSize(index: number): number {
    const end = index + 1 < this.#count ? this.recordStart(index + 1) : this.#byteLength
    return end - this.recordStart(index)
  }

  /** Encodes one record, or says why not; the batch is then as before. Allocates only to grow. */
  add(source: RecordSource): RecordProblem | undefined {
    const keySize = source.keyStart < 0 ? 0 : source.keyEnd - source.keyStart
    const valueSize = source.valueStart < 0 ? 0 : source.valueEnd - source.valueStart
    const headersSize = source.headersEnd - source.headersStart
    const size = MIN_RECORD_SIZE + keySize + valueSize + headersSize
    if (size > this.#maxRecordBytes) return 'too-large'
    const problem = checkHeaders(source)
    if (problem !== undefined) return problem
    if (this.#count > 0 && this.#byteLength + size > this.#maxBytes) return 'batch-full'
    if (this.#byteLength + size > this.#bytes.length) this.#grow(size)
    if (this.#count === this.#starts.length) this.#growStarts()

    const view = this.#view
    const start = this.#byteLength
    const end = start + size
    view.setUint32(start + 24, size - FRAME_SIZE)
    view.setUint16(start + 32, MAGIC << 8)
    view.setInt32(start + 34, source.keyStart < 0 ? -1 : keySize)
    let at = start + 38
    if (keySize > 0) {
      this.#copy(at, source.bytes, source.keyStart, source.keyEnd)
      at += keySize
    }
    view.setInt32(at, source.valueStart < 0 ? -1 : valueSize)
    at += 4
    if (valueSize > 0) {
      this.#copy(at, source.valueBytes ?? source.bytes, source.valueStart, source.valueEnd)
      at += valueSize
    }
    view.setUint16(at, source.headerCount)
    this.#copy(at + 2, source.headers, source.headersStart, source.headersEnd)
    view.setUint32(start + 28, crc32cView(view, start + 32, end))
    this.#starts[this.#count] = start
    this.#count++
    this.#byteLength = end
    return undefined
  }

  /** `add` for tests and rare records: plain values, null for an absent key or value. */
  addRecord(record: {
    readonly key?: Uint8Array | null
    readonly value?: Uint8Array | null
    readonly headers?: readonly (readonly [string, Uint8Array])[]
  }): RecordProblem | undefined {
    const { key = null, value = null, headers = [] } = record
    const long = headers.some(([name]) => Buffer.byteLength(name) > MAX_HEADER_KEY_SIZE)
    if (long) return 'header-key-too-long'
    const stored = encodeHeaders(headers)
    return this.add({
      bytes: key ?? EMPTY,
      keyStart: key === null ? -1 : 0,
      keyEnd: key === null ? -1 : key.length,
      valueBytes: value ?? EMPTY,
      valueStart: value === null ? -1 : 0,
      valueEnd: value === null ? -1 : value.length,
      headerCount: headers.length,
      headers: stored,
      headersStart: 0,
      headersEnd: stored.length,
    })
  }

  clear(): void {
    this.#count = 0
    this.#byteLength = 0
    // One large record must not hold its memory for ever.
    if (this.#bytes.length > this.#maxBytes * 2) this.#replace(new Uint8Array(INITIAL_BYTES))
  }

  /**
   * Drops the records whose flag is 0 and moves the rest together, without encoding them again:
   * how the losers of optimistic concurrency leave a batch before it is appended.
   */
  keepOnly(keep: Uint8Array): void {
    let kept = 0
    let at = 0
    const total = this.#count
    for (let i = 0; i < total; i++) {
      if (keep[i] === 0) continue
      const start = this.recordStart(i)
      const size = this.recordSize(i)
      if (at !== start) this.#bytes.copyWithin(at, start, start + size)
      this.#starts[kept] = at
      kept++
      at += size
    }
    this.#count = kept
    this.#byteLength = at
  }

  /** Writes offset, timestamp and epoch into every frame. About 5 ns per record. */
  stamp(
    base: Offset,
    time: { readonly high: number; readonly low: number },
    epoch: LeaderEpoch,
  ): void {
    const view = this.#view
    const epochHigh = highWord(epoch)
    const count = this.#count
    const starts = this.#starts
    for (let i = 0; i < count; i++) {
      const at = starts[i] ?? 0
      const offset = base + i
      view.setUint32(at, highWord(offset))
      view.setUint32(at + 4, offset >>> 0)
      view.setUint32(at + 8, time.high)
      view.setUint32(at + 12, time.low)
      view.setUint32(at + 16, epochHigh)
      view.setUint32(at + 20, epoch >>> 0)
    }
  }

  #copy(at: number, from: Uint8Array, start: number, end: number): void {
    const size = end - start
    const to = this.#bytes
    if (size > LOOP_COPY_BYTES) {
      to.set(new Uint8Array(from.buffer, from.byteOffset + start, size), at)
      return
    }
    for (let i = 0; i < size; i++) to[at + i] = from[start + i] ?? 0
  }

  #grow(size: number): void {
    const wanted = this.#byteLength + size
    const doubled = Math.min(this.#bytes.length * 2, Math.max(this.#maxBytes, wanted))
    const larger = new Uint8Array(Math.max(doubled, wanted))
    larger.set(this.#bytes.subarray(0, this.#byteLength))
    this.#replace(larger)
  }

  #replace(bytes: Uint8Array<ArrayBuffer>): void {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer)
  }

  #growStarts(): void {
    const larger = new Uint32Array(this.#starts.length * 2)
    larger.set(this.#starts)
    this.#starts = larger
  }
}

const EMPTY = new Uint8Array(0)

function checkHeaders(source: RecordSource): RecordProblem | undefined {
  if (source.headerCount > MAX_HEADER_COUNT) return 'too-many-headers'
  const count = walkHeaders(source.headers, source.headersStart, source.headersEnd)
  if (count === HEADER_KEY_TOO_LONG) return 'header-key-too-long'
  return count === HEADERS_MALFORMED || count !== source.headerCount ? 'bad-headers' : undefined
}

/** Headers in stored form. The keys must be at most `MAX_HEADER_KEY_SIZE` bytes. */
export function encodeHeaders(headers: readonly (readonly [string, Uint8Array])[]): Uint8Array {
  const size = headers.reduce(
    (sum, [name, value]) => sum + 6 + Buffer.byteLength(name) + value.length,
    0,
  )
  const stored = Buffer.alloc(size)
  let at = 0
  for (const [name, value] of headers) {
    const keySize = stored.write(name, at + 2)
    stored.writeUInt16BE(keySize, at)
    at += 2 + keySize
    stored.writeUInt32BE(value.length, at)
    stored.set(value, at + 4)
    at += 4 + value.length
  }
  return stored
}
