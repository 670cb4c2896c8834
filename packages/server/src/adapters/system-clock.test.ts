import assert from 'node:assert/strict'
import { describe, it, mock } from 'node:test'
import { createSystemClock } from './system-clock.ts'

describe('the system clock', () => {
  it('stays within a millisecond of the system wall clock', () => {
    const clock = createSystemClock()
    for (let index = 0; index < 1_000; index++) {
      const before = Date.now()
      const wallMs = Number(clock.wallNs() / 1_000_000n)
      assert.ok(wallMs >= before && wallMs <= Date.now(), `${wallMs} is outside`)
    }
  })

  it('follows the wall clock when that is stepped', () => {
    const clock = createSystemClock()
    const realNow = Date.now()
    const now = mock.method(Date, 'now', () => realNow - 3_600_000)
    try {
      assert.equal(clock.wallNs() / 1_000_000n, BigInt(realNow - 3_600_000))
      now.mock.mockImplementation(() => realNow + 3_600_000)
      assert.equal(clock.wallNs() / 1_000_000n, BigInt(realNow + 3_600_000))
    } finally {
      now.mock.restore()
    }
  })

  it('tells moments within a millisecond apart', () => {
    const clock = createSystemClock()
    const seen = new Set<bigint>()
    for (let index = 0; index < 10_000; index++) seen.add(clock.wallNs() % 1_000_000n)
    assert.ok(seen.size > 10, `only ${seen.size} different fractions`)
  })

  it('runs a callback once after its time, and never after cancel', () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    try {
      const clock = createSystemClock()
      const calls: string[] = []
      clock.after(10, () => calls.push('due'))
      const cancelled = clock.after(10, () => calls.push('cancelled'))
      mock.timers.tick(9)
      assert.deepEqual(calls, [])
      cancelled.cancel()
      mock.timers.tick(100)
      assert.deepEqual(calls, ['due'])
    } finally {
      mock.timers.reset()
    }
  })

  it('waits out what is longer than setTimeout can hold, and cancels it on the way', () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    try {
      const clock = createSystemClock()
      const longMs = 2 ** 31 + 5
      const calls: string[] = []
      clock.after(longMs, () => calls.push('due'))
      const cancelled = clock.after(longMs, () => calls.push('cancelled'))
      mock.timers.tick(2 ** 31 - 1)
      mock.timers.tick(5)
      assert.deepEqual(calls, [])
      cancelled.cancel()
      mock.timers.tick(1)
      assert.deepEqual(calls, ['due'])
    } finally {
      mock.timers.reset()
    }
  })
})
