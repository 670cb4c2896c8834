/**
 * The log against a plain array, under random sequences of everything its owner may do: append,
 * follow, roll, truncate, clean, reopen (cleanly or killed), look up and read from anywhere.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CommitLog } from './commit-log.ts'
import { RecordBatch } from './format/record-batch.ts'
import { recordSize, RecordView } from './format/record.ts'
import { MemoryDisk } from './memory-disk.suite.ts'
import type { CommitLogOptions } from './options.ts'
import { planRetention } from './retention.ts'
import type { LogReader } from './reader.ts'

const RUNS = Number(process.env['LOG_MODEL_RUNS'] ?? 150)
const DIRECTORY = '/d/streams/s/0'
const MS = 1_000_000n

interface Twin {
  readonly offset: number
  readonly key: string | undefined
  readonly value: string
  readonly ns: bigint
  readonly epoch: number
}

/** What the log should hold. */
interface Model {
  records: Twin[]
  next: number
  highWatermark: number
  epoch: number
  lastNs: bigint
}

interface Real {
  disk: MemoryDisk
  log: CommitLog
  readonly options: Omit<CommitLogOptions, 'disk'>
  serial: number
}

type Command = fc.AsyncCommand<Model, Real>

async function readAll(reader: LogReader, maxBytes?: number): Promise<Twin[]> {
  const records: Twin[] = []
  const view = new RecordView()
  for (;;) {
    const block = await reader.poll(maxBytes === undefined ? {} : { maxBytes })
    if (block === undefined || block.kind === 'end') break
    let { start: at } = block
    let count = 0
    for (; at < block.end; at = view.end) {
      assert.ok(view.load(block.bytes, at))
      records.push(twinOf(view, block.bytes))
      count++
    }
    assert.equal(count, block.count)
    assert.equal(records.at(-1)?.offset, block.lastOffset)
  }
  reader.close()
  return records
}

function twinOf(view: RecordView, bytes: Uint8Array): Twin {
  const text = (start: number, end: number): string =>
    Buffer.from(bytes.subarray(start, end)).toString()
  return {
    offset: view.offset,
    key: view.keyStart < 0 ? undefined : text(view.keyStart, view.keyEnd),
    value: text(view.valueStart, view.valueEnd),
    ns: (BigInt(view.timestampHigh) << 32n) | BigInt(view.timestampLow),
    epoch: view.leaderEpoch,
  }
}

class Append implements Command {
  readonly keys: readonly (number | undefined)[]
  readonly ms: number
  constructor(keys: readonly (number | undefined)[], ms: number) {
    this.keys = keys
    this.ms = ms
  }
  check = (): boolean => true
  toString = (): string => `append(${this.keys.length} records, ms ${this.ms})`
  async run(model: Model, real: Real): Promise<void> {
    const batch = new RecordBatch()
    const ns = BigInt(this.ms) * MS
    if (ns > model.lastNs) model.lastNs = ns
    for (const number of this.keys) {
      const value = `v${real.serial++}`.padEnd((real.serial * 7) % 90, '.')
      const key = number === undefined ? undefined : `k${number}`
      const problem = batch.addRecord({
        key: key === undefined ? null : Buffer.from(key),
        value: Buffer.from(value),
      })
      assert.equal(problem, undefined)
      const { next: offset, epoch, lastNs } = model
      model.records.push({ offset, key, value, ns: lastNs, epoch })
      model.next++
    }
    const stamp = { timestampNs: ns, leaderEpoch: model.epoch }
    const base = await real.log.append(batch, stamp)
    assert.equal(base, model.next - this.keys.length)
  }
}

class Elect implements Command {
  check = (): boolean => true
  toString = (): string => 'elect()'
  async run(model: Model, real: Real): Promise<void> {
    model.epoch++
    await real.log.beginEpoch(model.epoch)
  }
}

class Commit implements Command {
  readonly back: number
  constructor(back: number) {
    this.back = back
  }
  check = (): boolean => true
  toString = (): string => `commit(-${this.back})`
  async run(model: Model, real: Real): Promise<void> {
    const target = model.next - 1 - this.back
    model.highWatermark = Math.max(model.highWatermark, Math.min(target, model.next - 1))
    real.log.advanceHighWatermark(target)
    assert.equal(real.log.highWatermark, model.highWatermark)
  }
}

class Truncate implements Command {
  readonly back: number
  constructor(back: number) {
    this.back = back
  }
  check = (): boolean => true
  toString = (): string => `truncate(-${this.back})`
  async run(model: Model, real: Real): Promise<void> {
    // Never below the high watermark: [R6] holds that for the owner.
    const offset = Math.max(model.next - this.back, model.highWatermark + 1)
    await real.log.truncate(offset)
    if (offset >= model.next) return
    model.records = model.records.filter((record) => record.offset < offset)
    model.next = real.log.nextOffset
    assert.equal(model.next, offset)
    model.lastNs = model.records.at(-1)?.ns ?? 0n
  }
}

class Clean implements Command {
  readonly ms: number
  constructor(ms: number) {
    this.ms = ms
  }
  check = (): boolean => true
  toString = (): string => `clean(ms ${this.ms})`
  async run(model: Model, real: Real): Promise<void> {
    const before = await readAll(real.log.reader({ from: 0, until: 'written' }))
    assert.deepEqual(before, model.records)
    await real.log.clean(BigInt(this.ms) * MS)
    const after = await readAll(real.log.reader({ from: 0, until: 'written' }))
    checkSubsequence(before, after)
    const gone = new Set(before.map(({ offset }) => offset))
    for (const { offset } of after) gone.delete(offset)
    const oldest = after[0]?.offset ?? model.next
    for (const record of before) {
      if (!gone.has(record.offset)) continue
      assert.ok(record.offset <= model.highWatermark, 'nothing goes past the high watermark [K2]')
      const later = before.findLast(
        ({ key, offset }) => key === record.key && offset <= model.highWatermark,
      )
      const superseded = record.key !== undefined && (later?.offset ?? -1) > record.offset
      const whole = real.options.retention !== undefined && record.offset < oldest
      assert.ok(superseded || whole, `${record.offset} had to stay [K1]`)
    }
    model.records = after
  }
}

class Reopen implements Command {
  readonly cleanly: boolean
  constructor(cleanly: boolean) {
    this.cleanly = cleanly
  }
  check = (): boolean => true
  toString = (): string => (this.cleanly ? 'close and reopen()' : 'kill and reopen()')
  async run(model: Model, real: Real): Promise<void> {
    if (this.cleanly) await real.log.close()
    real.disk = real.disk.clone()
    real.log = await CommitLog.open({ ...real.options, disk: real.disk })
    if (this.cleanly) {
      assert.equal(real.disk.changes, 0, 'opening changed something')
      assert.equal(real.log.highWatermark, model.highWatermark)
    } else {
      assert.ok(real.log.highWatermark <= model.highWatermark)
      real.log.advanceHighWatermark(model.highWatermark)
    }
    assert.equal(real.log.nextOffset, model.next)
    model.lastNs = model.records.at(-1)?.ns ?? 0n
  }
}

class Checkpoint implements Command {
  readonly sync: boolean
  constructor(sync: boolean) {
    this.sync = sync
  }
  check = (): boolean => true
  toString = (): string => `checkpoint(sync ${this.sync})`
  async run(model: Model, real: Real): Promise<void> {
    if (this.sync) assert.equal(await real.log.sync(), model.next - 1)
    await real.log.checkpoint()
  }
}

class Read implements Command {
  readonly from: number
  readonly maxBytes: number
  readonly cold: boolean
  constructor(from: number, maxBytes: number, cold: boolean) {
    this.from = from
    this.maxBytes = maxBytes
    this.cold = cold
  }
  check = (): boolean => true
  toString = (): string => `read(${this.from}, ${this.maxBytes} bytes, cold ${this.cold})`
  async run(model: Model, real: Real): Promise<void> {
    const { records, highWatermark } = model
    const log = this.cold
      ? await CommitLog.open({ ...real.options, disk: real.disk.clone() })
      : real.log
    log.advanceHighWatermark(highWatermark)
    const from = Math.floor((this.from / 100) * (model.next + 2))
    const written = await readAll(log.reader({ from, until: 'written' }), this.maxBytes)
    assert.deepEqual(
      written,
      records.filter(({ offset }) => offset >= from),
    )
    const committed = await readAll(log.reader({ from, until: 'committed' }), this.maxBytes)
    assert.deepEqual(
      committed,
      records.filter(({ offset }) => offset >= from && offset <= highWatermark),
    )
    await checkReverse(log, model, from)
    await checkTimes(log, model, BigInt(this.from) * MS)
    assert.equal(log.oldestOffset, records[0]?.offset ?? -1)
    assert.equal(log.recordCount, records.length)
    for (let epoch = 0; epoch <= model.epoch + 1; epoch++) {
      const { epoch: found, endOffset } = log.epochEndOffset(epoch)
      assert.ok(found <= epoch)
      const first = records.find((record) => record.epoch > epoch)
      // The next epoch's first record may have been compacted away; its start stays.
      assert.ok(endOffset <= (first?.offset ?? model.next), `end of epoch ${epoch}`)
      const last = records.findLast((record) => record.epoch <= epoch)
      assert.ok(endOffset > (last?.offset ?? -1), `epoch ${epoch} ends too early [G1]`)
    }
  }
}

async function checkReverse(log: CommitLog, model: Model, from: number): Promise<void> {
  const reader = log.reverseReader({ from, until: 'committed' })
  const found: number[] = []
  const view = new RecordView()
  for (;;) {
    const block = await reader.next({ maxBytes: 300 })
    if (block.kind === 'end') break
    assert.equal(block.starts.length, block.count)
    for (const at of block.starts.toReversed()) {
      assert.ok(view.load(block.bytes, at))
      found.push(view.offset)
      assert.ok(recordSize(block.bytes, at) > 0)
    }
  }
  const limit = Math.min(from, model.highWatermark)
  const expected = model.records.map(({ offset }) => offset).filter((offset) => offset <= limit)
  assert.deepEqual(found, expected.toReversed())
}

async function checkTimes(log: CommitLog, model: Model, ns: bigint): Promise<void> {
  for (const at of [ns, ns + 1n, ns - 1n]) {
    const from = model.records.find((record) => record.ns >= at)?.offset ?? model.next
    assert.equal(await log.earliestOffsetFrom(at), from)
    const until = model.records.findLast((record) => record.ns <= at)?.offset
    const answer = log.latestOffsetUntil(at)
    if (until !== undefined) assert.equal(await answer, until)
    else {
      const code = model.records.length === 0 ? 'empty' : 'before-log'
      await assert.rejects(answer, { name: 'LogError', code })
    }
  }
}

function checkSubsequence(before: readonly Twin[], after: readonly Twin[]): void {
  const known = new Map(before.map((record) => [record.offset, record]))
  let last = -1
  for (const record of after) {
    assert.ok(record.offset > last, 'order changed')
    last = record.offset
    assert.deepEqual(record, known.get(record.offset))
  }
}

const keys = fc.array(fc.option(fc.nat(4), { nil: undefined }), { minLength: 1, maxLength: 12 })
const commands = [
  fc.tuple(keys, fc.nat(100)).map(([list, ms]) => new Append(list, ms)),
  fc.tuple(keys, fc.nat(100)).map(([list, ms]) => new Append(list, ms)),
  fc.nat(5).map((back) => new Commit(back)),
  fc.constant(new Elect()),
  fc.nat(20).map((back) => new Truncate(back)),
  fc.nat(200).map((ms) => new Clean(ms)),
  fc.boolean().map((cleanly) => new Reopen(cleanly)),
  fc.boolean().map((sync) => new Checkpoint(sync)),
  fc
    .tuple(fc.nat(100), fc.integer({ min: 1, max: 2000 }), fc.boolean())
    .map(([from, maxBytes, cold]) => new Read(from, maxBytes, cold)),
]

const shapes = fc.record({
  segmentMaxBytes: fc.constantFrom(100, 400, 3000),
  segmentMaxAgeMs: fc.constantFrom(0, 20),
  compact: fc.boolean(),
  retention: fc.constantFrom(
    undefined,
    { maxMessages: 20 },
    { maxBytes: 900 },
    { maxAgeMs: 50 },
    { maxAgeMs: 80, maxBytes: 3000, maxMessages: 60 },
  ),
})

test('under any sequence of operations the log holds what a plain array holds', async () => {
  await fc.assert(
    fc.asyncProperty(
      shapes,
      fc.commands(commands, { maxCommands: 40 }),
      async ({ retention, ...shape }, script) => {
        const disk = new MemoryDisk()
        const options = { directory: DIRECTORY, ...shape, ...(retention && { retention }) }
        const log = await CommitLog.open({ ...options, disk })
        const model = { records: [], next: 0, highWatermark: -1, epoch: 1, lastNs: 0n }
        const setup = (): { model: Model; real: Real } => ({
          model,
          real: { disk, log, options, serial: 0 },
        })
        await fc.asyncModelRun(setup, script)
      },
    ),
    { numRuns: RUNS },
  )
})

test('retention removes what the vectors of Go Liftbridge say, oldest first', () => {
  const none = { maxAgeMs: 0, maxMessages: 0, maxBytes: 0 }
  const now = { timestampNs: 200n * MS, highWatermark: 1000 }
  const segments = (count: number, each: { size: number; count: number; stepMs: number }) =>
    Array.from({ length: count }, (_, i) => ({
      size: each.size,
      count: each.count,
      lastOffset: (i + 1) * each.count - 1,
      lastTimestampNs: BigInt(i * each.stepMs) * MS,
    }))
  const five = segments(5, { size: 48, count: 1, stepMs: 0 })
  assert.equal(planRetention(five, none, now), 0)
  assert.equal(planRetention(five, { ...none, maxBytes: 100 }, now), 3)
  const twenty = segments(20, { size: 48, count: 1, stepMs: 10 })
  assert.equal(planRetention(twenty, { ...none, maxMessages: 10 }, now), 10)
  assert.equal(planRetention(twenty, { ...none, maxAgeMs: 100 }, now), 10)
  const full = segments(2, { size: 480, count: 10, stepMs: 0 })
  assert.equal(planRetention(full, { ...none, maxMessages: 5 }, now), 1)
  const single = segments(1, { size: 480, count: 10, stepMs: 0 })
  assert.equal(planRetention(single, { maxAgeMs: 1, maxMessages: 1, maxBytes: 1 }, now), 0)
  const early = { ...now, highWatermark: 4 }
  assert.equal(planRetention(twenty, { ...none, maxMessages: 1 }, early), 5, 'past the HW [K2]')
})
