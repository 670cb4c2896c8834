/**
 * The one source of progress in a simulated world: events on virtual time, one after the other.
 * After each event all promises that it settled are carried through to their ends before the next
 * one, so that what a run does depends on its seed alone [reliability 3a].
 */
import type { Trace } from './trace.ts'

export interface ScheduledEvent {
  /** It will not run. Idempotent. */
  cancel(): void
}

export interface RunLimits {
  /** Stops before the first event after this time; the time is then this. */
  readonly untilUs?: number
  readonly maxEvents?: number
  /** Asked after each event; true stops. */
  readonly until?: () => boolean
}

export type RunEnd = 'idle' | 'time' | 'events' | 'condition'

type Entry = {
  readonly timeUs: number
  readonly order: number
  readonly label: string
  run: (() => void) | undefined
}

/** Now and then the real event loop turns, or timers of the harness and garbage would wait. */
const EVENTS_PER_TURN = 8_192

export class Scheduler {
  readonly #heap: Entry[] = []
  readonly #trace: Trace | undefined
  #nowUs = 0
  #order = 0
  #executed = 0

  constructor(trace?: Trace) {
    this.#trace = trace
  }

  /** Microseconds since the world began. */
  get nowUs(): number {
    return this.#nowUs
  }

  /** Events that have run. */
  get executed(): number {
    return this.#executed
  }

  /** Runs `run` after a delay; events of one time run in the order in which they were scheduled. */
  after(delayUs: number, label: string, run: () => void): ScheduledEvent {
    const timeUs = this.#nowUs + Math.max(0, Math.ceil(delayUs))
    const entry: Entry = { timeUs, order: this.#order++, label, run }
    this.#push(entry)
    return {
      cancel: () => {
        entry.run = undefined
      },
    }
  }

  /** Resolves after `delayUs`. */
  sleep(delayUs: number, label: string): Promise<void> {
    return new Promise((resolve) => this.after(delayUs, label, resolve))
  }

  /** Runs events until a limit is reached or none is left. Rejects with what an event threw. */
  run(limits: RunLimits = {}): Promise<RunEnd> {
    const { untilUs = Infinity, maxEvents = Infinity, until } = limits
    const lastEvent = this.#executed + maxEvents
    return new Promise((resolve, reject) => {
      const step = (): void => {
        const end = this.#endNow(untilUs, lastEvent, until)
        if (end !== undefined) {
          if (end !== 'condition' && untilUs !== Infinity)
            this.#nowUs = Math.max(this.#nowUs, untilUs)
          resolve(end)
          return
        }
        try {
          this.#runNext()
        } catch (error) {
          reject(error)
          return
        }
        afterPromises(this.#executed % EVENTS_PER_TURN === 0, step)
      }
      afterPromises(false, step)
    })
  }

  #endNow(
    untilUs: number,
    lastEvent: number,
    until: (() => boolean) | undefined,
  ): RunEnd | undefined {
    if (until?.()) return 'condition'
    while (this.#heap[0] !== undefined && this.#heap[0].run === undefined) this.#pop()
    const next = this.#heap[0]
    if (next === undefined) return 'idle'
    if (next.timeUs > untilUs) return 'time'
    return this.#executed >= lastEvent ? 'events' : undefined
  }

  #runNext(): void {
    const entry = this.#pop()
    if (entry?.run === undefined) return
    this.#nowUs = entry.timeUs
    this.#executed++
    this.#trace?.event(entry.timeUs, entry.label)
    entry.run()
  }

  #push(entry: Entry): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(entry)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent] as Entry
      if (!isBefore(entry, above)) break
      heap[at] = above
      at = parent
    }
    heap[at] = entry
  }

  #pop(): Entry | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      const left = heap[child]
      if (left === undefined) break
      const right = heap[child + 1]
      if (right !== undefined && isBefore(right, left)) child++
      const below = heap[child] as Entry
      if (!isBefore(below, last)) break
      heap[at] = below
      at = child
    }
    heap[at] = last
    return first
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.timeUs < b.timeUs || (a.timeUs === b.timeUs && a.order < b.order)
}

/**
 * Calls `next` when no promise reaction is left. A tick that is queued from within a reaction runs
 * after the queue of reactions has been emptied, however long their chains are; that is three
 * times as fast as a turn of the event loop.
 */
function afterPromises(turn: boolean, next: () => void): void {
  if (turn) setImmediate(next)
  else queueMicrotask(() => process.nextTick(next))
}
