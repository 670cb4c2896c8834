import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PublishView } from '@liftbridge/wire'
import { arrivalAt } from './arrival.ts'
import { giveBatch, takeBatch } from './batch-pool.ts'
import type { IngestBatch } from './ingest-batch.ts'

const MAX_RECORD_BYTES = 1_000_000

/** Fills a batch with one record and a correlation id, of the sizes given. */
function fill(batch: IngestBatch, valueBytes: number, idBytes: number): IngestBatch {
  batch.records.addRecord({ value: new Uint8Array(valueBytes) })
  const view = new PublishView()
  view.bytes = new Uint8Array(idBytes)
  view.correlationIdEnd = idBytes
  batch.note(view, arrivalAt('s', ''), { deliver: () => undefined, flush: () => undefined })
  return batch
}

test('a batch comes back empty, and never to two owners', () => {
  const batch = fill(takeBatch(MAX_RECORD_BYTES), 10, 10)
  giveBatch(batch)
  assert.throws(() => giveBatch(batch), /twice/)
  const [first, second] = [takeBatch(MAX_RECORD_BYTES), takeBatch(MAX_RECORD_BYTES)]
  assert.equal(first, batch)
  assert.notEqual(second, batch)
  assert.equal(first.count, 0)
  assert.equal(first.byteLength, 0)
})

test('a batch for records of another size is never handed out', () => {
  giveBatch(takeBatch(MAX_RECORD_BYTES))
  const smaller = takeBatch(100)
  assert.equal(smaller.records.addRecord({ value: new Uint8Array(200) }), 'too-large')
})

test('what a thousand partitions give back after large messages is not kept [B1]', () => {
  const batches = Array.from({ length: 1_000 }, () => {
    return fill(takeBatch(MAX_RECORD_BYTES), 500_000, 100_000)
  })
  for (const batch of batches) giveBatch(batch)
  const huge = fill(takeBatch(MAX_RECORD_BYTES), 10, 8_000_000)
  giveBatch(huge)
  let kept = 0
  for (;;) {
    const batch = takeBatch(MAX_RECORD_BYTES)
    assert.notEqual(batch, huge)
    if (!batches.includes(batch)) break
    kept += batch.footprintBytes
  }
  assert.ok(kept > 0 && kept <= 16 * 1_024 * 1_024, `${kept} bytes kept`)
})
