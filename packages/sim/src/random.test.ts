import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createSimRandom, type SimRandom } from './random.ts'

function draws(random: SimRandom, count = 20): number[] {
  return Array.from({ length: count }, () => random.next())
}

describe('chance by seed', () => {
  it('is the same for the same seed and site, another for another', () => {
    const first = draws(createSimRandom(7).of('disk').of('sector'))
    assert.deepEqual(draws(createSimRandom(7).of('disk').of('sector')), first)
    assert.notDeepEqual(draws(createSimRandom(8).of('disk').of('sector')), first)
    assert.notDeepEqual(draws(createSimRandom(7).of('disk').of('length')), first)
  })

  it('does not shift one site when another draws more', () => {
    const quiet = createSimRandom(3)
    const busy = createSimRandom(3)
    draws(busy.of('other'), 100)
    draws(busy, 100)
    assert.deepEqual(draws(busy.of('site')), draws(quiet.of('site')))
  })

  it('goes on where a site left off', () => {
    const once = createSimRandom(3)
    const whole = draws(once.of('site'), 10)
    const again = createSimRandom(3)
    assert.deepEqual([...draws(again.of('site'), 4), ...draws(again.of('site'), 6)], whole)
  })

  it('is even: every value of a small range comes about as often', () => {
    const random = createSimRandom(11)
    const counts = Array.from({ length: 10 }, () => 0)
    for (let index = 0; index < 50_000; index++) {
      const value = random.integer(10)
      counts[value] = (counts[value] ?? 0) + 1
    }
    // 5,000 expected each with a deviation of 67; this allows six of them.
    for (const count of counts) assert.ok(Math.abs(count - 5_000) < 402, counts.join())
  })

  it('has no equal streams among neighbouring seeds and sites', () => {
    const seen = new Set<number>()
    for (let seed = 0; seed < 200; seed++) {
      for (let site = 0; site < 50; site++) seen.add(createSimRandom(seed).of(`s${site}`).next())
    }
    assert.equal(seen.size, 10_000)
  })

  it('makes ids of 22 letters and digits', () => {
    assert.match(createSimRandom(1).id(), /^[0-9A-Za-z]{22}$/)
  })
})
