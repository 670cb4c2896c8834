import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { append, commitAll, DIRECTORY, drain, fill, openFixture } from './fixture.suite.ts'
import { readWritten, segmentPath, values } from './fixture.suite.ts'
import { MemoryDisk } from './memory-disk.suite.ts'

const HW = `${DIRECTORY}/replication-offset-checkpoint`
const EPOCHS = `${DIRECTORY}/leader-epoch-checkpoint`

/** A disk with a log of `count` records that was killed; nothing of it is marked as durable. */
async function killedLog(count: number): Promise<MemoryDisk> {
  const { disk, log } = await openFixture()
  await fill(log, count)
  return disk.clone()
}

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

test('the high watermark is never above the log after opening [LB 7.A6]', async () => {
  const disk = new MemoryDisk()
  disk.put(HW, '100')
  const { log, problems } = await openFixture({}, disk)
  assert.equal(log.highWatermark, -1)
  assert.equal(problems[0]?.kind, 'durable-tail-missing')
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
