/**
 * Bytes that wait for the writers of all partitions together: what keeps the process within its
 * memory when many partitions are fed faster than the disk takes it [reliability B1].
 */
export class IngestBudget {
  readonly maxBytes: number
  #usedBytes = 0
  readonly #waiting = new Set<() => void>()

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  get full(): boolean {
    return this.#usedBytes >= this.maxBytes
  }

  /** Publishers that can wait should: half of it is used. */
  get congested(): boolean {
    return this.#usedBytes * 2 > this.maxBytes
  }

  take(bytes: number): void {
    this.#usedBytes += bytes
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes
    if (this.congested || this.#waiting.size === 0) return
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const wake of waiting) wake()
  }

  /** Calls `wake` once there is room again. */
  whenRelieved(wake: () => void): void {
    this.#waiting.add(wake)
  }
}
