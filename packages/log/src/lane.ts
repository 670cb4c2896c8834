/** Runs asynchronous steps one after the other, in the order in which they were asked for. */
export class Lane {
  #tail: Promise<unknown> = Promise.resolve()
  #length = 0

  /** True when nothing runs or waits: a caller that does not await may go ahead without the lane. */
  get idle(): boolean {
    return this.#length === 0
  }

  /** Resolves or rejects with the step; the next one starts either way. */
  run<T>(step: () => Promise<T>): Promise<T> {
    this.#length++
    const result = this.#tail.then(step)
    this.#tail = result.then(
      () => {
        this.#length--
      },
      () => {
        this.#length--
      },
    )
    return result
  }
}

/**
 * Lets callers that arrive while a run is under way share the next one: with `fdatasync` as the
 * run this is group commit. At most one run is under way and one waits.
 */
export class SharedRun<T> {
  readonly #work: () => Promise<T>
  #running: Promise<T> | undefined
  #next: Promise<T> | undefined

  constructor(work: () => Promise<T>) {
    this.#work = work
  }

  /** A run that starts after this call. */
  join(): Promise<T> {
    if (this.#running === undefined) return this.#start()
    this.#next ??= this.#afterRunning(this.#running)
    return this.#next
  }

  /** Resolves when no run is under way. Never rejects. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) {
      try {
        await this.#running
      } catch {
        // Whoever joined that run has the error; here only its end matters.
      }
    }
  }

  async #afterRunning(running: Promise<T>): Promise<T> {
    try {
      await running
    } catch {
      // The callers of that run have its error; the next run stands for itself.
    }
    this.#next = undefined
    // Somebody who saw that run end may have started one before this continues; it began after
    // every caller here joined, so it serves them too.
    return this.#running ?? this.#start()
  }

  #start(): Promise<T> {
    const run = this.#work().finally(() => {
      if (this.#running === run) this.#running = undefined
    })
    this.#running = run
    return run
  }
}
