import assert from 'node:assert/strict'
import test from 'node:test'
import { digest, encodeOperation, type Operation, type Outcome } from '@liftbridge/metadata'
import { ClusterSubjects } from '@liftbridge/wire'
import { createSystemRandom } from '../adapters/system-random.ts'
import { silentLogger } from '../logging/logger.ts'
import { openRaft } from '../raft/open-raft.ts'
import type { RaftConsensus } from '../raft/raft-consensus.ts'
import { LocalNats } from '../replication/local-bus.suite.ts'
import { MemoryDisk } from '../replication/memory-disk.suite.ts'
import { VirtualClock } from '../replication/virtual-time.suite.ts'
import { createStream } from './create-stream.suite.ts'
import { Metadata, type Proposed } from './metadata.ts'

const remove = (stream: string): Operation<'delete-stream'> => ({ kind: 'delete-stream', stream })

/** The status and text of a refusal, or that it was applied. */
const textOf = (proposed: Proposed): string =>
  proposed.kind === 'rejected' ? `${proposed.status} ${proposed.text}` : 'applied'

/** A cluster of one on a disk and a clock of its own. */
class World {
  readonly clock = new VirtualClock()
  readonly disk = new MemoryDisk()
  readonly inert: string[] = []

  async open(): Promise<{ readonly metadata: Metadata; readonly raft: RaftConsensus<Outcome> }> {
    const raft = await openRaft<Outcome>({
      disk: this.disk.attach(),
      directory: '/raft',
      bus: new LocalNats(this.clock).connect('a'),
      subjects: new ClusterSubjects('test'),
      clock: this.clock,
      random: createSystemRandom(),
      serverId: 'a',
      settings: {
        bootstrapSeed: true,
        bootstrapPeers: [],
        maxQuorumSize: 0,
        snapshotRetain: 2,
        snapshotThreshold: 8_192,
      },
      logger: silentLogger,
    })
    const metadata = new Metadata({
      consensus: raft,
      onInert: (_index, { text }) => this.inert.push(text),
    })
    await this.over(metadata.start())
    assert.ok(await this.clock.until(() => metadata.leadership.kind === 'here', 60_000))
    return { metadata, raft }
  }

  /** Lets time pass until the promise is settled. */
  async over<Value>(promise: Promise<Value>): Promise<Value> {
    let isOver = false
    const settled = promise.finally(() => (isOver = true))
    settled.catch(() => undefined)
    await this.clock.until(() => isOver, 60_000)
    return settled
  }
}

test('what was answered is there after a kill, in the same state', async () => {
  const world = new World()
  const { metadata } = await world.open()
  for (const operation of [createStream('foo'), createStream('bar'), remove('foo')]) {
    assert.equal(textOf(await world.over(metadata.propose(operation))), 'applied')
  }
  const refused = await world.over(metadata.propose(createStream('bar')))
  assert.equal(textOf(refused), 'ALREADY_EXISTS stream already exists')
  const before = digest(metadata.state)
  const again = await world.open()
  assert.equal(digest(again.metadata.state), before)
  assert.deepEqual([...again.metadata.state.streams.keys()], ['bar'])
})

test('the first listener hears of deletions that were applied before it came', async () => {
  const world = new World()
  const { metadata } = await world.open()
  for (const operation of [createStream('foo'), remove('foo'), createStream('foo')]) {
    await world.over(metadata.propose(operation))
  }
  const heard: string[] = []
  metadata.onApplied(({ deleted }) => heard.push(`first ${deleted?.[0]?.name ?? ''}`))
  metadata.onApplied(() => heard.push('second'))
  await world.over(metadata.propose(createStream('bar')))
  assert.deepEqual(heard, ['first foo', 'first ', 'second'])
})

test('of two proposals of one name at a time, one wins and the other hears of it', async () => {
  const world = new World()
  const { metadata } = await world.open()
  const both = [createStream('foo'), createStream('foo')].map((operation) =>
    metadata.propose(operation),
  )
  const outcomes = await world.over(Promise.all(both))
  assert.deepEqual(outcomes.map(textOf), ['applied', 'ALREADY_EXISTS stream already exists'])
})

test('whoever waits for an index goes on when it has been applied, and not before', async () => {
  const world = new World()
  const { metadata } = await world.open()
  await world.over(metadata.propose(createStream('foo')))
  const { appliedIndex } = metadata.state
  await metadata.whenApplied(appliedIndex)
  let isThere = false
  const waiting = metadata.whenApplied(appliedIndex + 1).then(() => (isThere = true))
  await world.clock.pass(1_000)
  assert.equal(isThere, false)
  await world.over(metadata.propose(createStream('bar')))
  await waiting
})

test('an entry that is no operation is inert, is told, and the rest is applied', async () => {
  const world = new World()
  const { metadata, raft } = await world.open()
  for (const entry of [new Uint8Array([8, 99]), new Uint8Array([255]), new Uint8Array(0)]) {
    await world.over(raft.propose(entry))
  }
  assert.equal(world.inert.length, 3)
  assert.equal(textOf(await world.over(metadata.propose(createStream('foo')))), 'applied')
})

test('an operation that another one has overtaken is inert: it is checked when applied', async () => {
  const world = new World()
  const { metadata, raft } = await world.open()
  await world.over(metadata.propose(createStream('foo')))
  const outcome = await world.over(raft.propose(encodeOperation(createStream('foo'))))
  assert.ok(outcome.kind === 'inert')
  assert.deepEqual(world.inert, ['stream already exists'])
})

test('a closed metadata refuses proposals in the words of the operation', async () => {
  const world = new World()
  const { metadata } = await world.open()
  await world.over(metadata.close())
  const refused = await metadata.propose(createStream('foo'))
  assert.equal(textOf(refused), 'INTERNAL Failed to replicate partition: metadata is closed')
})
