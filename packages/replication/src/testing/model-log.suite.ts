/** A log in memory: what is written, how much of it is durable, and what a crash leaves of it. */
import assert from 'node:assert/strict'
import { endOfEpoch, latestEpoch, type EpochEnd, type EpochStart } from '../epochs.ts'
import type { LogView } from '../follower-types.ts'
import type { LeaderEpoch, Offset } from '../units.ts'

export type ModelRecord = { readonly epoch: LeaderEpoch; readonly value: string }

export class ModelLog {
  readonly records: ModelRecord[] = []
  epochs: EpochStart[] = []
  syncedOffset = -1
  highWatermark = -1
  /** Grows with every truncation: a sync that began before one says nothing about what came after. */
  generation = 0

  get newestOffset(): Offset {
    return this.records.length - 1
  }

  get latestEpoch(): LeaderEpoch {
    return latestEpoch(this.epochs)
  }

  get view(): LogView {
    const { newestOffset, syncedOffset, highWatermark } = this
    return { newestOffset, syncedOffset, highWatermark, epochs: [...this.epochs] }
  }

  /** Notes durably that an epoch begins at the next offset. */
  beginEpoch(epoch: LeaderEpoch): void {
    if (epoch > this.latestEpoch) this.epochs.push({ epoch, start: this.records.length })
  }

  append(record: ModelRecord): Offset {
    assert.ok(record.epoch >= this.latestEpoch, 'E3: epochs never fall along the log')
    this.beginEpoch(record.epoch)
    this.records.push(record)
    return this.newestOffset
  }

  endOf(epoch: LeaderEpoch): EpochEnd {
    return endOfEpoch(this.epochs, epoch, this.records.length)
  }

  truncate(offset: Offset): void {
    assert.ok(offset > this.highWatermark, 'R6: nothing committed is cut off')
    this.generation += 1
    if (offset < this.records.length) this.records.length = offset
    this.epochs = this.epochs.filter(({ start }) => start < offset)
    this.syncedOffset = Math.min(this.syncedOffset, this.newestOffset)
  }

  raiseHighWatermark(offset: Offset): void {
    assert.ok(offset <= this.newestOffset, 'R3: the high watermark is within the log')
    this.highWatermark = Math.max(this.highWatermark, offset)
  }

  /** A power cut: of the unsynced records, the first `kept` survive. */
  crash(kept: number): void {
    const left = Math.min(this.records.length, this.syncedOffset + 1 + kept)
    this.records.length = left
    this.epochs = this.epochs.filter(({ start }) => start <= left)
    // The checkpoint of the high watermark never passes what is durable.
    this.highWatermark = Math.min(this.highWatermark, this.syncedOffset)
  }

  /** The disk was replaced. */
  wipe(): void {
    this.records.length = 0
    this.epochs = []
    this.syncedOffset = -1
    this.highWatermark = -1
  }
}
