import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SimClock, MachineTime } from './clock.ts'
import { SimProcess } from './sim-process.ts'
import { Scheduler } from './scheduler.ts'
import { Trace } from './trace.ts'

async function chain(length: number): Promise<void> {
  for (let link = 0; link < length; link++) await Promise.resolve()
}

describe('the scheduler', () => {
  it('runs events by time, and events of one time in the order of scheduling', async () => {
    const scheduler = new Scheduler()
    const seen: string[] = []
    for (const [delayUs, name] of [
      [5, 'c'],
      [1, 'a'],
      [5, 'd'],
      [2, 'b'],
      [5, 'e'],
    ] as const) {
      scheduler.after(delayUs, name, () => seen.push(`${name}@${scheduler.nowUs}`))
    }
    assert.equal(await scheduler.run(), 'idle')
    assert.deepEqual(seen, ['a@1', 'b@2', 'c@5', 'd@5', 'e@5'])
  })

  it('carries promises to their end before the next event, however long their chains', async () => {
    const scheduler = new Scheduler()
    const seen: string[] = []
    for (const length of [3_000, 1, 50]) {
      scheduler.after(1, 'start', () => {
        seen.push(`begin ${length}`)
        void chain(length).then(() => seen.push(`end ${length}`))
      })
    }
    await scheduler.run()
    assert.deepEqual(
      seen,
      [3_000, 1, 50].flatMap((length) => [`begin ${length}`, `end ${length}`]),
    )
  })

  it('does not run what was cancelled, and stops where it is told', async () => {
    const scheduler = new Scheduler()
    let runs = 0
    const again = (): void => {
      runs++
      scheduler.after(10, 'again', again)
    }
    scheduler.after(10, 'again', again)
    scheduler.after(5, 'never', () => assert.fail('cancelled')).cancel()
    assert.equal(await scheduler.run({ untilUs: 95 }), 'time')
    assert.deepEqual([runs, scheduler.nowUs], [9, 95])
    assert.equal(await scheduler.run({ maxEvents: 3 }), 'events')
    assert.equal(await scheduler.run({ until: () => runs === 20 }), 'condition')
    assert.equal(scheduler.executed, 20)
  })

  it('rejects with what an event threw: a process would have ended', async () => {
    const scheduler = new Scheduler()
    scheduler.after(1, 'bad', () => {
      throw new Error('thrown by an event')
    })
    await assert.rejects(scheduler.run(), /thrown by an event/)
  })
})

describe('a process', () => {
  it('does later, in order, what came while it was stopped', async () => {
    const scheduler = new Scheduler()
    const one = new SimProcess('one', scheduler)
    const seen: string[] = []
    for (const name of ['a', 'b', 'c']) one.after(10, name, () => seen.push(name))
    one.after(12, 'cancelled while held', () => seen.push('d'))
    const cancelled = one.after(12, 'e', () => seen.push('e'))
    scheduler.after(5, 'stop', () => one.stop())
    scheduler.after(20, 'cancel', () => cancelled.cancel())
    await scheduler.run()
    assert.deepEqual(seen, [])
    one.continue()
    await scheduler.run()
    assert.deepEqual(seen, ['a', 'b', 'c', 'd'])
  })

  it('does nothing after its death', async () => {
    const scheduler = new Scheduler()
    const one = new SimProcess('one', scheduler)
    one.after(10, 'never', () => assert.fail('dead'))
    let told = 0
    one.onEnd(() => told++)
    one.kill()
    one.kill()
    await scheduler.run()
    assert.equal(told, 1)
  })
})

describe('the clocks of a machine', () => {
  it('step on the wall alone, and run at their own rate', async () => {
    const scheduler = new Scheduler()
    const time = new MachineTime()
    const clock = new SimClock(scheduler, new SimProcess('one', scheduler), time)
    const [wall, monotonic] = [clock.wallNs(), clock.monotonicMs()]
    time.wallOffsetMs = -3_600_000
    assert.equal(clock.wallNs() - wall, -3_600_000_000_000n)
    assert.equal(clock.monotonicMs(), monotonic)
    time.rate = 2
    let firedUs = 0
    clock.after(100, () => {
      firedUs = scheduler.nowUs
    })
    await scheduler.run()
    assert.equal(firedUs, 50_000)
    assert.equal(clock.monotonicMs(), 100)
  })
})

describe('the trace', () => {
  it('has one hash for equal runs, another for any difference', () => {
    const hashOf = (...labels: string[]): string => {
      const trace = new Trace()
      labels.forEach((label, at) => trace.event(at, label))
      return trace.hash
    }
    assert.equal(hashOf('a', 'b', 'c'), hashOf('a', 'b', 'c'))
    const others = [hashOf('a', 'c', 'b'), hashOf('a', 'b'), hashOf('a', 'b', 'd')]
    assert.equal(new Set([...others, hashOf('a', 'b', 'c')]).size, 4)
  })

  it('keeps the latest lines', () => {
    const trace = new Trace({ keepLines: 2 })
    for (let at = 0; at < 9; at++) trace.line(at * 1e6, `line ${at}`)
    assert.deepEqual(
      trace.lines.map((line) => line.trim()),
      ['7.000000  line 7', '8.000000  line 8'],
    )
  })
})
