/** A window of blocks in flight, acknowledged in the order of sending, and their latencies. */
import { Latencies } from './latencies.ts'
import { begin, type LoadResult, WARM_UP_SHARE } from './load-program.ts'

/** Messages written together: the window is always at least ten blocks, or one message. */
export function blockSize(window: number): number {
  return Math.max(1, Math.min(200, Math.floor(window / 10)))
}

/** What a window sends through. */
export type Lane = {
  /** Writes one block; false when the lane wants `drained` awaited first. */
  readonly sendBlock: () => boolean
  readonly drained: () => Promise<void>
}

export class WindowedLoad {
  readonly #latencies = new Latencies()
  readonly #lanes: LaneState[] = []
  readonly #window: number
  readonly #block: number
  #acked = 0
  #running = true

  constructor(window: number) {
    this.#window = window
    this.#block = blockSize(window)
  }

  /** Adds a lane; call `acked(count)` of the result for what was acknowledged. */
  add(lane: Lane): { readonly acked: (count: number) => void } {
    const state = new LaneState(lane, this.#block)
    this.#lanes.push(state)
    return {
      acked: (count) => {
        this.#acked += count
        state.acked(count, this.#latencies)
      },
    }
  }

  /** Warms up, measures for `seconds`, and stops sending. */
  async run(seconds: number): Promise<LoadResult> {
    const sending = this.#lanes.map((lane) =>
      lane.send(() => (this.#running ? this.#window : undefined)),
    )
    await pause(seconds * WARM_UP_SHARE)
    begin()
    this.#latencies.reset()
    this.#acked = 0
    const began = performance.now()
    await pause(seconds)
    const result = {
      messages: this.#acked,
      seconds: (performance.now() - began) / 1000,
      latency: this.#latencies.percentiles(),
    }
    this.#running = false
    for (const lane of this.#lanes) lane.wake()
    await Promise.all(sending)
    return result
  }
}

class LaneState {
  readonly #lane: Lane
  readonly #block: number
  /** When each block in flight was sent, as a queue. */
  readonly #sentAt: number[] = []
  #head = 0
  #inFlight = 0
  #ackedOfHead = 0
  #wake: (() => void) | undefined

  constructor(lane: Lane, block: number) {
    this.#lane = lane
    this.#block = block
  }

  async send(windowNow: () => number | undefined): Promise<void> {
    for (;;) {
      const window = windowNow()
      if (window === undefined) return
      if (this.#inFlight + this.#block > window) {
        await new Promise<void>((resolve) => (this.#wake = resolve))
        continue
      }
      this.#sentAt.push(performance.now())
      this.#inFlight += this.#block
      if (!this.#lane.sendBlock()) await this.#lane.drained()
    }
  }

  wake(): void {
    this.#wake?.()
    this.#wake = undefined
  }

  acked(count: number, latencies: Latencies): void {
    this.#inFlight -= count
    this.#ackedOfHead += count
    const now = performance.now()
    while (this.#ackedOfHead >= this.#block) {
      this.#ackedOfHead -= this.#block
      latencies.add(now - (this.#sentAt[this.#head++] ?? now))
    }
    // The queue's consumed front is dropped now and then, not at each step.
    if (this.#head > 4_096) {
      this.#sentAt.splice(0, this.#head)
      this.#head = 0
    }
    this.wake()
  }
}

export function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000))
}
