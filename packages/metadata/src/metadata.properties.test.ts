import assert from 'node:assert/strict'
import { env } from 'node:process'
import test from 'node:test'
import fc from 'fast-check'
import { applyEntry } from './apply-entry.ts'
import { digest } from './digest.ts'
import type { NewPartition, Operation } from './operation.ts'
import { decodeOperation, encodeOperation } from './operations/codec.ts'
import { applyOperation, checkOperation } from './operations/table.ts'
import { decodeSnapshot, encodeSnapshot } from './snapshot.ts'
import { MetadataState, type MetadataView } from './state.ts'

const RUNS = Number(env['METADATA_PROPERTY_RUNS'] ?? 100)

// Few values, so that operations meet; some that are never valid.
const often = <Value>(common: readonly Value[], rare: readonly Value[]) =>
  fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...common) },
    { weight: 1, arbitrary: fc.constantFrom(...rare) },
  )
const streams = often(['foo', 'foo', 'bar', 'a/b'], ['日本', '__cursors', 'x y', ''])
const servers = often(['a', 'b', 'c'], ['', 'd'])
const ids = often(['g1', 'g2'], [''])
const consumers = often(['c1', 'c2', 'c3', '🦊', '\uffff'], [''])
const partitionIds = often([0, 0, 1, 2], [-1, 3, 4, 2 ** 31 - 1])
const epochs = fc.nat({ max: 40 })
const times = fc.constantFrom(0n, 1n, 5n, 1_790_000_000_000_000_000n, -3n)
const partitionLists = fc.array(partitionIds, { maxLength: 2 })
const streamLists = fc.array(streams, { minLength: 1, maxLength: 2 })

const soundPartitions = fc.integer({ min: 1, max: 4 }).map((count): NewPartition[] =>
  Array.from({ length: count }, (_, id) => {
    const replicas = ['a', 'b', 'c'].slice(0, 1 + (id % 3))
    return { id, replicas, isr: replicas, leader: 'a' }
  }),
)
const anyPartitions = fc.array(
  fc.record({
    id: partitionIds,
    replicas: fc.array(servers, { maxLength: 3 }),
    isr: fc.array(servers, { maxLength: 3 }),
    leader: servers,
  }),
  // The wire carries group and replication factor in the partitions only.
  { minLength: 1, maxLength: 3 },
)

const config = fc.record(
  {
    retentionMaxBytes: fc.maxSafeNat(),
    segmentMaxAgeMs: fc.maxSafeNat(),
    compactMaxGoroutines: fc.nat(),
    compactEnabled: fc.boolean(),
    minIsr: fc.nat({ max: 3 }),
    encryption: fc.boolean(),
  },
  { requiredKeys: [] },
)

const isrChange = {
  stream: streams,
  partition: partitionIds,
  replica: servers,
  leader: servers,
  leaderEpoch: epochs,
  partitionEpoch: fc.oneof(fc.constant(0), epochs),
}
const toPartitions = { stream: streams, partitions: partitionLists, timestampNs: times }
const member = { groupId: ids, consumerId: consumers }
const kind = <Kind extends string>(name: Kind) => fc.constant(name)

const building: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({
    kind: kind('create-stream'),
    stream: fc.record({
      name: streams,
      subject: often(['s', 'foo.*', 'x.y'], ['a.>', 'bad..one']),
      group: often(['', 'group'], ['two words']),
      replicationFactor: fc.constantFrom(-1, 1, 3),
      partitions: fc.oneof(
        { weight: 5, arbitrary: soundPartitions },
        { weight: 1, arbitrary: anyPartitions },
      ),
      config,
      creationTimestampNs: times,
    }),
  }),
  fc.record({ kind: kind('shrink-isr'), ...isrChange }),
  fc.record({ kind: kind('expand-isr'), ...isrChange }),
  fc.record({
    kind: kind('change-leader'),
    stream: streams,
    partition: partitionIds,
    leader: servers,
    partitionEpoch: fc.oneof(fc.constant(0), epochs),
  }),
  fc.record({ kind: kind('pause-stream'), ...toPartitions, resumeAll: fc.boolean() }),
  fc.record({ kind: kind('resume-stream'), ...toPartitions }),
  fc.record({ kind: kind('publish-activity'), activityIndex: epochs }),
  fc.record({ kind: kind('set-stream-readonly'), ...toPartitions, readonly: fc.boolean() }),
  fc.record({
    kind: kind('create-consumer-group'),
    group: fc.record({
      id: ids,
      members: fc.array(fc.record({ id: consumers, streams: streamLists }), { maxLength: 3 }),
      coordinator: servers,
      epoch: epochs,
    }),
  }),
  fc.record({ kind: kind('join-consumer-group'), ...member, streams: streamLists }),
  fc.record({
    kind: kind('change-consumer-group-coordinator'),
    groupId: ids,
    coordinator: servers,
    groupEpoch: fc.oneof(fc.constant(0), epochs),
  }),
  fc.record({ kind: kind('leave-consumer-group'), ...member, expired: fc.boolean() }),
)
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 19, arbitrary: building },
  // Rare, so that there is something to work on.
  { weight: 1, arbitrary: fc.record({ kind: kind('delete-stream'), stream: streams }) },
)

/** Operations that aim at what is there: with the current leader and epochs, mostly. */
const aimed = (state: MetadataView, wild: Operation): Operation => {
  if (wild.kind === 'change-consumer-group-coordinator') {
    const epoch = state.groups.get(wild.groupId)?.epoch ?? 0
    return { ...wild, groupEpoch: wild.groupEpoch && epoch }
  }
  if (wild.kind === 'leave-consumer-group') {
    const [member] = state.groups.get(wild.groupId)?.members ?? []
    return { ...wild, consumerId: wild.expired ? (member?.id ?? '') : wild.consumerId }
  }
  if (!('partitionEpoch' in wild)) return wild
  const partition = state.streams.get(wild.stream)?.partitions[wild.partition]
  if (partition === undefined) return wild
  const partitionEpoch = wild.partitionEpoch && partition.epoch
  if (wild.kind === 'change-leader') return { ...wild, partitionEpoch }
  if (wild.leaderEpoch % 4 === 0) return wild
  const { leader, leaderEpoch } = partition
  return { ...wild, leader, leaderEpoch, partitionEpoch }
}

const applyAll = (state: MetadataState, operations: readonly Operation[]): Uint8Array[] =>
  operations.map((wild) => {
    const entry = encodeOperation(aimed(state, wild))
    applyEntry(state, entry, state.appliedIndex + 1)
    return entry
  })

const restored = (state: MetadataView): MetadataState => {
  const decoded = decodeSnapshot(encodeSnapshot(state))
  assert.ok(decoded.kind === 'state')
  return decoded.state
}

const sequences = fc.oneof(
  { weight: 4, arbitrary: fc.array(operation, { minLength: 30, maxLength: 80, size: 'max' }) },
  { weight: 1, arbitrary: fc.array(operation, { maxLength: 10 }) },
)

test('every operation comes back from its bytes as it was', () => {
  fc.assert(
    fc.property(operation, (original) => {
      const decoded = decodeOperation(encodeOperation(original))
      // A clone has the ordinary prototype that generated records lack.
      assert.deepEqual(decoded, { kind: 'operation', operation: structuredClone(original) })
    }),
    { numRuns: RUNS * 4 },
  )
})

test('applying live gives the same state as a snapshot anywhere and replay of the rest', () => {
  fc.assert(
    fc.property(sequences, fc.nat({ max: 80 }), (operations, cut) => {
      const live = new MetadataState()
      const entries = applyAll(live, operations)
      const early = new MetadataState()
      for (const [i, entry] of entries.slice(0, cut).entries()) applyEntry(early, entry, i + 1)
      const late = restored(early)
      for (const [i, entry] of entries.slice(cut).entries()) {
        applyEntry(late, entry, Math.min(cut, entries.length) + i + 1)
      }
      assert.equal(digest(late), digest(live))
      assert.deepEqual(late.groups, live.groups)
      assert.deepEqual(late.streams, live.streams)
      for (const server of ['a', 'b', 'c']) {
        assert.deepEqual(late.loadOf(server), live.loadOf(server))
      }
    }),
    { numRuns: RUNS },
  )
})

test('an operation has effect exactly when its check passes, and else changes nothing', () => {
  fc.assert(
    fc.property(sequences, (operations) => {
      const state = new MetadataState()
      for (const wild of operations) {
        const aim = aimed(state, wild)
        const check = checkOperation(state, aim)
        const before = digest(state)
        const index = state.appliedIndex + 1
        const outcome = applyOperation(state, aim, index)
        assert.equal(outcome.kind === 'applied', check.kind === 'ok')
        if (outcome.kind === 'applied') continue
        state.appliedIndex = index - 1
        assert.equal(digest(state), before)
        state.appliedIndex = index
      }
    }),
    { numRuns: RUNS },
  )
})

test('the operations generated here take effect often enough to prove anything', () => {
  const applied = new Map<string, number>()
  for (const operations of fc.sample(sequences, { numRuns: 300, seed: 7 })) {
    const state = new MetadataState()
    for (const wild of operations) {
      const outcome = applyOperation(state, aimed(state, wild), state.appliedIndex + 1)
      if (outcome.kind === 'applied') applied.set(wild.kind, (applied.get(wild.kind) ?? 0) + 1)
    }
  }
  assert.equal(applied.size, 13, [...applied.keys()].join())
  for (const [name, count] of applied) assert.ok(count >= 15, `${name}: ${count}`)
})

test('what every server relies on holds after any operations', () => {
  fc.assert(
    fc.property(sequences, (operations) => {
      const state = new MetadataState()
      applyAll(state, operations)
      let partitionCount = 0
      for (const stream of state.streams.values()) {
        assert.ok(stream.incarnation >= 1 && stream.incarnation <= state.appliedIndex)
        assert.ok(stream.partitions.length > 0)
        partitionCount += stream.partitions.length
        for (const [i, partition] of stream.partitions.entries()) {
          assert.equal(partition.id, i)
          assert.ok(partition.isr.includes(partition.leader))
          assert.ok(partition.isr.every((replica) => partition.replicas.includes(replica)))
          assert.ok(partition.leaderEpoch <= partition.epoch)
          assert.ok(partition.epoch <= state.appliedIndex)
        }
      }
      assert.equal(state.partitionCount, partitionCount)
      for (const group of state.groups.values()) assertDealt(state, group.id)
    }),
    { numRuns: RUNS },
  )
})

/** Each partition of a stream that somebody reads is held by exactly one of its readers. */
const assertDealt = (state: MetadataView, groupId: string): void => {
  const held = new Map<string, number[]>()
  const read = new Set<string>()
  for (const { streams: names, assignments } of state.groups.get(groupId)?.members ?? []) {
    for (const name of names) read.add(name)
    for (const { stream, partitions } of assignments) {
      assert.ok(names.includes(stream))
      held.set(stream, [...(held.get(stream) ?? []), ...partitions])
    }
  }
  for (const name of read) {
    const all = state.streams.get(name)?.partitions.map(({ id }) => id)
    assert.deepEqual(held.get(name)?.toSorted(), all, name)
  }
}

test('loads are the sum over what there is, whatever came before', () => {
  fc.assert(
    fc.property(sequences, (operations) => {
      const state = new MetadataState()
      applyAll(state, operations)
      for (const server of ['a', 'b', 'c', '']) {
        const load = { partitions: 0, leaders: 0, coordinated: 0 }
        for (const { partitions } of state.streams.values()) {
          for (const { paused, replicas, leader } of partitions) {
            if (!paused && replicas.includes(server)) load.partitions += 1
            if (!paused && leader === server) load.leaders += 1
          }
        }
        for (const { coordinator } of state.groups.values()) {
          if (coordinator === server) load.coordinated += 1
        }
        assert.deepEqual(state.loadOf(server), load)
      }
    }),
    { numRuns: RUNS },
  )
})

test('no bytes make decoding or applying throw', () => {
  const state = new MetadataState()
  const mutated = fc
    .tuple(operation, fc.nat(), fc.nat({ max: 255 }))
    .map(([original, position, byte]) => {
      const bytes = encodeOperation(original)
      bytes[position % Math.max(bytes.length, 1)] = byte
      return bytes
    })
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 80 }), mutated), (bytes) => {
      const outcome = applyEntry(state, bytes, state.appliedIndex + 1)
      assert.equal(outcome.index, state.appliedIndex)
      decodeSnapshot(bytes)
    }),
    { numRuns: RUNS * 10 },
  )
  const snapshot = encodeSnapshot(state)
  for (let cut = 0; cut < snapshot.length; cut += 1) {
    assert.equal(decodeSnapshot(snapshot.subarray(0, cut)).kind, 'malformed')
  }
})
