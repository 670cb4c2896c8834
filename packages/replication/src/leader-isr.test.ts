/** Who leaves and joins the ISR, and what ends a leadership. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { PartitionLeader } from './leader.ts'
import { lead } from './testing/leader-fixture.suite.ts'

test('who was not caught up for too long leaves the ISR, under the epochs that were seen [R7]', () => {
  const { leader, fetch, write } = lead()
  write(0)
  fetch('B', 0, { now: 900 })
  assert.equal(leader.step({ kind: 'tick', now: 1000 }).propose, undefined)
  assert.deepEqual(leader.step({ kind: 'tick', now: 1001 }).propose, {
    kind: 'shrink',
    replica: 'C',
    incarnation: undefined,
    leaderEpoch: 5,
    partitionEpoch: 7,
  })
})

test('the leader before this one leaves the ISR at once, unless it follows already [R7]', () => {
  const silent = lead({ deposed: 'B' })
  assert.ok(silent.leader.wakeAt <= 0)
  assert.equal(silent.leader.step({ kind: 'tick', now: 0 }).propose?.replica, 'B')
  const there = lead({ deposed: 'B' })
  assert.equal(there.fetch('B', -1, { now: 0 }).propose, undefined)
  assert.equal(there.leader.step({ kind: 'tick', now: 999 }).propose, undefined)
  const gone = lead({ deposed: 'B', isr: ['A', 'C'] })
  assert.equal(gone.leader.step({ kind: 'tick', now: 0 }).propose, undefined, 'no member any more')
})

test('a replica that is always one batch behind keeps up [LB 7.A10]', () => {
  const { leader, fetch, write } = lead({ isr: ['A', 'B'] })
  let proposals = 0
  for (let round = 1; round <= 100; round++) {
    write(round * 10)
    if (fetch('B', (round - 1) * 10, { now: round * 100 }).propose) proposals += 1
    if (leader.step({ kind: 'tick', now: round * 100 + 50 }).propose) proposals += 1
  }
  assert.equal(proposals, 0)
})

test('while a shrink is pending the replica still counts; its outcome alone frees the way [R4, R7]', () => {
  const { leader, fetch, write, sync, metadata } = lead({ isr: ['A', 'B'] })
  leader.step({ kind: 'tick', now: 1001 })
  write(0)
  sync(0)
  assert.equal(leader.highWatermark, -1)
  const refused = { kind: 'isr-answered', partitionEpoch: 7, applied: false, now: 1100 } as const
  assert.equal(leader.step(refused).propose, undefined)
  assert.equal(leader.step({ kind: 'tick', now: 1199 }).propose, undefined)
  assert.equal(leader.step({ kind: 'tick', now: 1200 }).propose?.replica, 'B', 'the same again')
  fetch('C', 0, { now: 1210 })
  assert.equal(metadata(8, ['A'], 1220).highWatermark, 0)
})

test('from its proposal on a joining replica counts [LB 7.A4]', () => {
  const { fetch, write, sync, leader } = lead({ isr: ['A', 'B'] })
  const { propose } = fetch('C', -1)
  assert.deepEqual([propose?.kind, propose?.replica, propose?.partitionEpoch], ['expand', 'C', 7])
  write(0)
  sync(0)
  fetch('B', 0)
  assert.equal(leader.highWatermark, -1)
  assert.equal(fetch('C', 0).highWatermark, 0)
})

test('a replica joins only with everything that is committed [LB 7.A4]', () => {
  const { fetch, write, sync, metadata } = lead({ isr: ['A', 'B'] })
  write(5)
  sync(5)
  fetch('B', 5)
  assert.equal(fetch('C', 4).propose, undefined)
  assert.equal(fetch('C', 5).propose?.kind, 'expand')
  assert.equal(metadata(8, ['A', 'B', 'C']).propose, undefined)
})

test('a replica joins only with everything that was there when the leadership began [KIP-966]', () => {
  // The high watermark of a new leader may be behind the true one.
  const { fetch } = lead({ newest: 9, highWatermark: 3, isr: ['A', 'B'] })
  assert.equal(fetch('C', 8).propose, undefined)
  assert.equal(fetch('C', 9).propose?.kind, 'expand')
})

test('a member that has lost committed records leaves the ISR at once [KIP-903, R8]', () => {
  const { fetch, write, sync, leader } = lead({ isr: ['A', 'B'] })
  write(3)
  sync(3)
  fetch('B', 3)
  assert.equal(leader.highWatermark, 3)
  const { propose } = fetch('B', -1, { incarnation: 2 })
  assert.deepEqual([propose?.kind, propose?.replica, propose?.incarnation], ['shrink', 'B', 2])
})

test('a restarted replica counts for what it tells now; late news of its former life do not', () => {
  const { fetch, write, sync, leader } = lead({ isr: ['A', 'B'], policy: 'never' })
  write(5)
  sync(5)
  fetch('B', 2, { incarnation: 1 })
  fetch('B', 1, { incarnation: 2, now: 1 })
  const late = fetch('B', 5, { incarnation: 1, now: 2 })
  assert.equal(late.answers[0]?.kind === 'refuse' && late.answers[0].reason, 'old-incarnation')
  assert.equal(leader.highWatermark, 2)
})

test('a replica whose clock was set back is heard again after a while', () => {
  const { fetch, write, sync } = lead({ isr: ['A', 'B'] })
  write(5)
  sync(5)
  fetch('B', 1, { incarnation: 9 })
  assert.equal(fetch('B', 5, { incarnation: 3, now: 1000 }).highWatermark, -1)
  assert.equal(fetch('B', 5, { incarnation: 3, now: 1001 }).highWatermark, 5)
})

test('a newer leadership, or an ISR without it, fences the leader for ever [E2, #354]', () => {
  for (const [change, reason] of [
    [{ leader: 'B', leaderEpoch: 8, isr: ['A', 'B'] }, 'deposed'],
    [{ leader: 'A', leaderEpoch: 8, isr: ['A', 'B'] }, 'deposed'],
    [{ leader: 'A', leaderEpoch: 5, isr: ['B'] }, 'not-in-isr'],
  ] as const) {
    const { leader, fetch, write, sync } = lead({ isr: ['A', 'B'] })
    fetch('B', -1, { maxWaitMs: 300 })
    const fenced = leader.step({ kind: 'metadata', partitionEpoch: 8, now: 1, ...change })
    assert.deepEqual(fenced.standing, { kind: 'fenced', reason })
    assert.deepEqual(
      fenced.answers.map(({ kind }) => kind),
      ['refuse'],
      'held fetches end',
    )
    const outputs = [
      write(0),
      sync(0),
      fetch('B', 0, { now: 2 }),
      leader.step({ kind: 'tick', now: 9999 }),
    ]
    for (const output of outputs) {
      assert.deepEqual(
        [output.highWatermark, output.ackAllThrough, output.ackLeaderThrough],
        [-1, -1, -1],
      )
      assert.ok(!output.syncNow && output.propose === undefined)
      assert.ok(output.answers.every((answer) => answer.kind === 'refuse'))
    }
    assert.equal(leader.wakeAt, Number.POSITIVE_INFINITY)
  }
})

test('old metadata changes nothing', () => {
  const { leader, metadata } = lead()
  metadata(9, ['A', 'B'])
  assert.equal(leader.isrSize, 2)
  metadata(8, ['B'])
  leader.step({
    kind: 'metadata',
    leader: 'C',
    leaderEpoch: 4,
    partitionEpoch: 4,
    isr: ['C'],
    now: 0,
  })
  assert.deepEqual([leader.isrSize, leader.standing.kind], [2, 'leading'])
})

test('a leader that hears neither its replicas nor the metadata acknowledges nothing to LEADER [E2]', () => {
  const { leader, write, metadata } = lead({ policy: 'interval', isr: ['A', 'B'] })
  assert.equal(write(0).ackLeaderThrough, 0)
  assert.equal(leader.step({ kind: 'tick', now: 1001 }).propose?.kind, 'shrink')
  assert.equal(leader.step({ kind: 'tick', now: 1501 }).standing, undefined)
  assert.deepEqual(leader.step({ kind: 'tick', now: 1502 }).standing, { kind: 'isolated' })
  assert.equal(write(1).ackLeaderThrough, -1)
  const again = metadata(8, ['A'], 1600)
  assert.deepEqual([again.standing?.kind, again.ackLeaderThrough], ['leading', 1])
})

test('a leader whose replicas fetch is not isolated, however long the metadata is silent [L2]', () => {
  const { leader, fetch } = lead({ isr: ['A', 'B'] })
  fetch('B', -1)
  fetch('C', -1)
  assert.equal(leader.state.replicas?.isr.kind, 'pending-expand')
  for (let now = 100; now < 5000; now += 100) {
    fetch('B', -1, { now })
    assert.equal(leader.step({ kind: 'tick', now }).standing, undefined)
  }
})

test('a leader restored from its state behaves as before', () => {
  const { leader, options, fetch, write } = lead({ isr: ['A', 'B'] })
  write(3)
  fetch('B', 1)
  const copy = PartitionLeader.restore(options, leader.state)
  assert.deepEqual(copy.state, leader.state)
  assert.deepEqual(
    copy.step({ kind: 'synced', offset: 3 }),
    leader.step({ kind: 'synced', offset: 3 }),
  )
})
