/**
 * How many subscriptions read from disk at a time. Each read has a buffer as large as the largest
 * record it meets, and a read is quick: thousands at once would only hold memory [reliability B1].
 */
export class ReadSlots {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#free = count
  }

  /** Undefined when there is a place at once, else resolves when there is. Balance with `leave`. */
  enter(): Promise<void> | undefined {
    if (this.#free > 0) {
      this.#free--
      return undefined
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free++
    else next()
  }
}

const READS_MAX = 32

/** Of this process, as its disks are. */
export const readSlots: ReadSlots = new ReadSlots(READS_MAX)
