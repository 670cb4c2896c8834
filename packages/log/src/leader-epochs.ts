/**
 * Which leader epoch begins at which offset: what a follower asks its leader for to find where
 * their logs part [KIP-101, KIP-279]. The start of an epoch is the first offset it has, or will
 * have; one meaning only, on leaders and followers [reliability G1, LB 7.A2].
 *
 * Invariants [E3]: epochs strictly increase, starts never decrease. An epoch that wrote nothing
 * starts where its successor does.
 */
import { NO_OFFSET, type LeaderEpoch, type Offset } from './units.ts'

export interface EpochStart {
  readonly epoch: LeaderEpoch
  readonly start: Offset
}

/** The answer to "where does this epoch end?". */
export interface EpochEnd {
  /** The largest epoch of the log that is not above the one asked for; -1 when there is none. */
  readonly epoch: LeaderEpoch
  /** The offset after that epoch's last record. */
  readonly endOffset: Offset
}

export class LeaderEpochs {
  #entries: EpochStart[]

  constructor(entries: readonly EpochStart[] = []) {
    this.#entries = [...entries]
  }

  get entries(): readonly EpochStart[] {
    return this.#entries
  }

  /** The newest epoch, 0 when there is none. */
  get latest(): LeaderEpoch {
    return this.#entries.at(-1)?.epoch ?? 0
  }

  /** Notes that `epoch` begins at `start`. False when it is not newer than the latest. */
  assign(epoch: LeaderEpoch, start: Offset): boolean {
    const last = this.#entries.at(-1)
    if (last !== undefined && (epoch <= last.epoch || start < last.start)) return false
    this.#entries.push({ epoch, start })
    return true
  }

  /** Where the largest epoch not above `epoch` ends, in a log whose next offset is given. */
  endOf(epoch: LeaderEpoch, nextOffset: Offset): EpochEnd {
    let found: LeaderEpoch = NO_OFFSET
    for (const entry of this.#entries) {
      if (entry.epoch > epoch) return { epoch: found, endOffset: entry.start }
      found = entry.epoch
    }
    return { epoch: found, endOffset: nextOffset }
  }

  /** Forgets epochs that begin at or after `offset`, which was cut off. True when any was. */
  truncate(offset: Offset): boolean {
    const kept = this.#entries.filter((entry) => entry.start < offset)
    const changed = kept.length !== this.#entries.length
    this.#entries = kept
    return changed
  }

  /** Moves the start of the log up to `offset`; the epoch that covers it stays. */
  advanceStart(offset: Offset): boolean {
    const first = this.#entries[0]
    if (first === undefined || first.start >= offset) return false
    const covering = this.#entries.findLast((entry) => entry.start <= offset) ?? first
    const later = this.#entries.filter((entry) => entry.start > offset)
    this.#entries = [{ epoch: covering.epoch, start: offset }, ...later]
    return true
  }
}

/** The largest file that is read; about 50,000 epochs. */
export const MAX_EPOCH_FILE_BYTES: number = 1024 * 1024

/** Text of the checkpoint file: version 0, number of entries, one entry a line [LB 2.5]. */
export function encodeEpochs(entries: readonly EpochStart[]): string {
  const lines = entries.map(({ epoch, start }) => `${epoch} ${start}\n`)
  return `0\n${entries.length}\n${lines.join('')}`
}

/** The entries of a checkpoint file, or undefined when it is none: the log then tells them. */
export function decodeEpochs(bytes: Uint8Array): EpochStart[] | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
  const tokens = text.split(/\s+/).filter((token) => token !== '')
  if (!tokens.every((token) => /^-?\d{1,16}$/.test(token))) return undefined
  const [version, count, ...rest] = tokens.map(Number)
  if (version !== 0 || count === undefined || rest.length !== count * 2) return undefined
  const entries: EpochStart[] = []
  for (let i = 0; i < rest.length; i += 2) {
    const epoch = rest[i] ?? -1
    const start = rest[i + 1] ?? -2
    const last = entries.at(-1)
    if (!Number.isSafeInteger(epoch) || !Number.isSafeInteger(start)) return undefined
    if (epoch < 0 || start < NO_OFFSET) return undefined
    if (last !== undefined && (epoch <= last.epoch || start < last.start)) return undefined
    entries.push({ epoch, start })
  }
  return entries
}
