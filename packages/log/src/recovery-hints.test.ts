/** Opening with hints that are missing, wrong or of others: the records say what is true. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  append,
  commitAll,
  DIRECTORY,
  fill,
  openFixture,
  readWritten,
  segmentPath,
  values,
} from './fixture.suite.ts'
import { MemoryDisk } from './memory-disk.suite.ts'

const HW = `${DIRECTORY}/replication-offset-checkpoint`
const EPOCHS = `${DIRECTORY}/leader-epoch-checkpoint`

test('hints that are missing, empty, zeroed, short, long or garbage change nothing [T3]', async () => {
  const { disk, log } = await openFixture({ segmentMaxBytes: 250 })
  await fill(log, 7, { epoch: 3 })
  await fill(log, 8, { epoch: 5 })
  commitAll(log)
  await log.close()
  const hints = disk.names(DIRECTORY).filter((name) => !name.endsWith('.log'))
  assert.ok(hints.length >= 4)
  const spoil: ((bytes: Buffer) => Buffer | undefined)[] = [
    () => undefined,
    () => Buffer.alloc(0),
    (bytes) => Buffer.alloc(bytes.length),
    (bytes) => bytes.subarray(0, bytes.length - 1),
    (bytes) => bytes.subarray(0, bytes.length >> 1),
    (bytes) => Buffer.concat([bytes, bytes]),
    (bytes) => Buffer.concat([bytes, Buffer.alloc(1000)]),
    (bytes) => Buffer.from(bytes.map((byte) => byte ^ 0x55)),
    (bytes) => Buffer.alloc(bytes.length, 0xff),
    () => Buffer.from('not what you expect, however long it may be, and it is long'),
  ]
  for (const name of [...hints, undefined]) {
    for (const change of spoil) {
      const spoiled = disk.clone()
      for (const each of name === undefined ? hints : [name]) {
        const path = `${DIRECTORY}/${each}`
        const bytes = change(disk.contents(path))
        if (bytes === undefined) await spoiled.remove(path)
        else spoiled.put(path, bytes)
      }
      const again = await openFixture({ segmentMaxBytes: 250 }, spoiled)
      assert.deepEqual(await readWritten(again.log), values(0, 14), `${name}`)
      assert.deepEqual(await readWritten(again.log, 9), values(9, 14))
      assert.deepEqual(again.log.epochs, [
        { epoch: 3, start: 0 },
        { epoch: 5, start: 7 },
      ])
      assert.equal(await again.log.earliestOffsetFrom(1n), 0)
      assert.deepEqual(again.log.quarantined, [])
      await again.log.close()
      const changes = spoiled.changes
      await openFixture({ segmentMaxBytes: 250 }, spoiled)
      assert.equal(spoiled.changes, changes, `a second opening changed something after ${name}`)
    }
  }
})

test('any bytes in any hint file leave the records equal [T3]', async () => {
  const { disk, log } = await openFixture({ segmentMaxBytes: 200 })
  await fill(log, 9)
  await log.close()
  const hints = disk.names(DIRECTORY).filter((name) => !name.endsWith('.log'))
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...hints),
      fc.uint8Array({ maxLength: 120 }),
      fc.boolean(),
      async (name, noise, append) => {
        const spoiled = disk.clone()
        const path = `${DIRECTORY}/${name}`
        const before = disk.contents(path)
        spoiled.put(path, append ? Buffer.concat([before, noise]) : noise)
        const again = await openFixture({ segmentMaxBytes: 200 }, spoiled)
        assert.deepEqual(await readWritten(again.log), values(0, 8))
        assert.deepEqual(again.log.quarantined, [])
      },
    ),
    { numRuns: 300 },
  )
})

test('an index that lies in the middle is found out by the search and rebuilt [LB 7.A14]', async () => {
  const { disk, log } = await openFixture({ segmentMaxBytes: 2000 })
  await fill(log, 60)
  await log.close()
  const path = segmentPath(0, 'index')
  const index = disk.contents(path)
  index.fill(0, 20 * 5, 20 * 15)
  disk.put(path, index)
  const again = await openFixture({ segmentMaxBytes: 2000 }, disk)
  for (let from = 0; from < 60; from++) {
    assert.deepEqual(await readWritten(again.log, from), values(from, 59))
  }
  assert.deepEqual(again.problems, [
    { kind: 'hint-rebuilt', path, reason: 'the index does not match the log' },
  ])
})

test('an index of Go Liftbridge, padded with zeros to 10 MiB, is read and trimmed', async () => {
  const { disk, log } = await openFixture()
  await fill(log, 4)
  await log.close()
  const path = segmentPath(0, 'index')
  const dense = disk.contents(path)
  assert.equal(dense.length, 80)
  const padded = Buffer.alloc(10_485_760)
  dense.copy(padded)
  disk.put(path, padded)
  const again = await openFixture({}, disk)
  assert.deepEqual(await readWritten(again.log, 2), values(2, 3))
  assert.deepEqual(disk.contents(path), dense)
  assert.deepEqual(again.problems, [])
})

test('our index is dense: one entry per record, as Go Liftbridge wants it', async () => {
  const { disk, log } = await openFixture()
  await append(log, ['a', 'bc'], { ns: 1_700_000_000_000_000_000n, epoch: 7 })
  await log.close()
  assert.equal(
    disk.contents(segmentPath(0, 'index')).toString('hex').toUpperCase(),
    '0000000017979CFE362A0000000000000000002D' + '0000000117979CFE362A00000000002D0000002E',
  )
})

test('entries too many in a sealed index are no sign of lost records [T3]', async () => {
  const { disk, log } = await openFixture({ segmentMaxBytes: 250 })
  await fill(log, 30)
  commitAll(log)
  await log.close()
  const path = segmentPath(0, 'index')
  disk.put(path, Buffer.concat([disk.contents(path), Buffer.alloc(333, 7)]))
  const { log: again, problems } = await openFixture({ segmentMaxBytes: 250 }, disk)
  assert.deepEqual(
    problems.map(({ kind }) => kind),
    ['hint-rebuilt'],
  )
  assert.deepEqual(await readWritten(again), values(0, 29))
})

test('the high watermark is never above the log after opening [LB 7.A6]', async () => {
  const disk = new MemoryDisk()
  disk.put(HW, '100')
  const { log, problems } = await openFixture({}, disk)
  assert.equal(log.highWatermark, -1)
  assert.equal(problems[0]?.kind, 'durable-tail-missing')
})

test('an epoch file written by a Go leader, one too low, is put right [G1, LB 7.A2]', async () => {
  const { disk, log } = await openFixture()
  await fill(log, 5, { epoch: 7 })
  await fill(log, 5, { epoch: 12 })
  await log.close()
  for (const text of ['0\n2\n7 -1\n12 4\n', '0\n2\n7 0\n12 5\n', '0\n2\n7 -1\n12 5\n']) {
    disk.put(EPOCHS, text)
    const again = await openFixture({}, disk.clone())
    assert.deepEqual(again.log.epochEndOffset(7), { epoch: 7, endOffset: 5 }, text)
    assert.deepEqual(again.log.epochEndOffset(12), { epoch: 12, endOffset: 10 })
  }
})

test('an epoch file that does not describe the log is made anew from the records [E3]', async () => {
  const { disk, log } = await openFixture({ segmentMaxBytes: 150 })
  await fill(log, 5, { epoch: 7 })
  await fill(log, 5, { epoch: 12 })
  await log.close()
  for (const text of [
    '0\n1\n7 0\n',
    '0\n2\n7 0\n12 8\n',
    '0\n1\n12 0\n',
    '0\n0\n',
    '0\n1\n99 3\n',
  ]) {
    disk.put(EPOCHS, text)
    const again = await openFixture({ segmentMaxBytes: 150 }, disk.clone())
    assert.deepEqual(
      again.log.epochs,
      [
        { epoch: 7, start: 0 },
        { epoch: 12, start: 5 },
      ],
      text,
    )
  }
})

test('an epoch that wrote nothing is remembered across a restart [LB 7.A19]', async () => {
  const { disk, log } = await openFixture()
  await fill(log, 2, { epoch: 3 })
  await log.beginEpoch(9)
  const again = await openFixture({}, disk.clone())
  assert.equal(again.log.leaderEpoch, 9)
  assert.deepEqual(again.log.epochEndOffset(3), { epoch: 3, endOffset: 2 })
})
