import { EMPTY_CONFIGURATION } from './configuration.ts'
import type { Configuration } from './configuration.ts'
import type { Entry } from './entry.ts'
import { assert } from './invariant.ts'
import type { SnapshotPosition } from './messages.ts'
import type { Index } from './units.ts'

interface Step {
  readonly index: Index
  readonly configuration: Configuration
}

const NOBODY: Step = { index: 0, configuration: EMPTY_CONFIGURATION }

/**
 * The configurations that the log brought, newest last. The newest one is in effect as soon as it
 * is appended, and a truncation brings the one before it back [Raft 6, LB 2.6]. Those older than
 * the snapshot's are forgotten.
 */
export class MembershipHistory {
  #steps: Step[]

  constructor(snapshot: SnapshotPosition | undefined, entries: readonly Entry[]) {
    this.#steps = [stepOf(snapshot)]
    this.append(entries)
  }

  get configuration(): Configuration {
    return this.#last.configuration
  }

  get index(): Index {
    return this.#last.index
  }

  get #last(): Step {
    return this.#steps.at(-1) ?? NOBODY
  }

  append(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (entry.kind !== 'configuration' || entry.index <= this.index) continue
      this.#steps.push({ index: entry.index, configuration: entry.configuration })
    }
  }

  truncateFrom(index: Index): void {
    this.#steps = this.#steps.filter((step) => step.index < index)
    assert(this.#steps.length > 0, `no configuration before ${index}`)
  }

  /** Who was a member when `index` was applied. */
  at(index: Index): Step {
    return this.#steps.findLast((step) => step.index <= index) ?? NOBODY
  }

  /** A snapshot takes the place of everything up to its index. */
  startAt(snapshot: SnapshotPosition): void {
    const later = this.#steps.filter((step) => step.index > snapshot.index)
    this.#steps = [stepOf(snapshot), ...later]
  }
}

function stepOf(snapshot: SnapshotPosition | undefined): Step {
  if (snapshot === undefined) return NOBODY
  return { index: snapshot.configurationIndex, configuration: snapshot.configuration }
}
