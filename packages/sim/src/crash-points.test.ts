import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Disk } from '@liftbridge/log'
import { checkCrashPoints, traceCrashPoints, type CrashScenario } from './crash-points.ts'

const budget = { randomCuts: 8, maxSubsets: 16, seed: 1 }

/** Replaces /d/f, which holds "old", by "new", leaving out one step. */
function replacing(leftOut?: 'sync' | 'sync-directory' | 'temporary'): CrashScenario<string[]> {
  return {
    name: `replace without ${leftOut}`,
    initial: [],
    run: async (disk: Disk, claim) => {
      await disk.makeDirectory('/d')
      await disk.syncDirectory('/')
      for (const content of ['old'.repeat(300), 'new'.repeat(300)]) {
        claim(content.startsWith('new') ? ['old'.repeat(300), content] : ['', content])
        const name = leftOut === 'temporary' ? '/d/f' : '/d/f.tmp'
        const file = await disk.open(name, { create: true })
        await file.write(Buffer.from(content), 0, content.length, 0)
        if (leftOut !== 'sync') await file.sync()
        await file.close()
        if (leftOut !== 'temporary') await disk.rename('/d/f.tmp', '/d/f')
        if (leftOut !== 'sync-directory') await disk.syncDirectory('/d')
        claim([content])
      }
    },
  }
}

async function tryReplacing(leftOut?: 'sync' | 'sync-directory' | 'temporary'): Promise<number> {
  const trace = await traceCrashPoints(replacing(leftOut))
  const counts = await checkCrashPoints(trace, budget, async ({ disk, claim }) => {
    const content = disk.files().includes('/d/f')
      ? Buffer.from(disk.content('/d/f')).toString()
      : ''
    // Before the first claim there is nothing to hold.
    if (claim.length > 0)
      assert.ok(claim.includes(content), `the file holds ${content.slice(0, 9)}`)
  })
  return counts.states
}

describe('crash-point enumeration finds what is left out', () => {
  it('passes a replacement done in full', async () => {
    assert.ok((await tryReplacing()) > 100)
  })

  for (const leftOut of ['sync', 'sync-directory', 'temporary'] as const) {
    it(`fails one without ${leftOut}, naming seed, point and operations`, async () => {
      await assert.rejects(() => tryReplacing(leftOut), /seed 1, crash before operation \d+: power/)
    })
  }
})
