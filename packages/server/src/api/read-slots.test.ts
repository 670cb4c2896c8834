import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReadSlots } from './read-slots.ts'

test('no more than so many are inside, and who waits comes in the order of asking', async () => {
  const slots = new ReadSlots(2)
  let inside = 0
  let most = 0
  const order: number[] = []
  const visit = async (number: number): Promise<void> => {
    const wait = slots.enter()
    if (wait) await wait
    order.push(number)
    most = Math.max(most, ++inside)
    await new Promise((resolve) => setImmediate(resolve))
    inside--
    slots.leave()
  }
  await Promise.all(Array.from({ length: 10 }, (_, index) => visit(index)))
  assert.equal(most, 2)
  assert.deepEqual(
    order,
    Array.from({ length: 10 }, (_, index) => index),
  )
  assert.equal(slots.enter(), undefined)
})
