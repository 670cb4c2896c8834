/**
 * Gathers the pieces of something that arrives split. Its buffer grows with what arrived, not with
 * what was announced: a client that announces 1 MiB and goes silent pins nothing [reliability B1].
 */
export class ByteAccumulator {
  #bytes: Buffer = NOTHING
  #length = 0

  get length(): number {
    return this.#length
  }

  /** `most` is how much will come at most: the buffer grows no further. */
  append(piece: Buffer, { start, end, most }: { start: number; end: number; most: number }): void {
    const length = this.#length + end - start
    if (length > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(most, Math.max(FIRST_BYTES, 2 * length)))
      this.#bytes.copy(grown, 0, 0, this.#length)
      this.#bytes = grown
    }
    piece.copy(this.#bytes, this.#length, start, end)
    this.#length = length
  }

  /** A view of what is gathered, valid until the next call. */
  peek(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  /** Hands out what is gathered, in a buffer that is not written to again, and starts anew. */
  take(): Buffer {
    const taken = this.peek()
    this.clear()
    return taken
  }

  clear(): void {
    this.#bytes = NOTHING
    this.#length = 0
  }
}

const NOTHING = Buffer.alloc(0)
const FIRST_BYTES = 64
