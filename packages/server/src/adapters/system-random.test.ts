import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createSystemRandom } from './system-random.ts'

describe('the system random', () => {
  it('gives ids of 22 letters and digits that do not repeat', () => {
    const random = createSystemRandom()
    const ids = new Set<string>()
    for (let index = 0; index < 20_000; index++) {
      const id = random.id()
      assert.match(id, /^[0-9A-Za-z]{22}$/)
      ids.add(id)
    }
    assert.equal(ids.size, 20_000)
  })

  it('uses all 62 characters alike', () => {
    const random = createSystemRandom()
    const counts = new Map<string, number>()
    for (let index = 0; index < 10_000; index++) {
      for (const character of random.id()) {
        counts.set(character, (counts.get(character) ?? 0) + 1)
      }
    }
    assert.equal(counts.size, 62)
    // 220,000 draws over 62 characters: 3,548 expected each, with a deviation of 59; ten of them.
    for (const [character, count] of counts) {
      assert.ok(Math.abs(count - 3_548) < 590, `${character} came ${count} times`)
    }
  })

  it('gives numbers in [0, 1) around one half', () => {
    const random = createSystemRandom()
    let sum = 0
    for (let index = 0; index < 10_000; index++) {
      const value = random.next()
      assert.ok(value >= 0 && value < 1)
      sum += value
    }
    // The mean of 10,000 draws deviates by 0.003; this allows ten times that.
    assert.ok(Math.abs(sum / 10_000 - 0.5) < 0.03)
  })
})
