/** Notices that the data directory of a running server has been removed, or replaced. */
import { DiskError, type Disk } from '@liftbridge/log'
import type { Logger } from './logging/logger.ts'

/** What every server has in its data directory as soon as it has started. */
const ALWAYS_THERE = 'raft'

export class DataDirectoryWatch {
  readonly #disk: Disk
  readonly #path: string
  readonly #logger: Logger
  #gone = false

  constructor(disk: Disk, path: string, logger: Logger) {
    this.#disk = disk
    this.#path = path
    this.#logger = logger
  }

  /** What is wrong, and the way out; empty when nothing is. */
  get problem(): string {
    if (!this.#gone) return ''
    return (
      `the data directory ${this.#path} is gone: what is written now ends with this process; ` +
      'copy the streams elsewhere, stop the server, and restore the directory'
    )
  }

  /** Looks at the directory. Never rejects: what cannot be told now is told next time. */
  async look(): Promise<void> {
    const wasGone = this.#gone
    try {
      const entries = await this.#disk.list(this.#path)
      this.#gone = !entries.some(({ name }) => name === ALWAYS_THERE)
    } catch (error) {
      if (!(error instanceof DiskError) || error.code !== 'not-found') return
      this.#gone = true
    }
    // Files that are open go on to work, so nothing else would tell.
    if (this.#gone && !wasGone) this.#logger.error(this.problem)
    if (!this.#gone && wasGone) this.#logger.warn('the data directory is there again')
  }
}
