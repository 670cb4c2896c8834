import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RecoveryCheck } from './crash-log-check.ts'
import { LogActor, NOTHING_CLAIMED, prepareDisk, type LogClaim } from './crash-log.ts'
import { checkCrashPoints, traceCrashPoints, type CrashScenario } from './crash-points.ts'
import { SimDisk } from './disk.ts'

const isFull = process.env['CRASH_POINTS'] === 'full'
const budget = isFull
  ? { randomCuts: 32, maxSubsets: 64, seed: Number(process.env['CRASH_SEED'] ?? 1) }
  : { randomCuts: 8, maxSubsets: 6, seed: 1 }

async function preparedDisk(): Promise<SimDisk> {
  const storage = new SimDisk()
  await prepareDisk(storage.attach())
  return storage
}

async function explore(name: string, run: CrashScenario<LogClaim>['run']): Promise<void> {
  const disk = await preparedDisk()
  const trace = await traceCrashPoints({ name, disk, initial: NOTHING_CLAIMED, run })
  const recovery = new RecoveryCheck()
  const counts = await checkCrashPoints(trace, budget, (state) => recovery.check(state))
  if (isFull) {
    const { points, states } = counts
    console.log(`${name}: ${points} crash points, ${states} states, ${recovery.distinct} distinct`)
  }
  assert.ok(counts.states > trace.points.length)
}

describe('a log at every crash point [reliability T1, K3, R3]', () => {
  it('append and sync', () =>
    explore('append and sync', async (disk, claim) => {
      const actor = await LogActor.open(disk, claim)
      await actor.append({ count: 1 })
      await actor.append({ count: 3, valueBytes: 700 })
      await actor.sync()
      await actor.append({ count: 2 })
      await actor.append({ count: 1, valueBytes: 1_500 })
      await actor.sync()
      await actor.append({ count: 1 })
    }))

  it('roll', () =>
    explore('roll', async (disk, claim) => {
      const actor = await LogActor.open(disk, claim)
      for (let round = 0; round < 3; round++) {
        await actor.append({ count: 4, valueBytes: 100 })
        if (round === 1) await actor.sync()
        await actor.append({ count: 1, valueBytes: 600 })
      }
      await actor.sync()
    }))

  it('leader epochs', () =>
    explore('leader epochs', async (disk, claim) => {
      const actor = await LogActor.open(disk, claim)
      await actor.append({ count: 2, epoch: 3 })
      await actor.sync()
      await actor.append({ count: 1, epoch: 5 })
      await actor.append({ count: 9, epoch: 8, valueBytes: 80 })
      await actor.append({ count: 1, epoch: 9 })
      await actor.sync()
    }))

  it('checkpoint of the high watermark', () =>
    explore('checkpoint', async (disk, claim) => {
      const actor = await LogActor.open(disk, claim)
      await actor.append({ count: 3 })
      await actor.checkpoint(1)
      await actor.sync()
      await actor.checkpoint(1)
      await actor.append({ count: 10, valueBytes: 90 })
      await actor.checkpoint(8)
      await actor.sync()
      await actor.checkpoint(12)
    }))
})
