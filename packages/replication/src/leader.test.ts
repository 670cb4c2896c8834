import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { LeaderInput } from './leader-types.ts'
import { PartitionLeader } from './leader.ts'
import type { SyncPolicy } from './units.ts'

const fresh = (syncPolicy: SyncPolicy, overrides: { minIsr?: number } = {}): PartitionLeader =>
  new PartitionLeader({
    syncPolicy,
    minIsr: overrides.minIsr ?? 1,
    isrSize: 1,
    newestOffset: -1,
    syncedOffset: -1,
    highWatermark: -1,
  })

const due = (leader: PartitionLeader, input: LeaderInput) => {
  const { highWatermark, ackLeaderThrough, ackAllThrough, syncNow } = leader.step(input)
  return { highWatermark, ackLeaderThrough, ackAllThrough, syncNow }
}

test('with policy always nothing is acknowledged or visible before its sync', () => {
  const leader = fresh('always')
  assert.deepEqual(due(leader, { kind: 'written', newestOffset: 9, firstAllOffset: 3 }), {
    highWatermark: -1,
    ackLeaderThrough: -1,
    ackAllThrough: -1,
    syncNow: true,
  })
  assert.deepEqual(due(leader, { kind: 'synced', offset: 9 }), {
    highWatermark: 9,
    ackLeaderThrough: 9,
    ackAllThrough: 9,
    syncNow: false,
  })
})

test('with policy interval LEADER does not wait, ALL waits for its sync and hides what follows', () => {
  const leader = fresh('interval')
  assert.deepEqual(due(leader, { kind: 'written', newestOffset: 4, firstAllOffset: -1 }), {
    highWatermark: 4,
    ackLeaderThrough: 4,
    ackAllThrough: -1,
    syncNow: false,
  })
  assert.deepEqual(due(leader, { kind: 'written', newestOffset: 9, firstAllOffset: 7 }), {
    highWatermark: 6,
    ackLeaderThrough: 9,
    ackAllThrough: -1,
    syncNow: true,
  })
  assert.deepEqual(due(leader, { kind: 'synced', offset: 9 }), {
    highWatermark: 9,
    ackLeaderThrough: -1,
    ackAllThrough: 9,
    syncNow: false,
  })
})

test('with policy never nobody waits', () => {
  const leader = fresh('never')
  assert.deepEqual(due(leader, { kind: 'written', newestOffset: 2, firstAllOffset: 0 }), {
    highWatermark: 2,
    ackLeaderThrough: 2,
    ackAllThrough: 2,
    syncNow: false,
  })
})

test('below min ISR the high watermark does not move and ALL is not acknowledged [reliability R5]', () => {
  for (const policy of ['always', 'interval', 'never'] as const) {
    const leader = fresh(policy, { minIsr: 2 })
    const written = leader.step({ kind: 'written', newestOffset: 5, firstAllOffset: 0 })
    const synced = leader.step({ kind: 'synced', offset: 5 })
    assert.deepEqual(
      [written, synced].map((output) => [output.highWatermark, output.ackAllThrough]),
      [
        [-1, -1],
        [-1, -1],
      ],
    )
  }
})

type Write = { readonly records: readonly boolean[] } | { readonly syncTo: number }

test('on any sequence of writes and syncs the leader agrees with a record-by-record model', () => {
  const writes = fc.array(
    fc.oneof(
      fc.record({ records: fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }) }),
      fc.record({ syncTo: fc.integer({ min: 0, max: 40 }) }),
    ),
    { maxLength: 30 },
  )
  const policies = fc.constantFrom<SyncPolicy>('always', 'interval', 'never')
  fc.assert(
    fc.property(policies, writes, (policy, sequence) => {
      const leader = fresh(policy)
      /** Per record: is its policy ALL. */
      const records: boolean[] = []
      let synced = -1
      let highWatermark = -1
      let ackedAll = -1
      for (const write of sequence as readonly Write[]) {
        const output = leader.step(toInput(write, records, (offset) => (synced = offset), synced))
        if (output.highWatermark >= 0) {
          assert.ok(output.highWatermark > highWatermark, 'the high watermark never falls [R4]')
          highWatermark = output.highWatermark
        }
        assert.equal(leader.highWatermark, highWatermark)
        assert.ok(highWatermark < records.length, 'never beyond what is written [R3]')
        if (policy === 'always') assert.ok(highWatermark <= synced)
        if (policy !== 'never') {
          records.forEach((all, offset) => {
            if (all && offset > synced) assert.ok(highWatermark < offset, 'ALL waits for its sync')
          })
          assert.ok(output.ackAllThrough <= synced)
        }
        const allWaits = records.some((all, offset) => all && offset > synced)
        if (policy !== 'never' && allWaits) assert.ok(output.syncNow, 'who waits asks for a sync')
        ackedAll = Math.max(ackedAll, output.ackAllThrough)
        assert.ok(ackedAll <= highWatermark)
        if (policy === 'always') assert.ok(output.ackLeaderThrough <= synced)
      }
      leader.step({ kind: 'synced', offset: records.length - 1 })
      assert.equal(
        leader.highWatermark,
        records.length - 1,
        'after a sync of everything all is visible',
      )
    }),
  )
})

function toInput(
  write: Write,
  records: boolean[],
  setSynced: (offset: number) => void,
  synced: number,
): LeaderInput {
  if ('syncTo' in write) {
    const offset = Math.max(synced, Math.min(write.syncTo, records.length - 1))
    setSynced(offset)
    return { kind: 'synced', offset }
  }
  const base = records.length
  records.push(...write.records)
  const firstAll = write.records.indexOf(true)
  return {
    kind: 'written',
    newestOffset: records.length - 1,
    firstAllOffset: firstAll < 0 ? -1 : base + firstAll,
  }
}
