import type { Clock, Timer } from '../clock.ts'

const NS_PER_MS = 1_000_000

/** The machine's clocks. */
export function createSystemClock(): Clock {
  return new SystemClock()
}

/**
 * `Date.now` has whole milliseconds only, and `performance.now` does not follow the wall clock
 * when it is stepped. The wall time here is `Date.now` with its fraction taken from the monotonic
 * clock: never more than a millisecond away from the system's own answer.
 */
class SystemClock implements Clock {
  #wallMinusMonotonicMs = Date.now() - performance.now()

  wallNs(): bigint {
    const wholeMs = Date.now()
    const monotonicMs = performance.now()
    const estimateMs = this.#wallMinusMonotonicMs + monotonicMs
    let fractionMs = estimateMs - wholeMs
    if (fractionMs < 0 || fractionMs >= 1) {
      fractionMs = fractionMs < 0 ? 0 : 1 - 1 / NS_PER_MS
      this.#wallMinusMonotonicMs = wholeMs + fractionMs - monotonicMs
    }
    return BigInt(wholeMs) * BigInt(NS_PER_MS) + BigInt(Math.floor(fractionMs * NS_PER_MS))
  }

  monotonicMs(): number {
    return performance.now()
  }

  after(ms: number, callback: () => void): Timer {
    const handle = startTimer(ms, callback)
    return { cancel: handle }
  }

  soon(callback: () => void): void {
    setImmediate(callback)
  }
}

/** `setTimeout` fires at once for anything longer than this, so longer waits are chained. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

function startTimer(ms: number, callback: () => void): () => void {
  let handle: NodeJS.Timeout
  const wait = (remainingMs: number): void => {
    const stepMs = Math.min(remainingMs, MAX_TIMEOUT_MS)
    handle = setTimeout(() => {
      if (remainingMs > stepMs) wait(remainingMs - stepMs)
      else callback()
    }, stepMs)
    handle.unref()
  }
  wait(ms)
  return () => clearTimeout(handle)
}
