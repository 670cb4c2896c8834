/** A partition whose disk or neighbours misbehave. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DiskError } from '@liftbridge/log'
import { ACK_NO_SPACE } from './ack.ts'
import { IngestBudget } from './ingest-budget.ts'
import { Collector, openPartition } from './partition-fixture.suite.ts'

const failed = (): DiskError => new DiskError('io', '/log', 'EIO: the disk is gone')

test('with sync policy always nothing is acknowledged before its fdatasync has returned [D1]', async (t) => {
  const { partition, publish, disk } = await openPartition(t, { syncPolicy: 'always' })
  const gate = disk.closeGate()
  const sink = new Collector()
  for (const ackPolicy of [0, 1, 2] as const) {
    publish({ correlationId: `p${ackPolicy}`, ackPolicy }, sink)
  }
  partition.kick()
  await gate.reached
  assert.deepEqual(sink.answers, [])
  gate.open()
  await sink.whenAnswered(2)
  assert.deepEqual(new Set(sink.answers.map(({ id }) => id)), new Set(['p0', 'p1']))
})

test('with sync policy interval only AckPolicy ALL waits for the sync', async (t) => {
  const { partition, publish, disk } = await openPartition(t, { syncPolicy: 'interval' })
  const gate = disk.closeGate()
  const sink = new Collector()
  publish({ correlationId: 'leader', ackPolicy: 0 }, sink)
  publish({ correlationId: 'all', ackPolicy: 1 }, sink)
  partition.kick()
  await gate.reached
  assert.deepEqual(
    sink.answers.map(({ id }) => id),
    ['leader'],
  )
  gate.open()
  await sink.whenAnswered(2)
})

test('after a failed sync nothing it covered is ever acknowledged, whatever the policy [D7]', async (t) => {
  for (const syncPolicy of ['always', 'interval'] as const) {
    const { partition, publish, disk, fenced, log } = await openPartition(t, { syncPolicy })
    const gate = disk.closeGate()
    const sink = new Collector()
    publish({ correlationId: 'first', ackPolicy: 1 }, sink)
    partition.kick()
    await gate.reached
    // These are appended while the sync is under way, or wait behind it.
    for (let index = 0; index < 20; index++) {
      publish({ correlationId: `all${index}`, ackPolicy: 1 }, sink)
    }
    partition.kick()
    gate.open(failed())
    await fenced
    publish({ correlationId: 'after', ackPolicy: 0 }, sink)
    partition.kick()
    await partition.end()
    await log.close()
    assert.deepEqual(
      sink.answers.filter(({ error }) => error === 0),
      [],
      syncPolicy,
    )
    // Each is told once that its fate is not known.
    const answered = sink.answers.map(({ id }) => id)
    assert.equal(answered.length, 22)
    assert.equal(new Set(answered).size, 22)
  }
})

test('a batch that is still being appended when a sync fails is not acknowledged either [D7]', async (t) => {
  const { partition, publish, disk, fenced } = await openPartition(t, { syncPolicy: 'interval' })
  const gate = disk.closeGate()
  const sink = new Collector()
  publish({ correlationId: 'all', ackPolicy: 1 }, sink)
  partition.kick()
  await gate.reached
  const append = disk.holdWrites()
  // Larger than what is written on the calling thread.
  publish({ correlationId: 'leader', ackPolicy: 0, value: Buffer.alloc(900_000) }, sink)
  partition.kick()
  await append.reached
  gate.open(failed())
  await fenced
  append.open()
  await partition.end()
  assert.deepEqual(
    sink.answers.filter(({ error }) => error === 0),
    [],
  )
})

test('an append that finds no space is refused, and the next one is stored [T4]', async (t) => {
  const { partition, publish, disk, log } = await openPartition(t)
  const sink = new Collector()
  publish({ correlationId: 'a' }, sink)
  partition.kick()
  await sink.whenAnswered(1)
  disk.failWrites(new DiskError('no-space', '/log', 'ENOSPC'))
  publish({ correlationId: 'b' }, sink)
  partition.kick()
  await sink.whenAnswered(2)
  assert.equal(sink.answers[1]?.error, ACK_NO_SPACE)
  assert.equal(log.newestOffset, 0)
  disk.failWrites(undefined)
  publish({ correlationId: 'c' }, sink)
  partition.kick()
  await sink.whenAnswered(3)
  assert.deepEqual(sink.answers[2], { id: 'c', offset: 1, error: 0 })
  assert.ok(!partition.fenced)
})

test('when an append fails nobody is told that another message took the expected offset [O7]', async (t) => {
  const { partition, publish, disk, log } = await openPartition(t, { optimisticConcurrency: true })
  const sink = new Collector()
  disk.failWrites(new DiskError('no-space', '/log', 'ENOSPC'))
  publish({ correlationId: 'a', expectedOffset: 0n }, sink)
  publish({ correlationId: 'b', expectedOffset: 0n }, sink)
  partition.kick()
  await sink.whenAnswered(2)
  assert.deepEqual(new Set(sink.answers.map(({ error }) => error)), new Set([ACK_NO_SPACE]))
  disk.failWrites(undefined)
  publish({ correlationId: 'c', expectedOffset: 0n }, sink)
  publish({ correlationId: 'd', expectedOffset: 0n }, sink)
  partition.kick()
  await sink.whenAnswered(4)
  assert.deepEqual(
    sink.answers.slice(2).toSorted((one, other) => one.error - other.error),
    [
      { id: 'c', offset: 0, error: 0 },
      { id: 'd', offset: 0, error: 2 },
    ],
  )
  assert.equal(log.newestOffset, 0)
})

test('while a sync takes long, publishers that can wait are held before others are refused', async (t) => {
  const { partition, publish, disk, log } = await openPartition(t, {
    syncPolicy: 'always',
    acksMaxBytes: 100_000,
  })
  const gate = disk.closeGate()
  const sink = new Collector()
  let sent = 0
  while (!partition.congested && sent < 1_000) {
    publish({ correlationId: `m${sent++}` }, sink)
    partition.kick()
    const before = log.newestOffset
    while (log.newestOffset === before) await new Promise((resolve) => setImmediate(resolve))
  }
  assert.ok(partition.congested)
  assert.deepEqual(sink.answers, [], 'nobody has been refused yet')
  const relieved = partition.drained()
  gate.open()
  await relieved
  await sink.whenAnswered(sent)
  assert.ok(sink.answers.every(({ error }) => error === 0))
})

test('stopping ends although other partitions hold the whole budget', async (t) => {
  const budget = new IngestBudget(1_000)
  const { partition, publish } = await openPartition(t, {}, budget)
  const sink = new Collector()
  publish({ correlationId: 'a' }, sink)
  budget.take(900)
  await partition.end()
  assert.equal(sink.answers[0]?.error, 0)
})

test('stopping does not wait for a batch to fill', async (t) => {
  const { partition, publish } = await openPartition(t, {
    batch: { maxMessages: 100, maxTimeMs: 3_600_000 },
  })
  const sink = new Collector()
  publish({ correlationId: 'a', ackPolicy: 1 }, sink)
  partition.kick()
  await partition.end()
  assert.deepEqual(sink.answers, [{ id: 'a', offset: 0, error: 0 }])
})

test('whoever waits for room is woken however often the budget fills up again', async (t) => {
  const budget = new IngestBudget(1_000_000)
  const settings = { queueMaxMessages: 2, batch: { maxMessages: 1, maxTimeMs: 0 } }
  const { partition, publish } = await openPartition(t, settings, budget)
  const sink = new Collector()
  publish({ correlationId: 'a' }, sink)
  publish({ correlationId: 'b' }, sink)
  budget.take(900_000)
  const drained = partition.drained()
  // There is room for a moment, but now this partition's own queue is full.
  budget.give(900_000)
  budget.take(900_000)
  partition.kick()
  await sink.whenAnswered(2)
  await new Promise((resolve) => setImmediate(resolve))
  budget.give(900_000)
  await drained
})

test('records that wait for acks which cannot come are bounded [B1]', async (t) => {
  // Two replicas are asked for and there is one: nothing with AckPolicy ALL is ever due.
  const { partition, publish } = await openPartition(t, {
    minIsr: 2,
    acksMaxBytes: 200_000,
    batch: { maxMessages: 10, maxTimeMs: 0 },
  })
  const sink = new Collector()
  const leaders = new Collector()
  for (let index = 0; index < 30; index++) {
    for (let n = 0; n < 9; n++) publish({ correlationId: `${index}.${n}`, ackPolicy: 1 }, sink)
    // LEADER does not wait for the others.
    publish({ correlationId: 'leader', ackPolicy: 0 }, leaders)
    partition.kick()
    await leaders.whenAnswered(index + 1)
  }
  assert.ok(leaders.answers.every(({ error }) => error === 0))
  const refused = sink.answers.filter(({ error }) => error === 1)
  assert.ok(refused.length > 100, `${refused.length} of 270 were refused`)
  assert.equal(refused.length, sink.answers.length)
})

test('records that wait for a sync which does not return are bounded, whatever their policy [B1]', async (t) => {
  const { partition, publish, disk, log } = await openPartition(t, {
    syncPolicy: 'always',
    acksMaxBytes: 200_000,
    batch: { maxMessages: 10, maxTimeMs: 0 },
  })
  const gate = disk.closeGate()
  t.after(() => gate.open())
  const leader = new Collector()
  const none = new Collector()
  const refused = (): number => leader.answers.length + none.answers.length
  for (let index = 1; index <= 30; index++) {
    publish({ correlationId: `l${index}`, ackPolicy: 0 }, leader)
    publish({ correlationId: `n${index}`, ackPolicy: 2 }, none)
    partition.kick()
    while (log.newestOffset + 1 + refused() < 2 * index) {
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  assert.ok(none.answers.length > 0 && none.answers.length < 30, `${none.answers.length} refused`)
  assert.ok([...leader.answers, ...none.answers].every(({ error }) => error === 1))
  gate.open()
  await leader.whenAnswered(30)
  publish({ correlationId: 'later', ackPolicy: 0 }, leader)
  partition.kick()
  await leader.whenAnswered(31)
  assert.equal(leader.answers.at(-1)?.error, 0)
})
