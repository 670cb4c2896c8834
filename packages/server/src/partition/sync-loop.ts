/**
 * Makes a partition's log durable on request: at most one sync at a time; what asks meanwhile
 * shares the next one (group commit).
 */
import type { CommitLog } from '@liftbridge/log'

export type SyncLoopOptions = {
  readonly log: Pick<CommitLog, 'sync'>
  /** Everything up to `offset` is durable. What it throws counts as a failed sync. */
  readonly onSynced: (offset: number) => void
  /** The log cannot be made durable: nothing written lately may be vouched for [D7]. */
  readonly onFailed: (error: unknown) => void
}

export class SyncLoop {
  readonly #options: SyncLoopOptions
  #running: Promise<void> | undefined
  #wanted = false
  #ended = false

  constructor(options: SyncLoopOptions) {
    this.#options = options
  }

  /** Makes what is written now durable, as soon as a sync that is under way has returned. */
  request(): void {
    if (this.#ended) return
    if (this.#running) {
      this.#wanted = true
      return
    }
    this.#running = this.#run()
  }

  /** No further sync begins, and nobody is told of the one under way. */
  end(): void {
    this.#ended = true
  }

  /** Resolves when no sync is under way. */
  async settled(): Promise<void> {
    await this.#running
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { log, onSynced, onFailed } = this.#options
    try {
      do {
        this.#wanted = false
        const offset = await log.sync()
        if (!this.#ended) onSynced(offset)
      } while (this.#wanted && !this.#ended)
    } catch (error) {
      if (!this.#ended) onFailed(error)
    } finally {
      this.#running = undefined
    }
  }
}
