import type { Socket } from 'node:net'
import { freeNow } from './free-now.ts'

/**
 * Bytes on their way to one socket. Most are copied into chunks; one `socket.write` goes out per
 * turn of the event loop (or per 64 KiB), and only when the one before is through: while a peer is
 * slow its bytes gather here, where they are counted. Chunks are filled to the end, and a view is
 * only taken of a buffer that holds little else, so that what is counted is what is held.
 */
export class Outbox {
  readonly #socket: Socket
  readonly #shared: OutboxShared
  readonly #onWritten: () => void
  #full: Buffer[] = []
  #chunk: Buffer = NO_CHUNK
  /** What lies in the chunk from here on is in no piece of `#full` yet … */
  #chunkStart = 0
  /** … and ends here. */
  #chunkEnd = 0
  #waitingBytes = 0
  #inFlightBytes = 0
  #scheduled = false
  #closed = false
  #writeStartedAtMs = 0
  #afterEmpty: (() => void) | undefined

  constructor(socket: Socket, shared: OutboxShared, onWritten: () => void) {
    this.#socket = socket
    this.#shared = shared
    this.#onWritten = onWritten
  }

  /** Bytes handed in and not yet taken by the operating system. */
  get pendingBytes(): number {
    return this.#waitingBytes + this.#inFlightBytes
  }

  /** Since when the oldest write has been waiting for the peer; undefined when none is. */
  get writeStartedAtMs(): number | undefined {
    return this.#inFlightBytes > 0 ? this.#writeStartedAtMs : undefined
  }

  /** When bytes were last handed to the operating system; 0 before the first. */
  get lastWriteAtMs(): number {
    return this.#writeStartedAtMs
  }

  /**
   * Makes room for `length` bytes in one piece and returns where they start in `buffer`. The
   * caller writes them there at once and no others.
   */
  reserve(length: number): number {
    if (this.#chunkEnd + length > this.#chunk.length) this.#nextChunk(length)
    const at = this.#chunkEnd
    this.#chunkEnd += length
    this.#count(length)
    return at
  }

  /** Where `reserve` made room. */
  get buffer(): Buffer {
    return this.#chunk
  }

  /** A byte string (subject.ts). */
  writeText(text: string): void {
    const at = this.reserve(text.length)
    this.#chunk.write(text, at, text.length, 'latin1')
  }

  /** Sends `bytes`. Returns whether it keeps a view: they must not be written to then. */
  writeBytes(bytes: Uint8Array): boolean {
    const { length, buffer } = bytes
    const asView = length > COPIED_MAX_BYTES && buffer.byteLength - length <= length >> 3
    if (asView) this.#addView(bytes)
    else this.#addCopy(bytes)
    return asView
  }

  /** Calls back when everything handed in so far and until then is with the operating system. */
  onceEmpty(callback: () => void): void {
    if (this.pendingBytes === 0 || this.#closed) callback()
    else this.#afterEmpty = callback
  }

  /** Forgets what waits; called when the socket is gone. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#shared.pendingBytes -= this.pendingBytes
    this.#waitingBytes = 0
    this.#inFlightBytes = 0
    this.#seal()
    for (const piece of this.#full) this.#shared.discard(piece)
    this.#full = []
    this.#dropChunk()
    this.#afterEmpty?.()
    this.#afterEmpty = undefined
  }

  /** Hands what waits to the socket unless it is still busy with the write before. */
  flush(): void {
    if (this.#closed || this.#inFlightBytes > 0 || this.#waitingBytes === 0) return
    this.#seal()
    this.#dropChunk()
    const batch: Buffer[] = []
    let bytes = 0
    while (this.#full.length > batch.length && bytes < WRITE_MAX_BYTES) {
      const next = this.#full[batch.length] ?? NO_CHUNK
      batch.push(next)
      bytes += next.length
    }
    this.#full = this.#full.slice(batch.length)
    this.#waitingBytes -= bytes
    this.#inFlightBytes = bytes
    this.#writeStartedAtMs = performance.now()
    const written = (): void => this.#written(batch, bytes)
    if (batch.length > 1) this.#socket.cork()
    for (let i = 0; i < batch.length; i++) {
      const piece = batch[i] ?? NO_CHUNK
      if (i === batch.length - 1) this.#socket.write(piece, written)
      else this.#socket.write(piece)
    }
    if (batch.length > 1) this.#socket.uncork()
  }

  #written(batch: readonly Buffer[], bytes: number): void {
    if (this.#closed) return
    for (const piece of batch) this.#shared.release(piece)
    this.#inFlightBytes -= bytes
    this.#shared.pendingBytes -= bytes
    this.#onWritten()
    this.flush()
    if (this.pendingBytes === 0) {
      this.#afterEmpty?.()
      this.#afterEmpty = undefined
    }
  }

  #addView(bytes: Uint8Array): void {
    if (this.#chunkEnd > this.#chunkStart) {
      this.#seal()
      // In several pieces now, so nobody can tell when all of it is through: it is not used again.
      this.#shared.disown(this.#chunk)
    }
    this.#full.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
    this.#count(bytes.length)
  }

  #addCopy(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length;) {
      if (this.#chunkEnd === this.#chunk.length) this.#nextChunk(CHUNK_BYTES)
      const to = Math.min(bytes.length, from + this.#chunk.length - this.#chunkEnd)
      this.#chunk.set(bytes.subarray(from, to), this.#chunkEnd)
      this.#chunkEnd += to - from
      this.#count(to - from)
      from = to
    }
  }

  #count(length: number): void {
    this.#waitingBytes += length
    this.#shared.pendingBytes += length
    if (!this.#scheduled) {
      this.#scheduled = true
      // After every socket that is readable in this turn was read: one write for all of them.
      setImmediate(() => {
        this.#scheduled = false
        this.flush()
      })
    }
  }

  #nextChunk(length: number): void {
    const busy = this.#chunkEnd > 0 || this.#full.length > 0
    if (this.#waitingBytes > SHELVED_FROM_BYTES && this.#shelve()) return
    this.#seal()
    this.#dropChunk()
    if (this.#waitingBytes >= FLUSH_BYTES) this.flush()
    // A connection with little to say holds little: the big chunks are for those that fill a small one.
    this.#chunk = this.#shared.take(Math.max(length, busy ? CHUNK_BYTES : SMALL_CHUNK_BYTES))
  }

  #seal(): void {
    if (this.#chunkEnd === this.#chunkStart) return
    this.#full.push(this.#chunk.subarray(this.#chunkStart, this.#chunkEnd))
    this.#chunkStart = this.#chunkEnd
  }

  /** Keeps what is in the chunk elsewhere, and begins it anew; not where a part of it is sealed. */
  #shelve(): boolean {
    if (this.#chunkStart > 0 || this.#chunk.length !== CHUNK_BYTES) return false
    this.#full.push(this.#shared.shelve(this.#chunk.subarray(0, this.#chunkEnd)))
    this.#chunkEnd = 0
    return true
  }

  #dropChunk(): void {
    this.#chunk = NO_CHUNK
    this.#chunkStart = 0
    this.#chunkEnd = 0
  }
}

const NO_CHUNK = Buffer.alloc(0)
const SMALL_CHUNK_BYTES = 4 * 1024
const CHUNK_BYTES = 64 * 1024
/** A larger payload that has a buffer to itself is sent as it lies there. */
const COPIED_MAX_BYTES = 16 * 1024
const FLUSH_BYTES = 64 * 1024
/** A peer with so much waiting is slow. */
const SHELVED_FROM_BYTES = 1024 * 1024
/** So much per write: a deadline on one write then means a rate, whatever has gathered. */
const WRITE_MAX_BYTES = 256 * 1024
const SPARE_CHUNKS_MAX = 64

/** What all outboxes of a server share: the count of all waiting bytes, and spare chunks. */
export class OutboxShared {
  pendingBytes = 0
  readonly #spare: Buffer[] = []
  /** A view of somebody's message also passes through `release`, and must never be written to. */
  readonly #ours = new WeakSet<ArrayBufferLike>()

  take(bytes: number): Buffer {
    if (bytes !== CHUNK_BYTES) return Buffer.allocUnsafeSlow(bytes)
    const spare = this.#spare.pop()
    if (spare !== undefined) return spare
    const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES)
    this.#ours.add(chunk.buffer)
    return chunk
  }

  /** The chunk will not be handed out again. */
  disown(chunk: Buffer): void {
    this.#ours.delete(chunk.buffer)
  }

  /** `piece` was sent. */
  release(piece: Buffer): void {
    const { buffer } = piece
    const shelved = buffer instanceof ArrayBuffer && buffer.resizable
    if (shelved || this.#spare.length >= SPARE_CHUNKS_MAX) this.discard(piece)
    else if (this.#ours.has(buffer)) this.#spare.push(Buffer.from(buffer))
  }

  /** Frees a chunk that nothing reads from any more, without the garbage collector. */
  discard(piece: Buffer): void {
    if (this.#ours.delete(piece.buffer)) freeNow(piece.buffer)
  }

  /**
   * A copy for the long wait, in pages of its own: freed they go back to the operating system,
   * where what `allocUnsafeSlow` returns would stay with the process. Writing to such memory in
   * many small steps is slow.
   */
  shelve(piece: Buffer): Buffer {
    const pages = new ArrayBuffer(piece.length, { maxByteLength: piece.length })
    this.#ours.add(pages)
    const copy = Buffer.from(pages)
    copy.set(piece)
    return copy
  }
}
