/** Time and chance, as ports: the simulator gives its own. */
export interface Clock {
  /** Wall clock, nanoseconds since the Unix epoch. May step in either direction. */
  wallNs(): bigint
  /** Monotonic milliseconds from an arbitrary origin. */
  monotonicMs(): number
  /** Runs `callback` once after `ms`. The timer does not keep the process alive. */
  after(ms: number, callback: () => void): Timer
  /**
   * Runs `callback` at the end of this turn of the event loop, when what had already arrived has
   * been taken in. Absent where nothing arrives in turns, as in simulation: do it at once then.
   */
  readonly soon?: (callback: () => void) => void
}

export interface Timer {
  cancel(): void
}

export interface Random {
  /** Uniform in [0, 1). */
  next(): number
  /** A new identifier of 22 letters and digits, safe as a NATS subject token. */
  id(): string
}
