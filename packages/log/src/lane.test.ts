import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Lane, SharedRun } from './lane.ts'

test('a lane runs steps in order, one at a time, whether they fail or not', async () => {
  const lane = new Lane()
  const order: number[] = []
  let running = 0
  const step = (number: number) => async (): Promise<number> => {
    assert.equal(running++, 0)
    await new Promise((resolve) => setImmediate(resolve))
    order.push(number)
    running--
    if (number === 2) throw new Error('two')
    return number
  }
  const results = await Promise.allSettled([1, 2, 3].map((number) => lane.run(step(number))))
  assert.deepEqual(order, [1, 2, 3])
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
})

test('a shared run starts after whoever joins it, and never beside another [group commit]', async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.nat(5), async (scheduler, failing) => {
      let started = 0
      let running = 0
      const shared = new SharedRun(async () => {
        const number = ++started
        assert.equal(running++, 0, 'two runs at once')
        await scheduler.schedule(Promise.resolve())
        running--
        if (number === failing) throw new Error('failed')
        return number
      })
      const caller = async (): Promise<void> => {
        for (let i = 0; i < 3; i++) {
          const before = started
          const got = await shared.join().catch(() => failing)
          assert.ok(got > before, 'a run that had begun before the call')
        }
      }
      const callers = [1, 2, 3, 4].map(() => caller())
      await scheduler.waitFor(Promise.all(callers))
      await shared.settled()
      assert.equal(running, 0)
    }),
    { numRuns: 60 },
  )
})
