/**
 * The bytes most recently appended, kept in memory so that readers at the tail, however many,
 * are served without touching the disk. Chunks are written once and only ever grow at their end,
 * so a reader may hold on to a range of one without copying, until it asks for the next. One bound holds for all logs; the
 * oldest chunk goes first, whichever log it belongs to.
 */
import type { Segment } from './segment.ts'
import type { Offset, Position } from './units.ts'

const DEFAULT_MAX_BYTES = 32 * 1024 * 1024
const MAX_CHUNK_BYTES = 256 * 1024
const MIN_CHUNK_BYTES = 4 * 1024
/** Chunks kept for reuse, 4 MiB in all: a busy log drops and takes one in turn. */
const MAX_SPARE = 16

/** Whole records of one segment, back to back, as they stand in its file. */
export interface TailChunk {
  readonly owner: LogTail
  readonly segment: Segment
  /** Position in the log file of the chunk's first byte. */
  readonly position: Position
  readonly firstOffset: Offset
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly view: DataView
  /** How many bytes of `bytes` are filled. */
  length: number
  /** Readers whose last block lies in `bytes`. */
  holders: number
  /** It left the cache; its memory is used again once nobody holds it. */
  dropped: boolean
}

/** The memory that the tails of all logs of a server share. */
export class TailCache {
  readonly maxBytes: number
  /** In order of creation. */
  readonly #chunks = new Set<TailChunk>()
  /** Memory of dropped chunks: a busy server would else fill the heap's garbage with it. */
  readonly #spare: Uint8Array<ArrayBuffer>[] = []
  #bytes = 0

  constructor(options: { readonly maxBytes?: number } = {}) {
    this.maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES
  }

  /** Bytes allocated now. */
  get byteLength(): number {
    return this.#bytes
  }

  /** @internal */
  admit(chunk: TailChunk): void {
    this.#chunks.add(chunk)
    this.#bytes += chunk.bytes.length
    for (const oldest of this.#chunks) {
      if (this.#bytes <= this.maxBytes) break
      this.drop(oldest)
      oldest.owner.forget(oldest)
    }
  }

  /** @internal */
  drop(chunk: TailChunk): void {
    if (!this.#chunks.delete(chunk)) return
    this.#bytes -= chunk.bytes.length
    chunk.dropped = true
    if (chunk.holders === 0) this.#reclaim(chunk)
  }

  /** @internal Memory for a chunk of at least `size` bytes; what it holds is not cleared. */
  allocate(size: number): Uint8Array<ArrayBuffer> {
    const spare = size === MAX_CHUNK_BYTES ? this.#spare.pop() : undefined
    return spare ?? new Uint8Array(size)
  }

  /** @internal A reader returned a block that lies in the chunk. */
  hold(chunk: TailChunk): void {
    chunk.holders++
  }

  /**
   * @internal The reader's owner asked for the next block, so it is done with the last one. A
   * reader that is closed releases nothing: its owner may still look at the block, and the
   * collector takes the memory.
   */
  release(chunk: TailChunk): void {
    chunk.holders--
    if (chunk.dropped && chunk.holders === 0) this.#reclaim(chunk)
  }

  #reclaim(chunk: TailChunk): void {
    const { bytes } = chunk
    if (bytes.length === MAX_CHUNK_BYTES && this.#spare.length < MAX_SPARE) this.#spare.push(bytes)
  }
}

/** One log's share of the cache. */
export class LogTail {
  readonly #cache: TailCache
  #chunks: TailChunk[] = []
  /** Doubles while a log is busy, so that a quiet one holds little. */
  #chunkBytes = MIN_CHUNK_BYTES

  constructor(cache: TailCache) {
    this.#cache = cache
  }

  /** Remembers records that were just written to `segment` at `position`. */
  push(
    segment: Segment,
    records: {
      readonly bytes: Uint8Array
      readonly length: number
      readonly position: Position
      readonly firstOffset: Offset
    },
  ): void {
    const { bytes, length, position } = records
    if (length > this.#cache.maxBytes / 4) return
    let chunk = this.#chunks.at(-1)
    const follows =
      chunk !== undefined && chunk.segment === segment && chunk.position + chunk.length === position
    if (chunk === undefined || !follows || chunk.length + length > chunk.bytes.length) {
      chunk = this.#addChunk(segment, records)
    }
    chunk.bytes.set(new Uint8Array(bytes.buffer, bytes.byteOffset, length), chunk.length)
    chunk.length += length
  }

  /** @internal See `TailCache.hold`. */
  hold(chunk: TailChunk): void {
    this.#cache.hold(chunk)
  }

  /** @internal See `TailCache.release`. */
  release(chunk: TailChunk): void {
    this.#cache.release(chunk)
  }

  /** The chunk that holds `position` of `segment`, if it is still there. */
  find(segment: Segment, position: Position): TailChunk | undefined {
    for (let i = this.#chunks.length - 1; i >= 0; i--) {
      const chunk = this.#chunks[i]
      if (chunk === undefined || chunk.segment !== segment) continue
      if (position < chunk.position) continue
      return position < chunk.position + chunk.length ? chunk : undefined
    }
    return undefined
  }

  /** The chunk of `segment` whose records may include `offset`. */
  findOffset(segment: Segment, offset: Offset): TailChunk | undefined {
    for (let i = this.#chunks.length - 1; i >= 0; i--) {
      const chunk = this.#chunks[i]
      if (chunk?.segment === segment && chunk.firstOffset <= offset) return chunk
    }
    return undefined
  }

  /** Forgets everything: the log was cut, closed, or its records rewritten. */
  clear(): void {
    for (const chunk of this.#chunks) this.#cache.drop(chunk)
    this.#chunks = []
    this.#chunkBytes = MIN_CHUNK_BYTES
  }

  /** @internal The cache took a chunk away. */
  forget(chunk: TailChunk): void {
    const at = this.#chunks.indexOf(chunk)
    if (at >= 0) this.#chunks.splice(at, 1)
  }

  #addChunk(
    segment: Segment,
    records: { readonly length: number; readonly position: Position; readonly firstOffset: Offset },
  ): TailChunk {
    const bytes = this.#cache.allocate(Math.max(this.#chunkBytes, records.length))
    this.#chunkBytes = Math.min(this.#chunkBytes * 2, MAX_CHUNK_BYTES)
    const chunk: TailChunk = {
      owner: this,
      segment,
      position: records.position,
      firstOffset: records.firstOffset,
      bytes,
      view: new DataView(bytes.buffer),
      length: 0,
      holders: 0,
      dropped: false,
    }
    this.#chunks.push(chunk)
    this.#cache.admit(chunk)
    return chunk
  }
}
