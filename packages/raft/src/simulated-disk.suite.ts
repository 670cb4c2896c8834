import type { Entry, HardState, Index, Persist, SnapshotPosition, StoredState } from './index.ts'
import type { Seeded } from './seeded.suite.ts'

/** A snapshot of the test's state machine, which is nothing but a digest of what was applied. */
export interface StoredSnapshot {
  readonly position: SnapshotPosition
  readonly digest: number
}

/** The log as one persist after the other leaves it; once what is on disk, once what is meant. */
export class LogImage {
  base: Index
  entries: Entry[]

  constructor(base: Index = 0, entries: readonly Entry[] = []) {
    this.base = base
    this.entries = [...entries]
  }

  get lastIndex(): Index {
    return this.base + this.entries.length
  }

  entryAt(index: Index): Entry | undefined {
    return this.entries[index - this.base - 1]
  }

  carryOut(persist: Persist): void {
    const { resetTo, truncateFrom, append, compactThrough } = persist
    if (resetTo !== undefined) {
      this.base = resetTo.index
      this.entries = []
    }
    if (truncateFrom !== undefined) {
      if (truncateFrom <= this.base) throw new Error('truncation before the log')
      this.entries.length = truncateFrom - this.base - 1
    }
    for (const entry of append) {
      if (entry.index !== this.lastIndex + 1) throw new Error(`append of ${entry.index} with a gap`)
      this.entries.push(entry)
    }
    if (compactThrough !== undefined && compactThrough > this.base) {
      this.entries.splice(0, compactThrough - this.base)
      this.base = compactThrough
    }
  }
}

/** What survives a crash: everything reported as persisted, and of the rest some prefix. */
export class SimulatedDisk {
  hardState: HardState
  readonly log: LogImage
  readonly #snapshots: StoredSnapshot[] = []
  readonly #random: Seeded

  constructor(random: Seeded, stored: StoredState) {
    this.#random = random
    this.hardState = stored.hardState
    this.log = new LogImage(0, stored.entries)
  }

  get newestSnapshot(): StoredSnapshot | undefined {
    return this.#snapshots.at(-1)
  }

  snapshotAt(index: Index): StoredSnapshot | undefined {
    return this.#snapshots.find(({ position }) => position.index === index)
  }

  keepSnapshot(snapshot: StoredSnapshot): void {
    const newest = this.newestSnapshot?.position.index ?? 0
    if (snapshot.position.index <= newest) return
    this.#snapshots.push(snapshot)
    if (this.#snapshots.length > 2) this.#snapshots.shift()
  }

  /** Whether the entry would be there after a crash, itself or in a snapshot. */
  holds({ index, term }: Entry): boolean {
    if (index <= (this.newestSnapshot?.position.index ?? 0) || index <= this.log.base) return true
    return this.log.entryAt(index)?.term === term
  }

  write(persist: Persist): void {
    if (persist.hardState !== undefined) this.hardState = persist.hardState
    // A store may compact late: now and then this one leaves it to the next time.
    const lazy = persist.compactThrough !== undefined && this.#random.chance(0.3)
    this.log.carryOut(lazy ? { ...persist, compactThrough: undefined } : persist)
  }

  /** The power goes while `unfinished` were being written, in this order. */
  cutOff(unfinished: readonly Persist[]): void {
    const whole = this.#random.below(unfinished.length + 1)
    for (const persist of unfinished.slice(0, whole)) this.write(persist)
    const torn = unfinished[whole]
    if (torn !== undefined) this.write(this.#prefixOf(torn))
  }

  #prefixOf(persist: Persist): Persist {
    const steps = this.#random.below(4)
    const { hardState, resetTo, truncateFrom, append } = persist
    return {
      sequence: persist.sequence,
      hardState: steps > 0 ? hardState : undefined,
      resetTo: steps > 1 ? resetTo : undefined,
      truncateFrom: steps > 1 ? truncateFrom : undefined,
      append: steps > 2 ? append.slice(0, this.#random.below(append.length + 1)) : [],
      compactThrough: undefined,
    }
  }

  load(): StoredState {
    const { hardState, log } = this
    return { hardState, snapshot: this.newestSnapshot?.position, entries: [...log.entries] }
  }
}
