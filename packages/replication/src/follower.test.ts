/** The rules of a follower, one test each; how it truncates is in `follower-truncation.test.ts`. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { PartitionFollower } from './follower.ts'
import { follow, log, NOTHING } from './testing/follower-fixture.suite.ts'

test('a follower with an empty log fetches at once', () => {
  const { first } = follow(NOTHING)
  assert.deepEqual(first.fetch, {
    requestId: 1,
    replicaId: 'B',
    leaderEpoch: 5,
    offset: -1,
    syncedOffset: -1,
    incarnation: 1,
    maxWaitMs: 300,
  })
})

test('nothing is told before it is durable [R4]', () => {
  const view = log(9, [{ epoch: 2, start: 0 }], { syncedOffset: 4 })
  const { answer, step, fetched, latest } = follow(view)
  const agreed = answer(2, 20)
  assert.deepEqual([agreed.sync, agreed.fetch], [true, undefined])
  const synced = step({ kind: 'synced', offset: 9, now: 0 })
  latest(synced)
  assert.deepEqual([synced.fetch?.offset, synced.fetch?.syncedOffset], [9, 9])
  assert.deepEqual(fetched([10, 12, 5], 9).append, { gaps: false })
  const grown = log(12, [{ epoch: 2, start: 0 }], { syncedOffset: 9 })
  const appended = step({ kind: 'appended', log: grown, now: 0 })
  assert.deepEqual([appended.sync, appended.fetch], [true, undefined])
  assert.equal(step({ kind: 'synced', offset: 12, now: 0 }).fetch?.offset, 12)
})

test('with sync policy never nobody waits', () => {
  const view = log(9, [{ epoch: 2, start: 0 }], { syncedOffset: -1 })
  const { answer } = follow(view, { syncPolicy: 'never' })
  const { sync, fetch } = answer(2, 20)
  assert.deepEqual([sync, fetch?.offset, fetch?.syncedOffset], [false, 9, 9])
})

test('records are appended only at the end, with epochs that fit [R9, G8]', () => {
  for (const [records, isFine] of [
    [[10, 12, 2], true],
    [[10, 10, 5], true],
    [[11, 12, 2], false],
    [[9, 12, 2], false],
    [[10, 9, 2], false],
    [[10, 12, 1], false],
    [[10, 12, 6], false],
  ] as const) {
    const { answer, fetched } = follow(log(9, [{ epoch: 2, start: 0 }]))
    answer(2, 20)
    assert.equal(fetched(records, -1).append !== undefined, isFine, `${records.join()}`)
  }
})

test('a gap is taken where the log is compacted, or where the leader begins', () => {
  const view = log(9, [{ epoch: 2, start: 0 }])
  const compacted = follow(view, { gaps: true })
  compacted.answer(2, 20)
  assert.deepEqual(compacted.fetched([15, 16, 2], -1).append, { gaps: true })
  const behind = follow(view)
  behind.answer(2, 60)
  const jump = behind.fetched([50, 51, 2], -1, { oldestOffset: 50 })
  assert.deepEqual(jump.append, { gaps: true, restart: true })
})

test('a response of another leadership is dropped', () => {
  const { step, answer } = follow(log(9, [{ epoch: 2, start: 0 }]))
  answer(2, 20)
  const records = { firstOffset: 10, lastOffset: 10, firstEpoch: 2, lastEpoch: 2 }
  const stale = { kind: 'fetched', requestId: 2, leaderEpoch: 4, highWatermark: 9, now: 0 } as const
  const output = step({ ...stale, records })
  assert.deepEqual([output.append, output.highWatermark], [undefined, -1])
})

test('records that the log refuses are asked for again, after the logs were compared', () => {
  const view = log(9, [{ epoch: 2, start: 0 }])
  const { step, answer, fetched, tick } = follow(view)
  answer(2, 20)
  fetched([10, 12, 2], -1)
  assert.equal(step({ kind: 'append-refused', log: view, now: 0 }).fetch, undefined)
  assert.equal(tick(10).ask?.epoch, 2)
})

test("the high watermark is the smaller of the leader's and the own end [R3, LB 7.A6]", () => {
  const epochs = [{ epoch: 5, start: 0 }]
  const { fetched, step, follower } = follow(NOTHING)
  assert.equal(fetched([0, 3, 5], 50).highWatermark, -1)
  const view = log(3, epochs, { syncedOffset: -1 })
  assert.equal(step({ kind: 'appended', log: view, now: 0 }).highWatermark, 3)
  assert.equal(follower.highWatermark, 3)
})

test('before the logs agree no high watermark is taken over', () => {
  const { step } = follow(log(9, [{ epoch: 2, start: 0 }]))
  const early = { kind: 'fetched', requestId: 1, leaderEpoch: 5, highWatermark: 9, now: 0 } as const
  assert.equal(step({ ...early, records: undefined }).highWatermark, -1)
})

test('an answer that was held is followed by the next fetch at once', () => {
  const { fetched } = follow(NOTHING)
  assert.notEqual(fetched(undefined, -1, { now: 290 }).fetch, undefined)
})

test('an answer that was not held is followed by a pause, which a notification ends [LB 4.5]', () => {
  const { fetched, follower, step, tick } = follow(NOTHING)
  assert.equal(fetched(undefined, -1, { now: 1 }).fetch, undefined)
  assert.equal(follower.wakeAt, 1001)
  assert.equal(tick(1000).fetch, undefined)
  assert.notEqual(step({ kind: 'notified', now: 1000 }).fetch, undefined)
})

test('a notification during a fetch is not forgotten', () => {
  const { fetched, step } = follow(NOTHING)
  step({ kind: 'notified', now: 0 })
  assert.notEqual(fetched(undefined, -1, { now: 1 }).fetch, undefined)
})

test('there is one request at a time, and it ends by itself', () => {
  const { tick, follower, step } = follow(NOTHING)
  assert.equal(step({ kind: 'notified', now: 1 }).fetch, undefined)
  assert.equal(follower.wakeAt, 400, 'the timeout and the hold')
  assert.equal(tick(399).fetch, undefined)
  tick(400)
  assert.equal(follower.wakeAt, 410)
  assert.notEqual(tick(410).fetch, undefined)
})

test('a silent leader is reported, again and again, until it answers', () => {
  const { follower, tick } = follow(NOTHING)
  const reports: number[] = []
  for (let now = 0; now <= 3500; now = Math.max(now + 1, Math.ceil(follower.wakeAt))) {
    if (tick(now).reportLeader) reports.push(now)
  }
  assert.deepEqual(reports, [2001, 2501, 3001])
})

test('a replica that may lack something is as good as any when it has all its leader has [R8]', () => {
  const unproven = { proven: false } as const
  const { fetched, step, follower } = follow(NOTHING, unproven)
  fetched([0, 3, 5], 2, { newestOffset: 5 })
  step({ kind: 'appended', log: log(3, [{ epoch: 5, start: 0 }]), now: 0 })
  assert.equal(follower.proven, false, 'the leader has more')
  const other = follow(NOTHING, unproven)
  other.fetched([0, 5, 5], 2, { newestOffset: 5 })
  const all = log(5, [{ epoch: 5, start: 0 }], { syncedOffset: -1 })
  other.step({ kind: 'appended', log: all, now: 0 })
  assert.equal(other.follower.proven, false, 'not durable yet')
  other.step({ kind: 'synced', offset: 5, now: 0 })
  assert.equal(other.follower.proven, true)
})

test('a Go leader proves a replica complete by having nothing more [R8]', () => {
  const { fetched, step, follower, latest } = follow(NOTHING, { proven: false })
  fetched([0, 3, 5], 2)
  latest(step({ kind: 'appended', log: log(3, [{ epoch: 5, start: 0 }]), now: 0 }))
  assert.equal(follower.proven, false)
  fetched(undefined, 3)
  assert.equal(follower.proven, true)
})

test('a log that knows a newer leadership waits for newer metadata', () => {
  const { first, tick, follower } = follow(log(9, [{ epoch: 6, start: 0 }]))
  assert.deepEqual([first.ask, first.fetch, tick(9999).reportLeader], [undefined, undefined, false])
  assert.equal(follower.phase.kind, 'outdated')
})

test('a follower restored from its state behaves as before', () => {
  const { follower, options } = follow(log(9, [{ epoch: 2, start: 0 }]))
  const copy = PartitionFollower.restore(options, follower.state)
  const from = { leaderId: 'A', leaderEpoch: 5 }
  const answer = {
    kind: 'epoch-answer',
    requestId: 1,
    epoch: 2,
    endOffset: 4,
    now: 1,
    ...from,
  } as const
  assert.deepEqual(copy.step(answer), follower.step(answer))
  assert.deepEqual(copy.state, follower.state)
})
