/** The partitions that run on this server, by stream and number, and what is due for each of them. */
import type { EffectiveConfig } from '@liftbridge/metadata'
import type { WantedPartition } from '../metadata/partition-host.ts'
import type { OpenedLog } from './partition-logs.ts'
import type { Partition } from './partition.ts'

export type Running = {
  wanted: WantedPartition
  readonly partition: Partition
  readonly opened: OpenedLog
  effective: EffectiveConfig
  /** When the log is cleaned next, on the monotonic clock. */
  nextCleanMs: number
  /** When it was opened, on the same clock. */
  readonly openedMs: number
  /** Nothing but the sync policy `never` keeps it from being proven. */
  onlyUnsynced: boolean
  /** Work on what is known of the log, beside it; never rejects. */
  noting: Promise<void>
}

export class RunningPartitions {
  readonly #running = new Map<string, Map<number, Running>>()
  #count = 0

  /** How many run. */
  get count(): number {
    return this.#count
  }

  at(stream: string, partition: number): Running | undefined {
    return this.#running.get(stream)?.get(partition)
  }

  /** All that run now. */
  *all(): Generator<Running> {
    for (const partitions of this.#running.values()) yield* partitions.values()
  }

  /** Partitions whose logs are due for cleaning; each is due again after its interval. */
  *dueForCleaning(nowMs: number): Generator<Partition> {
    for (const running of this.all()) {
      if (running.nextCleanMs > nowMs) continue
      running.nextCleanMs = nowMs + running.effective.cleanerIntervalMs
      yield running.partition
    }
  }

  /**
   * Partitions that have had no message for their `autoPauseTime`, and no subscribers where those
   * count. One that never had a message pauses after that time too [LB data plane 4.10].
   */
  *idle(nowMs: number): Generator<Partition> {
    for (const { partition, effective, openedMs } of this.all()) {
      if (partition.role !== 'leader') continue
      const { autoPauseTimeMs, autoPauseDisableIfSubscribers } = effective
      if (autoPauseTimeMs === 0) continue
      if (autoPauseDisableIfSubscribers && partition.subscribers > 0) continue
      const sinceMs = Math.max(partition.latestReceivedMs, openedMs)
      if (nowMs - sinceMs > autoPauseTimeMs) yield partition
    }
  }

  add(running: Running): void {
    const { stream, id } = running.partition
    const partitions = this.#running.get(stream) ?? new Map<number, Running>()
    partitions.set(id, running)
    this.#running.set(stream, partitions)
    this.#count++
  }

  remove({ stream, partition }: WantedPartition): void {
    const partitions = this.#running.get(stream.name)
    if (partitions?.delete(partition.id) === true) this.#count--
    if (partitions?.size === 0) this.#running.delete(stream.name)
  }
}
