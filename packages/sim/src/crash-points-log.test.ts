import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LOG_SCENARIOS } from './crash-scenarios.ts'
import { exploreElsewhere } from './crash-worker.ts'

/** CRASH_POINTS=full explores much more; CRASH_SEED chooses another beginning. */
const isFull = process.env['CRASH_POINTS'] === 'full'
const seed = Number(process.env['CRASH_SEED'] ?? 1)
const budget = isFull
  ? { randomCuts: 32, maxSubsets: 64, goesOnEvery: 1, nestedEvery: 5, hintsEvery: 2, seed }
  : { randomCuts: 2, maxSubsets: 2, goesOnEvery: 3, nestedEvery: 100, hintsEvery: 60, seed }

describe(
  'a log at every crash point [reliability T1, T3, K1, K3, R3, E3]',
  { concurrency: 2 },
  () => {
    for (const { name } of LOG_SCENARIOS) {
      it(name, async () => {
        const report = await exploreElsewhere({ name, budget })
        if (isFull) console.log(`${name}: ${JSON.stringify(report)}`)
        // A scenario that leaves nothing to lose would prove nothing.
        assert.ok(report.distinct > report.points, JSON.stringify(report))
        assert.ok(report.nested > 0 && report.hints > 0, JSON.stringify(report))
      })
    }
  },
)

describe('the enumeration of crash points notices', { concurrency: 2 }, () => {
  const omissions = [
    { name: 'append and sync', omission: 'sync' },
    { name: 'append and sync', omission: 'sync-directory' },
    { name: 'roll', omission: 'sync-directory' },
    { name: 'truncate', omission: 'truncate' },
    { name: 'truncate', omission: 'remove' },
    { name: 'compaction', omission: 'sync' },
  ] as const
  for (const { name, omission } of omissions) {
    it(`${omission} left out of "${name}"`, async () => {
      await assert.rejects(() => exploreElsewhere({ name, budget, omission }), /crash before/)
    })
  }
})
