import type { Clock, Timer } from '../../server/src/clock.ts'

/** A clock on which nothing happens until it is told to go on. */
export interface StillClock extends Clock {
  /** Lets time pass; timers fire in order. */
  advance(ms: number): void
}

export const stillClock = (): StillClock => {
  let nowMs = 1_000
  let timers: { readonly atMs: number; readonly callback: () => void }[] = []
  return {
    wallNs: () => BigInt(nowMs) * 1_000_000n,
    monotonicMs: () => nowMs,
    after(ms, callback): Timer {
      const timer = { atMs: nowMs + ms, callback }
      timers = [...timers, timer].sort((a, b) => a.atMs - b.atMs)
      return { cancel: () => (timers = timers.filter((other) => other !== timer)) }
    },
    advance(ms) {
      const end = nowMs + ms
      for (;;) {
        const [next] = timers
        if (next === undefined || next.atMs > end) break
        timers = timers.slice(1)
        nowMs = Math.max(nowMs, next.atMs)
        next.callback()
      }
      nowMs = end
    },
  }
}
