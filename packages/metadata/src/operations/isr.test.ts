import assert from 'node:assert/strict'
import test from 'node:test'
import { applyEntry } from '../apply-entry.ts'
import type { IsrChange, Operation, Outcome } from '../operation.ts'
import { MetadataState } from '../state.ts'
import { encodeOperation } from './codec.ts'

/** One partition on a, b and c, led by a in leader epoch 1. */
const scenario = () => {
  const state = new MetadataState()
  const apply = (operation: Operation): string => {
    const entry = encodeOperation(operation)
    const outcome: Outcome = applyEntry(state, entry, state.appliedIndex + 1)
    if (outcome.kind === 'applied') return 'applied'
    return `${outcome.rejection.status} ${outcome.rejection.text}`
  }
  const replicas = ['a', 'b', 'c']
  apply({
    kind: 'create-stream',
    stream: {
      name: 'foo',
      subject: 'foo',
      group: '',
      replicationFactor: 3,
      config: {},
      creationTimestampNs: 1n,
      partitions: [{ id: 0, replicas, isr: replicas, leader: 'a' }],
    },
  })
  const change = (replica: string, fence: Partial<IsrChange> = {}): IsrChange => ({
    stream: 'foo',
    partition: 0,
    replica,
    leader: 'a',
    leaderEpoch: 1,
    partitionEpoch: 0,
    ...fence,
  })
  const shrink = (replica: string, fence?: Partial<IsrChange>): string =>
    apply({ kind: 'shrink-isr', ...change(replica, fence) })
  const expand = (replica: string, fence?: Partial<IsrChange>): string =>
    apply({ kind: 'expand-isr', ...change(replica, fence) })
  const elect = (leader: string, partitionEpoch = 0): string =>
    apply({ kind: 'change-leader', stream: 'foo', partition: 0, leader, partitionEpoch })
  const partition = () => state.streams.get('foo')?.partitions[0]
  return { state, shrink, expand, elect, partition }
}

test('an ISR change sets the partition epoch and keeps the leader epoch', () => {
  const { shrink, expand, partition } = scenario()
  assert.equal(shrink('b'), 'applied')
  assert.deepEqual(partition()?.isr, ['a', 'c'])
  assert.deepEqual([partition()?.epoch, partition()?.leaderEpoch], [2, 1])
  assert.equal(expand('b'), 'applied')
  assert.deepEqual(partition()?.isr, ['a', 'c', 'b'])
  assert.equal(expand('b'), 'applied')
  assert.deepEqual(partition()?.isr, ['a', 'c', 'b'])
})

test('a late shrink of a former leader cannot remove the elected one [R7, D-24]', () => {
  const { shrink, elect, partition } = scenario()
  assert.equal(elect('b'), 'applied')
  assert.equal(
    shrink('b'),
    'FAILED_PRECONDITION Leader generation mismatch, ' +
      'current leader: b epoch: 2, got leader: a epoch: 1',
  )
  assert.deepEqual(partition()?.isr, ['a', 'b', 'c'])
  assert.equal(shrink('a', { leader: 'b', leaderEpoch: 2 }), 'applied')
})

test('an expansion decided before a shrink does not undo it [R7]', () => {
  const { shrink, expand, partition } = scenario()
  shrink('b')
  assert.equal(shrink('c', { partitionEpoch: 2 }), 'applied')
  assert.equal(
    expand('b', { partitionEpoch: 2 }),
    'FAILED_PRECONDITION Partition epoch mismatch, current epoch: 3, got epoch: 2',
  )
  assert.deepEqual(partition()?.isr, ['a'])
})

test('only a replica joins or leaves the ISR, and never the leader leaves [D-23]', () => {
  const { shrink, expand, partition } = scenario()
  for (const outcome of [shrink('x'), expand('x'), shrink('a')]) {
    assert.match(outcome, /^FAILED_PRECONDITION .*\[stream=foo, partition=0\]$/)
  }
  assert.equal(shrink('b', { partition: 1 }), 'NOT_FOUND partition does not exist')
  assert.equal(shrink('b', { stream: 'bar' }), 'NOT_FOUND stream does not exist')
  assert.deepEqual(partition()?.isr, ['a', 'b', 'c'])
})

test('a leader comes out of the ISR as it is when the election is applied [D-24]', () => {
  const { shrink, elect, partition, state } = scenario()
  shrink('b')
  assert.match(elect('b'), /^FAILED_PRECONDITION Not in the ISR/)
  assert.match(elect('c', 1), /^FAILED_PRECONDITION Partition epoch mismatch/)
  assert.equal(elect('c', 2), 'applied')
  assert.deepEqual([partition()?.leader, partition()?.leaderEpoch], ['c', 5])
  assert.deepEqual([state.loadOf('a').leaders, state.loadOf('c').leaders], [0, 1])
  // The same leader again: a new leadership, and so a new epoch.
  assert.equal(elect('c'), 'applied')
  assert.equal(partition()?.leaderEpoch, 6)
})
