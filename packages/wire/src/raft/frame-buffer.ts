/** Beyond this an empty buffer is given back: a large frame must not be kept for ever. */
const KEPT_MAX_BYTES: number = 256 * 1024

/** Bytes that have arrived and not been used yet, in one piece. */
export class FrameBuffer {
  bytes: Uint8Array = new Uint8Array()
  /** The bytes in hand are `bytes[start, end)`. */
  start = 0
  end = 0

  get length(): number {
    return this.end - this.start
  }

  /** Takes a copy of `chunk`. */
  push(chunk: Uint8Array): void {
    this.#makeRoom(chunk.length)
    this.bytes.set(chunk, this.end)
    this.end += chunk.length
  }

  /** A copy of the next `count` bytes, which are there; they are used up. */
  take(count: number): Uint8Array<ArrayBuffer> {
    const taken = this.bytes.slice(this.start, this.start + count)
    this.start += count
    if (this.start < this.end) return taken
    this.start = this.end = 0
    if (this.bytes.length > KEPT_MAX_BYTES) this.bytes = new Uint8Array()
    return taken
  }

  #makeRoom(count: number): void {
    if (this.end + count <= this.bytes.length) return
    const needed = this.length + count
    // Moving is paid for by the bytes used up since; growing doubles. So each byte moves O(1) times.
    const target =
      needed <= this.bytes.length / 2
        ? this.bytes
        : new Uint8Array(Math.max(needed, 2 * this.bytes.length, 4096))
    target.set(this.bytes.subarray(this.start, this.end))
    this.end -= this.start
    this.start = 0
    this.bytes = target
  }
}
