import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DiskError, type Disk, type DiskFile } from '@liftbridge/log'
import fc from 'fast-check'
import { SimDisk } from './disk.ts'
import {
  cutAfter,
  cutAtRandom,
  cutKeepingAll,
  cutKeepingSectors,
  cutLosingAll,
} from './power-cut.ts'
import { createSimRandom } from './random.ts'

const random = createSimRandom(1)

/** A disk with the durable directory /d and, in it, the durable file /d/a that holds `content`. */
async function diskWith(content: string): Promise<{ storage: SimDisk; disk: Disk; a: DiskFile }> {
  const storage = new SimDisk()
  const disk = storage.attach()
  await disk.makeDirectory('/d')
  await disk.syncDirectory('/')
  const a = await disk.open('/d/a', { create: true })
  await put(a, content)
  await a.sync()
  await disk.syncDirectory('/d')
  return { storage, disk, a }
}

async function put(file: DiskFile, text: string, position = 0): Promise<void> {
  await file.write(Buffer.from(text), 0, text.length, position)
}

function text(storage: SimDisk, path: string): string {
  return Buffer.from(storage.content(path)).toString('latin1')
}

describe('a kill', () => {
  it('keeps everything that was written and every name', async () => {
    const { storage, disk, a } = await diskWith('old')
    await put(a, 'new')
    await put(await disk.open('/d/b', { create: true }), 'b')
    await disk.rename('/d/b', '/d/c')
    storage.kill()
    assert.deepEqual(storage.files(), ['/d/a', '/d/c'])
    assert.equal(text(storage, '/d/a'), 'new')
    assert.equal(text(storage, '/d/c'), 'b')
  })

  it('leaves the dead process unable to touch the disk', async () => {
    const { storage, disk, a } = await diskWith('old')
    storage.kill()
    await assert.rejects(() => put(a, 'zombie'), DiskError)
    assert.throws(() => a.writeSync(Buffer.from('z'), 0, 1, 0), DiskError)
    await assert.rejects(() => disk.remove('/d/a'), DiskError)
    assert.equal(text(storage, '/d/a'), 'old')
  })

  it('stops what was under way', async () => {
    const { storage, a } = await diskWith('old')
    let arrive: () => void = () => undefined
    storage.delay = () => new Promise<void>((resolve) => (arrive = resolve))
    const writing = put(a, 'late')
    storage.kill()
    arrive()
    await assert.rejects(() => writing, DiskError)
    assert.equal(text(storage, '/d/a'), 'old')
  })
})

describe('a power cut', () => {
  it('loses what was not synced when nothing was written back', async () => {
    const { storage, disk, a } = await diskWith('old')
    await put(a, 'newer')
    const b = await disk.open('/d/b', { create: true })
    await put(b, 'b')
    await b.sync()
    storage.cutPower(cutLosingAll(random))
    assert.deepEqual(storage.files(), ['/d/a'])
    assert.equal(text(storage, '/d/a'), 'old')
  })

  it('loses nothing when everything was written back', async () => {
    const { storage, disk, a } = await diskWith('old')
    await put(a, 'newer')
    await disk.rename('/d/a', '/d/b')
    storage.cutPower(cutKeepingAll(random))
    assert.deepEqual(storage.files(), ['/d/b'])
    assert.equal(text(storage, '/d/b'), 'newer')
  })

  it('keeps the content of a synced file whose name is durable', async () => {
    for (let seed = 0; seed < 200; seed++) {
      const { storage, a } = await diskWith('old')
      await put(a, 'synced', 600)
      await a.sync()
      await put(a, 'unsynced', 600 + 6)
      storage.cutPower(cutAtRandom(createSimRandom(seed)))
      assert.equal(text(storage, '/d/a').slice(600, 606), 'synced', `seed ${seed}`)
    }
  })

  it('can leave the length ahead of the data, as zeros', async () => {
    const { storage, a } = await diskWith('old')
    await put(a, 'x'.repeat(1_000), 512)
    storage.cutPower(cutKeepingSectors(random, ({ sector }) => sector === 2))
    const content = text(storage, '/d/a')
    assert.equal(content.length, 1_512)
    assert.equal(content.slice(0, 3), 'old')
    assert.equal(content.slice(512, 1_024), '\0'.repeat(512))
    assert.equal(content.slice(1_024), 'x'.repeat(488))
  })

  it('writes back in order up to an operation', async () => {
    const { storage, a } = await diskWith('')
    await put(a, '1'.repeat(512))
    const sequence = storage.operations
    await put(a, '2'.repeat(512), 512)
    storage.cutPower(cutAfter(random, sequence))
    assert.equal(text(storage, '/d/a'), '1'.repeat(512) + '\0'.repeat(512))
  })

  it('never touches what a sync covered, when more is appended to the sector during the sync', async () => {
    for (let seed = 0; seed < 60; seed++) {
      const { storage, a } = await diskWith('old, ')
      await put(a, 'synced, ', 5)
      const arrival = Promise.withResolvers<void>()
      storage.delay = (kind) => (kind === 'sync' ? arrival.promise : undefined)
      const sync = a.sync()
      await put(a, 'unsynced', 13)
      arrival.resolve()
      await sync
      storage.cutPower(cutAtRandom(createSimRandom(seed)))
      assert.equal(text(storage, '/d/a').slice(0, 13), 'old, synced, ', `seed ${seed}`)
    }
  })

  it('keeps what a sync covered, though one that began before it ends after it', async () => {
    const { storage, a } = await diskWith('old, ')
    const arrivals = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    let syncs = 0
    storage.delay = (kind) => (kind === 'sync' ? arrivals[syncs++]?.promise : undefined)
    await put(a, 'first, ', 5)
    const first = a.sync()
    await put(a, 'second', 12)
    const second = a.sync()
    arrivals[1]?.resolve()
    await second
    arrivals[0]?.resolve()
    await first
    storage.cutPower(cutLosingAll(random))
    assert.equal(text(storage, '/d/a'), 'old, first, second')
  })

  it('never touches durable bytes beside unsynced ones in the same sector', async () => {
    for (let seed = 0; seed < 200; seed++) {
      const { storage, a } = await diskWith('durable')
      await put(a, 'unsynced', 7)
      storage.cutPower(cutAtRandom(createSimRandom(seed)))
      assert.equal(text(storage, '/d/a').slice(0, 7), 'durable', `seed ${seed}`)
    }
  })

  it('reaches every fate of a sector: old, new, zeros, torn, garbage', async () => {
    const fates = new Set<string>()
    for (let seed = 0; seed < 300; seed++) {
      const { storage, a } = await diskWith('o'.repeat(512))
      await put(a, 'n'.repeat(512))
      storage.cutPower(cutAtRandom(createSimRandom(seed)))
      const content = text(storage, '/d/a')
      if (/^o+$/.test(content)) fates.add('old')
      else if (/^n+$/.test(content)) fates.add('new')
      else if (/^\0+$/.test(content)) fates.add('zero')
      else if (/^n+o+$/.test(content)) fates.add('torn')
      else fates.add('garbage')
    }
    assert.deepEqual([...fates].sort(), ['garbage', 'new', 'old', 'torn', 'zero'])
  })

  it('brings the old bytes back when a truncation did not reach the disk', async () => {
    const { storage, a } = await diskWith('old content')
    await a.truncate(3)
    await put(a, 'XY', 3)
    const lost = storage.fork()
    lost.cutPower(cutLosingAll(random))
    assert.equal(text(lost, '/d/a'), 'old content')
    const kept = storage.fork()
    kept.cutPower(cutKeepingAll(random))
    assert.equal(text(kept, '/d/a'), 'oldXY')
    await a.sync()
    storage.cutPower(cutLosingAll(random))
    assert.equal(text(storage, '/d/a'), 'oldXY')
  })

  it('does not cover by a sync what was written while it was under way', async () => {
    const { storage, a } = await diskWith('')
    await put(a, 'before')
    let arrive: () => void = () => undefined
    storage.delay = () => new Promise<void>((resolve) => (arrive = resolve))
    const syncing = a.sync()
    storage.delay = undefined
    await put(a, 'AFTER!')
    arrive()
    await syncing
    storage.cutPower(cutLosingAll(random))
    assert.equal(text(storage, '/d/a'), 'before')
  })
})

describe('names in a power cut', () => {
  it('survive as a prefix of their changes in a directory', async () => {
    const seen = new Set<string>()
    for (let seed = 0; seed < 200; seed++) {
      const { storage, disk } = await diskWith('a')
      await disk.open('/d/1', { create: true })
      await disk.open('/d/2', { create: true })
      await disk.rename('/d/1', '/d/3')
      await disk.remove('/d/2')
      storage.cutPower(cutAtRandom(createSimRandom(seed)))
      seen.add(storage.files().join(' '))
    }
    assert.deepEqual([...seen].sort(), [
      '/d/1 /d/2 /d/a',
      '/d/1 /d/a',
      '/d/2 /d/3 /d/a',
      '/d/3 /d/a',
      '/d/a',
    ])
  })

  it('hold the old file or the new one after a rename, never neither', async () => {
    for (let seed = 0; seed < 100; seed++) {
      const { storage, disk } = await diskWith('old')
      const temporary = await disk.open('/d/a.new', { create: true })
      await put(temporary, 'new')
      await temporary.sync()
      await disk.rename('/d/a.new', '/d/a')
      storage.cutPower(cutAtRandom(createSimRandom(seed)))
      assert.match(text(storage, '/d/a'), /^(old|new)$/, `seed ${seed}`)
    }
  })

  it('are durable after syncDirectory, and only in that directory', async () => {
    const { storage, disk } = await diskWith('a')
    await disk.makeDirectory('/e')
    await disk.syncDirectory('/')
    await disk.open('/e/x', { create: true })
    await disk.open('/d/x', { create: true })
    await disk.syncDirectory('/d')
    storage.cutPower(cutLosingAll(random))
    assert.deepEqual(storage.files(), ['/d/a', '/d/x'])
  })

  it('of a file that moved between directories never show it twice', async () => {
    for (let seed = 0; seed < 100; seed++) {
      const { storage, disk } = await diskWith('a')
      await disk.makeDirectory('/e')
      await disk.syncDirectory('/')
      await disk.rename('/d/a', '/e/b')
      if (seed % 2 === 0) await disk.syncDirectory('/e')
      storage.cutPower(cutAtRandom(createSimRandom(seed)))
      assert.equal(storage.files().length, 1, `seed ${seed}: ${storage.files().join(' ')}`)
    }
  })

  it('of a half-removed tree leave a part of it', async () => {
    const counts = new Set<number>()
    for (let seed = 0; seed < 100; seed++) {
      const { storage, disk } = await diskWith('a')
      for (const name of ['b', 'c', 'e']) await disk.open(`/d/${name}`, { create: true })
      await disk.syncDirectory('/d')
      await disk.removeTree('/d')
      storage.cutPower(cutAtRandom(createSimRandom(seed)))
      counts.add(storage.files().length)
    }
    assert.deepEqual(
      [...counts].sort((a, b) => a - b),
      [0, 1, 2, 3, 4],
    )
  })
})

describe('faults of the simulated disk', () => {
  it('a lying sync fails once, then succeeds without having written [reliability 0.7]', async () => {
    const { storage, a } = await diskWith('old')
    await put(a, 'new')
    storage.onOperation = ({ kind }) =>
      kind === 'sync' ? { kind: 'lose-unsynced', afterwards: 'lie' } : undefined
    await assert.rejects(() => a.sync(), { code: 'io' })
    storage.onOperation = undefined
    await a.sync()
    assert.equal(text(storage, '/d/a'), 'new')
    storage.cutPower(cutKeepingAll(random))
    assert.equal(text(storage, '/d/a'), 'old')
  })

  it('a reverting sync takes the bytes back at once', async () => {
    const { storage, a } = await diskWith('old')
    await put(a, 'newer')
    storage.onOperation = () => ({ kind: 'lose-unsynced', afterwards: 'revert' })
    await assert.rejects(() => a.sync(), { code: 'io' })
    assert.equal(text(storage, '/d/a'), 'old')
  })

  it('the nth operation fails with the code asked for, and has no effect', async () => {
    const { storage, a } = await diskWith('old')
    const nth = storage.operations + 2
    storage.onOperation = ({ sequence }) =>
      sequence === nth ? { kind: 'fail', code: 'io' } : undefined
    await put(a, 'one')
    await assert.rejects(() => put(a, 'two'), { code: 'io', path: '/d/a' })
    await put(a, 'three', 3)
    assert.equal(text(storage, '/d/a'), 'onethree')
  })

  it('a full disk writes what fits, then refuses, and goes on when there is room', async () => {
    const { storage, disk, a } = await diskWith('12345')
    storage.capacityBytes = 8
    assert.equal(await a.write(Buffer.from('abcdef'), 0, 6, 5), 3)
    await assert.rejects(() => put(a, 'x', 8), { code: 'no-space' })
    await put(a, 'overwritten'.slice(0, 8))
    const b = await disk.open('/d/b', { create: true })
    await assert.rejects(() => put(b, 'x'), { code: 'no-space' })
    await a.truncate(4)
    await put(b, 'free')
    assert.equal(text(storage, '/d/b'), 'free')
  })

  it('damage at rest is durable', async () => {
    const { storage } = await diskWith('abcd')
    storage.flipBit('/d/a', 0, 1)
    storage.zeroRange('/d/a', 2, 1)
    storage.cutFile('/d/a', 3)
    storage.cutPower(cutLosingAll(random))
    assert.equal(text(storage, '/d/a'), 'cb\0')
    storage.lose('/d/a')
    assert.deepEqual(storage.files(), [])
  })
})

describe('a fork of a simulated disk', () => {
  it('shares nothing with the disk it came from', async () => {
    const { storage, disk, a } = await diskWith('old')
    await put(a, 'unsynced', 3)
    await disk.open('/d/b', { create: true })
    const fork = storage.fork()
    await put(a, 'changed')
    await disk.remove('/d/b')
    await disk.syncDirectory('/d')
    assert.equal(text(fork, '/d/a'), 'oldunsynced')
    assert.deepEqual(fork.files(), ['/d/a', '/d/b'])
    fork.cutPower(cutLosingAll(random))
    assert.deepEqual(fork.files(), ['/d/a'])
    assert.equal(text(fork, '/d/a'), 'old')
    assert.equal(text(storage, '/d/a'), 'changednced')
  })

  it('is cut to the same state by the same seed', async () => {
    const steps = fc.array(
      fc.record({ position: fc.nat(3_000), length: fc.integer({ min: 1, max: 2_000 }) }),
      { maxLength: 6 },
    )
    const property = fc.asyncProperty(steps, fc.nat(), async (writes, seed) => {
      const { storage, a } = await diskWith('start')
      for (const { position, length } of writes) await put(a, 'w'.repeat(length), position)
      const states = [storage.fork(), storage.fork()].map((fork) => {
        fork.cutPower(cutAtRandom(createSimRandom(seed)))
        return text(fork, '/d/a')
      })
      assert.equal(states[0], states[1])
    })
    await fc.assert(property, { numRuns: 50 })
  })
})
