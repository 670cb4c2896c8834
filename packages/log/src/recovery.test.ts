/** Opening after a kill: the tail that is kept, the files that are not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  DIRECTORY,
  fill,
  killedLog,
  openFixture,
  readWritten,
  segmentPath,
  values,
} from './fixture.suite.ts'

/** Where each record ends in the log file of `killedLog`. */
async function recordEnds(count: number): Promise<number[]> {
  const { disk, log } = await openFixture()
  const ends: number[] = []
  for (let i = 0; i < count; i++) {
    await fill(log, 1)
    ends.push(disk.contents(segmentPath(0)).length)
  }
  return ends
}

test('a log cut at any byte opens with the longest prefix of whole records [T1]', async () => {
  const disk = await killedLog(5)
  const ends = await recordEnds(5)
  const whole = disk.contents(segmentPath(0))
  for (let cut = 0; cut <= whole.length; cut++) {
    const torn = disk.clone()
    torn.put(segmentPath(0), whole.subarray(0, cut))
    const survivors = ends.filter((end) => end <= cut).length
    const { log, problems } = await openFixture({}, torn)
    assert.deepEqual(await readWritten(log), values(0, survivors - 1), `cut at ${cut}`)
    assert.equal(log.nextOffset, survivors)
    const torn0 = cut > 0 && !ends.includes(cut)
    assert.equal(
      problems.some(({ kind }) => kind === 'tail-cut'),
      torn0,
    )
    await fill(log, 2)
    assert.deepEqual(await readWritten(log), values(0, survivors + 1))
  }
})

test('a flipped bit in an unsynced tail cuts the log before that record [T1]', async () => {
  const disk = await killedLog(5)
  const ends = await recordEnds(5)
  const whole = disk.contents(segmentPath(0))
  for (let bit = 0; bit < whole.length * 8; bit += 3) {
    const at = bit >> 3
    const number = ends.findIndex((end) => end > at)
    const start = ends[number - 1] ?? 0
    // Timestamp and epoch are not covered by any checksum of the format.
    if (at - start >= 8 && at - start < 24) continue
    const flipped = Buffer.from(whole)
    flipped[at] = (flipped[at] ?? 0) ^ (1 << (bit & 7))
    const damaged = disk.clone()
    damaged.put(segmentPath(0), flipped)
    const { log } = await openFixture({}, damaged)
    const read = await readWritten(log)
    // A flip in the offset may leave a gap that a compacted log could have, never a wrong value.
    if (at - start < 8 && read.length > number) continue
    assert.deepEqual(read, values(0, number - 1), `bit ${bit}`)
  }
})

test('garbage or zeros behind the last record are cut off', async () => {
  const disk = await killedLog(3)
  const whole = disk.contents(segmentPath(0))
  for (const junk of [Buffer.alloc(5), Buffer.alloc(5000), Buffer.from('x'.repeat(100))]) {
    const torn = disk.clone()
    torn.put(segmentPath(0), Buffer.concat([whole, junk]))
    const { log, problems } = await openFixture({}, torn)
    assert.deepEqual(await readWritten(log), values(0, 2))
    assert.deepEqual(problems, [{ kind: 'tail-cut', path: segmentPath(0), bytes: junk.length }])
  }
})

test('leftovers of interrupted work are removed, other files are left alone [K3, LB 7.A18]', async () => {
  const { disk, log } = await openFixture()
  await fill(log, 3)
  await log.close()
  const good = disk.names(DIRECTORY)
  const stray = [
    '00000000000000000000.log.cleaned',
    '00000000000000000000.index.cleaned',
    '00000000000000000000.log.truncated',
    '00000000000000000000.index.truncated',
    '00000000000000000077.index',
    'leader-epoch-checkpoint123456789',
    'replication-offset-checkpoint987',
    'leader-epoch-checkpoint.tmp',
    'replication-offset-checkpoint.tmp',
  ]
  const foreign = ['notes.txt', '5.log', '00000000000000000000.log.bak']
  for (const name of [...stray, ...foreign]) disk.put(`${DIRECTORY}/${name}`, 'junk')
  const again = await openFixture({}, disk)
  assert.deepEqual(disk.names(DIRECTORY), [...good, ...foreign].sort())
  assert.deepEqual(await readWritten(again.log), values(0, 2))
})
