import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommitLog } from './commit-log.ts'
import { RecordBatch } from './format/record-batch.ts'
import { RecordView } from './format/record.ts'
import { MemoryDisk } from './memory-disk.suite.ts'
import type { LogReader } from './reader.ts'

const DIRECTORY = '/data/streams/foo/0'

async function appendValues(log: CommitLog, values: readonly string[], ns = 1n): Promise<number> {
  const batch = new RecordBatch()
  for (const value of values) batch.addRecord({ value: Buffer.from(value) })
  return log.append(batch, { timestampNs: ns, leaderEpoch: 1 })
}

/** `offset=value` of every record that is there now. */
async function drain(reader: LogReader): Promise<string[]> {
  const records: string[] = []
  const view = new RecordView()
  for (;;) {
    const block = await reader.poll()
    if (block === undefined || block.kind === 'end') return records
    for (let at = block.start; at < block.end; at = view.end) {
      assert.ok(view.load(block.bytes, at))
      const value = Buffer.from(block.bytes.subarray(view.valueStart, view.valueEnd))
      records.push(`${view.offset}=${value.toString()}`)
    }
  }
}

for (const segmentMaxBytes of [6, 60, 600, 6000]) {
  test(`a log with segments of ${segmentMaxBytes} bytes reopens with identical records`, async () => {
    const disk = new MemoryDisk()
    const options = { disk, directory: DIRECTORY, segmentMaxBytes }
    const log = await CommitLog.open(options)
    assert.equal(log.oldestOffset, -1)
    assert.equal(log.newestOffset, -1)
    assert.equal(log.highWatermark, -1)
    const expected: string[] = []
    for (let i = 0; i < 40; i++) {
      assert.equal(await appendValues(log, [`a${i}`, `b${i}`]), i * 2)
      expected.push(`${i * 2}=a${i}`, `${i * 2 + 1}=b${i}`)
    }
    assert.deepEqual(await drain(log.reader({ from: 0, until: 'written' })), expected)
    log.advanceHighWatermark(20)
    const committed = await drain(log.reader({ from: 0, until: 'committed' }))
    assert.deepEqual(committed, expected.slice(0, 21))

    const again = await CommitLog.open({ ...options, disk: disk.clone() })
    assert.equal(again.newestOffset, 79)
    assert.deepEqual(await drain(again.reader({ from: 0, until: 'written' })), expected)
    const tail = await drain(again.reader({ from: 33, until: 'written' }))
    assert.deepEqual(tail, expected.slice(33))
  })
}
