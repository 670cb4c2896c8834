import type { Clock, Timer } from '../clock.ts'

/** The first pause after a failure; each further failure doubles it. */
const FIRST_PAUSE_MS = 100
/** A broken disk is tried again this often at most; an operator who repaired it waits no longer. */
export const LONGEST_PAUSE_MS = 30_000

/** Pauses between attempts at one thing. */
export class Backoff {
  readonly #clock: Clock
  #failures = 0
  #timer: Timer | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether a pause is under way. */
  get pausing(): boolean {
    return this.#timer !== undefined
  }

  get failures(): number {
    return this.#failures
  }

  /** Counts a failure and calls back after a pause; returns its length in milliseconds. */
  failed(retry: () => void): number {
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS)
    this.#failures += 1
    this.#timer?.cancel()
    this.#timer = this.#clock.after(pauseMs, () => {
      this.#timer = undefined
      retry()
    })
    return pauseMs
  }

  /** Ends a pause without its retry; the next failure still pauses longer. */
  interrupt(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  /** Forgets the failures. */
  reset(): void {
    this.interrupt()
    this.#failures = 0
  }
}
