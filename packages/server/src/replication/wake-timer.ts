/** The timer of a core that tells when it wants to be stepped next: one at a time, moved if need be. */
import type { Clock, Timer } from '../clock.ts'

export class WakeTimer {
  readonly #clock: Clock
  readonly #wake: () => void
  #timer: Timer | undefined
  #atMs = Number.POSITIVE_INFINITY
  #ended = false

  constructor(clock: Clock, wake: () => void) {
    this.#clock = clock
    this.#wake = wake
  }

  /**
   * Wakes at `atMs` of the monotonic clock at the latest. A wake that was asked for earlier stays,
   * so that asking again for every batch of a busy partition costs a comparison; whoever is woken
   * too early asks again.
   */
  by(atMs: number): void {
    if (this.#ended || atMs >= this.#atMs) return
    this.#timer?.cancel()
    this.#atMs = atMs
    const pauseMs = Math.max(0, Math.ceil(atMs - this.#clock.monotonicMs()))
    this.#timer = this.#clock.after(pauseMs, () => {
      this.#timer = undefined
      this.#atMs = Number.POSITIVE_INFINITY
      this.#wake()
    })
  }

  /** No further wake. */
  end(): void {
    this.#ended = true
    this.#timer?.cancel()
    this.#timer = undefined
  }
}
