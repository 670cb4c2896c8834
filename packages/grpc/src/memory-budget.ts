/**
 * One count of request bytes held for all calls of a server (or channel), so that many calls
 * each within their own bound cannot together exhaust the process.
 */
export class MemoryBudget {
  readonly #maxBytes: number
  #held = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get heldBytes(): number {
    return this.#held
  }

  /** Notes `bytes` more (or fewer, when negative). */
  add(bytes: number): void {
    this.#held += bytes
  }

  get isExceeded(): boolean {
    return this.#held > this.#maxBytes
  }
}
