import assert from 'node:assert/strict'
import test from 'node:test'
import {
  applyOperation,
  MetadataState,
  rejected,
  type MetadataAnswer,
  type MetadataRequest,
} from '@liftbridge/metadata'
import { silentLogger, type LogFields } from '../logging/logger.ts'
import { VirtualClock } from '../replication/virtual-time.suite.ts'
import { handOver } from './hand-over.ts'

const PARTITIONS = 1_500

/** Two streams of which server a leads one; `answer` is what the metadata leader says. */
function scenario(
  answer: (request: MetadataRequest) => Promise<MetadataAnswer>,
  isCovered: (stream: string, partition: number) => Promise<boolean> = async () => true,
) {
  const state = new MetadataState()
  for (const [index, leader] of ['b', 'a'].entries()) {
    const partitions = Array.from({ length: PARTITIONS }, (_, id) => {
      return { id, replicas: ['a', 'b'], isr: ['a', 'b'], leader }
    })
    const fields = { group: '', replicationFactor: 2, config: {}, creationTimestampNs: 1n }
    const stream = { name: `led-by-${leader}`, subject: 's', partitions, ...fields }
    applyOperation(state, { kind: 'create-stream', stream }, index + 1)
  }
  const clock = new VirtualClock()
  const asked: string[] = []
  const warnings: (LogFields | undefined)[] = []
  let open = 0
  let mostOpen = 0
  const submit = async (request: MetadataRequest): Promise<MetadataAnswer> => {
    assert.ok(request.kind === 'report-leader')
    asked.push(`${request.stream}/${request.partition}`)
    mostOpen = Math.max(mostOpen, ++open)
    const answered = await answer(request)
    open--
    return answered
  }
  const left = handOver({
    metadata: {
      members: ['a', 'b'].map((id) => ({ id, voter: true })),
      state,
      handOver: async () => {},
    },
    controller: { submit },
    serverId: 'a',
    quiesce: async () => {},
    isCovered,
    clock,
    logger: { ...silentLogger, warn: (_, fields) => void warnings.push(fields) },
  })
  return { clock, asked, warnings, left, mostOpen: () => mostOpen }
}

test('every partition is handed over, those it leads first, a few hundred at a time', async () => {
  const { clock, asked, warnings, left, mostOpen } = scenario(async () => {
    await new Promise<void>((resolve) => clock.after(5, resolve))
    return { kind: 'done', index: 1 }
  })
  await clock.pass(1_000)
  await left
  assert.equal(new Set(asked).size, 2 * PARTITIONS)
  assert.equal(asked.length, 2 * PARTITIONS)
  assert.ok(asked.slice(0, PARTITIONS).every((name) => name.startsWith('led-by-a/')))
  assert.equal(mostOpen(), 256)
  assert.deepEqual(warnings, [])
})

test('of partitions whose leader does not show that it is there it stays a member [R8]', async () => {
  const { clock, asked, left } = scenario(
    async () => ({ kind: 'done', index: 1 }),
    async (stream, partition) => stream === 'led-by-b' && partition < 10,
  )
  await clock.pass(1_000)
  await left
  assert.equal(asked.length, PARTITIONS + 10)
  assert.equal(asked.filter((name) => name.startsWith('led-by-b/')).length, 10)
})

test('what the metadata leader refuses for its load is asked for again', async () => {
  const refused = new Set<number>()
  const { clock, asked, warnings, left } = scenario(async (request) => {
    await new Promise<void>((resolve) => clock.after(5, resolve))
    const isFirst = request.kind === 'report-leader' && !refused.has(request.partition)
    if (!isFirst) return { kind: 'done', index: 1 }
    refused.add(request.partition)
    return rejected('RESOURCE_EXHAUSTED', 'too many metadata operations')
  })
  await clock.pass(3_000)
  await left
  assert.equal(new Set(asked).size, 2 * PARTITIONS)
  assert.equal(asked.length, 3 * PARTITIONS)
  assert.deepEqual(warnings, [])
})

test('a leader that refuses for ever holds nobody up, and what is left is counted', async () => {
  const { clock, warnings, left } = scenario(async (request) => {
    const isDone = request.kind === 'report-leader' && request.partition < 10
    if (isDone) return { kind: 'done', index: 1 }
    return rejected('RESOURCE_EXHAUSTED', 'too many metadata operations')
  })
  await clock.pass(3_100)
  await left
  assert.deepEqual(warnings, [{ partitions: 2 * PARTITIONS - 10, of: 2 * PARTITIONS }])
})
