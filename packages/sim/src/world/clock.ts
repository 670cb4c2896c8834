import type { Clock, Timer } from '@liftbridge/server'
import type { SimProcess } from './sim-process.ts'
import type { Scheduler } from './scheduler.ts'

/** The wall clock of the world at its beginning: 2026-01-01. */
const EPOCH_NS = 1_767_225_600_000_000_000n

/** What one machine believes of time; it outlives its processes. */
export class MachineTime {
  /** Wall clock ahead of the world's, milliseconds; stepping it is a fault. */
  wallOffsetMs = 0
  /** How fast its clocks run: 1 is true time. */
  rate = 1
}

/** The clocks of one machine, as one process of it reads them. */
export class SimClock implements Clock {
  readonly #scheduler: Scheduler
  readonly #process: SimProcess
  readonly #time: MachineTime

  constructor(scheduler: Scheduler, process: SimProcess, time: MachineTime = new MachineTime()) {
    this.#scheduler = scheduler
    this.#process = process
    this.#time = time
  }

  wallNs(): bigint {
    const { rate, wallOffsetMs } = this.#time
    const us = Math.floor(this.#scheduler.nowUs * rate + wallOffsetMs * 1_000)
    return EPOCH_NS + BigInt(us) * 1_000n
  }

  monotonicMs(): number {
    return (this.#scheduler.nowUs * this.#time.rate) / 1_000
  }

  after(ms: number, callback: () => void): Timer {
    return this.#process.after((ms * 1_000) / this.#time.rate, 'timer', callback)
  }
}
