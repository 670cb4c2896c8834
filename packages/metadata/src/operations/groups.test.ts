import assert from 'node:assert/strict'
import test from 'node:test'
import { applyEntry } from '../apply-entry.ts'
import type { Operation, Outcome } from '../operation.ts'
import { MetadataState } from '../state.ts'
import { encodeOperation } from './codec.ts'

const scenario = () => {
  const state = new MetadataState()
  const apply = (operation: Operation): Outcome =>
    applyEntry(state, encodeOperation(operation), state.appliedIndex + 1)
  const createStream = (name: string, partitions: number): Outcome =>
    apply({
      kind: 'create-stream',
      stream: {
        name,
        subject: name,
        group: '',
        replicationFactor: 1,
        config: {},
        creationTimestampNs: 1n,
        partitions: Array.from({ length: partitions }, (_, id) => ({
          id,
          replicas: ['a'],
          isr: ['a'],
          leader: 'a',
        })),
      },
    })
  const createGroup = (id: string, member: string, streams: readonly string[]): Outcome =>
    apply({
      kind: 'create-consumer-group',
      group: { id, members: [{ id: member, streams }], coordinator: 'a', epoch: 0 },
    })
  const join = (groupId: string, consumerId: string, streams: readonly string[]): Outcome =>
    apply({ kind: 'join-consumer-group', groupId, consumerId, streams })
  const leave = (groupId: string, consumerId: string): Outcome =>
    apply({ kind: 'leave-consumer-group', groupId, consumerId, expired: false })
  /** `consumer: stream 0 1, stream 2` of every member. */
  const hands = (groupId: string): string[] =>
    (state.groups.get(groupId)?.members ?? []).map(({ id, assignments }) => {
      const held = assignments.map(({ stream, partitions }) => [stream, ...partitions].join(' '))
      return `${id}: ${held.join(', ')}`
    })
  return { state, apply, createStream, createGroup, join, leave, hands }
}

const refusalOf = (outcome: Outcome): string =>
  outcome.kind === 'inert' ? `${outcome.rejection.status} ${outcome.rejection.text}` : 'applied'

test('partitions go to the reader with the least, ties to the smaller id', () => {
  const { createStream, createGroup, join, leave, hands } = scenario()
  createStream('foo', 4)
  createStream('bar', 3)
  createGroup('g', 'c2', ['foo', 'bar'])
  assert.deepEqual(hands('g'), ['c2: bar 0 1 2, foo 0 1 2 3'])
  join('g', 'c1', ['bar'])
  // c2 holds four of foo already, so all of bar goes to c1.
  assert.deepEqual(hands('g'), ['c2: foo 0 1 2 3', 'c1: bar 0 1 2'])
  join('g', 'c3', ['foo'])
  assert.deepEqual(hands('g'), ['c2: foo 0 2', 'c1: bar 0 1 2', 'c3: foo 1 3'])
  leave('g', 'c1')
  assert.deepEqual(hands('g'), ['c2: bar 0 1 2, foo 0 2', 'c3: foo 1 3'])
})

test('ties are broken by the bytes of the ids, as in Go Liftbridge', () => {
  const { createStream, createGroup, join, hands } = scenario()
  createStream('foo', 2)
  createGroup('g', '🦊', ['foo'])
  join('g', '\uffff', ['foo'])
  // In UTF-16 the fox comes first, in UTF-8 it does not.
  assert.deepEqual(hands('g'), ['🦊: foo 1', '\uffff: foo 0'])
})

test('a group begins at epoch 0 and has the index of each later change', () => {
  const { state, createStream, createGroup, join, leave, apply } = scenario()
  createStream('foo', 1)
  createGroup('g', 'c1', ['foo'])
  assert.equal(state.groups.get('g')?.epoch, 0)
  const joined = join('g', 'c2', ['foo'])
  assert.deepEqual(joined.kind === 'applied' && joined.group, { coordinator: 'a', epoch: 3 })
  leave('g', 'c2')
  assert.equal(state.groups.get('g')?.epoch, 4)
  const groupId = 'g'
  const kind = 'change-consumer-group-coordinator'
  apply({ kind, groupId, coordinator: 'b', groupEpoch: 4 })
  assert.equal(state.groups.get('g')?.epoch, 5)
  const late = apply({ kind, groupId, coordinator: 'c', groupEpoch: 4 })
  assert.match(refusalOf(late), /^FAILED_PRECONDITION Coordinator generation mismatch/)
  assert.equal(state.groups.get('g')?.coordinator, 'b')
  assert.deepEqual([state.loadOf('a').coordinated, state.loadOf('b').coordinated], [0, 1])
})

test('the last member takes the group with it', () => {
  const { state, createStream, createGroup, leave } = scenario()
  createStream('foo', 1)
  createGroup('g', 'c1', ['foo'])
  leave('g', 'c1')
  assert.equal(state.groups.size, 0)
  assert.equal(state.loadOf('a').coordinated, 0)
})

test('a deleted stream leaves its readers at once, under the index of the deletion', () => {
  const { state, apply, createStream, createGroup, join, hands } = scenario()
  createStream('foo', 2)
  createStream('bar', 2)
  createStream('other', 1)
  createGroup('g', 'c1', ['foo', 'bar'])
  join('g', 'c2', ['bar'])
  createGroup('untouched', 'c1', ['other'])
  apply({ kind: 'delete-stream', stream: 'foo' })
  assert.deepEqual(hands('g'), ['c1: bar 0', 'c2: bar 1'])
  assert.equal(state.groups.get('g')?.epoch, 7)
  assert.equal(state.groups.get('untouched')?.epoch, 0)
  // The name may come back; nobody reads the new stream by having read the old one.
  createStream('foo', 2)
  assert.deepEqual(state.groups.get('g')?.members[0]?.streams, ['bar'])
})

test('refusals have the statuses and texts that clients know', () => {
  const { createStream, createGroup, join, leave } = scenario()
  createStream('foo', 1)
  assert.equal(refusalOf(join('g', 'c1', ['foo'])), 'NOT_FOUND consumer group does not exist')
  assert.equal(refusalOf(leave('g', 'c1')), 'NOT_FOUND consumer group does not exist')
  assert.equal(
    refusalOf(createGroup('g', 'c1', ['bar'])),
    'FAILED_PRECONDITION stream does not exist',
  )
  createGroup('g', 'c1', ['foo'])
  assert.equal(
    refusalOf(createGroup('g', 'c2', ['foo'])),
    'FAILED_PRECONDITION consumer group already exists',
  )
  assert.equal(
    refusalOf(join('g', 'c1', ['foo'])),
    'FAILED_PRECONDITION consumer is already a member of the consumer group',
  )
  assert.equal(
    refusalOf(join('g', 'c2', ['foo', 'bar'])),
    'FAILED_PRECONDITION stream does not exist',
  )
  assert.equal(
    refusalOf(leave('g', 'c2')),
    'FAILED_PRECONDITION consumer is not a member of the consumer group',
  )
  assert.equal(refusalOf(join('g', '', ['foo'])), 'INVALID_ARGUMENT No consumerId provided')
  assert.equal(refusalOf(join('g', 'c2', [])), 'INVALID_ARGUMENT No streams provided')
})
