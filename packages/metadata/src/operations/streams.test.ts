import assert from 'node:assert/strict'
import test from 'node:test'
import { applyEntry } from '../apply-entry.ts'
import type { NewStream, Operation, Outcome } from '../operation.ts'
import { MetadataState, partitionsToResume } from '../state.ts'
import { encodeOperation } from './codec.ts'
import { checkOperation } from './table.ts'

const newStream = (name: string, partitions = 1): NewStream => ({
  name,
  subject: `${name}.subject`,
  group: '',
  replicationFactor: 1,
  partitions: Array.from({ length: partitions }, (_, id) => ({
    id,
    replicas: ['a'],
    isr: ['a'],
    leader: 'a',
  })),
  config: {},
  creationTimestampNs: 1_000n,
})

/** A state to which operations are applied, through their bytes, at the indexes 1, 2, 3, … */
const scenario = () => {
  const state = new MetadataState()
  const apply = (operation: Operation): Outcome =>
    applyEntry(state, encodeOperation(operation), state.appliedIndex + 1)
  const create = (name: string, partitions = 1): Outcome =>
    apply({ kind: 'create-stream', stream: newStream(name, partitions) })
  return { state, apply, create }
}

const refusalOf = (outcome: Outcome): string =>
  outcome.kind === 'inert' ? `${outcome.rejection.status} ${outcome.rejection.text}` : 'applied'

test('a created stream has the index of its operation as incarnation and epochs', () => {
  const { state, create } = scenario()
  create('foo')
  assert.equal(create('bar', 2).kind, 'applied')
  const bar = state.streams.get('bar')
  assert.equal(bar?.incarnation, 2)
  assert.deepEqual(
    bar?.partitions.map(({ id, leaderEpoch, epoch }) => [id, leaderEpoch, epoch]),
    [
      [0, 2, 2],
      [1, 2, 2],
    ],
  )
})

test('a name is taken until its stream is deleted, and then names another incarnation', () => {
  const { state, apply, create } = scenario()
  create('foo')
  assert.equal(refusalOf(create('foo')), 'ALREADY_EXISTS stream already exists')
  assert.equal(state.streams.get('foo')?.incarnation, 1)
  const deleted = apply({ kind: 'delete-stream', stream: 'foo' })
  assert.deepEqual(deleted.kind === 'applied' && deleted.deleted, [
    { name: 'foo', incarnation: 1, creationTimestampNs: 1_000n },
  ])
  create('foo')
  assert.equal(state.streams.get('foo')?.incarnation, 4)
})

test('an operation on what does not exist is inert, says why, and counts as applied', () => {
  const { state, apply, create } = scenario()
  create('foo', 2)
  const noStream = 'NOT_FOUND stream does not exist'
  const noPartition = 'NOT_FOUND partition does not exist'
  const pause = (stream: string, partitions: number[]): Operation => ({
    kind: 'pause-stream',
    stream,
    partitions,
    resumeAll: false,
    timestampNs: 1n,
  })
  assert.equal(refusalOf(apply({ kind: 'delete-stream', stream: 'bar' })), noStream)
  assert.equal(refusalOf(apply(pause('bar', []))), noStream)
  assert.equal(refusalOf(apply(pause('foo', [0, 2]))), noPartition)
  assert.equal(refusalOf(apply(pause('foo', [-1]))), noPartition)
  assert.equal(state.appliedIndex, 5)
  assert.equal(
    state.streams.get('foo')?.partitions.some(({ paused }) => paused),
    false,
  )
})

test('paused clears on resume and resumeAll with the last of them', () => {
  const { state, apply, create } = scenario()
  create('foo', 3)
  const at = { stream: 'foo', timestampNs: 7n }
  apply({ kind: 'pause-stream', ...at, partitions: [], resumeAll: true })
  const paused = () => state.streams.get('foo')?.partitions.map((partition) => partition.paused)
  assert.deepEqual(paused(), [true, true, true])
  const foo = state.streams.get('foo')
  assert.ok(foo)
  assert.deepEqual(partitionsToResume(foo, 1), [0, 1, 2])
  apply({ kind: 'resume-stream', ...at, timestampNs: 9n, partitions: [0, 1] })
  assert.deepEqual(paused(), [false, false, true])
  assert.equal(state.streams.get('foo')?.resumeAll, true)
  apply({ kind: 'resume-stream', ...at, timestampNs: 9n, partitions: [2] })
  assert.equal(state.streams.get('foo')?.resumeAll, false)
  const { pauseTimestamps } = state.streams.get('foo')?.partitions[0] ?? {}
  assert.deepEqual(pauseTimestamps, { firstNs: 7n, latestNs: 9n })
})

test('pausing twice counts the load down once', () => {
  const { state, apply, create } = scenario()
  create('foo', 2)
  assert.deepEqual(state.loadOf('a'), { partitions: 2, leaders: 2, coordinated: 0 })
  const pause: Operation = {
    kind: 'pause-stream',
    stream: 'foo',
    partitions: [1],
    resumeAll: false,
    timestampNs: 1n,
  }
  apply(pause)
  apply(pause)
  assert.deepEqual(state.loadOf('a'), { partitions: 1, leaders: 1, coordinated: 0 })
})

test('readonly survives pause and resume', () => {
  const { state, apply, create } = scenario()
  create('foo')
  const at = { stream: 'foo', partitions: [0], timestampNs: 1n }
  apply({ kind: 'set-stream-readonly', ...at, readonly: true })
  apply({ kind: 'pause-stream', ...at, resumeAll: false })
  apply({ kind: 'resume-stream', ...at })
  assert.equal(state.streams.get('foo')?.partitions[0]?.readonly, true)
})

test('a stream that no server could run is refused at apply, whoever proposed it', () => {
  const { state, apply } = scenario()
  const sound = newStream('foo', 2)
  const [first, second] = sound.partitions
  assert.ok(first && second)
  const refused: readonly NewStream[] = [
    { ...sound, name: '' },
    { ...sound, name: 'a b' },
    { ...sound, name: 'a..b' },
    { ...sound, name: 'x'.repeat(256) },
    { ...sound, subject: 'a..b' },
    { ...sound, subject: 'a.>' },
    { ...sound, group: 'a b' },
    { ...sound, partitions: [first, first] },
    { ...sound, partitions: [first, { ...second, id: -1 }] },
    { ...sound, partitions: [first, { ...second, id: 2 }] },
    { ...sound, partitions: [first, { ...second, replicas: [] }] },
    { ...sound, partitions: [first, { ...second, leader: 'b' }] },
    { ...sound, partitions: [first, { ...second, isr: ['a', 'b'] }] },
    { ...sound, partitions: [first, { ...second, replicas: ['a', 'a'] }] },
  ]
  for (const stream of refused) {
    const outcome = apply({ kind: 'create-stream', stream })
    assert.match(refusalOf(outcome), /^INVALID_ARGUMENT /)
  }
  assert.match(
    refusalOf(apply({ kind: 'create-stream', stream: { ...sound, partitions: [] } })),
    /no partitions/,
  )
  assert.equal(state.streams.size, 0)
})

test('the check before proposing says the same as the operation would', () => {
  const { state, create } = scenario()
  create('foo')
  assert.deepEqual(checkOperation(state, { kind: 'create-stream', stream: newStream('foo') }), {
    kind: 'rejected',
    status: 'ALREADY_EXISTS',
    text: 'stream already exists',
  })
  assert.equal(checkOperation(state, { kind: 'delete-stream', stream: 'foo' }).kind, 'ok')
})

test('an entry at an index that is already applied changes nothing', () => {
  const { state, create } = scenario()
  create('foo')
  const again = applyEntry(state, encodeOperation({ kind: 'delete-stream', stream: 'foo' }), 1)
  assert.equal(again.kind, 'inert')
  assert.ok(state.streams.has('foo'))
})
