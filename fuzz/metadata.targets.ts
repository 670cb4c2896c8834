/**
 * What the metadata is made of: operations in entries of the Raft log, and snapshots of the whole
 * state. Either may be of Go Liftbridge, of another version, or garbage.
 */
import assert from 'node:assert/strict'
import {
  applyEntry,
  decodeOperation,
  decodeSnapshot,
  encodeOperation,
  encodeSnapshot,
  MetadataState,
  type NewStream,
  type Operation,
} from '@liftbridge/metadata'
import type { FuzzTarget } from './target.ts'

const stream: NewStream = {
  name: 's',
  subject: 's.*',
  group: 'g',
  replicationFactor: 2,
  partitions: [0, 1].map((id) => ({ id, replicas: ['a', 'b'], isr: ['a', 'b'], leader: 'a' })),
  config: { retentionMaxBytes: 9, minIsr: 1, compactEnabled: true },
  creationTimestampNs: 7n,
}

const isrChange = { stream: 's', partition: 0, leader: 'a', leaderEpoch: 1, partitionEpoch: 1 }
const coordinator = { groupId: 'readers', coordinator: 'b', groupEpoch: 0 }
const c2 = { groupId: 'readers', consumerId: 'c2' }

/** One of each kind, in an order in which all have an effect. */
const operations: readonly Operation[] = [
  { kind: 'create-stream', stream },
  { kind: 'shrink-isr', ...isrChange, replica: 'b' },
  { kind: 'expand-isr', ...isrChange, partitionEpoch: 2, replica: 'b' },
  { kind: 'change-leader', stream: 's', partition: 0, leader: 'b', partitionEpoch: 3 },
  { kind: 'pause-stream', stream: 's', partitions: [1], resumeAll: true, timestampNs: 8n },
  { kind: 'resume-stream', stream: 's', partitions: [1], timestampNs: 9n },
  { kind: 'set-stream-readonly', stream: 's', partitions: [], readonly: true, timestampNs: 10n },
  {
    kind: 'create-consumer-group',
    group: { id: 'readers', members: [{ id: 'c1', streams: ['s'] }], coordinator: 'a', epoch: 0 },
  },
  { kind: 'join-consumer-group', ...c2, streams: ['s'] },
  { kind: 'change-consumer-group-coordinator', ...coordinator },
  { kind: 'publish-activity', activityIndex: 4 },
]

/** They would leave nothing behind for the others to work on. */
const removals: readonly Operation[] = [
  { kind: 'leave-consumer-group', ...c2, expired: true },
  { kind: 'delete-stream', stream: 's' },
]

const encoded = operations.map((operation) => encodeOperation(operation))

/** A state in which every operation finds what it names. */
function grownState(): MetadataState {
  const state = new MetadataState()
  encoded.forEach((entry, at) => applyEntry(state, entry, at + 1))
  return state
}

const grown = grownState()
const grownSnapshot = encodeSnapshot(grown)

/** What is read is written and read again as the same; applying it never throws. */
function runOperation(bytes: Uint8Array): void {
  const decoded = decodeOperation(bytes)
  if (decoded.kind === 'operation') {
    assert.deepEqual(decodeOperation(encodeOperation(decoded.operation)), decoded)
  } else {
    assert.notEqual(decoded.reason, '')
  }
  const index = operations.length + 1
  // What is not understood changes nothing but the index [M7].
  if (decoded.kind === 'malformed') {
    grown.appliedIndex = operations.length
    assert.equal(applyEntry(grown, bytes, index).kind, 'inert')
    assert.equal(grown.appliedIndex, index)
    return
  }
  for (const state of [new MetadataState(), stateOf(grownSnapshot)]) {
    const outcome = applyEntry(state, bytes, index)
    assert.equal(outcome.index, index)
    assert.equal(state.appliedIndex, index)
    if (outcome.kind === 'applied') assertSurvives(state)
  }
}

/** A state comes back from its snapshot as it was. */
function assertSurvives(state: MetadataState): void {
  const snapshot = encodeSnapshot(state)
  assert.ok(Buffer.from(encodeSnapshot(stateOf(snapshot))).equals(snapshot))
}

function stateOf(snapshot: Uint8Array): MetadataState {
  const decoded = decodeSnapshot(snapshot)
  assert.ok(decoded.kind === 'state')
  return decoded.state
}

/** The same with a length field that fits, which chance hardly ever finds. */
function runSnapshot(bytes: Uint8Array): void {
  checkSnapshot(bytes)
  if (bytes.length < 4) return
  const framed = bytes.slice()
  new DataView(framed.buffer).setUint32(0, bytes.length - 4)
  checkSnapshot(framed)
}

function checkSnapshot(bytes: Uint8Array): void {
  const decoded = decodeSnapshot(bytes)
  if (decoded.kind === 'malformed') return assert.notEqual(decoded.reason, '')
  assertSurvives(decoded.state)
}

export const targets: readonly FuzzTarget[] = [
  {
    name: 'metadata: operation of an entry',
    seeds: [...encoded, ...removals.map((operation) => encodeOperation(operation))],
    run: runOperation,
  },
  {
    name: 'metadata: snapshot',
    seeds: [grownSnapshot, encodeSnapshot(new MetadataState())],
    run: runSnapshot,
  },
]
