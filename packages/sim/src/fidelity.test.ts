import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { Disk, DiskFile } from '@liftbridge/log'
import { createNodeDisk } from '../../server/src/adapters/node-disk.ts'
import { SimDisk } from './disk.ts'
import { SECTOR_BYTES } from './disk-nodes.ts'
import { cutAfter, cutLosingAll } from './power-cut.ts'
import { createSimRandom, type SimRandom } from './random.ts'

/**
 * Holds the simulated disk against a real ext4. The image of a mounted file system is copied
 * while it is in use, which is what a power cut leaves; the copy is mounted and every difference
 * from what was synced must be one that the simulated disk could have left as well. Needs root,
 * loop devices and REAL_POWER_CUT=<number of rounds>.
 */
const rounds = Number(process.env['REAL_POWER_CUT'] ?? 0)

const NAMES = ['a', 'b', 'c', 'e'] as const

describe('the simulated disk beside a real ext4', () => {
  it('could have left whatever a power cut left', { skip: rounds === 0 }, async () => {
    const work = fs.mkdtempSync(join(tmpdir(), 'liftbridge-ext4-'))
    const before = join(work, 'before')
    const after = join(work, 'after')
    const image = join(work, 'image')
    const copy = join(work, 'copy')
    for (const directory of [before, after]) fs.mkdirSync(directory)
    execFileSync('dd', ['if=/dev/zero', `of=${image}`, 'bs=1M', 'count=32', 'status=none'])
    execFileSync('mkfs.ext4', ['-q', '-F', image])
    execFileSync('mount', ['-o', 'loop', image, before])
    let lost = 0
    try {
      for (let seed = 1; seed <= rounds; seed++) {
        const simulated = await runBoth(before, seed)
        execFileSync('cp', ['--sparse=always', image, copy])
        execFileSync('mount', ['-o', 'loop', copy, after])
        try {
          lost += assertReachable(simulated, `${after}/d${seed}`, seed)
        } finally {
          execFileSync('umount', [after])
        }
      }
    } finally {
      execFileSync('umount', [before])
      fs.rmSync(work, { recursive: true, force: true })
    }
    console.log(`${rounds} power cuts on ext4, ${lost} of which lost something unsynced`)
    // Were nothing ever lost, the copies would prove nothing.
    assert.ok(lost > 0)
  })
})

/** Does the same by chance on a fresh directory of both disks; the simulated one is returned. */
async function runBoth(root: string, seed: number): Promise<SimDisk> {
  const storage = new SimDisk()
  const directory = `/d${seed}`
  await play(storage.attach(), directory, createSimRandom(seed))
  await play(createNodeDisk(), `${root}${directory}`, createSimRandom(seed))
  return storage
}

async function play(disk: Disk, directory: string, random: SimRandom): Promise<void> {
  await disk.makeDirectory(directory)
  await disk.syncDirectory(directory.slice(0, directory.lastIndexOf('/')) || '/')
  const present = new Set<string>()
  for (let step = 0; step < 25; step++) {
    const name = random.pick(NAMES)
    const path = `${directory}/${name}`
    const choice = random.integer(10)
    if (choice < 6) {
      const file = await disk.open(path, { create: true })
      present.add(name)
      await change(file, choice, random)
      await file.close()
    } else if (choice < 7) {
      await disk.syncDirectory(directory)
    } else if (present.has(name) && choice < 9) {
      const target = random.pick(NAMES)
      await disk.rename(path, `${directory}/${target}`)
      present.delete(name)
      present.add(target)
    } else {
      await disk.remove(path)
      present.delete(name)
    }
  }
  // With all names durable, every other round can tell which file is which, and compare bytes.
  if (random.chance(0.5)) await disk.syncDirectory(directory)
}

async function change(file: DiskFile, choice: number, random: SimRandom): Promise<void> {
  const size = await file.size()
  if (choice < 3) {
    const bytes = new Uint8Array(1 + random.integer(3_000)).fill(1 + random.integer(255))
    await file.write(bytes, 0, bytes.length, random.chance(0.8) ? size : random.integer(size + 1))
  } else if (choice < 4) {
    await file.truncate(random.integer(size + 1))
  } else {
    await file.sync()
  }
}

/** 1 when something unsynced was lost. */
function assertReachable(simulated: SimDisk, real: string, seed: number): number {
  const directory = `/d${seed}`
  const names = fs.readdirSync(real).sort()
  // ext4 commits its journal in order: the names must be those after some number of changes.
  const random = createSimRandom(seed)
  const plans = [cutLosingAll(random), ...simulated.unsyncedNames().map((n) => cutAfter(random, n))]
  const candidates = plans
    .map((plan) => {
      const fork = simulated.fork()
      fork.cutPower({ ...plan, keepsTruncation: () => true, length: (_path, durable) => durable })
      return fork.files(directory).map((path) => path.slice(directory.length + 1))
    })
    .filter((candidate) => candidate.join() === names.join())
  assert.ok(candidates.length > 0, `seed ${seed}: names ${names.join()} are none of the prefixes`)
  const present = simulated.files(directory)
  for (const name of simulated.unsyncedNames().length === 0 ? names : []) {
    assertContentReachable(simulated, `${directory}/${name}`, fs.readFileSync(join(real, name)))
  }
  const same =
    names.length === present.length &&
    present.every((path) => {
      const file = join(real, path.slice(directory.length + 1))
      return fs.existsSync(file) && fs.readFileSync(file).equals(simulated.content(path))
    })
  return same ? 0 : 1
}

/** Outside the sectors that were written since the last sync, the bytes are the synced ones. */
function assertContentReachable(simulated: SimDisk, path: string, real: Buffer): void {
  const durable = simulated.durableContent(path)
  const cached = simulated.content(path)
  const unsynced = simulated.unsyncedSectors().filter((sector) => sector.path === path)
  const dirty = new Map(unsynced.map((sector) => [sector.sector, sector.earlier]))
  const longest = Math.max(durable.length, cached.length)
  assert.ok(real.length <= longest, `${path} is longer than it ever was`)
  for (let position = 0; position < real.length; position++) {
    const byte = real[position]
    const isSynced = byte === (durable[position] ?? 0)
    const earlier = dirty.get(Math.floor(position / SECTOR_BYTES))
    const isEarlier = earlier?.some(({ low, bytes }) => bytes[position - low] === byte) ?? false
    const isNew = byte === (cached[position] ?? 0)
    const isHole = byte === 0 && (earlier !== undefined || position >= durable.length)
    assert.ok(
      isSynced || isNew || isHole || isEarlier,
      `${path}: byte ${position} is ${byte}, was ${durable[position]}, should be ${cached[position]}; ` +
        `lengths ${real.length}, ${durable.length}, ${cached.length}; dirty ${[...dirty.keys()].join()}`,
    )
  }
}
