import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeDurableDirectory } from '../../server/src/data-directory.ts'
import { openIdentity } from '../../server/src/data-directory-identity.ts'
import { checkCrashPoints, traceCrashPoints } from './crash-points.ts'
import { createSimRandom } from './random.ts'

describe('the identity of a server in a crash [reliability T5, D-59]', () => {
  it('is absent or whole at every crash point, and durable once it was given out', async () => {
    const path = '/var/lib/liftbridge'
    const trace = await traceCrashPoints<string | undefined>({
      name: 'first start',
      initial: undefined,
      run: async (disk, claim) => {
        await makeDurableDirectory(disk, path)
        const random = createSimRandom('first')
        claim((await openIdentity({ disk, path, random })).serverId)
      },
    })
    const budget = { randomCuts: 32, maxSubsets: 32, seed: 1 }
    const counts = await checkCrashPoints(trace, budget, async ({ disk, claim }) => {
      const attached = disk.attach()
      await makeDurableDirectory(attached, path)
      const again = { disk: attached, path, random: createSimRandom('second') }
      const { serverId } = await openIdentity(again)
      if (claim !== undefined) assert.equal(serverId, claim)
      assert.equal((await openIdentity(again)).serverId, serverId)
    })
    assert.ok(counts.states > 100, `${counts.states} states`)
  })
})
