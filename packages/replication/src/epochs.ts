/**
 * Questions to a table of leader epochs, as plain data: which epoch begins at which offset
 * [KIP-101, KIP-279]. One meaning of "start" only: the first offset that the epoch has, or will
 * have [reliability G1, LB 7.A2]. Epochs strictly increase, starts never decrease [E3].
 */
import { NO_OFFSET, type LeaderEpoch, type Offset } from './units.ts'

export type EpochStart = {
  readonly epoch: LeaderEpoch
  readonly start: Offset
}

/** The answer to "where does this epoch end?". */
export type EpochEnd = {
  /** The largest epoch of the log that is not above the one asked for; -1 when there is none. */
  readonly epoch: LeaderEpoch
  /**
   * The offset after that epoch's last record. When there is no such epoch: where the oldest epoch
   * that the log does have begins.
   */
  readonly endOffset: Offset
}

/** The newest epoch of the table, -1 when it is empty. */
export function latestEpoch(table: readonly EpochStart[]): LeaderEpoch {
  return table.at(-1)?.epoch ?? NO_OFFSET
}

/** Where the largest epoch not above `epoch` ends, in a log whose next offset is given. */
export function endOfEpoch(
  table: readonly EpochStart[],
  epoch: LeaderEpoch,
  nextOffset: Offset,
): EpochEnd {
  let found: LeaderEpoch = NO_OFFSET
  for (const entry of table) {
    if (entry.epoch > epoch) return { epoch: found, endOffset: entry.start }
    found = entry.epoch
  }
  return { epoch: found, endOffset: nextOffset }
}
