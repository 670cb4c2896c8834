import type { Entry } from './entry.ts'
import { assert } from './invariant.ts'
import type { Index, Term } from './units.ts'

/** Bytes an entry counts for in every bound: its data, and a little for what surrounds it. */
export function entryBytes(entry: Entry): number {
  return ENTRY_OVERHEAD_BYTES + (entry.kind === 'command' ? entry.data.length : 0)
}

const ENTRY_OVERHEAD_BYTES = 64

/**
 * The log in memory: everything behind the compacted part, complete, so that no step ever waits
 * for a read. Its size is bounded by the parameters: at most `trailingMaxBytes` behind a snapshot,
 * about `snapshotThresholdBytes` before the next one, and `uncommittedMaxBytes`.
 *
 * Invariants: entries are consecutive, the first is `base + 1`; terms never decrease.
 */
export class RaftLog {
  #baseIndex: Index
  /** Unknown after a restart when entries are kept behind the snapshot: the store has no more. */
  #baseTerm: Term | undefined
  #entries: Entry[]

  constructor(baseIndex: Index, baseTerm: Term | undefined, entries: readonly Entry[] = []) {
    this.#baseIndex = baseIndex
    this.#baseTerm = baseTerm
    this.#entries = []
    this.append(entries)
  }

  get baseIndex(): Index {
    return this.#baseIndex
  }

  get firstIndex(): Index {
    return this.#baseIndex + 1
  }

  get lastIndex(): Index {
    return this.#baseIndex + this.#entries.length
  }

  get lastTerm(): Term {
    return this.#entries.at(-1)?.term ?? this.#baseTerm ?? 0
  }

  /** Undefined where the log ends, and where it is compacted. */
  termAt(index: Index): Term | undefined {
    if (index === this.#baseIndex) return this.#baseTerm
    return this.#entries[index - this.#baseIndex - 1]?.term
  }

  entryAt(index: Index): Entry | undefined {
    return this.#entries[index - this.#baseIndex - 1]
  }

  /** Entries `from` to `through`, both included; both must be there. */
  range(from: Index, through: Index): readonly Entry[] {
    assert(from >= this.firstIndex && through <= this.lastIndex, `no entries ${from}-${through}`)
    return this.#entries.slice(from - this.firstIndex, through - this.#baseIndex)
  }

  /** Entries from `from` on, as many as the bounds allow, but one at least if there is one. */
  batch(from: Index, entriesMax: number, maxBytes: number): readonly Entry[] {
    const start = from - this.firstIndex
    assert(start >= 0, `entry ${from} is compacted`)
    let end = start
    let bytes = 0
    for (; end < this.#entries.length && end - start < entriesMax; end += 1) {
      const entry = this.#entries[end]
      if (entry === undefined) break
      bytes += entryBytes(entry)
      if (bytes > maxBytes && end > start) break
    }
    return this.#entries.slice(start, end)
  }

  append(entries: readonly Entry[]): void {
    for (const entry of entries) {
      assert(entry.index === this.lastIndex + 1, `entry ${entry.index} behind ${this.lastIndex}`)
      assert(entry.term >= this.lastTerm, `term ${entry.term} behind ${this.lastTerm}`)
      this.#entries.push(entry)
    }
  }

  truncateFrom(index: Index): void {
    assert(index >= this.firstIndex && index <= this.lastIndex, `cannot cut at ${index}`)
    this.#entries.length = index - this.firstIndex
  }

  /** Forgets entries up to `index`, which becomes the base. */
  compactThrough(index: Index): void {
    assert(index >= this.#baseIndex && index <= this.lastIndex, `cannot compact to ${index}`)
    const term = this.termAt(index)
    this.#entries = this.#entries.slice(index - this.#baseIndex)
    this.#baseIndex = index
    this.#baseTerm = term
  }

  resetTo(index: Index, term: Term): void {
    this.#entries = []
    this.#baseIndex = index
    this.#baseTerm = term
  }

  /** [Raft 5.4.1]: the log whose last entry has the later term, or is longer in one term. */
  isBehindOrEqual(lastIndex: Index, lastTerm: Term): boolean {
    if (lastTerm !== this.lastTerm) return lastTerm > this.lastTerm
    return lastIndex >= this.lastIndex
  }

  isBehind(lastIndex: Index, lastTerm: Term): boolean {
    if (lastTerm !== this.lastTerm) return lastTerm > this.lastTerm
    return lastIndex > this.lastIndex
  }
}
