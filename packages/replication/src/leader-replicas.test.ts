/** The rules of a leader with replicas, one test each. */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { FetchInput, LeaderOutput } from './leader-types.ts'
import { PartitionLeader } from './leader.ts'
import type { SyncPolicy } from './units.ts'

type Start = {
  readonly minIsr?: number
  readonly policy?: SyncPolicy
  readonly newest?: number
  readonly highWatermark?: number
  readonly isr?: readonly string[]
}

/** A leads B and C in leader epoch 5, partition epoch 7. */
function lead({ minIsr = 1, policy = 'always', newest = -1, highWatermark = -1, isr }: Start = {}) {
  const leader = new PartitionLeader({
    syncPolicy: policy,
    minIsr,
    newestOffset: newest,
    syncedOffset: newest,
    highWatermark,
    replication: {
      serverId: 'A',
      replicas: ['A', 'B', 'C'],
      isr: isr ?? ['A', 'B', 'C'],
      leaderEpoch: 5,
      partitionEpoch: 7,
      maxLagMs: 1000,
      proposalRetryMs: 100,
      isolatedAfterMs: 500,
      highWatermarkDelayMs: 10,
      now: 0,
    },
  })
  let token = 0
  const fetch = (replicaId: string, offset: number, more: Partial<FetchInput> = {}): LeaderOutput =>
    leader.step({
      kind: 'fetch',
      token: ++token,
      replicaId,
      leaderEpoch: 5,
      offset,
      syncedOffset: offset,
      incarnation: 1,
      now: 0,
      ...more,
    })
  const write = (newestOffset: number): LeaderOutput =>
    leader.step({ kind: 'written', newestOffset, firstAllOffset: newestOffset })
  const sync = (offset: number): LeaderOutput => leader.step({ kind: 'synced', offset })
  const metadata = (partitionEpoch: number, members: readonly string[], now = 0): LeaderOutput =>
    leader.step({
      kind: 'metadata',
      leader: 'A',
      leaderEpoch: 5,
      partitionEpoch,
      isr: members,
      now,
    })
  return { leader, fetch, write, sync, metadata }
}

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
  const { leader, fetch, write } = lead({ isr: ['A', 'B'] })
  write(3)
  fetch('B', 1)
  const options = {
    syncPolicy: 'always',
    minIsr: 1,
    newestOffset: -1,
    syncedOffset: -1,
    highWatermark: -1,
    replication: {
      serverId: 'A',
      replicas: ['A', 'B', 'C'],
      isr: ['A', 'B'],
      leaderEpoch: 5,
      partitionEpoch: 7,
      maxLagMs: 1000,
      proposalRetryMs: 100,
      isolatedAfterMs: 500,
      highWatermarkDelayMs: 10,
      now: 0,
    },
  } as const
  const copy = PartitionLeader.restore(options, leader.state)
  assert.deepEqual(copy.state, leader.state)
  assert.deepEqual(
    copy.step({ kind: 'synced', offset: 3 }),
    leader.step({ kind: 'synced', offset: 3 }),
  )
})
