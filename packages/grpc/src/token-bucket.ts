/** Counts events that may come in a burst and then at a rate; says when that is overdrawn. */
export class TokenBucket {
  readonly #burst: number
  readonly #perMs: number
  #tokens: number
  #atMs: number

  constructor(burst: number, perSecond: number, nowMs: number) {
    this.#burst = burst
    this.#perMs = perSecond / 1000
    this.#tokens = burst
    this.#atMs = nowMs
  }

  /** Takes `count` tokens; false when there were not enough. */
  take(count: number, nowMs: number): boolean {
    const earned = Math.max(0, nowMs - this.#atMs) * this.#perMs
    this.#tokens = Math.min(this.#burst, this.#tokens + earned) - count
    this.#atMs = nowMs
    return this.#tokens >= 0
  }
}
