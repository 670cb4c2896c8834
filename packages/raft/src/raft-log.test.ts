import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Durability } from './durability.ts'
import type { Entry, Outgoing, Persist } from './index.ts'
import { command } from './one-core.suite.ts'
import { RaftLog } from './raft-log.ts'
import { LogImage } from './simulated-disk.suite.ts'

type Action =
  | { readonly kind: 'append'; readonly count: number; readonly newTerm: boolean }
  | { readonly kind: 'truncate' | 'compact'; readonly part: number }
  | { readonly kind: 'reset'; readonly ahead: number }
  | { readonly kind: 'confirm'; readonly part: number }

const part = fc.double({ min: 0, max: 1, noNaN: true })
const actions: fc.Arbitrary<Action[]> = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('append' as const), count: fc.nat(5), newTerm: fc.boolean() }),
    fc.record({ kind: fc.constantFrom('truncate' as const, 'compact' as const), part }),
    fc.record({ kind: fc.constant('reset' as const), ahead: fc.nat(5) }),
    fc.record({ kind: fc.constant('confirm' as const), part }),
  ),
  { maxLength: 40 },
)

/** A whole index from `low` to `high`, at that part of the way. */
const between = (low: number, high: number, at: number): number =>
  Math.min(high, low + Math.floor(at * (high - low + 1)))

/** The log of the core beside a plain map from index to term, with what is below forgotten. */
class Pair {
  readonly log = new RaftLog(0, 0)
  readonly durability = new Durability(0)
  readonly twin = new Map<number, number>()
  /** What the persists handed out so far make of a store; one image a persist. */
  readonly persists: Persist[] = []
  base = 0
  last = 0
  term = 1
  confirmed = 0

  act(action: Action): void {
    if (action.kind === 'append') this.#append(action.count, action.newTerm)
    else if (action.kind === 'truncate') this.#truncate(action.part)
    else if (action.kind === 'compact') this.#compact(action.part)
    else if (action.kind === 'reset') this.#reset(action.ahead)
    else this.#confirm(action.part)
    const persist = this.durability.take()
    if (persist !== undefined) this.persists.push(persist)
  }

  #append(count: number, newTerm: boolean): void {
    if (newTerm) this.term += 1
    const entries: Entry[] = []
    for (let at = 0; at < count; at += 1) {
      this.last += 1
      entries.push(command(this.last, this.term))
      this.twin.set(this.last, this.term)
    }
    this.log.append(entries)
    this.durability.append(entries)
  }

  #truncate(at: number): void {
    if (this.last === this.base) return
    const from = between(this.base + 1, this.last, at)
    for (let index = from; index <= this.last; index += 1) this.twin.delete(index)
    this.last = from - 1
    this.log.truncateFrom(from)
    this.durability.truncateFrom(from)
  }

  #compact(at: number): void {
    const through = between(this.base, this.last, at)
    for (let index = this.base; index < through; index += 1) this.twin.delete(index)
    this.base = through
    this.log.compactThrough(through)
    this.durability.compactThrough(through)
  }

  #reset(ahead: number): void {
    this.base = this.last + ahead
    this.last = this.base
    this.twin.clear()
    this.twin.set(this.base, this.term)
    this.log.resetTo(this.base, this.term)
    this.durability.resetTo(this.base, this.term)
  }

  #confirm(at: number): void {
    const newest = this.persists.at(-1)?.sequence ?? 0
    if (newest === this.confirmed) return
    this.confirmed = between(this.confirmed + 1, newest, at)
    this.durability.confirm(this.confirmed)
  }

  assertEqual(): void {
    const { log, twin, base, last } = this
    assert.deepEqual([log.baseIndex, log.firstIndex, log.lastIndex], [base, base + 1, last])
    for (let index = 0; index <= last + 2; index += 1) {
      const expected = index < base || index > last ? undefined : (twin.get(index) ?? 0)
      assert.equal(log.termAt(index), expected, `term at ${index}`)
      assert.equal(log.entryAt(index)?.index, index > base && index <= last ? index : undefined)
    }
    assert.equal(log.lastTerm, twin.get(last) ?? 0)
    if (last > base) assert.equal(log.range(base + 1, last).length, last - base)
  }

  /** What would survive a crash now, and does agree with memory, reaches to the durable index. */
  assertDurable(): void {
    const store = new LogImage()
    for (const persist of this.persists) {
      if (persist.sequence <= this.confirmed) store.carryOut(persist)
    }
    let agreed = Math.min(store.lastIndex, this.last)
    for (let index = agreed; index > Math.max(store.base, this.base); index -= 1) {
      if (store.entryAt(index)?.term !== this.log.termAt(index)) agreed = index - 1
    }
    const durable = this.durability.durableIndex
    assert.ok(durable <= this.last, `durable ${durable} of ${this.last}`)
    // A reset stands for a snapshot, which is durable before it.
    const reset = this.persists.findLast(({ resetTo }) => resetTo !== undefined)
    const floor = reset?.resetTo?.index ?? 0
    assert.ok(durable <= Math.max(agreed, floor), `durable ${durable}, stored ${agreed}`)
  }
}

test('the log is what a plain map makes of the same changes, and durable is what is stored', () => {
  fc.assert(
    fc.property(actions, (run) => {
      const pair = new Pair()
      for (const action of run) {
        pair.act(action)
        pair.assertEqual()
        pair.assertDurable()
      }
    }),
    { numRuns: 500 },
  )
})

test('a batch is as long as both bounds allow, and never empty when there is an entry', () => {
  const sizes = fc.array(fc.nat(300), { maxLength: 30 })
  fc.assert(
    fc.property(sizes, fc.nat(40), fc.nat(2000), fc.integer({ min: 1, max: 8 }), (...drawn) => {
      const [lengths, offset, maxBytes, entriesMax] = drawn
      const entries = lengths.map((length, at) => command(at + 1, 1, 'x'.repeat(length)))
      const log = new RaftLog(0, 0, entries)
      const from = Math.min(1 + offset, log.lastIndex + 1)
      const batch = log.batch(from, entriesMax, maxBytes)
      const bytes = (count: number) =>
        lengths.slice(from - 1, from - 1 + count).reduce((sum, length) => sum + 64 + length, 0)
      const available = log.lastIndex - from + 1
      assert.deepEqual(
        batch.map(({ index }) => index),
        batch.map((_, at) => from + at),
      )
      assert.ok(batch.length <= entriesMax && batch.length >= Math.min(1, available))
      assert.ok(batch.length <= 1 || bytes(batch.length) <= maxBytes)
      const oneMore = batch.length + 1
      if (oneMore <= Math.min(entriesMax, available)) assert.ok(bytes(oneMore) > maxBytes)
    }),
  )
})

test('messages leave when what they await is durable, in the order they were made', () => {
  const step = fc.constantFrom('term', 'entry', 'hold-term', 'hold-log', 'confirm')
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const durability = new Durability(0)
      const waits = new Map<number, number>()
      let [sequence, termAt, logAt, confirmed, index] = [0, 0, 0, 0, 0]
      for (const [id, kind] of steps.entries()) {
        const outgoing: Outgoing = { kind: 'refusal', to: 'b', id, text: '' }
        if (kind === 'term' || kind === 'entry') {
          sequence += 1
          if (kind === 'term') durability.setHardState({ term: id, votedFor: undefined })
          else durability.append([command((index += 1), 1)])
          if (kind === 'term') termAt = sequence
          else logAt = sequence
          durability.take()
        } else if (kind !== 'confirm') {
          const needs = kind === 'hold-log' ? Math.max(termAt, logAt) : termAt
          const free = durability.hold(outgoing, kind === 'hold-log' ? 'log' : 'hard-state')
          assert.equal(free !== undefined, needs <= confirmed)
          if (free === undefined) waits.set(id, needs)
        } else if (confirmed < sequence) {
          confirmed += 1
          const released = durability.confirm(confirmed).map((message) => message.id)
          const due = [...waits].filter(([, needs]) => needs <= confirmed).map(([id]) => id)
          assert.deepEqual(released, due)
          for (const id of released) waits.delete(id)
        }
      }
    }),
  )
})
