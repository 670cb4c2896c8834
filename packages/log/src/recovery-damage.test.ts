/** Opening and reading when durable records are damaged or gone. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  append,
  commitAll,
  DIRECTORY,
  drain,
  fill,
  openFixture,
  readWritten,
  segmentPath,
  values,
} from './fixture.suite.ts'

const HW = `${DIRECTORY}/replication-offset-checkpoint`

test('a bit flip below the durable mark quarantines the segment instead of cutting it [T2]', async () => {
  const { disk, log } = await openFixture({ segmentMaxBytes: 10_000 })
  await fill(log, 20)
  commitAll(log)
  await log.close()
  const bytes = disk.contents(segmentPath(0))
  const intact = Buffer.from(bytes)
  const at = bytes.length - 3
  bytes[at] = (bytes[at] ?? 0) ^ 1
  disk.put(segmentPath(0), bytes)
  const again = await openFixture({ segmentMaxBytes: 10_000 }, disk)
  assert.equal(again.log.nextOffset, 20, 'offsets that were durable are not given away again [O2]')
  assert.equal(again.log.quarantined.length, 1)
  assert.equal(again.log.quarantined[0]?.offset, 19)
  await assert.rejects(readWritten(again.log), { name: 'CorruptSegmentError', code: 'corrupt' })
  await fill(again.log, 1)
  assert.deepEqual(await readWritten(again.log, 20), values(20, 20))
  assert.deepEqual(disk.contents(segmentPath(0)), bytes, 'the evidence stays as it is')
  // A replica repairs itself by cutting at the damage and fetching the rest again.
  await again.log.truncate(19)
  assert.deepEqual(again.log.quarantined, [])
  assert.deepEqual(await readWritten(again.log), values(0, 18))
  await fill(again.log, 1)
  assert.deepEqual(disk.contents(segmentPath(0)), intact)
})

test('a flipped size field below the durable mark is damage, not a torn tail [T2]', async () => {
  const { disk, log } = await openFixture({ segmentMaxBytes: 10_000 })
  await fill(log, 20)
  commitAll(log)
  await log.close()
  const bytes = disk.contents(segmentPath(0))
  const frame = disk.contents(segmentPath(0, 'index')).readUInt32BE(20 * 18 + 12)
  bytes[frame + 24] = 1
  disk.put(segmentPath(0), bytes)
  await disk.remove(HW)
  disk.put(HW, '18')
  const again = await openFixture({}, disk)
  assert.equal(again.log.quarantined.length, 1)
  assert.equal(again.log.nextOffset, 20)
})

test('a durable tail that is gone is reported, and the rest served [T2, R8]', async () => {
  const { disk, log } = await openFixture()
  await fill(log, 10)
  commitAll(log)
  await log.close()
  const bytes = disk.contents(segmentPath(0))
  disk.put(segmentPath(0), bytes.subarray(0, bytes.length - 60))
  const { log: again, problems } = await openFixture({}, disk)
  assert.equal(again.highWatermark, again.newestOffset, 'never above the log [R3, LB 7.A6]')
  assert.deepEqual(
    problems.filter(({ kind }) => kind === 'durable-tail-missing'),
    [{ kind: 'durable-tail-missing', lostFrom: again.nextOffset, mark: 9 }],
  )
  assert.deepEqual(await drain(again.reader({ from: 0, until: 'committed' })), values(0, 7))
})

test('a segment whose file is gone is reported, unless compaction may have removed it [T2]', async () => {
  const { disk, log } = await openFixture({ segmentMaxBytes: 250 })
  await fill(log, 30)
  commitAll(log)
  await log.close()
  const names = disk.names(DIRECTORY).filter((name) => name.endsWith('.log'))
  const [first, lost, next] = names.map((name) => Number(name.slice(-24, -4)))
  assert.ok(first === 0 && lost !== undefined && next !== undefined)
  await disk.remove(segmentPath(lost))
  const { log: again, problems } = await openFixture({ segmentMaxBytes: 250 }, disk.clone())
  assert.deepEqual(problems, [{ kind: 'durable-tail-missing', lostFrom: lost, mark: next - 1 }])
  assert.equal(again.nextOffset, 30)
  const compacted = await openFixture({ segmentMaxBytes: 250, compact: true }, disk)
  assert.deepEqual(compacted.problems, [])
})

test('readers do not pass over a segment whose file is gone, in neither direction [T2]', async () => {
  const { disk, log } = await openFixture({ segmentMaxBytes: 250 })
  await fill(log, 30)
  commitAll(log)
  await log.close()
  const names = disk.names(DIRECTORY).filter((name) => name.endsWith('.log'))
  const [, lost = 0, next = 0] = names.map((name) => Number(name.slice(-24, -4)))
  await disk.remove(segmentPath(lost))
  const { log: again } = await openFixture({ segmentMaxBytes: 250 }, disk)
  const missing = { code: 'corrupt', message: /are missing/ }
  const reader = again.reader({ from: 0, until: 'committed' })
  assert.equal((await reader.poll())?.kind, 'block')
  assert.equal(reader.nextOffset, lost)
  await assert.rejects(reader.poll(), missing)
  await assert.rejects(reader.poll(), missing, 'a reader stays where it is')
  await assert.rejects(again.reader({ from: next - 1, until: 'committed' }).poll(), missing)
  assert.deepEqual(await readWritten(again, next), values(next, 29), 'behind it all is there')
  const down = again.reverseReader({ from: 29, until: 'committed' })
  const downwards = async (): Promise<void> => {
    while ((await down.next()).kind === 'block');
  }
  await assert.rejects(downwards(), missing)
  await append(again, ['v30'])
  again.setRetention({ maxMessages: 5 })
  await again.clean(2n)
  const from = again.oldestOffset
  assert.ok(from > next)
  assert.deepEqual(await readWritten(again, 0), values(from, 30), 'retention removed the gap too')
})

test('damage in a sealed segment is found on reading, named, and the process lives [G7, LB 7.A16]', async () => {
  const { disk, log } = await openFixture({ segmentMaxBytes: 250 })
  await fill(log, 20)
  commitAll(log)
  await log.close()
  const bytes = disk.contents(segmentPath(0))
  bytes[80] = (bytes[80] ?? 0) ^ 4
  disk.put(segmentPath(0), bytes)
  const again = await openFixture({ segmentMaxBytes: 250 }, disk)
  const reader = again.log.reader({ from: 0, until: 'committed' })
  const damage = { path: segmentPath(0), baseOffset: 0, position: 46, offset: 1 }
  assert.equal((await reader.next()).kind, 'block', 'what comes before verifies')
  await assert.rejects(reader.next(), (error: unknown) => {
    assert.ok(error instanceof Error && 'damage' in error)
    assert.deepEqual(error.damage, { ...damage, reason: 'bad-checksum' })
    return true
  })
  await assert.rejects(reader.next(), { code: 'corrupt' })
  await assert.rejects(again.log.reverseReader({ from: 2, until: 'committed' }).next(), {
    code: 'corrupt',
  })
  assert.equal(again.problems.length, 1, 'reported once')
  const behind = again.log.reader({ from: 10, until: 'committed' })
  assert.deepEqual(await drain(behind), values(10, 19))
  await fill(again.log, 1)
})
