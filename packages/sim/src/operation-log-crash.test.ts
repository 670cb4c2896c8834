import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Disk } from '@liftbridge/log'
import type { Clock } from '../../server/src/clock.ts'
import { makeDurableDirectory } from '../../server/src/data-directory.ts'
import { CommitLogOperationLog } from '../../server/src/metadata/commit-log-operation-log.ts'
import { omitting } from './broken-disks.ts'
import { checkCrashPoints, traceCrashPoints } from './crash-points.ts'

interface Claim {
  /** Operations that were answered: they are there after any crash. */
  readonly answered: readonly string[]
  /** These and the ones under way: nothing else is there. */
  readonly attempted: readonly string[]
}

/** A clock whose timers run when they are told to. */
class HandClock implements Clock {
  #timers = new Set<() => void>()

  wallNs(): bigint {
    return 1n
  }

  monotonicMs(): number {
    return 0
  }

  after(_ms: number, callback: () => void): { cancel: () => void } {
    this.#timers.add(callback)
    return { cancel: () => this.#timers.delete(callback) }
  }

  fire(): void {
    const due = this.#timers
    this.#timers = new Set()
    for (const callback of due) callback()
  }
}

async function openLog(disk: Disk, clock: Clock = new HandClock()): Promise<CommitLogOperationLog> {
  return CommitLogOperationLog.open({ disk, directory: '/data/metadata', clock })
}

async function contentOf(log: CommitLogOperationLog): Promise<string[]> {
  const found: string[] = []
  for await (const { entry } of log.read(1)) found.push(Buffer.from(entry).toString())
  return found
}

async function tryCrashes(omission?: 'sync' | 'sync-directory'): Promise<number> {
  const trace = await traceCrashPoints<Claim>({
    name: 'operations of a first and a second start',
    initial: { answered: [], attempted: [] },
    run: async (whole, claim) => {
      const disk = omission === undefined ? whole : omitting(whole, omission)
      const clock = new HandClock()
      await makeDurableDirectory(whole, '/data')
      let answered: readonly string[] = []
      for (const start of ['first', 'second']) {
        const log = await openLog(disk, clock)
        for (const [number, size] of [1, 3, 1, 2].entries()) {
          const batch = Array.from({ length: size }, (_, i) =>
            `${start} ${number}.${i}`.padEnd(300),
          )
          const attempted = [...answered, ...batch]
          claim({ answered, attempted })
          await log.append(batch.map((text) => Buffer.from(text)))
          answered = attempted
          claim({ answered, attempted })
          if (number === 2) clock.fire()
        }
        await log.close()
      }
    },
  })
  const budget = { randomCuts: 12, maxSubsets: 12, seed: 1 }
  const counts = await checkCrashPoints(trace, budget, async ({ disk, claim }) => {
    const attached = disk.attach()
    const log = await openLog(attached)
    const found = await contentOf(log)
    assert.deepEqual(found, claim.attempted.slice(0, found.length), 'nothing else is there')
    assert.ok(found.length >= claim.answered.length, `${found.length} operations are left`)
    assert.equal(await log.append([Buffer.from('next')]), found.length + 1)
    await log.close()
    assert.deepEqual(await contentOf(await openLog(attached)), [...found, 'next'])
  })
  return counts.states
}

describe('the metadata log in a crash [reliability M9, T1]', () => {
  it('holds every operation that was answered, and none that nobody proposed', async () => {
    assert.ok((await tryCrashes()) > 500)
  })

  for (const omission of ['sync', 'sync-directory'] as const) {
    it(`would be noticed without ${omission}`, async () => {
      await assert.rejects(() => tryCrashes(omission), /crash before operation \d+: power/)
    })
  }
})
