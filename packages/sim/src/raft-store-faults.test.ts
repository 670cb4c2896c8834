import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { DiskErrorCode } from '@liftbridge/log'
import type { Entry, Persist, SnapshotPosition } from '@liftbridge/raft'
import { makeDurableDirectory } from '../../server/src/data-directory.ts'
import { silentLogger } from '../../server/src/logging/logger.ts'
import { RaftStore, type OpenedRaftStore } from '../../server/src/raft/store/raft-store.ts'
import { RaftStoreUnreadable } from '../../server/src/raft/store/unreadable.ts'
import { SimDisk, type DiskFault, type DiskOperationKind } from './disk.ts'
import { cutLosingAll } from './power-cut.ts'
import { createSimRandom } from './random.ts'
import { stillClock, type StillClock } from './still-clock.suite.ts'

const LOG = '/data/raft/log/00000000000000000001/00000000000000000000.log'
const HARD_STATE = '/data/raft/hard-state'

const change = (fields: Partial<Persist>): Persist => ({
  sequence: 1,
  hardState: undefined,
  resetTo: undefined,
  truncateFrom: undefined,
  append: [],
  compactThrough: undefined,
  ...fields,
})

const entriesOf = (first: number, last: number): Entry[] =>
  Array.from({ length: last - first + 1 }, (_, i) => ({
    kind: 'command',
    index: first + i,
    term: 1,
    data: new Uint8Array(Buffer.from(`entry ${first + i}`.padEnd(80))),
  }))

const positionAt = (index: number): SnapshotPosition => ({
  index,
  term: 1,
  configuration: { servers: [{ id: 'a', address: 'a', suffrage: 'voter' }] },
  configurationIndex: 1,
})

const open = (
  disk: SimDisk,
  clock: StillClock = stillClock(),
  reserveBytes = 0,
): Promise<OpenedRaftStore> =>
  RaftStore.open({
    disk: disk.attach(),
    directory: '/data/raft',
    clock,
    logger: silentLogger,
    snapshotRetain: 2,
    segmentMaxBytes: 500,
    reserveBytes,
  })

/** A disk with a store of ten entries of term 1, closed in order. */
const prepared = async (more?: (store: RaftStore) => Promise<void>): Promise<SimDisk> => {
  const disk = new SimDisk()
  await makeDurableDirectory(disk.attach(), '/data')
  const { store } = await open(disk)
  const hardState = { term: 1, votedFor: 'a' }
  await store.persist(change({ hardState, append: entriesOf(1, 10) }))
  await more?.(store)
  await store.close()
  return disk
}

const failing = (
  disk: SimDisk,
  fault: DiskFault,
  matches: (kind: DiskOperationKind, path: string) => boolean,
): void => {
  disk.onOperation = ({ kind, path }) => (matches(kind, path) ? fault : undefined)
}

const lastIndexOf = ({ stored }: OpenedRaftStore): number => stored.entries.at(-1)?.index ?? 0

const everything = (disk: SimDisk): string =>
  disk
    .files('/data')
    .map((path) => `${path} ${Buffer.from(disk.content(path)).toString('hex')}`)
    .join('\n')

/** Lets what needs no timer happen. */
const settle = async (): Promise<void> => {
  for (let i = 0; i < 200; i++) await Promise.resolve()
}

describe('the Raft store on a failing disk', () => {
  it('a failed sync is never answered, and nothing is written after it [reliability D7, scenarios 15, 17]', async () => {
    for (const file of [LOG.slice(0, -30), `${HARD_STATE}.tmp`]) {
      const disk = await prepared()
      const { store } = await open(disk)
      const fault: DiskFault = { kind: 'lose-unsynced', afterwards: 'lie' }
      failing(disk, fault, (kind, path) => kind === 'sync' && path.startsWith(file))
      const hardState = { term: 2, votedFor: 'b' }
      await assert.rejects(store.persist(change({ hardState, append: entriesOf(11, 12) })))
      disk.onOperation = undefined
      assert.match(store.failure ?? '', /the Raft store failed/)
      const before = everything(disk)
      await assert.rejects(store.persist(change({ append: entriesOf(11, 11) })))
      assert.equal(everything(disk), before)
      await store.close()
    }
  })

  it('what only looks durable after a failed sync is written again by the next start [reliability 0.7]', async () => {
    const disk = await prepared()
    const { store } = await open(disk)
    const fault: DiskFault = { kind: 'lose-unsynced', afterwards: 'lie' }
    failing(disk, fault, (kind, path) => kind === 'sync' && path.endsWith('.log'))
    await assert.rejects(store.persist(change({ append: entriesOf(11, 11) })))
    disk.onOperation = undefined
    // The process dies, the machine stays up: the bytes are still to be seen.
    disk.kill()
    const second = await open(disk)
    const seen = lastIndexOf(second)
    disk.cutPower(cutLosingAll(createSimRandom(1)))
    assert.equal(lastIndexOf(await open(disk)), seen)
  })

  it('a full disk holds answers back until there is room, and loses nothing [reliability T4, scenario 18]', async () => {
    const disk = await prepared()
    const clock = stillClock()
    const { store } = await open(disk, clock)
    disk.capacityBytes = 0
    let answered = false
    const hardState = { term: 2, votedFor: 'b' }
    const waiting = store
      .persist(change({ hardState, append: entriesOf(11, 30) }))
      .then(() => (answered = true))
    await settle()
    clock.advance(5_000)
    await settle()
    assert.equal(answered, false)
    assert.match(store.stalled ?? '', /disk is full/)
    disk.capacityBytes = Infinity
    while (!answered) {
      clock.advance(1_000)
      await settle()
    }
    await waiting
    assert.equal(store.stalled, undefined)
    disk.cutPower(cutLosingAll(createSimRandom(2)))
    const { stored } = await open(disk)
    assert.deepEqual(stored.hardState, hardState)
    assert.deepEqual(stored.entries, entriesOf(1, 30))
  })

  it('room set aside lets the metadata go on when the disk is full [reliability T4]', async () => {
    const disk = await prepared()
    const clock = stillClock()
    const { store } = await open(disk, clock, 20_000)
    disk.capacityBytes = usedBytes(disk)
    await store.persist(change({ hardState: { term: 2, votedFor: 'b' } }))
    await store.persist(change({ append: entriesOf(11, 60) }))
    disk.capacityBytes = Infinity
    clock.advance(120_000)
    await store.persist(change({ append: entriesOf(61, 61) }))
    await settle()
    assert.equal(disk.content('/data/raft/reserve').length, 20_000, 'it is set aside again')
    await store.close()
    assert.equal(lastIndexOf(await open(disk)), 61)
  })

  it('a full disk never leaves a mixture of a log and what replaces its end', async () => {
    for (let room = 0; room < 2_400; room += 80) {
      const disk = await prepared()
      const clock = stillClock()
      const { store } = await open(disk, clock)
      disk.capacityBytes = usedBytes(disk) + room
      // Larger than what they replace, so that there may be room for the first change alone.
      const data = new Uint8Array(300)
      const replaced = entriesOf(8, 14).map((entry) => ({ ...entry, term: 2, data }))
      const persists = Promise.all([
        store.persist(change({ append: entriesOf(11, 14) })),
        store.persist(
          change({
            hardState: { term: 2, votedFor: undefined },
            truncateFrom: 8,
            append: replaced,
          }),
        ),
      ])
      await settle()
      const crashed = disk.fork()
      crashed.kill()
      const { stored } = await open(crashed)
      const texts = stored.entries.map(({ index, term }) => `${index}/${term}`)
      const isOld = !texts.some((text) => text.endsWith('/2'))
      const from8 = texts.slice(7)
      assert.ok(isOld || from8.every((text) => text.endsWith('/2')), `${room}: ${texts.join(' ')}`)
      disk.capacityBytes = Infinity
      for (let i = 0; i < 4; i++) {
        clock.advance(1_000)
        await settle()
      }
      await persists
      await store.close()
      assert.deepEqual((await open(disk)).stored.entries, [...entriesOf(1, 7), ...replaced])
    }
  })

  for (const code of ['io', 'read-only'] as const satisfies readonly DiskErrorCode[]) {
    it(`a snapshot that cannot be written (${code}) harms nothing`, async () => {
      const disk = await prepared()
      const { store } = await open(disk)
      failing(disk, { kind: 'fail', code }, (_, path) => path.includes('/snapshots/'))
      await assert.rejects(store.saveSnapshot(positionAt(8), Buffer.from('eight')))
      disk.onOperation = undefined
      await store.persist(change({ append: entriesOf(11, 11) }))
      await store.close()
      const again = await open(disk)
      assert.equal(again.stored.snapshot, undefined)
      assert.equal(lastIndexOf(again), 11)
    })
  }
})

describe('a Raft store that was damaged at rest', () => {
  it('garbage and zeros behind the last entry are cut off [scenario 16]', async () => {
    for (const tail of [Buffer.alloc(700), Buffer.from('garbage'.repeat(90))]) {
      const disk = await prepared()
      const path = disk.files('/data/raft/log').findLast((name) => name.endsWith('.log')) ?? ''
      disk.overwrite(path, Buffer.concat([disk.content(path), tail]))
      const { stored, store } = await open(disk)
      assert.deepEqual(stored.entries, entriesOf(1, 10))
      await store.persist(change({ append: entriesOf(11, 11) }))
      await store.close()
      assert.equal(lastIndexOf(await open(disk)), 11)
    }
  })

  it('damage to what was durable stops the start and changes no file [reliability M6, M9, scenario 10]', async () => {
    const untouched = await prepared(async (store) => {
      await store.saveSnapshot(positionAt(3), Buffer.from('three'))
    })
    const damages: ((disk: SimDisk) => void)[] = [
      (disk) => disk.flipBit(LOG, 120, 3),
      (disk) => disk.zeroRange(LOG, 0, 200),
      (disk) => disk.cutFile(LOG, 300),
      (disk) => disk.flipBit(HARD_STATE, 0, 1),
      (disk) => disk.overwrite(HARD_STATE, new Uint8Array(0)),
      (disk) => disk.lose(HARD_STATE),
    ]
    for (const [number, damage] of damages.entries()) {
      const disk = untouched.fork()
      damage(disk)
      const before = disk.files('/data').filter((path) => !path.endsWith('.index'))
      await assert.rejects(open(disk), RaftStoreUnreadable, `damage ${number}`)
      const after = disk.files('/data').filter((path) => before.includes(path))
      assert.deepEqual(after, before, `damage ${number}`)
      await assert.rejects(open(disk), RaftStoreUnreadable, `damage ${number}, a second time`)
    }
  })

  it('a damaged snapshot gives way to an older one when the log still connects [scenario 11]', async () => {
    const disk = await prepared(async (store) => {
      await store.saveSnapshot(positionAt(4), Buffer.from('four'))
      await store.saveSnapshot(positionAt(8), Buffer.from('eight'))
      await store.persist(change({ compactThrough: 4 }))
    })
    disk.flipBit('/data/raft/snapshots/1-8-1000/state.bin', 2, 1)
    const { stored, state, store } = await open(disk)
    assert.equal(stored.snapshot?.index, 4)
    assert.equal(Buffer.from(state ?? []).toString(), 'four')
    assert.equal(stored.entries.at(-1)?.index, 10)
    await store.saveSnapshot(positionAt(10), Buffer.from('ten'))
    await store.saveSnapshot(positionAt(10), Buffer.from('ten again'))
    const left = disk.files('/data/raft/snapshots')
    assert.ok(
      left.some((path) => path.includes('1-8-1000')),
      'what is damaged is left alone',
    )
    assert.ok(!left.some((path) => path.includes('1-4-1000')), 'what is too old goes')
  })

  it('a damaged snapshot that nothing replaces stops the start, names the file, deletes nothing [M9]', async () => {
    const parts = ['state.bin', 'meta.json']
    for (const part of parts) {
      const disk = await prepared(async (store) => {
        await store.saveSnapshot(positionAt(40), Buffer.from('forty'))
        await store.persist(change({ resetTo: { index: 40, term: 1 }, append: entriesOf(41, 42) }))
      })
      const path = `/data/raft/snapshots/1-40-1000/${part}`
      for (const damage of [
        (copy: SimDisk): void => copy.flipBit(path, 3, 2),
        (copy: SimDisk): void => copy.overwrite(path, new Uint8Array(0)),
        (copy: SimDisk): void => copy.lose(path),
      ]) {
        const copy = disk.fork()
        damage(copy)
        const before = copy.files('/data')
        await assert.rejects(open(copy), (error: unknown) => {
          assert.ok(error instanceof RaftStoreUnreadable)
          assert.match(error.path, /1-40-1000$/)
          return true
        })
        assert.deepEqual(copy.files('/data'), before)
      }
    }
  })

  it('a snapshot ahead of the log must be readable, whatever older ones there are [M6]', async () => {
    const disk = await prepared(async (store) => {
      await store.saveSnapshot(positionAt(4), Buffer.from('four'))
      await store.saveSnapshot(positionAt(40), Buffer.from('forty'))
    })
    disk.flipBit('/data/raft/snapshots/1-40-1000/state.bin', 0, 1)
    await assert.rejects(open(disk), RaftStoreUnreadable)
  })

  it('every flipped bit of a snapshot is noticed', async () => {
    const disk = await prepared(async (store) => {
      await store.saveSnapshot(positionAt(8), Buffer.from('eight'))
    })
    // Each bit of a byte is flipped in some byte.
    const step = process.env['CRASH_POINTS'] === 'full' ? 1 : 7
    for (const path of disk.files('/data/raft/snapshots')) {
      for (let bit = 0; bit < disk.content(path).length * 8; bit += step) {
        const copy = disk.fork()
        copy.flipBit(path, bit >> 3, bit & 7)
        const { stored } = await open(copy)
        const isOther = stored.snapshot === undefined
        assert.ok(isOther || path.endsWith('.json'), `${path} bit ${bit}`)
        // A bit of white space or of an unused name may flip without a change of meaning.
        if (!isOther) assert.deepEqual(stored.snapshot, positionAt(8), `bit ${bit}`)
      }
    }
  })

  it('what is not a snapshot is left alone, and so is the database of Go Liftbridge [M9]', async () => {
    const disk = await prepared()
    disk.overwrite(HARD_STATE, disk.content(HARD_STATE))
    const attached = disk.attach()
    await attached.makeDirectory('/data/raft/snapshots/permTest')
    await attached.makeDirectory('/data/raft/snapshots/notes')
    const { store } = await open(disk)
    await store.close()
    const names = (await attached.list('/data/raft/snapshots')).map(({ name }) => name)
    assert.deepEqual(names, ['notes', 'permTest'])
    await (await attached.open('/data/raft/raft.db', { create: true })).close()
    await assert.rejects(open(disk), /raft\.db: it is the Raft database of Go Liftbridge/)
  })
})

const usedBytes = (disk: SimDisk): number =>
  disk.files('/').reduce((sum, path) => sum + disk.content(path).length, 0)
