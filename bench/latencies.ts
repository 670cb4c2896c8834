/** Latency samples and their percentiles. */

/** Samples kept; later ones replace earlier ones at random, so that the set stays representative. */
const SAMPLES_MAX = 1 << 18

export type Percentiles = { readonly p50: number; readonly p99: number; readonly p999: number }

/** In milliseconds. */
export class Latencies {
  readonly #samples: Float64Array = new Float64Array(SAMPLES_MAX)
  #seen = 0

  add(ms: number): void {
    if (this.#seen < SAMPLES_MAX) this.#samples[this.#seen] = ms
    else {
      const slot = Math.floor(Math.random() * (this.#seen + 1))
      if (slot < SAMPLES_MAX) this.#samples[slot] = ms
    }
    this.#seen++
  }

  reset(): void {
    this.#seen = 0
  }

  /** Zeros when nothing was measured. */
  percentiles(): Percentiles {
    const sorted = this.#samples.subarray(0, Math.min(this.#seen, SAMPLES_MAX)).toSorted()
    const at = (share: number): number =>
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
    return { p50: at(0.5), p99: at(0.99), p999: at(0.999) }
  }
}
