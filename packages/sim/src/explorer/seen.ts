/**
 * A set of texts, kept as hashes of 64 bits: two of n texts share one with a chance of about
 * n^2 / 2^65, which is one in four million for three million.
 */
export class SeenSet {
  #low: Uint32Array = new Uint32Array(1 << 16)
  #high: Uint32Array = new Uint32Array(1 << 16)
  #size = 0

  get size(): number {
    return this.#size
  }

  /** True when it was not there. */
  add(text: string): boolean {
    if (this.#size * 2 > this.#low.length) this.#grow()
    const { low, high } = hash(text)
    if (!this.#put(low, high)) return false
    this.#size += 1
    return true
  }

  #put(low: number, high: number): boolean {
    const mask = this.#low.length - 1
    for (let at = low & mask; ; at = (at + 1) & mask) {
      if (this.#low[at] === 0 && this.#high[at] === 0) {
        this.#low[at] = low
        this.#high[at] = high
        return true
      }
      if (this.#low[at] === low && this.#high[at] === high) return false
    }
  }

  #grow(): void {
    const low = this.#low
    const high = this.#high
    this.#low = new Uint32Array(low.length * 4)
    this.#high = new Uint32Array(high.length * 4)
    for (let at = 0; at < low.length; at++) {
      const one = low[at] ?? 0
      const other = high[at] ?? 0
      if (one !== 0 || other !== 0) this.#put(one, other)
    }
  }
}

function hash(text: string): { low: number; high: number } {
  let low = 0x811c9dc5
  let high = 0x9747b28c
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    low = Math.imul(low ^ code, 0x01000193)
    high = Math.imul(high ^ code, 0x5bd1e995)
    high ^= high >>> 15
  }
  low = Math.imul(low ^ (low >>> 16), 0x85ebca6b)
  low = Math.imul(low ^ (low >>> 13), 0xc2b2ae35)
  // All zero bits mean an empty place.
  return { low: (low ^ (low >>> 16)) >>> 0, high: (high | 1) >>> 0 }
}
