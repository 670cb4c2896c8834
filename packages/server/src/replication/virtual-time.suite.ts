/** Time that passes only when a test says so. */
import type { Clock, Timer } from '../clock.ts'

type Due = { readonly atMs: number; readonly sequence: number; readonly callback: () => void }

export class VirtualClock implements Clock {
  #nowMs = 0
  #sequence = 0
  readonly #timers = new Set<Due>()

  wallNs(): bigint {
    return 1_700_000_000_000_000_000n + BigInt(Math.round(this.#nowMs * 1e6))
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  after(ms: number, callback: () => void): Timer {
    const due = { atMs: this.#nowMs + Math.max(0, ms), sequence: this.#sequence++, callback }
    this.#timers.add(due)
    return { cancel: () => void this.#timers.delete(due) }
  }

  /** Lets `ms` pass: whatever is due meanwhile happens at its time, with all that follows from it. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms
    for (;;) {
      await drain()
      const next = this.#next()
      if (next === undefined || next.atMs > untilMs) break
      this.#timers.delete(next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.callback()
    }
    this.#nowMs = untilMs
    await drain()
  }

  /** Lets time pass until `holds`, at most `withinMs`; whether it came to hold. */
  async until(holds: () => boolean, withinMs: number, stepMs = 10): Promise<boolean> {
    for (let passed = 0; passed < withinMs; passed += stepMs) {
      await drain()
      if (holds()) return true
      await this.pass(stepMs)
    }
    return holds()
  }

  #next(): Due | undefined {
    let next: Due | undefined
    for (const due of this.#timers) {
      const isSooner =
        next === undefined ||
        due.atMs < next.atMs ||
        (due.atMs === next.atMs && due.sequence < next.sequence)
      if (isSooner) next = due
    }
    return next
  }
}

/** Everything that can go on without time passing does: disk and bus of these tests are in memory. */
async function drain(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) {
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
}
