/** Messages let through per key and window before the rest are only counted. */
const MESSAGES_PER_WINDOW = 5
const WINDOW_MS = 10_000

/** Keys remembered at a time. A key names a kind of message, but may hold a stream's name. */
const KEYS_MAX = 1024

interface Window {
  startMs: number
  passed: number
  suppressed: number
}

export type Admission =
  | {
      readonly kind: 'pass'
      /** Messages of this key left out since the last one. */ readonly suppressed: number
    }
  | { readonly kind: 'drop' }

/** Decides which of many alike messages are written. */
export class FloodLimit {
  readonly #windows = new Map<string, Window>()

  admit(key: string, nowMs: number): Admission {
    let window = this.#windows.get(key)
    const suppressed = window?.suppressed ?? 0
    if (window === undefined || nowMs - window.startMs >= WINDOW_MS || nowMs < window.startMs) {
      window = { startMs: nowMs, passed: 0, suppressed: 0 }
      this.#remember(key, window)
      window.passed = 1
      return { kind: 'pass', suppressed }
    }
    if (window.passed < MESSAGES_PER_WINDOW) {
      window.passed += 1
      return { kind: 'pass', suppressed: 0 }
    }
    window.suppressed += 1
    return { kind: 'drop' }
  }

  /** The key whose window began longest ago makes room. */
  #remember(key: string, window: Window): void {
    this.#windows.delete(key)
    if (this.#windows.size >= KEYS_MAX) {
      const [oldest] = this.#windows.keys()
      if (oldest !== undefined) this.#windows.delete(oldest)
    }
    this.#windows.set(key, window)
  }
}
