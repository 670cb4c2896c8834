/**
 * Everything the commit log reads that may be wrong: records of a peer or a damaged disk, and the
 * hint files beside them. Whole logs are opened on such files too, on a disk in memory.
 */
import assert from 'node:assert/strict'
import {
  decodeHighWatermark,
  encodeHighWatermark,
  EPOCH_FILE,
  HIGH_WATERMARK_FILE,
} from '../packages/log/src/checkpoint.ts'
import { CommitLog } from '../packages/log/src/commit-log.ts'
import { LogError } from '../packages/log/src/errors.ts'
import { DIRECTORY, segmentPath } from '../packages/log/src/fixture.suite.ts'
import {
  INDEX_ENTRY_SIZE,
  isPadding,
  readIndexEntry,
} from '../packages/log/src/format/index-entry.ts'
import { RecordBatch } from '../packages/log/src/format/record-batch.ts'
import { RecordView } from '../packages/log/src/format/record.ts'
import { Scan } from '../packages/log/src/format/scan.ts'
import { decodeEpochs, encodeEpochs, LeaderEpochs } from '../packages/log/src/leader-epochs.ts'
import { MemoryDisk } from '../packages/log/src/memory-disk.suite.ts'
import type { FuzzTarget } from './target.ts'

const RECORDS = seedRecords()
const INDEX = seedIndex()
const EPOCHS = Buffer.from('0\n2\n1 0\n7 2\n')

function seedRecords(): Buffer {
  const batch = new RecordBatch()
  batch.addRecord({ key: Buffer.from('k1'), value: Buffer.from('hello') })
  batch.addRecord({ headers: [['subject', Buffer.from('foo')]] })
  batch.addRecord({ key: Buffer.alloc(0), value: Buffer.alloc(0) })
  batch.stamp(0, { high: 1, low: 2 }, 1)
  return Buffer.from(batch.bytes.slice(0, batch.byteLength))
}

function seedIndex(): Buffer {
  const index = Buffer.alloc(3 * INDEX_ENTRY_SIZE)
  const view = new DataView(RECORDS.buffer, RECORDS.byteOffset, RECORDS.length)
  for (let i = 0, at = 0; at < RECORDS.length; i++) {
    const size = 28 + view.getUint32(at + 24)
    index.writeUInt32BE(i, i * INDEX_ENTRY_SIZE)
    RECORDS.copy(index, i * INDEX_ENTRY_SIZE + 4, at + 8, at + 16)
    index.writeUInt32BE(at, i * INDEX_ENTRY_SIZE + 12)
    index.writeUInt32BE(size, i * INDEX_ENTRY_SIZE + 16)
    at += size
  }
  return index
}

const scan = new Scan()
const view = new RecordView()
const batch = new RecordBatch()

/** Whatever a scan accepts lies within the bytes, ascends, and can be viewed. */
function scanRecords(bytes: Uint8Array, verify: boolean): void {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const limit = Number.MAX_SAFE_INTEGER
  scan.run(data, { start: 0, end: bytes.length, minOffset: 0, limit, maxBytes: 1 << 20, verify })
  assert.ok(scan.end <= bytes.length)
  assert.ok(scan.stop !== 'end' || scan.end === bytes.length)
  assert.equal(scan.count === 0, scan.lastOffset === -1)
  let count = 0
  let last = -1
  for (let at = 0; at < scan.end; at = view.end) {
    view.load(bytes, at)
    assert.ok(view.offset > last && view.end > at && view.end <= scan.end)
    last = view.offset
    count++
  }
  assert.equal(count, scan.count)
}

/** Whatever a view accepts lies within the record, in order. */
function viewRecord(bytes: Uint8Array): void {
  if (!view.load(bytes, 0)) return
  const { keyStart, keyEnd, valueStart, valueEnd, headersStart, headersEnd, end } = view
  assert.ok(end <= bytes.length && headersEnd === end && headersStart <= end)
  if (keyStart >= 0) assert.ok(keyStart <= keyEnd && keyEnd <= headersStart)
  if (valueStart >= 0) assert.ok(valueStart <= valueEnd && valueEnd <= headersStart)
  batch.clear()
  const { headerCount } = view
  const source = { keyStart, keyEnd, valueStart, valueEnd, headersStart, headersEnd, headerCount }
  const problem = batch.add({ bytes, headers: bytes, ...source })
  assert.equal(problem, undefined)
  // The attributes byte is not the log's; everything else is encoded back as it was.
  const body = Buffer.from(bytes.slice(34, end))
  assert.deepEqual(Buffer.from(batch.bytes.slice(34, batch.byteLength)), body)
}

function indexEntries(bytes: Uint8Array): void {
  for (let at = 0; at + INDEX_ENTRY_SIZE <= bytes.length; at += INDEX_ENTRY_SIZE) {
    const entry = readIndexEntry(bytes, at)
    assert.ok(entry.position >= 0 && entry.size >= 0 && entry.relativeOffset >= 0)
    if (isPadding(entry)) assert.equal(entry.size, 0)
  }
}

function epochFile(bytes: Uint8Array): void {
  const entries = decodeEpochs(bytes)
  if (entries === undefined) return
  assert.deepEqual(decodeEpochs(Buffer.from(encodeEpochs(entries))), entries)
  const epochs = new LeaderEpochs(entries)
  for (const { epoch } of entries) assert.equal(epochs.endOf(epoch, 1000).epoch, epoch)
  epochs.truncate(5)
  epochs.advanceStart(3)
}

function highWatermarkFile(bytes: Uint8Array): void {
  const offset = decodeHighWatermark(bytes)
  if (offset !== undefined) assert.equal(decodeHighWatermark(encodeHighWatermark(offset)), offset)
}

/** Opens a log over the given files, reads it whole, opens it again and finds the same. */
async function openOver(files: Readonly<Record<string, Uint8Array>>): Promise<void> {
  const disk = new MemoryDisk()
  disk.put(segmentPath(0), RECORDS)
  disk.put(segmentPath(0, 'index'), INDEX)
  for (const [path, bytes] of Object.entries(files)) disk.put(path, bytes)
  const first = await readWhole(disk)
  assert.deepEqual(await readWhole(disk), first)
}

async function readWhole(disk: MemoryDisk): Promise<string> {
  const log = await CommitLog.open({ disk, directory: DIRECTORY })
  const reader = log.reader({ from: 0, until: 'written' })
  const parts: string[] = [`next ${log.nextOffset}`, JSON.stringify(log.epochs)]
  try {
    for (;;) {
      const block = await reader.poll({ maxBytes: 64 })
      if (block === undefined || block.kind === 'end') break
      parts.push(Buffer.from(block.bytes.subarray(block.start, block.end)).toString('hex'))
    }
  } catch (error) {
    if (!(error instanceof LogError && error.code === 'corrupt')) throw error
    parts.push('corrupt')
  }
  await log.close()
  return parts.join('\n')
}

async function verbatim(bytes: Uint8Array): Promise<void> {
  const disk = new MemoryDisk()
  const log = await CommitLog.open({ disk, directory: DIRECTORY })
  try {
    await log.appendRaw(bytes, { leaderEpoch: 9 })
    assert.equal(disk.contents(segmentPath(0)).length, bytes.length)
  } catch (error) {
    if (!(error instanceof LogError && error.code === 'rejected')) throw error
    assert.equal(disk.contents(segmentPath(0)).length, 0)
  }
}

/** Opening a log costs some 200 times a parse. */
const SLOW = 0.01

export const targets: readonly FuzzTarget[] = [
  {
    name: 'log: scan of records, lengths only',
    run: (bytes) => scanRecords(bytes, false),
    seeds: [RECORDS],
  },
  { name: 'log: scan of records', run: (bytes) => scanRecords(bytes, true), seeds: [RECORDS] },
  { name: 'log: one record', run: viewRecord, seeds: [RECORDS, RECORDS.subarray(51)] },
  { name: 'log: index entries', run: indexEntries, seeds: [INDEX] },
  { name: 'log: epoch file', run: epochFile, seeds: [EPOCHS, Buffer.from('0\n0\n')] },
  { name: 'log: high watermark file', run: highWatermarkFile, seeds: [Buffer.from('41')] },
  {
    name: 'log: open over a log file',
    run: (bytes) => openOver({ [segmentPath(0)]: bytes }),
    seeds: [RECORDS],
    share: SLOW,
  },
  {
    name: 'log: open over an index file',
    run: (bytes) => openOver({ [segmentPath(0, 'index')]: bytes }),
    seeds: [INDEX],
    share: SLOW,
  },
  {
    name: 'log: open over an epoch file',
    run: (bytes) => openOver({ [`${DIRECTORY}/${EPOCH_FILE}`]: bytes }),
    seeds: [EPOCHS],
    share: SLOW,
  },
  {
    name: 'log: open over a high watermark file',
    run: (bytes) => openOver({ [`${DIRECTORY}/${HIGH_WATERMARK_FILE}`]: bytes }),
    seeds: [Buffer.from('2')],
    share: SLOW,
  },
  { name: 'log: records from a leader', run: verbatim, seeds: [RECORDS], share: SLOW },
]
