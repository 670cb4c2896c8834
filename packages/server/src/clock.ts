/** Time and chance, as ports: the simulator gives its own. */
export interface Clock {
  /** Wall clock, nanoseconds since the Unix epoch. May step in either direction. */
  wallNs(): bigint
  /** Monotonic milliseconds from an arbitrary origin. */
  monotonicMs(): number
  /** Runs `callback` once after `ms`. The timer does not keep the process alive. */
  after(ms: number, callback: () => void): Timer
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
