import type { Entry } from './entry.ts'
import { assert } from './invariant.ts'
import type { Outgoing, Persist } from './output.ts'
import type { HardState } from './stored-state.ts'
import type { Index, Term } from './units.ts'

/** What an outgoing message must not leave before: term and vote, or the log as well. */
export type Awaits = 'hard-state' | 'log'

type Draft = { -readonly [Field in keyof Persist]: Persist[Field] }

interface Held {
  readonly sequence: number
  readonly outgoing: Outgoing
}

/**
 * Collects what a step changes in the store, numbers it, and knows what of it is durable. Messages
 * that tell a peer something it may rely on wait here until the disk has it [reliability M6].
 */
export class Durability {
  /** The end of the part of the log that would survive a crash now. */
  durableIndex: Index
  #draft: Draft | undefined
  #handedOut = 0
  #confirmed = 0
  #hardStateSequence = 0
  #logSequence = 0
  /** Where the log ends after each persist under way; lowered by truncations that follow. */
  #underWay: { readonly sequence: number; lastIndex: Index }[] = []
  #held: Held[] = []

  constructor(durableIndex: Index) {
    this.durableIndex = durableIndex
  }

  /** Term and vote on disk are those in memory. */
  get hardStateDurable(): boolean {
    return this.#hardStateSequence <= this.#confirmed
  }

  setHardState(hardState: HardState): void {
    const draft = this.#open()
    draft.hardState = hardState
    this.#hardStateSequence = draft.sequence
  }

  append(entries: readonly Entry[]): void {
    const last = entries.at(-1)
    if (last === undefined) return
    const draft = this.#open()
    draft.append = draft.append.length === 0 ? entries : [...draft.append, ...entries]
    this.#logChanged(draft, last.index)
  }

  truncateFrom(index: Index): void {
    const draft = this.#open()
    assert(draft.append.length === 0, 'truncation behind an append in one step')
    draft.truncateFrom = index
    this.#logChanged(draft, index - 1)
    this.#lower(index - 1)
  }

  resetTo(index: Index, term: Term): void {
    const draft = this.#open()
    assert(draft.append.length === 0, 'reset behind an append in one step')
    draft.resetTo = { index, term }
    draft.truncateFrom = undefined
    this.#logChanged(draft, index)
    // The snapshot is durable, and everything up to it with it; nothing else is left.
    this.#underWay = [{ sequence: draft.sequence, lastIndex: index }]
    this.durableIndex = index
  }

  compactThrough(index: Index): void {
    this.#open().compactThrough = index
  }

  /** The persist of this step, if it changed anything. */
  take(): Persist | undefined {
    const draft = this.#draft
    this.#draft = undefined
    return draft
  }

  /** What may leave now that `sequence` and all before it are durable. */
  confirm(sequence: number): readonly Outgoing[] {
    assert(sequence <= this.#handedOut, `persisted ${sequence} was never asked for`)
    assert(sequence > this.#confirmed, `persisted ${sequence} is told again`)
    this.#confirmed = sequence
    for (const { sequence: of, lastIndex } of this.#underWay) {
      if (of <= sequence) this.durableIndex = lastIndex
    }
    this.#underWay = this.#underWay.filter((persist) => persist.sequence > sequence)
    return this.#release((held) => held.sequence <= sequence)
  }

  /** Undefined when it may leave at once; else it is kept and comes out of `confirm`. */
  hold(outgoing: Outgoing, awaits: Awaits): Outgoing | undefined {
    const sequence =
      awaits === 'log'
        ? Math.max(this.#logSequence, this.#hardStateSequence)
        : this.#hardStateSequence
    if (sequence <= this.#confirmed) return outgoing
    this.#held.push({ sequence, outgoing })
    return undefined
  }

  /** Everything still held, never to be sent. */
  drop(): readonly Outgoing[] {
    return this.#release(() => true)
  }

  #release(due: (held: Held) => boolean): readonly Outgoing[] {
    if (this.#held.length === 0) return []
    const released = this.#held.filter(due)
    this.#held = this.#held.filter((held) => !due(held))
    return released.map(({ outgoing }) => outgoing)
  }

  #open(): Draft {
    if (this.#draft === undefined) {
      this.#handedOut += 1
      this.#draft = {
        sequence: this.#handedOut,
        hardState: undefined,
        resetTo: undefined,
        truncateFrom: undefined,
        append: [],
        compactThrough: undefined,
      }
    }
    return this.#draft
  }

  #logChanged(draft: Draft, lastIndex: Index): void {
    this.#logSequence = draft.sequence
    const last = this.#underWay.at(-1)
    if (last?.sequence === draft.sequence) last.lastIndex = lastIndex
    else this.#underWay.push({ sequence: draft.sequence, lastIndex })
  }

  #lower(lastIndex: Index): void {
    this.durableIndex = Math.min(this.durableIndex, lastIndex)
    for (const persist of this.#underWay) persist.lastIndex = Math.min(persist.lastIndex, lastIndex)
  }
}
