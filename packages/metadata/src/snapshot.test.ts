import assert from 'node:assert/strict'
import test from 'node:test'
import { create, fromBinary, internal, toBinary } from '@liftbridge/wire'
import { applyOperation } from './operations/table.ts'
import { decodeSnapshot, encodeSnapshot } from './snapshot.ts'
import { MetadataState } from './state.ts'

const framed = (snapshot: internal.MetadataSnapshot): Uint8Array => {
  const body = toBinary(internal.MetadataSnapshotSchema, snapshot)
  const bytes = new Uint8Array(4 + body.length)
  new DataView(bytes.buffer).setUint32(0, body.length)
  bytes.set(body, 4)
  return bytes
}

/** What a Go server writes: no extra fields, partitions in any order. */
const fromGo = () =>
  create(internal.MetadataSnapshotSchema, {
    streams: [
      {
        name: 'foo',
        subject: 'foo.*',
        creationTimestamp: 99n,
        config: { retentionMaxAge: { value: 0n } },
        partitions: [1, 0].map((id) => ({
          id,
          stream: 'foo',
          subject: 'foo.*',
          group: 'g',
          replicationFactor: -1,
          replicas: ['a', 'b'],
          isr: ['b'],
          leader: 'b',
          leaderEpoch: 12n,
          epoch: 13n,
          paused: id === 1,
          readonly: true,
        })),
      },
    ],
    groups: [
      {
        id: 'readers',
        coordinator: 'a',
        epoch: 14n,
        members: ['c2', 'c1'].map((id) => ({ id, streams: ['foo'] })),
      },
    ],
  })

test('a snapshot of Go Liftbridge is understood', () => {
  const decoded = decodeSnapshot(framed(fromGo()))
  assert.ok(decoded.kind === 'state')
  const { state } = decoded
  const foo = state.streams.get('foo')
  assert.deepEqual(foo?.config, { retentionMaxAgeMs: 0 })
  assert.deepEqual([foo?.incarnation, foo?.creationTimestampNs], [0, 99n])
  assert.deepEqual(
    foo?.partitions.map(({ id, paused, readonly, epoch }) => [id, paused, readonly, epoch]),
    [
      [0, false, true, 13],
      [1, true, true, 13],
    ],
  )
  // Paused partitions are no load [D-29].
  assert.deepEqual(state.loadOf('b'), { partitions: 1, leaders: 1, coordinated: 0 })
  const members = state.groups.get('readers')?.members
  assert.deepEqual(
    members?.map(({ id, assignments }) => [id, assignments[0]?.partitions]),
    [
      ['c2', [1]],
      ['c1', [0]],
    ],
  )
})

test('what Go Liftbridge knows is where it looks for it', () => {
  const decoded = decodeSnapshot(framed(fromGo()))
  assert.ok(decoded.kind === 'state')
  const body = encodeSnapshot(decoded.state).subarray(4)
  const known = fromBinary(internal.MetadataSnapshotSchema, body, { readUnknownFields: false })
  const expected = fromGo()
  expected.streams[0]?.partitions.reverse()
  assert.deepEqual(known, expected)
})

test('a snapshot that contradicts itself is refused as a whole', () => {
  const broken: ((snapshot: internal.MetadataSnapshot) => void)[] = [
    ({ streams }) => streams.push(...streams),
    ({ groups }) => groups.push(...groups),
    ({ streams }) => streams[0]?.partitions.pop(),
    ({ streams }) => streams[0]?.partitions.splice(0),
    ({ groups: [group] }) => group && (group.epoch = 2n ** 60n),
    ({ streams: [stream] }) =>
      stream && (stream.config = create(internal.StreamConfigSchema, { minIsr: { value: -1 } })),
  ]
  for (const breakIt of broken) {
    const snapshot = fromGo()
    breakIt(snapshot)
    const decoded = decodeSnapshot(framed(snapshot))
    assert.equal(decoded.kind, 'malformed', breakIt.toString())
  }
  for (const bytes of [new Uint8Array(3), Uint8Array.of(0, 0, 0, 9, 1)]) {
    assert.equal(decodeSnapshot(bytes).kind, 'malformed')
  }
})

test('an empty state has a snapshot, and the activity index is in it [D-06]', () => {
  const state = new MetadataState()
  applyOperation(state, { kind: 'publish-activity', activityIndex: 5 }, 8)
  const decoded = decodeSnapshot(encodeSnapshot(state))
  assert.ok(decoded.kind === 'state')
  assert.equal(decoded.state.lastPublishedActivityIndex, 5)
  assert.equal(decoded.state.appliedIndex, 8)
})
