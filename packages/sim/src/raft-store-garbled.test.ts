import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Entry, Persist } from '@liftbridge/raft'
import { makeDurableDirectory } from '../../server/src/data-directory.ts'
import { silentLogger } from '../../server/src/logging/logger.ts'
import { RaftStore, type OpenedRaftStore } from '../../server/src/raft/store/raft-store.ts'
import { RaftStoreUnreadable } from '../../server/src/raft/store/unreadable.ts'
import { SimDisk } from './disk.ts'
import { createSimRandom } from './random.ts'
import { stillClock, type StillClock } from './still-clock.suite.ts'

const LAST = 14

const change = (fields: Partial<Persist>): Persist => ({
  sequence: 1,
  hardState: undefined,
  resetTo: undefined,
  truncateFrom: undefined,
  append: [],
  compactThrough: undefined,
  ...fields,
})

const entryAt = (index: number): Entry => ({
  kind: 'command',
  index,
  term: 1,
  data: new Uint8Array(Buffer.from(`entry ${index}`.padEnd(80))),
})

const entriesOf = (first: number, last: number): Entry[] =>
  Array.from({ length: last - first + 1 }, (_, i) => entryAt(first + i))

const open = (disk: SimDisk, clock: StillClock = stillClock()): Promise<OpenedRaftStore> =>
  RaftStore.open({
    disk: disk.attach(),
    directory: '/data/raft',
    clock,
    logger: silentLogger,
    snapshotRetain: 2,
    segmentMaxBytes: 600,
    reserveBytes: 0,
  })

/** Lets what needs no timer happen. */
const settle = async (): Promise<void> => {
  for (let i = 0; i < 200; i++) await Promise.resolve()
}

/** A disk with fourteen answered entries, whose server was not stopped in order. */
const answered = async (): Promise<{ disk: SimDisk; store: RaftStore; clock: StillClock }> => {
  const disk = new SimDisk()
  await makeDurableDirectory(disk.attach(), '/data')
  const clock = stillClock()
  const { store } = await open(disk, clock)
  await store.persist(change({ hardState: { term: 1, votedFor: 'a' }, append: [entryAt(1)] }))
  for (let index = 2; index <= LAST; index++) {
    await store.persist(change({ append: [entryAt(index)] }))
  }
  return { disk, store, clock }
}

const killed = (disk: SimDisk): SimDisk => {
  const copy = disk.fork()
  copy.kill()
  return copy
}

const segmentsOf = (disk: SimDisk): string[] =>
  disk.files('/data/raft/log').filter((path) => path.endsWith('.log') && sizeOf(disk, path) > 0)

const sizeOf = (disk: SimDisk, path: string): number => disk.content(path).length

/** How a server with all fourteen entries answered may have come to its end. */
const ENDS: readonly {
  readonly name: string
  readonly make: () => Promise<SimDisk>
}[] = [
  {
    name: 'stopped in order',
    make: async () => {
      const { disk, store } = await answered()
      await store.close()
      return disk
    },
  },
  {
    name: 'killed a quarter of a second after its last entry',
    make: async () => {
      const { disk, clock } = await answered()
      await settle()
      clock.advance(250)
      await settle()
      return killed(disk)
    },
  },
  {
    name: 'killed right after all it has came at once',
    make: async () => {
      const disk = new SimDisk()
      await makeDurableDirectory(disk.attach(), '/data')
      const { store } = await open(disk)
      const hardState = { term: 1, votedFor: 'a' }
      await store.persist(change({ hardState, append: entriesOf(1, LAST) }))
      await settle()
      return killed(disk)
    },
  },
  {
    name: 'killed at once, started, and killed again without a write',
    make: async () => {
      const { disk } = await answered()
      const once = killed(disk)
      await open(once)
      return killed(once)
    },
  },
]

/** Garbles bytes; the start is refused, each time, or has every entry. True when it is refused. */
const garbled = async (
  whole: SimDisk,
  path: string,
  range: { readonly at: number; readonly size: number; readonly seed: number },
): Promise<boolean> => {
  const disk = whole.fork()
  const bytes = Buffer.from(disk.content(path))
  const random = createSimRandom(range.seed)
  for (let i = range.at; i < Math.min(range.at + range.size, bytes.length); i++) {
    bytes[i] = (bytes[i] ?? 0) ^ (1 + random.integer(255))
  }
  disk.overwrite(path, bytes)
  const where = `${path} at ${range.at}, ${range.size} bytes, seed ${range.seed}`
  let refused = false
  for (let start = 0; start < 3; start++) {
    try {
      const { stored } = await open(disk)
      assert.deepEqual(stored.entries, entriesOf(1, LAST), where)
      assert.ok(!refused, `${where}: refused first, then taken`)
    } catch (error) {
      assert.ok(error instanceof RaftStoreUnreadable, `${where}: ${String(error)}`)
      refused = true
    }
    disk.kill()
  }
  return refused
}

describe('a Raft store with garbled bytes among durable entries', () => {
  for (const { name, make } of ENDS) {
    it(`goes on with all of them or not at all: ${name} [M6, M9, T2]`, async () => {
      const disk = await make()
      const segments = segmentsOf(disk)
      assert.ok(segments.length >= (name.endsWith('at once') ? 1 : 3))
      for (const path of segments) {
        const size = sizeOf(disk, path)
        const middle = Math.max(0, Math.floor(size / 2) - 128)
        assert.ok(await garbled(disk, path, { at: middle, size: 256, seed: 1 }), path)
        for (let at = 0, seed = 2; at < size; at += 17, seed++) {
          await garbled(disk, path, { at, size: seed % 3 === 0 ? 1 : 40, seed })
        }
      }
    })

    it(`refuses when the last one of them is hit: ${name} [T2]`, async () => {
      const disk = await make()
      const path = segmentsOf(disk).at(-1) ?? ''
      const size = sizeOf(disk, path)
      for (let seed = 1; seed <= 20; seed++) {
        assert.ok(await garbled(disk, path, { at: size - 4 * seed, size: 4 * seed, seed }))
      }
    })
  }

  it('says which file is damaged and what to do [M9]', async () => {
    const { disk, store } = await answered()
    await store.close()
    const [path = ''] = segmentsOf(disk)
    disk.flipBit(path, 200, 1)
    await assert.rejects(open(disk), (error: unknown) => {
      assert.ok(error instanceof RaftStoreUnreadable)
      assert.ok(error.message.includes(path), error.message)
      assert.match(error.message, /move it away: the server then joins them again/)
      return true
    })
  })

  it('cuts a torn end that was never answered, without a word to the operator [T1]', async () => {
    const { disk, store, clock } = await answered()
    await settle()
    clock.advance(250)
    await settle()
    const path = segmentsOf(disk).at(-1) ?? ''
    const before = sizeOf(disk, path)
    let torn: SimDisk | undefined
    disk.onOperation = ({ kind }) => {
      if (kind === 'sync') torn ??= killed(disk)
      return undefined
    }
    await store.persist(change({ append: [entryAt(LAST + 1)] }))
    assert.ok(torn !== undefined)
    const newest = segmentsOf(torn).at(-1) ?? ''
    const from = newest === path ? before : 0
    assert.ok(sizeOf(torn, newest) > from, 'it was written and not synced')
    for (let at = from; at < sizeOf(torn, newest); at += 9) {
      const copy = torn.fork()
      const bytes = Buffer.from(copy.content(newest))
      bytes.fill(0xa5, at)
      copy.overwrite(newest, bytes)
      assert.deepEqual((await open(copy)).stored.entries, entriesOf(1, LAST), `from ${at}`)
    }
  })
})
