import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { append, commitAll, DIRECTORY, fill, openFixture } from './fixture.suite.ts'
import { readWritten, segmentPath, values } from './fixture.suite.ts'
import { RecordBatch } from './format/record-batch.ts'

/** Records as a leader's log holds them, from this offset on. */
function records(
  first: number,
  list: readonly { readonly epoch: number; readonly value?: string }[],
): Buffer {
  const batch = new RecordBatch()
  const parts = list.map(({ epoch, value = 'x' }, i) => {
    batch.clear()
    batch.addRecord({ value: Buffer.from(value) })
    batch.stamp(first + i, { high: 0, low: first + i }, epoch)
    return Buffer.from(batch.bytes.slice(0, batch.byteLength))
  })
  return Buffer.concat(parts)
}

test('a follower stores what the leader sent byte by byte, and learns its epochs [R1, E3]', async () => {
  const { disk, log } = await openFixture()
  const sent = records(0, [{ epoch: 2 }, { epoch: 2 }, { epoch: 5 }])
  assert.equal(await log.appendRaw(sent, { leaderEpoch: 6 }), 3)
  assert.deepEqual(disk.contents(segmentPath(0)), sent)
  assert.deepEqual(log.epochs, [
    { epoch: 2, start: 0 },
    { epoch: 5, start: 2 },
  ])
  log.setReadonly(true)
  await log.appendRaw(records(3, [{ epoch: 5 }]), { leaderEpoch: 6 })
  assert.equal(log.newestOffset, 3)
})

test('leader and follower give the same end of every epoch [G1, reliability 0.1]', async () => {
  const leader = await openFixture()
  const follower = await openFixture()
  await leader.log.beginEpoch(1)
  await fill(leader.log, 3, { epoch: 1 })
  await leader.log.beginEpoch(4)
  await fill(leader.log, 2, { epoch: 4 })
  await follower.log.appendRaw(leader.disk.contents(segmentPath(0)), { leaderEpoch: 4 })
  for (let epoch = 0; epoch < 6; epoch++) {
    assert.deepEqual(follower.log.epochEndOffset(epoch), leader.log.epochEndOffset(epoch))
  }
  assert.deepEqual(leader.log.epochEndOffset(1), { epoch: 1, endOffset: 3 })
})

test('an epoch that begins in an empty log is told from none [LB 7.A2]', async () => {
  const { log } = await openFixture()
  await log.beginEpoch(7)
  assert.deepEqual(log.epochs, [{ epoch: 7, start: 0 }])
  assert.deepEqual(log.epochEndOffset(3), { epoch: -1, endOffset: 0 })
  assert.deepEqual(log.epochEndOffset(7), { epoch: 7, endOffset: 0 })
})

test('a follower refuses gaps, repeats, torn or damaged records and wrong epochs, whole [R9, G8]', async () => {
  const { disk, log } = await openFixture()
  await log.appendRaw(records(0, [{ epoch: 3 }, { epoch: 3 }]), { leaderEpoch: 3 })
  const before = disk.contents(segmentPath(0))
  const good = records(2, [{ epoch: 3 }, { epoch: 4 }])
  const damaged = Buffer.from(good)
  damaged[good.length - 1] = (damaged[good.length - 1] ?? 0) ^ 1
  const refused: readonly [string, Buffer, number][] = [
    ['a gap', records(3, [{ epoch: 3 }]), 4],
    ['a repeat', records(1, [{ epoch: 3 }]), 4],
    ['a gap inside', Buffer.concat([records(2, [{ epoch: 3 }]), records(4, [{ epoch: 3 }])]), 4],
    ['a record cut off', good.subarray(0, good.length - 1), 4],
    ['a frame cut off', good.subarray(0, 20), 4],
    ['a checksum', damaged, 4],
    ['an older epoch', records(2, [{ epoch: 2 }]), 4],
    ['an epoch that falls', records(2, [{ epoch: 4 }, { epoch: 3 }]), 4],
    ["an epoch above the leader's", good, 3],
  ]
  for (const [what, bytes, leaderEpoch] of refused) {
    await assert.rejects(log.appendRaw(bytes, { leaderEpoch }), { code: 'rejected' }, what)
    assert.deepEqual(disk.contents(segmentPath(0)), before, what)
    assert.deepEqual(log.epochs, [{ epoch: 3, start: 0 }])
  }
  assert.equal(await log.appendRaw(good, { leaderEpoch: 4 }), 2)
})

test('a follower of a compacted log may take gaps, never a step back', async () => {
  const { disk, log } = await openFixture()
  const gappy = Buffer.concat([records(2, [{ epoch: 1 }]), records(7, [{ epoch: 1 }])])
  await log.appendRaw(gappy, { leaderEpoch: 1, gaps: true })
  assert.equal(log.nextOffset, 8)
  const back = Buffer.concat([records(9, [{ epoch: 1 }]), records(8, [{ epoch: 1 }])])
  await assert.rejects(log.appendRaw(back, { leaderEpoch: 1, gaps: true }), { code: 'rejected' })
  const again = await openFixture({}, disk.clone())
  assert.deepEqual(await readWritten(again.log), ['2=x', '7=x'])
})

test('no bytes from a peer do worse than a refusal [B2, G5]', async () => {
  const good = records(0, [{ epoch: 1, value: 'abc' }, { epoch: 1 }])
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 80 }),
      fc.nat(good.length - 1),
      fc.nat(255),
      async (noise, at, byte) => {
        const { log } = await openFixture()
        const changed = Buffer.from(good)
        changed[at] = byte
        for (const bytes of [Buffer.from(noise), changed]) {
          await log.appendRaw(bytes, { leaderEpoch: 1 }).catch((error: unknown) => {
            assert.equal((error as { code: string }).code, 'rejected')
          })
        }
      },
    ),
    { numRuns: 200 },
  )
})

test('truncation cuts files and epochs, and what follows is as if the rest had never been', async () => {
  for (const segmentMaxBytes of [50, 200, 10_000]) {
    const { disk, log } = await openFixture({ segmentMaxBytes })
    await fill(log, 5, { epoch: 1 })
    await fill(log, 5, { epoch: 2 })
    await fill(log, 5, { epoch: 3 })
    assert.deepEqual(
      [0, 1, 2, 3].map((epoch) => log.epochEndOffset(epoch).endOffset),
      [0, 5, 10, 15],
    )
    await log.truncate(7)
    assert.equal(log.newestOffset, 6)
    assert.deepEqual(
      log.epochs.map(({ epoch }) => epoch),
      [1, 2],
    )
    await fill(log, 3, { epoch: 2 })
    assert.deepEqual(await readWritten(log), values(0, 9))
    const again = await openFixture({ segmentMaxBytes }, disk.clone())
    assert.deepEqual(await readWritten(again.log), values(0, 9))
    assert.deepEqual(again.problems, [])
    await log.truncate(0)
    assert.equal(log.nextOffset, 0)
    assert.equal(log.segmentCount, 1)
    await log.truncate(3)
    await fill(log, 1, { epoch: 9 })
    assert.deepEqual(await readWritten(log), values(0, 0))
  }
})

test('a truncation at the end forgets an epoch without records that begins there [KAFKA-20961]', async () => {
  const { disk, log } = await openFixture()
  await fill(log, 3, { epoch: 7 })
  await log.beginEpoch(9)
  await log.truncate(3)
  assert.deepEqual([log.newestOffset, log.leaderEpoch], [2, 7])
  // What the next leader has may be of an epoch in between.
  await fill(log, 1, { epoch: 8 })
  const again = await openFixture({}, disk.clone())
  assert.deepEqual(
    again.log.epochs.map(({ epoch }) => epoch),
    [7, 8],
  )
})

test('a segment that becomes active again after a truncation takes records and wakes readers [LB 7.B6]', async () => {
  const { log } = await openFixture({ segmentMaxBytes: 100 })
  await fill(log, 9)
  await log.truncate(5)
  const reader = log.reader({ from: 5, until: 'written' })
  const reading = reader.next()
  await fill(log, 1)
  const block = await reading
  assert.equal(block.kind === 'block' && block.firstOffset, 5)
  await fill(log, 10)
  assert.deepEqual(await readWritten(log), values(0, 15))
})

test('truncation below the high watermark lowers it, in memory and in its file [LB 7.A6]', async () => {
  const { disk, log } = await openFixture()
  await fill(log, 10)
  commitAll(log)
  await log.sync()
  await log.checkpoint()
  await log.truncate(4)
  assert.equal(log.highWatermark, 3)
  assert.equal(log.syncedOffset, 3)
  const path = `${DIRECTORY}/replication-offset-checkpoint`
  assert.equal(disk.contents(path).toString(), '3')
  const again = await openFixture({}, disk.clone())
  assert.deepEqual(again.problems, [])
})

test('a sync that a truncation overtakes does not vouch for the records that came after [D7]', async () => {
  const { disk, log } = await openFixture()
  await fill(log, 5)
  let release = (): void => {}
  disk.syncGate = new Promise((resolve) => {
    release = resolve
  })
  const syncing = log.sync()
  const cutting = log.truncate(2)
  const appending = cutting.then(() => append(log, ['new']))
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(log.syncedOffset, -1)
  release()
  await Promise.all([cutting, appending])
  assert.equal(log.newestOffset, 2)
  assert.ok((await syncing) <= 2, 'not the 4 that was asked for')
  assert.ok(log.syncedOffset <= 2)
})

test('cleaning and truncating wait for each other, appends do not [LB 7.B4]', async () => {
  const { log } = await openFixture({ segmentMaxBytes: 100, compact: true })
  for (let i = 0; i < 30; i++) await append(log, [`v${i}`], { key: `k${i % 3}` })
  log.advanceHighWatermark(20)
  const cleaning = log.clean(1n)
  const cutting = log.truncate(25)
  await cleaning
  await cutting
  const offsets = (await readWritten(log)).map((text) => Number.parseInt(text, 10))
  assert.deepEqual(
    offsets,
    offsets.toSorted((a, b) => a - b),
  )
  assert.deepEqual(
    offsets.filter((offset) => offset > 20),
    [21, 22, 23, 24],
  )
  assert.equal(log.nextOffset, 25)
})

test('compaction keeps the newest record per key up to the high watermark [K1]', async () => {
  const keys = ['foo', 'bar', 'foo', 'foo', 'bar', 'baz', 'baz', 'qux', 'foo', 'baz']
  const survivors = async (highWatermark: number): Promise<number[]> => {
    const { log } = await openFixture({ segmentMaxBytes: 40, compact: true })
    for (const [i, key] of keys.entries()) await append(log, [`v${i}`], { key })
    await log.sync()
    log.advanceHighWatermark(highWatermark)
    await log.clean(1n)
    return (await readWritten(log)).map((text) => Number.parseInt(text, 10))
  }
  assert.deepEqual(await survivors(9), [4, 7, 8, 9])
  assert.deepEqual(await survivors(5), [3, 4, 5, 6, 7, 8, 9])
  const { log } = await openFixture({ segmentMaxBytes: 40, compact: true })
  await fill(log, 10)
  commitAll(log)
  assert.equal((await log.clean(1n)).recordsCompacted, 0, 'records without a key stay')
})

test('compaction does not forget epochs whose records all went [LB 7.A19]', async () => {
  const { disk, log } = await openFixture({ segmentMaxBytes: 40, compact: true })
  for (let epoch = 1; epoch <= 5; epoch++) await append(log, ['v'], { key: 'k', epoch })
  await log.beginEpoch(8)
  commitAll(log)
  await log.clean(1n)
  assert.equal(log.leaderEpoch, 8)
  assert.deepEqual(log.epochEndOffset(6), { epoch: 5, endOffset: 5 })
  const again = await openFixture({ segmentMaxBytes: 40, compact: true }, disk.clone())
  assert.equal(again.log.leaderEpoch, 8)
})

test('compaction with little memory removes less and never more [K1]', async () => {
  const { log } = await openFixture({ segmentMaxBytes: 40, compact: true, compactMaxKeyBytes: 100 })
  for (let i = 0; i < 40; i++) await append(log, [`v${i}`], { key: `k${i % 10}` })
  commitAll(log)
  const { recordsCompacted } = await log.clean(1n)
  assert.ok(recordsCompacted > 0 && recordsCompacted < 30)
  const keptKeys = new Set((await readWritten(log)).map((text) => Number.parseInt(text, 10) % 10))
  assert.equal(keptKeys.size, 10)
})

test('retention never takes what is not committed [K2, LB 7.A11]', async () => {
  const { log } = await openFixture({ segmentMaxBytes: 40, retention: { maxMessages: 1 } })
  await fill(log, 10)
  log.advanceHighWatermark(4)
  assert.equal((await log.clean(1n)).segmentsRemoved, 5)
  assert.deepEqual(await readWritten(log), values(5, 9))
})
