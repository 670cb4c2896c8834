/** Which records of its replicas a leader counts. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { lead } from './testing/leader-fixture.suite.ts'

test('the high watermark is the smallest durable offset of the ISR [R4]', () => {
  const { leader, fetch, write, sync } = lead()
  write(4)
  assert.equal(fetch('B', 4).highWatermark, -1)
  assert.equal(fetch('C', 2).highWatermark, -1, 'the leader itself has not synced')
  assert.deepEqual([sync(3).highWatermark, leader.highWatermark], [2, 2])
  assert.equal(fetch('C', 4).highWatermark, 3)
  const last = sync(4)
  assert.deepEqual([last.highWatermark, last.ackAllThrough], [4, 4])
})

test('of a replica what is durable counts, not what is written [R4]', () => {
  const { fetch, write, sync } = lead({ isr: ['A', 'B'] })
  write(4)
  sync(4)
  assert.equal(fetch('B', 4, { syncedOffset: 1 }).highWatermark, 1)
})

test('with sync policy never what is written counts', () => {
  const { fetch, write } = lead({ policy: 'never', isr: ['A', 'B'] })
  write(4)
  const output = fetch('B', 3)
  assert.deepEqual([output.highWatermark, output.ackAllThrough], [3, 3])
})

test('with policy interval and replicas only what is durable is committed, but LEADER is acked at once', () => {
  const { fetch, sync, leader } = lead({ policy: 'interval', isr: ['A', 'B'] })
  const written = leader.step({ kind: 'written', newestOffset: 4, firstAllOffset: -1 })
  assert.deepEqual([written.ackLeaderThrough, written.syncNow], [4, true])
  assert.equal(fetch('B', 4).highWatermark, -1)
  assert.equal(sync(4).highWatermark, 4)
})

test('a Go server is counted for what it fetches from [LB 4.5]', () => {
  const { leader, write, sync } = lead({ isr: ['A', 'B'] })
  write(4)
  sync(4)
  const fetch = {
    kind: 'fetch',
    token: 1,
    replicaId: 'B',
    leaderEpoch: 5,
    offset: 3,
    now: 0,
  } as const
  assert.equal(leader.step(fetch).highWatermark, 3)
})

test('nothing that replicas held under an earlier leadership counts [LB 7.A5]', () => {
  const { sync, fetch } = lead({ newest: 9, highWatermark: 4 })
  assert.equal(sync(9).highWatermark, -1)
  assert.equal(fetch('B', 9).highWatermark, -1)
  assert.equal(fetch('C', 9).highWatermark, 9)
})

test('below min ISR nothing is committed [R5]', () => {
  const { write, sync, metadata, fetch } = lead({ minIsr: 2 })
  metadata(8, ['A'])
  write(0)
  assert.equal(sync(0).highWatermark, -1)
  assert.equal(metadata(9, ['A', 'B']).highWatermark, -1)
  assert.equal(fetch('B', 0).highWatermark, 0)
})

test('a fetch of another leadership, also of epoch 0, changes nothing and is not answered [G9]', () => {
  const { fetch, write, sync } = lead({ isr: ['A', 'B'] })
  write(0)
  sync(0)
  for (const [leaderEpoch, reason] of [
    [4, 'stale-epoch'],
    [6, 'newer-epoch'],
    [0, 'stale-epoch'],
  ] as const) {
    const output = fetch('B', 0, { leaderEpoch })
    assert.equal(output.highWatermark, -1)
    assert.deepEqual(
      output.answers.map((answer) => answer.kind === 'refuse' && answer.reason),
      [reason],
    )
  }
})

test('strangers and the leader itself are not replicas [G4]', () => {
  const { fetch } = lead()
  for (const id of ['A', 'X', '']) {
    const [answer] = fetch(id, 0).answers
    assert.equal(answer?.kind === 'refuse' && answer.reason, 'unknown-replica')
  }
})

test('a replica with more than the leader holds other records and is not counted [LB 7.A3]', () => {
  const { fetch, write, sync } = lead({ isr: ['A', 'B'] })
  write(0)
  sync(0)
  const output = fetch('B', 1)
  assert.equal(output.highWatermark, -1)
  assert.equal(output.answers[0]?.kind === 'refuse' && output.answers[0].reason, 'ahead')
})
