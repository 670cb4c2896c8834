import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RecordView, type CommitLog } from '@liftbridge/log'
import type { api } from '@liftbridge/wire'
import { Collector, openPartition, type Answer } from './partition-fixture.suite.ts'

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
    const ackPolicy = (index % 3) as api.AckPolicy
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
  const { partition, log, publish } = await openPartition(t, { maxRecordBytes: () => 200 })
  const sink = new Collector()
  publish({ value: Buffer.alloc(500), correlationId: 'large' }, sink)
  assert.deepEqual(sink.answers, [{ id: 'large', offset: 0, error: 3 }])
  publish({ value: Buffer.from('small'), correlationId: 'small' }, sink)
  partition.kick()
  await sink.whenAnswered(2)
  assert.deepEqual(sink.answers[1], { id: 'small', offset: 0, error: 0 })
  assert.deepEqual(await storedValues(log), ['small'])
})

test('the largest record follows what NATS takes now, not what it took at the opening [LB 7.A7]', async (t) => {
  let maxRecordBytes = 200
  const settings = { maxRecordBytes: () => maxRecordBytes }
  const { partition, log, publish } = await openPartition(t, settings)
  const sink = new Collector()
  const value = Buffer.alloc(500)
  const steps: readonly (readonly [id: string, limit: number, error: number])[] = [
    ['too large', 200, 3],
    ['fits after a reconnect', 1_000, 0],
    ['too large again', 200, 3],
  ]
  for (const [id, limit, error] of steps) {
    maxRecordBytes = limit
    publish({ value, correlationId: id }, sink)
    partition.kick()
    await sink.whenAnswered(1)
    assert.deepEqual(sink.answers.splice(0), [{ id, offset: 0, error }])
  }
  assert.equal(log.newestOffset, 0)
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
  await partition.end()
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
