import { DiskError, type Disk } from '@liftbridge/log'
import type { Clock } from '../../clock.ts'

/**
 * Room set aside for the metadata: on a full disk it is given back to the file system, so that
 * streams can still be deleted and leaders changed [T4]. Thousands of operations fit.
 */
export const RESERVE_BYTES: number = 1024 * 1024

const FILE = 'reserve'
/** Between two attempts to set the room aside again. */
const REFILL_PAUSE_MS = 60_000

export interface ReserveOptions {
  readonly disk: Disk
  readonly directory: string
  readonly clock: Clock
  /** 0: nothing is set aside. */
  readonly bytes: number
}

/** A file of zeros. Nothing is lost with it, so it is never synced and its failures are no news. */
export class Reserve {
  readonly #options: ReserveOptions
  #held = false
  #triedAtMs = -Infinity

  constructor(options: ReserveOptions) {
    this.#options = options
  }

  /** Sets the room aside, if it is not and it is time to try. Never rejects on a full disk. */
  async fill(): Promise<void> {
    const { clock, bytes } = this.#options
    if (this.#held || bytes === 0) return
    if (clock.monotonicMs() - this.#triedAtMs < REFILL_PAUSE_MS) return
    this.#triedAtMs = clock.monotonicMs()
    try {
      await this.#write()
      this.#held = true
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      await this.#remove()
    }
  }

  /** Gives the room back; false when there is none. */
  async release(): Promise<boolean> {
    if (!this.#held) return false
    this.#held = false
    this.#triedAtMs = this.#options.clock.monotonicMs()
    return this.#remove()
  }

  async #write(): Promise<void> {
    const { disk, bytes } = this.#options
    const file = await disk.open(this.#path, { create: true })
    try {
      const zeros = new Uint8Array(bytes)
      for (let done = await file.size(); done < bytes;) {
        done += await file.write(zeros, done, bytes - done, done)
      }
    } finally {
      await file.close()
    }
  }

  async #remove(): Promise<boolean> {
    try {
      await this.#options.disk.remove(this.#path)
      return true
    } catch (error) {
      if (error instanceof DiskError) return false
      throw error
    }
  }

  get #path(): string {
    return `${this.#options.directory}/${FILE}`
  }
}
