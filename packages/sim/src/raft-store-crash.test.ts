import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Disk } from '@liftbridge/log'
import { type Entry, type HardState, type Persist, type SnapshotPosition } from '@liftbridge/raft'
import { makeDurableDirectory } from '../../server/src/data-directory.ts'
import { silentLogger } from '../../server/src/logging/logger.ts'
import { RaftStore, type OpenedRaftStore } from '../../server/src/raft/store/raft-store.ts'
import { omitting } from './broken-disks.ts'
import { checkCrashPoints, traceCrashPoints } from './crash-points.ts'
import { stillClock } from './still-clock.suite.ts'

/** What a store may hold after a crash, one after the other as the script goes on. */
interface Content {
  readonly hardState: HardState
  /** Index, term and bytes of the newest snapshot. */
  readonly snapshot: string
  readonly entries: readonly Entry[]
  /** Entries up to here may be missing. */
  readonly compacted: number
}

/** Answered: content `least` or a later one; attempted: none behind `most`. */
interface Claim {
  readonly least: number
  readonly most: number
}

const NO_CHANGE: Persist = {
  sequence: 0,
  hardState: undefined,
  resetTo: undefined,
  truncateFrom: undefined,
  append: [],
  compactThrough: undefined,
}

const CONFIGURATION = { servers: [{ id: 'a', address: 'a', suffrage: 'voter' as const }] }

const EMPTY: Content = {
  hardState: { term: 0, votedFor: undefined },
  snapshot: '',
  entries: [],
  compacted: 0,
}

const command = (index: number, term: number, size = 100): Entry => ({
  kind: 'command',
  index,
  term,
  data: new Uint8Array(Buffer.from(`${index}/${term}`.padEnd(size))),
})

const configurationAt = (index: number, term: number): Entry => ({
  kind: 'configuration',
  index,
  term,
  configuration: CONFIGURATION,
})

const positionAt = (index: number, term: number): SnapshotPosition => ({
  index,
  term,
  configuration: CONFIGURATION,
  configurationIndex: 1,
})

const open = (disk: Disk): Promise<OpenedRaftStore> =>
  RaftStore.open({
    disk,
    directory: '/data/raft',
    clock: stillClock(),
    logger: silentLogger,
    snapshotRetain: 1,
    segmentMaxBytes: 600,
    reserveBytes: 0,
  })

const contentOf = ({ stored, state }: OpenedRaftStore): Omit<Content, 'compacted'> => {
  const { hardState, snapshot, entries } = stored
  return { hardState, snapshot: snapshotText(snapshot, state), entries }
}

const snapshotText = (
  position: SnapshotPosition | undefined,
  state: Uint8Array | undefined,
): string =>
  position === undefined
    ? ''
    : `${position.index} ${position.term} ${Buffer.from(state ?? []).toString()}`

/** Drives a store and keeps every content it may be left with. */
class Script {
  readonly contents: Content[] = [EMPTY]
  readonly #claim: (claim: Claim) => void
  #store: RaftStore | undefined
  #sequence = 0
  #least = 0

  constructor(claim: (claim: Claim) => void) {
    this.#claim = claim
  }

  async start(disk: Disk): Promise<void> {
    this.#store = (await open(disk)).store
  }

  async end(): Promise<void> {
    await this.#store?.close()
  }

  /** Changes that are asked for in one turn. */
  async persist(...changes: readonly Partial<Persist>[]): Promise<void> {
    const persists = changes.map((change): Persist => ({
      ...NO_CHANGE,
      sequence: ++this.#sequence,
      ...change,
    }))
    for (const persist of persists) this.#foresee(persist)
    await this.#watch(Promise.all(persists.map(async (persist) => this.#store?.persist(persist))))
  }

  async snapshot(position: SnapshotPosition, text: string): Promise<void> {
    const state = Buffer.from(text)
    this.#push({ snapshot: snapshotText(position, state) })
    await this.#watch(this.#store?.saveSnapshot(position, state))
  }

  /** A snapshot whose term is adopted in the same turn. */
  async snapshotOfLaterTerm(position: SnapshotPosition, text: string): Promise<void> {
    const { term } = position
    const hardState = { term, votedFor: undefined }
    const state = Buffer.from(text)
    this.#push({ hardState })
    this.#push({ snapshot: snapshotText(position, state) })
    const store = this.#store
    const staged = await store?.stage(position, state)
    if (store === undefined || staged === undefined) return
    const sequence = ++this.#sequence
    const adopted = store.persist({ ...NO_CHANGE, sequence, hardState })
    await this.#watch(Promise.all([adopted, store.install(staged)]))
  }

  async #watch(work: Promise<unknown> | undefined): Promise<void> {
    const most = this.contents.length - 1
    this.#claim({ least: this.#least, most })
    await work
    this.#least = most
    this.#claim({ least: most, most })
  }

  #foresee({ hardState, resetTo, truncateFrom, append, compactThrough }: Persist): void {
    if (hardState !== undefined) this.#push({ hardState })
    if (resetTo !== undefined) this.#push({ entries: [] })
    // A crash may leave any part of what is cut off, from the front.
    while (truncateFrom !== undefined && this.#lastIndex() >= truncateFrom) {
      this.#push({ entries: this.#last().entries.slice(0, -1) })
    }
    for (const entry of append) this.#push({ entries: [...this.#last().entries, entry] })
    if (compactThrough !== undefined) this.#push({ compacted: compactThrough })
  }

  #push(change: Partial<Content>): void {
    this.contents.push({ ...this.#last(), ...change })
  }

  #last(): Content {
    return this.contents.at(-1) ?? EMPTY
  }

  #lastIndex(): number {
    return this.#last().entries.at(-1)?.index ?? 0
  }
}

/** A life of a store: bootstrap, votes, appends, conflicts, snapshots of its own and of a peer. */
async function live(script: Script, disk: Disk): Promise<void> {
  await script.start(disk)
  await script.persist({
    hardState: { term: 1, votedFor: undefined },
    append: [configurationAt(1, 1)],
  })
  await script.persist({ hardState: { term: 2, votedFor: 'a' } })
  await script.persist({ append: [command(2, 2), command(3, 2, 700)] })
  // Group commit: three changes share a sync, the second is a vote.
  await script.persist(
    { append: [command(4, 2), command(5, 2)] },
    { hardState: { term: 3, votedFor: 'b' } },
    { append: [command(6, 2)] },
  )
  await script.persist({ truncateFrom: 5, append: [command(5, 3), command(6, 3)] })
  await script.end()
  await script.start(disk)
  await script.persist({ append: [command(7, 3, 500), command(8, 3, 500), command(9, 3)] })
  await script.snapshot(positionAt(8, 3), 'eight')
  await script.persist({ compactThrough: 6, append: [command(10, 3)] })
  await script.snapshot(positionAt(10, 3), 'ten')
  await script.persist({ compactThrough: 9 })
  // A leader that is far ahead sends its snapshot.
  await script.persist({ hardState: { term: 4, votedFor: undefined } })
  await script.snapshot(positionAt(40, 4), 'forty')
  await script.persist({
    resetTo: { index: 40, term: 4 },
    append: [command(41, 4)],
  })
  await script.persist({ truncateFrom: 41, append: [command(41, 4), command(42, 4)] })
  await script.snapshotOfLaterTerm(positionAt(60, 6), 'sixty')
  await script.persist({ resetTo: { index: 60, term: 6 }, append: [command(61, 6)] })
  await script.end()
}

const matches = (found: Omit<Content, 'compacted'>, content: Content): boolean => {
  const { entries } = content
  const missing = entries.length - found.entries.length
  if (missing < 0 || (missing > 0 && (entries[missing - 1]?.index ?? 0) > content.compacted)) {
    return false
  }
  const expected = { ...content, entries: entries.slice(missing) }
  return textOf(found) === textOf(expected)
}

/** Equal contents give equal texts. */
const textOf = ({ hardState, snapshot, entries }: Omit<Content, 'compacted'>): string =>
  JSON.stringify([
    hardState.term,
    hardState.votedFor ?? null,
    snapshot,
    entries.map((entry) => [
      entry.kind,
      entry.index,
      entry.term,
      entry.kind === 'command' ? Buffer.from(entry.data).toString() : '',
    ]),
  ])

async function tryCrashes(omission?: 'sync' | 'sync-directory' | 'truncate'): Promise<number> {
  let contents: readonly Content[] = []
  const trace = await traceCrashPoints<Claim>({
    name: 'the life of a Raft store',
    initial: { least: 0, most: 0 },
    run: async (whole, claim) => {
      const disk = omission === undefined ? whole : omitting(whole, omission)
      await makeDurableDirectory(whole, '/data')
      const script = new Script(claim)
      contents = script.contents
      await live(script, disk)
    },
  })
  const isFull = process.env['CRASH_POINTS'] === 'full'
  const budget = isFull
    ? { randomCuts: 30, maxSubsets: 30, seed: 2 }
    : { randomCuts: 1, maxSubsets: 2, seed: 1 }
  const counts = await checkCrashPoints(trace, budget, async ({ disk, claim }) => {
    const attached = disk.attach()
    const opened = await open(attached)
    const found = contentOf(opened)
    const allowed = contents.slice(claim.least, claim.most + 1)
    assert.ok(
      allowed.some((content) => matches(found, content)),
      `found ${textOf(found)}, allowed from ${textOf(allowed[0] ?? EMPTY)}`,
    )
    await opened.store.close()
    const again = await open(attached)
    assert.deepEqual(contentOf(again), found, 'a second opening changes nothing')
    await again.store.close()
  })
  return counts.states
}

describe('the Raft store in a crash [reliability M6, T1]', () => {
  it('holds term, vote, entries and snapshot that were answered, and nothing invented', async (t) => {
    const states = await tryCrashes()
    t.diagnostic(`${states} crashes`)
    assert.ok(states > 800)
  })

  for (const omission of ['sync', 'sync-directory'] as const) {
    it(`would be noticed without ${omission}`, async () => {
      await assert.rejects(() => tryCrashes(omission), /crash before operation \d+: power/)
    })
  }
})
