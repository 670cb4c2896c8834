import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import fc from 'fast-check'
import { CommitLog, RecordView } from '@liftbridge/log'
import {
  api,
  create,
  decodePublishRequest,
  decodeText,
  PublishView,
  toBinary,
  type AckFields,
  type MessageInitShape,
} from '@liftbridge/wire'
import { createNodeDisk } from '../adapters/node-disk.ts'
import { createSystemClock } from '../adapters/system-clock.ts'
import { silentLogger } from '../logging/logger.ts'
import type { AckSink, AckSource } from './ack.ts'
import { arrivalAt } from './arrival.ts'
import { IngestBudget } from './ingest-budget.ts'
import { Partition, type PartitionSettings } from './partition.ts'

type Answer = { readonly id: string; readonly offset: number; readonly error: number }

/** Collects answers in the order of delivery. */
class Collector implements AckSink {
  readonly answers: Answer[] = []
  flushes = 0
  #waiting: { count: number; resolve: () => void } | undefined

  deliver(_source: AckSource, ack: AckFields): void {
    const id = decodeText(ack.correlationId, ack.correlationIdStart, ack.correlationIdEnd)
    this.answers.push({ id, offset: ack.offset, error: ack.ackError })
  }

  flush(): void {
    this.flushes++
    if (this.#waiting && this.answers.length >= this.#waiting.count) this.#waiting.resolve()
  }

  whenAnswered(count: number): Promise<void> {
    if (this.answers.length >= count) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiting = { count, resolve }
    })
  }
}

async function openPartition(
  t: TestContext,
  settings: Partial<PartitionSettings> = {},
): Promise<{ partition: Partition; log: CommitLog; publish: Publish }> {
  const directory = await mkdtemp(join(tmpdir(), 'liftbridge-ingest-'))
  const log = await CommitLog.open({ disk: createNodeDisk(), directory })
  t.after(async () => {
    await log.close()
    await rm(directory, { recursive: true, force: true })
  })
  const partition = new Partition({
    stream: 'orders',
    incarnation: 1,
    partition: 0,
    streamSubject: 'orders',
    subject: 'orders',
    group: '',
    leaderEpoch: 1,
    log,
    cipher: undefined,
    budget: new IngestBudget(10_000_000),
    clock: createSystemClock(),
    logger: silentLogger,
    onFenced: () => undefined,
    settings: {
      syncPolicy: 'interval',
      syncMaxMessages: 0,
      minIsr: 1,
      optimisticConcurrency: false,
      maxRecordBytes: 1_048_576,
      batch: { maxMessages: 8, maxTimeMs: 0 },
      queueMaxMessages: 10_000,
      queueMaxBytes: 1_000_000,
      ...settings,
    },
  })
  await partition.lead()
  const view = new PublishView()
  const arrival = arrivalAt('orders', '')
  const publish: Publish = (request, sink) => {
    const bytes = toBinary(
      api.PublishRequestSchema,
      create(api.PublishRequestSchema, { expectedOffset: -1n, ...request }),
    )
    assert.ok(decodePublishRequest(view, bytes), view.problem)
    partition.accept(view, arrival, sink)
  }
  return { partition, log, publish }
}

type Publish = (
  request: MessageInitShape<typeof api.PublishRequestSchema>,
  sink: AckSink | undefined,
) => void

async function storedValues(log: CommitLog): Promise<string[]> {
  const reader = log.reader({ from: 0, until: 'written' })
  const values: string[] = []
  const view = new RecordView()
  while (log.newestOffset >= 0 && values.length <= log.newestOffset) {
    const block = await reader.next()
    if (block.kind === 'end') break
    for (let at = block.start; at < block.end; at = view.end) {
      assert.ok(view.load(block.bytes, at))
      values.push(Buffer.from(block.bytes.subarray(view.valueStart, view.valueEnd)).toString())
    }
  }
  reader.close()
  return values
}

test('every message is stored once, in the order of arrival, and answered by its policy', async (t) => {
  const { partition, log, publish } = await openPartition(t)
  const sink = new Collector()
  const sent: string[] = []
  for (let index = 0; index < 100; index++) {
    const value = `v${index}`
    sent.push(value)
    const ackPolicy: api.AckPolicy = index % 3
    publish({ value: Buffer.from(value), correlationId: value, ackPolicy }, sink)
  }
  partition.kick()
  const wanted = sent.filter((_value, index) => index % 3 !== 2)
  await sink.whenAnswered(wanted.length)
  assert.deepEqual(await storedValues(log), sent)
  for (const policy of [0, 1]) {
    const answers = sink.answers.filter(({ offset }) => offset % 3 === policy)
    assert.deepEqual(
      answers.map(({ offset }) => offset),
      [...Array(100).keys()].filter((offset) => offset % 3 === policy),
    )
    assert.ok(answers.every(({ id, offset, error }) => id === `v${offset}` && error === 0))
  }
})

test('a message whose stored form is too large is refused and does not take an offset [LB 7.A7]', async (t) => {
  const { partition, log, publish } = await openPartition(t, { maxRecordBytes: 200 })
  const sink = new Collector()
  publish({ value: Buffer.alloc(500), correlationId: 'large' }, sink)
  assert.deepEqual(sink.answers, [{ id: 'large', offset: 0, error: 3 }])
  publish({ value: Buffer.from('small'), correlationId: 'small' }, sink)
  partition.kick()
  await sink.whenAnswered(2)
  assert.deepEqual(sink.answers[1], { id: 'small', offset: 0, error: 0 })
  assert.deepEqual(await storedValues(log), ['small'])
})

test('a header key beyond 32,767 bytes is refused, and the partition goes on [G6]', async (t) => {
  const { partition, publish } = await openPartition(t)
  const sink = new Collector()
  const headers = { ['k'.repeat(32_768)]: Buffer.from('v') }
  publish({ value: Buffer.from('a'), correlationId: 'bad', headers }, sink)
  const longest = { ['k'.repeat(32_767)]: Buffer.from('v') }
  publish({ value: Buffer.from('b'), correlationId: 'good', headers: longest }, sink)
  partition.kick()
  await sink.whenAnswered(2)
  assert.deepEqual(
    sink.answers.map(({ id, error }) => [id, error]),
    [
      ['bad', 1],
      ['good', 0],
    ],
  )
})

test('expected offsets are checked record by record inside one batch [reliability O7]', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: -1, max: 12 }), { minLength: 1, maxLength: 30 }),
      async (expected) => {
        const { partition, log, publish } = await openPartition(t, { optimisticConcurrency: true })
        const sink = new Collector()
        let next = 0
        const model = expected.map((offset, index): Answer => {
          const fits = offset === -1 || offset === next
          if (fits) next++
          return { id: `m${index}`, offset: fits ? next - 1 : 0, error: fits ? 0 : 2 }
        })
        expected.forEach((offset, index) => {
          const value = Buffer.from(`m${index}`)
          publish({ value, correlationId: `m${index}`, expectedOffset: BigInt(offset) }, sink)
        })
        partition.kick()
        await sink.whenAnswered(expected.length)
        const byId = (a: Answer, b: Answer): number => Number(a.id.slice(1)) - Number(b.id.slice(1))
        assert.deepEqual(sink.answers.toSorted(byId), model)
        assert.deepEqual(
          await storedValues(log),
          model.filter(({ error }) => error === 0).map(({ id }) => id),
        )
      },
    ),
    { numRuns: 40 },
  )
})

test('what is accepted is bounded: beyond the bound messages are refused, not queued', async (t) => {
  const { partition, publish } = await openPartition(t, { queueMaxMessages: 10 })
  const sink = new Collector()
  for (let index = 0; index < 15; index++) {
    publish({ value: Buffer.from('x'), correlationId: `c${index}` }, sink)
  }
  assert.equal(sink.answers.filter(({ error }) => error === 1).length, 5)
  assert.ok(partition.congested)
  partition.kick()
  await partition.drained()
  await sink.whenAnswered(15)
  assert.ok(!partition.congested)
})

test('stop writes and answers what was accepted, and refuses what comes later', async (t) => {
  const { partition, log, publish } = await openPartition(t)
  const sink = new Collector()
  for (let index = 0; index < 20; index++) {
    publish({ value: Buffer.from(`s${index}`), correlationId: `s${index}`, ackPolicy: 1 }, sink)
  }
  await partition.stop()
  assert.equal(sink.answers.filter(({ error }) => error === 0).length, 20)
  assert.equal(log.syncedOffset, 19)
  publish({ value: Buffer.from('late'), correlationId: 'late' }, sink)
  assert.equal(sink.answers.at(-1)?.error, 1)
})

test('user headers are kept, but subject and reply are what the server saw', async (t) => {
  const { partition, log, publish } = await openPartition(t)
  const sink = new Collector()
  const headers = { a: Buffer.from('1'), subject: Buffer.from('forged'), reply: Buffer.from('x') }
  publish({ value: Buffer.from('v'), correlationId: 'h', headers }, sink)
  partition.kick()
  await sink.whenAnswered(1)
  const block = await log.reader({ from: 0, until: 'written' }).next()
  assert.ok(block.kind === 'block')
  const view = new RecordView()
  assert.ok(view.load(block.bytes, block.start))
  assert.equal(view.headerCount, 3)
  const stored = Buffer.from(block.bytes.subarray(view.headersStart, view.headersEnd)).toString()
  assert.ok(stored.includes('orders') && !stored.includes('forged'))
})
