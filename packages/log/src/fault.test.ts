import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DiskError } from './disk.ts'
import { FileCache } from './file-cache.ts'
import { append, commitAll, DIRECTORY, fill, openFixture } from './fixture.suite.ts'
import { readWritten, segmentPath, values } from './fixture.suite.ts'
import { RecordBatch } from './format/record-batch.ts'
import type { Fault } from './memory-disk.suite.ts'

const FULL = new DiskError('no-space', '', 'no space left on device')
const BROKEN = new DiskError('io', '', 'input/output error')

/** Fails the n-th operation of a kind on paths that end so. */
function failing(operation: string, suffix: string, error: DiskError, nth = 1): Fault {
  let seen = 0
  return (each, path) =>
    each === operation && path.endsWith(suffix) && ++seen === nth ? error : undefined
}

test('short writes are completed [reliability 0.10, T4]', async () => {
  const { disk, log } = await openFixture()
  disk.maxWriteBytes = 7
  await append(log, ['a'.repeat(100), 'b'])
  await append(log, ['c'.repeat(50_000)])
  const read = await readWritten((await openFixture({}, disk.clone())).log)
  assert.deepEqual(read, [`0=${'a'.repeat(100)}`, '1=b', `2=${'c'.repeat(50_000)}`])
})

test('a failed write leaves log and file as before; writes resume when space is back [T4, LB 7.A15]', async () => {
  for (const size of [10, 200_000]) {
    const { disk, log } = await openFixture()
    await fill(log, 3)
    const before = disk.contents(segmentPath(0))
    disk.maxWriteBytes = 50
    disk.fault = failing('write', '.log', FULL, 2)
    await assert.rejects(append(log, ['x'.repeat(size), 'y'.repeat(size)]), { code: 'no-space' })
    assert.deepEqual(disk.contents(segmentPath(0)), before)
    assert.equal(log.state, 'open')
    assert.equal(log.nextOffset, 3)
    assert.deepEqual(await readWritten(log), values(0, 2))
    await fill(log, 2)
    assert.deepEqual(await readWritten((await openFixture({}, disk.clone())).log), values(0, 4))
  }
})

test('a write that cannot be rolled back fences the log for good [T4, D7]', async () => {
  const { disk, log, problems } = await openFixture()
  await fill(log, 3)
  disk.maxWriteBytes = 50
  let writes = 0
  disk.fault = (operation) => {
    if (operation === 'write' && ++writes === 2) return BROKEN
    return operation === 'truncate' ? BROKEN : undefined
  }
  await assert.rejects(append(log, ['x'.repeat(100)]), { code: 'io' })
  disk.fault = () => undefined
  assert.equal(log.state, 'failed')
  await assert.rejects(append(log, ['y']), { code: 'failed' })
  await assert.rejects(log.sync(), { code: 'failed' })
  assert.deepEqual(problems, [{ kind: 'failed', error: BROKEN }])
  assert.deepEqual(await readWritten((await openFixture({}, disk.clone())).log), values(0, 2))
})

test('a failed sync fences the log: no later sync may call the bytes durable [D7, reliability 0.7]', async () => {
  const { disk, log } = await openFixture()
  await fill(log, 3)
  await log.sync()
  await fill(log, 3)
  disk.fault = failing('sync', '.log', BROKEN)
  const both = [log.sync(), log.sync()]
  await assert.rejects(both[0] ?? Promise.resolve(), { code: 'io' })
  await assert.rejects(both[1] ?? Promise.resolve(), { code: 'failed' })
  assert.equal(log.syncedOffset, 2)
  await assert.rejects(log.sync(), { code: 'failed' })
  await assert.rejects(log.checkpoint(), { code: 'failed' })
  await log.close()
})

test('a failed sync while rolling fences the log before the next segment exists [T5]', async () => {
  const { disk, log } = await openFixture({ segmentMaxBytes: 100 })
  await fill(log, 3)
  disk.fault = failing('sync', '.log', BROKEN)
  await assert.rejects(fill(log, 1), { code: 'io' })
  assert.equal(log.state, 'failed')
  assert.ok(!disk.names(DIRECTORY).includes('00000000000000000003.log'))
})

test('a new segment takes records only after its name is durable [T5]', async () => {
  const { disk, log } = await openFixture({ segmentMaxBytes: 100 })
  await fill(log, 3)
  await log.sync()
  const steps: string[] = []
  disk.fault = (operation, path) => {
    steps.push(`${operation} ${path.slice(path.lastIndexOf('/') + 1)}`)
    return undefined
  }
  await fill(log, 1)
  const order = [
    'sync 00000000000000000000.log',
    'open 00000000000000000003.log',
    'syncDirectory 0',
    'write 00000000000000000003.log',
  ]
  const places = order.map((step) => steps.indexOf(step))
  assert.ok(!places.includes(-1), steps.join(', '))
  assert.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
  )
})

test('a roll that fails for want of space is tried again with the next append [T4]', async () => {
  const { disk, log } = await openFixture({ segmentMaxBytes: 100 })
  await fill(log, 3)
  disk.fault = failing('open', '3.log', FULL)
  await assert.rejects(fill(log, 1), { code: 'no-space' })
  await fill(log, 2)
  assert.deepEqual(await readWritten(log), values(0, 4))
})

test('an index that cannot be written costs a report, no append [T3, LB 7.A17]', async () => {
  const { disk, log, problems } = await openFixture()
  disk.fault = (operation, path) =>
    operation === 'write' && path.endsWith('.index') ? FULL : undefined
  const batch = new RecordBatch()
  for (let i = 0; i < 4000; i++) batch.addRecord({ value: Buffer.from(`v${i}`) })
  await log.append(batch, { timestampNs: 1n, leaderEpoch: 0 })
  assert.equal(problems[0]?.kind, 'hint-not-written')
  assert.deepEqual(await readWritten(log, 3990), values(3990, 3999))
  disk.fault = () => undefined
  await log.checkpoint()
  assert.equal(disk.contents(segmentPath(0, 'index')).length, 80_000)
})

test('a log opens and is read on a full disk, whatever its hints need [T3, T4]', async () => {
  const { disk, log } = await openFixture({ segmentMaxBytes: 100_000 })
  for (let i = 0; i < 6_000; i += 1_000) await fill(log, 1_000)
  await log.sync()
  const killed = disk.clone()
  for (const name of killed.names(DIRECTORY)) {
    if (!name.endsWith('.log')) killed.put(`${DIRECTORY}/${name}`, Buffer.from('garbage'))
  }
  killed.fault = (operation) => (operation === 'write' ? FULL : undefined)
  const again = await openFixture({ segmentMaxBytes: 100_000 }, killed)
  assert.ok(again.problems.some(({ kind }) => kind === 'hint-not-written'))
  assert.deepEqual(await readWritten(again.log), values(0, 5_999))
  killed.fault = () => undefined
  await fill(again.log, 2)
  await again.log.close()
  assert.deepEqual(await readWritten((await openFixture({}, killed)).log), values(0, 6_001))
})

test('a high watermark that cannot be written is an error and no crash [G19, LB 7.A17]', async () => {
  const { disk, log } = await openFixture()
  await fill(log, 3)
  commitAll(log)
  await log.sync()
  disk.fault = failing('write', 'checkpoint.tmp', FULL)
  await assert.rejects(log.checkpoint(), { code: 'no-space' })
  await log.checkpoint()
  assert.equal(disk.contents(`${DIRECTORY}/replication-offset-checkpoint`).toString(), '2')
})

test('the checkpoint is written when it changed, and names durable records only [R3]', async () => {
  const { disk, log } = await openFixture()
  await fill(log, 5)
  await log.sync()
  await fill(log, 5)
  commitAll(log)
  await log.checkpoint()
  const path = `${DIRECTORY}/replication-offset-checkpoint`
  assert.equal(disk.contents(path).toString(), '4')
  const changes = disk.changes
  await log.checkpoint()
  assert.equal(disk.changes, changes)
  await log.sync()
  await log.checkpoint()
  assert.equal(disk.contents(path).toString(), '9')
})

test('an epoch is durable before its first record is written [E3]', async () => {
  const { disk, log } = await openFixture()
  await fill(log, 2, { epoch: 1 })
  disk.fault = failing('rename', 'leader-epoch-checkpoint.tmp', BROKEN)
  await assert.rejects(fill(log, 1, { epoch: 2 }), { code: 'io' })
  assert.equal(log.nextOffset, 2)
  await fill(log, 1, { epoch: 2 })
  const again = await openFixture({}, disk.clone())
  assert.deepEqual(again.log.epochs, [
    { epoch: 1, start: 0 },
    { epoch: 2, start: 2 },
  ])
})

test('an epoch older than the newest is refused [E3]', async () => {
  const { log } = await openFixture()
  await fill(log, 2, { epoch: 5 })
  await assert.rejects(fill(log, 1, { epoch: 4 }), { code: 'rejected' })
  await assert.rejects(log.beginEpoch(4), { code: 'rejected' })
  await log.beginEpoch(5)
})

test('a retention that fails half way leaves no closed segment in the way of readers [LB 7.B5]', async () => {
  const { disk, log } = await openFixture({ segmentMaxBytes: 40, retention: { maxMessages: 2 } })
  await fill(log, 10)
  commitAll(log)
  disk.fault = failing('remove', '.log', BROKEN, 3)
  await assert.rejects(log.clean(1n), { code: 'io' })
  assert.deepEqual(await readWritten(log), values(8, 9))
  await log.clean(1n)
  assert.deepEqual(
    disk.names(DIRECTORY).filter((name) => name.endsWith('.log')),
    ['00000000000000000008.log', '00000000000000000009.log'],
  )
})

test('a compaction that fails leaves the old set, and the next one succeeds [K3]', async () => {
  for (const operation of ['write', 'sync', 'rename', 'syncDirectory', 'truncate', 'open']) {
    for (const suffix of ['.cleaned', '/0', '.log']) {
      const { disk, log } = await openFixture({ segmentMaxBytes: 200, compact: true })
      for (let i = 0; i < 20; i++) await append(log, [`v${i}`], { key: 'k' })
      commitAll(log)
      disk.fault = failing(operation, suffix, BROKEN)
      const failed = await log.clean(1n).then(
        () => false,
        () => true,
      )
      disk.fault = () => undefined
      const live = await readWritten(log)
      assert.equal(live.at(-1), '19=v19', `${operation} ${suffix}`)
      const again = await openFixture({ segmentMaxBytes: 200, compact: true }, disk.clone())
      assert.deepEqual(await readWritten(again.log), live)
      if (failed && log.state === 'open') await log.clean(1n)
      assert.ok(disk.names(DIRECTORY).every((name) => !name.endsWith('.cleaned')))
    }
  }
})

test('a truncation that fails fences the log, and opening it again settles it [K3]', async () => {
  for (const operation of ['truncate', 'remove', 'sync', 'syncDirectory']) {
    const { disk, log } = await openFixture({ segmentMaxBytes: 150 })
    await fill(log, 20)
    disk.fault = failing(operation, '', BROKEN)
    await assert.rejects(log.truncate(7), { code: 'io' }, operation)
    assert.equal(log.state, 'failed')
    const again = await openFixture({ segmentMaxBytes: 150 }, disk.clone())
    const read = await readWritten(again.log)
    assert.deepEqual(read, values(0, read.length - 1))
    assert.ok(read.length >= 7)
    await again.log.truncate(7)
    assert.deepEqual(await readWritten(again.log), values(0, 6))
  }
})

test('open files of all logs stay within the bound of their cache', async () => {
  const { disk } = await openFixture()
  const files = new FileCache(disk, { maxOpen: 4 })
  const logs = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const directory = `/data/streams/many/${i}`
      return (await openFixture({ files, directory, segmentMaxBytes: 100 }, disk)).log
    }),
  )
  let most = 0
  disk.fault = () => {
    most = Math.max(most, files.openCount)
    return undefined
  }
  for (let round = 0; round < 5; round++) {
    await Promise.all(logs.map((log) => fill(log, 3)))
    await Promise.all(logs.map((log) => log.sync()))
  }
  for (const log of logs) assert.equal((await readWritten(log)).length, 15)
  assert.ok(most > 0 && most <= 4, `${most} open`)
  await Promise.all(logs.map((log) => log.close()))
  assert.equal(files.openCount, 0)
})

test('a handle with unsynced bytes is synced before it is closed; a failure fences its log [D7]', async () => {
  const { disk } = await openFixture()
  const files = new FileCache(disk, { maxOpen: 1 })
  const first = await openFixture({ files }, disk)
  await fill(first.log, 1)
  disk.fault = failing('sync', '.log', BROKEN)
  const second = await openFixture({ files, directory: '/data/streams/bar/0' }, disk)
  await fill(second.log, 1)
  assert.equal(first.log.state, 'failed')
  assert.equal(second.log.state, 'open')
})

test('a write that a sync overlaps leaves its handle unsynced: it is synced before it is closed [D7]', async (t) => {
  const { disk } = await openFixture()
  const began = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const open = disk.open.bind(disk)
  t.mock.method(disk, 'open', async (path: string, options?: { create?: boolean }) => {
    const file = await open(path, options)
    if (!path.endsWith('.log')) return file
    const write = file.write.bind(file)
    t.mock.method(file, 'write', async (...args: Parameters<typeof write>) => {
      began.resolve()
      await goOn.promise
      return write(...args)
    })
    return file
  })
  const files = new FileCache(disk, { maxOpen: 1 })
  const first = await openFixture({ files }, disk)
  await fill(first.log, 1)
  const long = append(first.log, ['x'.repeat(200_000)])
  await began.promise
  await first.log.sync()
  assert.equal(first.log.syncedOffset, 0)
  goOn.resolve()
  await long
  disk.fault = failing('sync', '.log', BROKEN)
  const second = await openFixture({ files, directory: '/data/streams/bar/0' }, disk)
  await fill(second.log, 1)
  assert.equal(first.log.state, 'failed')
})
