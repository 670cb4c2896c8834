/** How a leader answers the fetches of its replicas. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { lead } from './testing/leader-fixture.suite.ts'

test('a fetch is answered from the next offset on', () => {
  const { fetch, write } = lead()
  write(4)
  assert.deepEqual(fetch('B', 1).answers, [
    { kind: 'serve', token: 1, replicaId: 'B', highWatermark: -1, fromOffset: 2 },
  ])
})

test('a held fetch is answered by the next write [LB 7.A9]', () => {
  const { fetch, write } = lead()
  assert.deepEqual(fetch('B', -1, { maxWaitMs: 300 }).answers, [])
  assert.deepEqual(write(0).answers, [
    { kind: 'serve', token: 1, replicaId: 'B', highWatermark: -1, fromOffset: 0 },
  ])
  assert.deepEqual(write(1).answers, [], 'once')
})

test('a held fetch is answered when its time is over', () => {
  const { fetch, leader } = lead()
  fetch('B', -1, { maxWaitMs: 300 })
  assert.equal(leader.wakeAt, 300)
  assert.deepEqual(leader.step({ kind: 'tick', now: 299 }).answers, [])
  const [answer] = leader.step({ kind: 'tick', now: 300 }).answers
  assert.deepEqual([answer?.kind, answer?.token], ['empty', 1])
})

test('a hold never outlives the patience for a silent replica', () => {
  const { fetch, leader } = lead()
  fetch('B', -1, { maxWaitMs: 60_000 })
  assert.ok(leader.wakeAt <= 1000 / 3)
})

test('an idle replica learns of a new high watermark soon', () => {
  const { fetch, write, sync, leader } = lead({ isr: ['A', 'B'] })
  write(0)
  sync(0)
  fetch('B', 0, { maxWaitMs: 300 })
  assert.equal(leader.highWatermark, 0)
  assert.equal(leader.wakeAt, 10)
  const [answer] = leader.step({ kind: 'tick', now: 10 }).answers
  assert.deepEqual([answer?.kind, answer?.highWatermark], ['empty', 0])
})

test('a newer fetch of a replica takes the place of the held one', () => {
  const { fetch } = lead()
  fetch('B', -1, { maxWaitMs: 300 })
  const { answers } = fetch('B', -1, { maxWaitMs: 300 })
  assert.deepEqual(
    answers.map((answer) => [answer.token, answer.kind === 'refuse' && answer.reason]),
    [[1, 'superseded']],
  )
})

test('a Go server gets an empty answer at once and is notified later, once [LB 4.5]', () => {
  const { fetch, write } = lead()
  assert.equal(fetch('B', -1).answers[0]?.kind, 'empty')
  assert.deepEqual(write(0).notify, ['B'])
  assert.deepEqual(write(1).notify, [])
})
