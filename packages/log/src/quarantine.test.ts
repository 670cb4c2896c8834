import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CommitLog } from './commit-log.ts'
import {
  append,
  commitAll,
  fill,
  openFixture,
  readWritten,
  segmentPath,
  values,
} from './fixture.suite.ts'
import type { MemoryDisk } from './memory-disk.suite.ts'

const SIZE_OF_V0 = 46

function flip(disk: MemoryDisk, at: number): void {
  const bytes = disk.contents(segmentPath(0))
  bytes[at] = (bytes[at] ?? 0) ^ 1
  disk.put(segmentPath(0), bytes)
}

/** A log of ten records, opened anew so that nothing is served from memory, and then damaged. */
async function damagedLog(at: number): Promise<{ log: CommitLog; disk: MemoryDisk }> {
  const { disk, log } = await openFixture()
  await fill(log, 10)
  commitAll(log)
  await log.close()
  const again = await openFixture({}, disk)
  flip(disk, at)
  return { log: again.log, disk }
}

const corrupt = { name: 'CorruptSegmentError', code: 'corrupt' }

test('records appended after the active segment was found damaged are read at once [T2]', async () => {
  const { log, disk } = await damagedLog(SIZE_OF_V0 - 2)
  await assert.rejects(readWritten(log), corrupt)
  assert.equal(log.quarantined.length, 1)
  const evidence = disk.contents(segmentPath(0))
  await fill(log, 3)
  assert.equal(log.segmentCount, 2, 'the damaged segment is sealed before the next append')
  assert.deepEqual(await readWritten(log, 10), values(10, 12))
  assert.deepEqual(disk.contents(segmentPath(0)), evidence)
  await log.sync()
  await log.close()
  const again = await openFixture({}, disk)
  assert.deepEqual(await readWritten(again.log, 10), values(10, 12))
  assert.equal(again.log.nextOffset, 13)
})

test('a reader that waits behind the damage goes on with what is appended next', async () => {
  const { log } = await damagedLog(SIZE_OF_V0 - 2)
  const tail = log.reader({ from: 10, until: 'written' })
  const passed = log.reader({ from: 9, until: 'written' })
  const block = await passed.poll()
  assert.ok(block?.kind === 'block' && block.lastOffset === 9)
  await assert.rejects(readWritten(log), corrupt)
  const waiting = [tail, passed].map((reader) => reader.next())
  await append(log, ['v10'])
  for (const next of await Promise.all(waiting)) {
    assert.ok(next.kind === 'block' && next.firstOffset === 10)
  }
})

test('records of a damaged segment that verify are served, the damaged one never [T2]', async () => {
  const { log } = await damagedLog(SIZE_OF_V0 * 4 - 2)
  await assert.rejects(readWritten(log, 3), corrupt)
  const reader = log.reader({ from: 0, until: 'written' })
  const before = await reader.poll()
  assert.ok(before?.kind === 'block')
  assert.deepEqual([before.firstOffset, before.lastOffset], [0, 2])
  await assert.rejects(reader.poll(), corrupt)
  await assert.rejects(reader.poll(), corrupt, 'a reader stays where it is')
  assert.equal(reader.nextOffset, 3)
  await fill(log, 1)
  assert.deepEqual(await readWritten(log, 4), values(4, 10))
})

test('a damaged active segment that was never read is sealed when its turn comes, not before', async () => {
  const { log } = await damagedLog(SIZE_OF_V0 - 2)
  await fill(log, 5)
  assert.equal(log.segmentCount, 1)
  await assert.rejects(readWritten(log), corrupt)
  await fill(log, 5)
  assert.equal(log.segmentCount, 2)
  await fill(log, 5)
  assert.equal(log.segmentCount, 2)
  assert.deepEqual(await readWritten(log, 1), values(1, 24))
})

test('bytes missing at the end of the active segment are not passed over in silence [T2]', async () => {
  const { log, disk } = await damagedLog(0)
  flip(disk, 0)
  disk.put(segmentPath(0), disk.contents(segmentPath(0)).subarray(0, SIZE_OF_V0 * 8 - 5))
  await assert.rejects(readWritten(log), corrupt)
  await fill(log, 1)
  await assert.rejects(readWritten(log), corrupt)
  await assert.rejects(readWritten(log, 9), corrupt)
  assert.deepEqual(await readWritten(log, 10), values(10, 10))
})
