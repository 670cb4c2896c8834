/**
 * What has to happen now and then in every partition: syncs by interval, cleaning, checkpoints of
 * the high watermark, pausing what is idle. One timer each for the whole server, not per partition [reliability 3d].
 */
import type { Clock, Timer } from './clock.ts'
import type { Config } from './config/config.ts'
import type { DataDirectoryWatch } from './data-directory-watch.ts'
import type { Logger } from './logging/logger.ts'
import type { Partition } from './partition/partition.ts'
import type { Partitions } from './partition/partition-host.ts'

/** How often the high watermark is written where it has moved [LB data plane 0.2]. */
const CHECKPOINT_INTERVAL_MS = 5_000
/** How often it is looked whether the data directory is still there. */
const DIRECTORY_INTERVAL_MS = 5_000
/** How often it is looked which logs are due for cleaning, and which partitions are idle. */
const LOOK_MS = 1_000

export type MaintenanceOptions = {
  readonly config: () => Config
  readonly partitions: Partitions
  /** Proposes to pause one partition; told again a second later if it still runs. */
  readonly pause: (stream: string, partition: number) => void
  readonly directory: DataDirectoryWatch
  readonly clock: Clock
  readonly logger: Logger
}

export class Maintenance {
  readonly #options: MaintenanceOptions
  readonly #timers = new Set<Timer>()
  #stopped = false

  constructor(options: MaintenanceOptions) {
    this.#options = options
  }

  start(): void {
    const sync = (): Config['streams']['sync'] => this.#options.config().streams.sync
    if (sync().policy === 'interval') {
      this.#every(
        () => Math.max(1, sync().intervalMs),
        () => this.#syncAll(),
      )
    }
    this.#every(
      () => LOOK_MS,
      () => this.#cleanDue(),
    )
    this.#every(
      () => LOOK_MS,
      () => this.#pauseIdle(),
    )
    this.#every(
      () => CHECKPOINT_INTERVAL_MS,
      () => this.#checkpointAll(),
    )
    this.#every(
      () => DIRECTORY_INTERVAL_MS,
      () => this.#options.directory.look(),
    )
  }

  stop(): void {
    this.#stopped = true
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
  }

  /** Runs `work`, and again a pause after it has finished. */
  #every(pauseMs: () => number, work: () => Promise<void>): void {
    if (this.#stopped) return
    const timer = this.#options.clock.after(pauseMs(), () => {
      this.#timers.delete(timer)
      void work().finally(() => this.#every(pauseMs, work))
    })
    this.#timers.add(timer)
  }

  async #syncAll(): Promise<void> {
    for (const partition of this.#options.partitions.all()) partition.syncIfDirty()
  }

  /** One after the other: cleaning reads and writes whole segments. */
  async #cleanDue(): Promise<void> {
    const { partitions, clock } = this.#options
    const due = Array.from(partitions.dueForCleaning(clock.monotonicMs()))
    for (const partition of due) {
      if (this.#stopped) return
      await this.#attempt(partition, 'cleaning', () => partition.log.clean(clock.wallNs()))
    }
  }

  async #pauseIdle(): Promise<void> {
    const { partitions, clock, pause } = this.#options
    const idle = Array.from(partitions.idle(clock.monotonicMs()))
    for (const { stream, id } of idle) pause(stream, id)
  }

  async #checkpointAll(): Promise<void> {
    const all = Array.from(this.#options.partitions.all())
    for (const partition of all) {
      if (this.#stopped) return
      await this.#attempt(partition, 'checkpoint', () => partition.log.checkpoint())
    }
  }

  /** A failure here costs disk space or start-up time, never data: it is told and tried again. */
  async #attempt(partition: Partition, what: string, work: () => Promise<unknown>): Promise<void> {
    if (partition.log.state !== 'open') return
    try {
      await work()
    } catch (error) {
      if (partition.log.state !== 'open') return
      const { stream, id } = partition
      const fields = { stream, partition: id, error }
      this.#options.logger.limited(`${what} ${stream} ${id}`, 'warn', `${what} failed`, fields)
    }
  }
}
