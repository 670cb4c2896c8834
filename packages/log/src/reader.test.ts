import assert from 'node:assert/strict'
import { test } from 'node:test'
import { append, commitAll, drain, drainReverse, fill, openFixture } from './fixture.suite.ts'
import { readWritten, texts, values } from './fixture.suite.ts'
import { RecordBatch } from './format/record-batch.ts'
import type { LogBlock, LogEnd } from './record-block.ts'
import { TailCache } from './tail-cache.ts'

const MS = 1_000_000n

function textsOf(read: LogBlock | LogEnd): string[] | string {
  return read.kind === 'block' ? texts(read) : read.reason
}

/** Lets everything that is ready run. */
async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

test('a committed reader shows nothing beyond the high watermark, and wakes when it moves [O4]', async () => {
  const { log } = await openFixture()
  await fill(log, 5)
  const reader = log.reader({ from: 0, until: 'committed' })
  assert.equal(await reader.poll(), undefined)
  let read: LogBlock | LogEnd | undefined
  const reading = reader.next().then((block) => {
    read = block
  })
  await turn()
  assert.equal(read, undefined)
  log.advanceHighWatermark(2)
  await reading
  assert.deepEqual(read && textsOf(read), values(0, 2))
  log.advanceHighWatermark(1)
  assert.equal(log.highWatermark, 2, 'the high watermark never goes back')
  log.advanceHighWatermark(99)
  assert.equal(log.highWatermark, 4, 'and never beyond the newest record [R3]')
  assert.deepEqual(textsOf(await reader.next()), values(3, 4))
})

test('a start between the high watermark and the end is kept: nothing comes twice after a failover [O4]', async () => {
  const { log } = await openFixture()
  await fill(log, 5)
  log.advanceHighWatermark(1)
  const reader = log.reader({ from: 4, until: 'committed' })
  const reading = reader.next()
  log.advanceHighWatermark(3)
  commitAll(log)
  assert.deepEqual(textsOf(await reading), values(4, 4))
})

test('a start beyond the end waits, then begins right after it [LB 7.D7]', async () => {
  const { log } = await openFixture()
  await fill(log, 5)
  commitAll(log)
  const reader = log.reader({ from: 100, until: 'committed' })
  const reading = reader.next()
  await fill(log, 1)
  commitAll(log)
  assert.deepEqual(textsOf(await reading), values(5, 5))
})

test('a start below the oldest record begins at the oldest [K4]', async () => {
  const { log } = await openFixture({ segmentMaxBytes: 100, retention: { maxMessages: 4 } })
  await fill(log, 20)
  commitAll(log)
  await log.clean(1n)
  assert.ok(log.oldestOffset > 0)
  const read = await drain(log.reader({ from: 0, until: 'committed' }))
  assert.deepEqual(read, values(log.oldestOffset, 19))
})

test('readers go on at the next live record when retention takes their segment [K4, LB 7.D6]', async () => {
  for (const cached of [true, false]) {
    const tails = new TailCache({ maxBytes: cached ? 1 << 20 : 0 })
    const retention = { maxMessages: 4 }
    const { log } = await openFixture({ segmentMaxBytes: 100, retention, tails })
    await fill(log, 20)
    commitAll(log)
    const reader = log.reader({ from: 0, until: 'committed' })
    const first = await reader.next({ maxBytes: 1 })
    assert.deepEqual(textsOf(first), values(0, 0))
    await log.clean(1n)
    assert.deepEqual(await drain(reader), values(log.oldestOffset, 19))
  }
})

test('readers go on while compaction rewrites their segment, at its every step [K4, LB 7.D6]', async () => {
  const tails = new TailCache({ maxBytes: 0 })
  const { disk, log } = await openFixture({ segmentMaxBytes: 300, compact: true, tails })
  for (let i = 0; i < 40; i++) await append(log, [`v${i}`], { key: `k${i % 7}` })
  commitAll(log)
  const expected = new Map(
    (await readWritten(log)).map((text) => [Number.parseInt(text, 10), text]),
  )
  const readers = Array.from({ length: 40 }, (_, from) => ({
    reader: log.reader({ from, until: 'committed' }),
    from,
    seen: [] as string[],
  }))
  for (const each of readers) {
    const block = await each.reader.next({ maxBytes: 1 })
    if (block.kind === 'block') each.seen.push(...texts(block))
  }
  const problems: unknown[] = []
  let steps = 0
  disk.fault = (operation) => {
    // Between any two operations of the compaction, some reader takes a step.
    const each = readers[steps++ % readers.length]
    if (operation !== 'read' && each !== undefined) {
      void each.reader.poll({ maxBytes: 1 }).then(
        (block) => block?.kind === 'block' && each.seen.push(...texts(block)),
        (error: unknown) => problems.push(error),
      )
    }
    return undefined
  }
  const report = await log.clean(1n)
  disk.fault = () => undefined
  await turn()
  assert.deepEqual(problems, [])
  assert.ok(report.recordsCompacted > 20)
  const live = await readWritten(log)
  for (const { reader, from, seen } of readers) {
    for (;;) {
      const block = await reader.poll()
      if (block === undefined || block.kind === 'end') break
      seen.push(...texts(block))
    }
    const offsets = seen.map((text) => Number.parseInt(text, 10))
    assert.deepEqual(
      offsets,
      offsets.toSorted((a, b) => a - b),
    )
    assert.equal(new Set(offsets).size, offsets.length)
    for (const text of seen) assert.equal(text, expected.get(Number.parseInt(text, 10)))
    const missed = live.filter((text) => Number.parseInt(text, 10) >= from && !seen.includes(text))
    assert.deepEqual(missed, [], `reader from ${from} missed live records`)
  }
})

test('a waiting reader at the tail is woken across a roll', async () => {
  const { log } = await openFixture({ segmentMaxBytes: 50 })
  const reader = log.reader({ from: 0, until: 'written' })
  for (let i = 0; i < 6; i++) {
    const reading = reader.next()
    await fill(log, 1)
    assert.deepEqual(textsOf(await reading), values(i, i))
  }
})

test('the tail is served from memory, without a read of the disk', async () => {
  const { disk, log } = await openFixture({ segmentMaxBytes: 200 })
  await fill(log, 50)
  commitAll(log)
  disk.fault = (operation) => {
    assert.notEqual(operation, 'read')
    return undefined
  }
  const reader = log.reader({ from: 30, until: 'committed' })
  const read: string[] = []
  for (let block = reader.tryNext(); block !== undefined; block = reader.tryNext()) {
    read.push(...texts(block))
    if (reader.nextOffset > log.highWatermark) break
    await reader.poll({ maxBytes: 1 }).then((next) => {
      if (next?.kind === 'block') read.push(...texts(next))
    })
  }
  assert.deepEqual(read, values(30, 49))
})

test('memory for tails stays within its bound, over all logs', async () => {
  const tails = new TailCache({ maxBytes: 64 * 1024 })
  for (let i = 0; i < 20; i++) {
    const { log } = await openFixture({ tails })
    await append(log, ['x'.repeat(3000), 'y'.repeat(3000)])
    await append(log, ['z'.repeat(3000)])
    assert.ok(tails.byteLength <= tails.maxBytes)
    assert.equal((await readWritten(log)).length, 3)
  }
})

test('a record larger than a block is read whole, from memory and from disk', async () => {
  const { disk, log } = await openFixture()
  const large = 'L'.repeat(700_000)
  await append(log, ['a'])
  await append(log, [large])
  await append(log, ['b'])
  const expected = ['0=a', `1=${large}`, '2=b']
  assert.deepEqual(await readWritten(log), expected)
  const { log: again } = await openFixture({}, disk.clone())
  assert.deepEqual(await readWritten(again), expected)
  const small = again.reader({ from: 0, until: 'written' })
  assert.deepEqual(textsOf(await small.next({ maxBytes: 10 })), ['0=a'])
  assert.deepEqual(textsOf(await small.next({ maxBytes: 10 })), [`1=${large}`])
})

test('blocks keep to maxBytes, and hold whole records', async () => {
  const { log } = await openFixture()
  await append(log, ['a', 'b', 'c', 'd', 'e'])
  const reader = log.reader({ from: 0, until: 'written' })
  const block = await reader.next({ maxBytes: 100 })
  assert.ok(block.kind === 'block')
  assert.equal(block.end - block.start, 90)
  assert.deepEqual([block.firstOffset, block.lastOffset, block.count], [0, 1, 2])
})

test('a readonly log ends its readers when all is read and committed, and not before [LB 3.4]', async () => {
  const { log } = await openFixture()
  await fill(log, 3)
  log.advanceHighWatermark(1)
  log.setReadonly(true)
  await assert.rejects(append(log, ['x']), { code: 'readonly', message: 'end of readonly log' })
  const reader = log.reader({ from: 0, until: 'committed' })
  assert.deepEqual(textsOf(await reader.next()), values(0, 1))
  const reading = reader.next()
  log.advanceHighWatermark(2)
  assert.deepEqual(textsOf(await reading), values(2, 2))
  assert.equal(textsOf(await reader.next()), 'readonly')
  const waiting = log.reader({ from: 3, until: 'written' })
  assert.equal(textsOf(await waiting.next()), 'readonly')
  log.setReadonly(false)
  await fill(log, 1)
  assert.equal(textsOf(await reader.next()), 'readonly', 'an ended reader stays ended')
})

test('closing, deleting, aborting and truncating end readers with their reason', async () => {
  const { log } = await openFixture()
  await fill(log, 5)
  const passed = log.reader({ from: 4, until: 'written' })
  assert.deepEqual(textsOf(await passed.next()), values(4, 4))
  const before = log.reader({ from: 1, until: 'written' })
  assert.deepEqual(textsOf(await before.next({ maxBytes: 1 })), values(1, 1))
  const waiting = passed.next()
  await log.truncate(3)
  assert.equal(textsOf(await waiting), 'truncated')
  assert.deepEqual(textsOf(await before.next()), values(2, 2))
  await append(log, ['other'])
  assert.deepEqual(textsOf(await before.next()), ['3=other'])

  const abort = new AbortController()
  const aborted = log.reader({ from: 9, until: 'committed' }).next({ signal: abort.signal })
  abort.abort()
  assert.equal(textsOf(await aborted), 'aborted')
  const closed = log.reader({ from: 9, until: 'committed' }).next()
  await log.close()
  assert.equal(textsOf(await closed), 'closed')
  await assert.rejects(append(log, ['x']), { code: 'closed' })

  const other = await openFixture()
  const deleted = other.log.reader({ from: 0, until: 'committed' }).next()
  await other.log.delete()
  assert.equal(textsOf(await deleted), 'deleted')
})

test('a reverse reader delivers every record below its start, compacted or not [LB 7.D4]', async () => {
  const { disk, log } = await openFixture({ segmentMaxBytes: 200, compact: true })
  for (let i = 0; i < 30; i++) await append(log, [`v${i}`], { key: `k${i % 4}` })
  commitAll(log)
  await log.clean(1n)
  const live = (await readWritten(log)).map((text) => Number.parseInt(text, 10))
  assert.ok(live.length < 20)
  for (const each of [log, (await openFixture({}, disk.clone())).log]) {
    each.advanceHighWatermark(29)
    for (let from = 0; from < 32; from++) {
      const reader = each.reverseReader({ from, until: 'committed' })
      const [offsets, end] = await drainReverse(reader)
      assert.deepEqual(offsets, live.filter((offset) => offset <= from).toReversed())
      assert.equal(end.reason, 'start', 'a typed end, no "EOF" [LB 7.D5]')
    }
  }
})

test('a reverse reader of an uncommitted log is at its end at once', async () => {
  const { log } = await openFixture()
  await fill(log, 3)
  assert.deepEqual((await drainReverse(log.reverseReader({ until: 'committed' })))[0], [])
  assert.deepEqual((await drainReverse(log.reverseReader({ until: 'written' })))[0], [2, 1, 0])
})

test('time look-ups answer where segments meet and where the active one is empty [LB 7.D1-2]', async () => {
  const options = { segmentMaxBytes: 40, segmentMaxAgeMs: 1000 }
  const { log } = await openFixture(options)
  for (let i = 0; i < 10; i++) await append(log, [`v${i}`], { ns: BigInt(i * 10) * MS })
  assert.equal(await log.earliestOffsetFrom(25n * MS), 3)
  assert.equal(await log.earliestOffsetFrom(85n * MS), 9, 'the gap before the last segment')
  assert.equal(await log.earliestOffsetFrom(0n), 0)
  assert.equal(await log.earliestOffsetFrom(91n * MS), 10)
  assert.equal(await log.latestOffsetUntil(85n * MS), 8)
  assert.deepEqual((await log.clean(5000n * MS)).rolled, true)
  assert.equal(log.recordCount, 10)
  for (let i = 0; i < 10; i++) {
    assert.equal(await log.earliestOffsetFrom(BigInt(i * 10) * MS), i)
    assert.equal(await log.latestOffsetUntil(BigInt(i * 10) * MS), i)
  }
  assert.equal(await log.earliestOffsetFrom(4000n * MS), 10)
  assert.equal(await log.latestOffsetUntil(4000n * MS), 9)
  await assert.rejects(log.latestOffsetUntil(-1n), {
    code: 'before-log',
    message: 'timestamp is before the beginning of the log',
  })
})

test('of equal times the first is the start and the last is the stop [LB 7.D3]', async () => {
  const { log } = await openFixture({ segmentMaxBytes: 100 })
  for (const ms of [1n, 5n, 5n, 5n, 9n]) await append(log, ['a', 'b'], { ns: ms * MS })
  assert.equal(await log.earliestOffsetFrom(5n * MS), 2)
  assert.equal(await log.latestOffsetUntil(5n * MS), 7)
})

test('times never run backwards, whatever the clock does, across a restart too [O6, G23]', async () => {
  const { disk, log } = await openFixture()
  await append(log, ['a'], { ns: 100n })
  await append(log, ['b'], { ns: 50n })
  const again = await openFixture({}, disk.clone())
  await append(again.log, ['c'], { ns: 70n })
  assert.equal(await again.log.earliestOffsetFrom(101n), 3)
  assert.equal(await again.log.earliestOffsetFrom(100n), 0)
  assert.equal(await again.log.latestOffsetUntil(100n), 2)
})

test('one batch is one write, and one sync serves all who ask meanwhile', async () => {
  const { disk, log } = await openFixture()
  const batch = new RecordBatch()
  for (let i = 0; i < 100; i++) batch.addRecord({ value: Buffer.from(`v${i}`) })
  const counts = new Map<string, number>()
  disk.fault = (operation) => {
    counts.set(operation, (counts.get(operation) ?? 0) + 1)
    return undefined
  }
  await log.append(batch, { timestampNs: 1n, leaderEpoch: 0 })
  assert.equal(counts.get('write'), 1)
  assert.equal(log.syncedOffset, -1)
  const first = log.sync()
  await append(log, ['later'], { epoch: 0 })
  const rest = Array.from({ length: 50 }, () => log.sync())
  assert.ok((await first) >= 99)
  assert.deepEqual(new Set(await Promise.all(rest)), new Set([100]))
  assert.equal(counts.get('sync'), 2)
  assert.equal(log.syncedOffset, 100)
})
