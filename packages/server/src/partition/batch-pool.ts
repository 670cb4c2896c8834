/**
 * Batches that are not in use, kept for all partitions together. A partition holds one only while
 * it has messages to write: after a burst of large messages ten thousand partitions would otherwise
 * keep ten thousand times the memory of the largest [reliability B1].
 */
import { IngestBatch } from './ingest-batch.ts'

/** Enough for some ten busy partitions; what is given back beyond it goes to the collector. */
const SPARE_MAX_BYTES = 16 * 1_024 * 1_024

/** A larger one held something rare, such as correlation ids of a megabyte. */
const BATCH_MAX_BYTES = 4 * 1_024 * 1_024

const spare: IngestBatch[] = []
let spareBytes = 0
/** What the spare batches were made for; practically the same for all partitions. */
let spareRecordBytes = -1

/** An empty batch, for one owner. */
export function takeBatch(maxRecordBytes: number): IngestBatch {
  const batch = maxRecordBytes === spareRecordBytes ? spare.pop() : undefined
  if (batch === undefined) return new IngestBatch(maxRecordBytes)
  spareBytes -= batch.footprintBytes
  return batch
}

/** Gives a batch back; nobody may use it any more. */
export function giveBatch(batch: IngestBatch): void {
  batch.clear()
  const { footprintBytes: bytes, maxRecordBytes } = batch
  if (maxRecordBytes !== spareRecordBytes) {
    spare.length = 0
    spareBytes = 0
    spareRecordBytes = maxRecordBytes
  }
  if (bytes > BATCH_MAX_BYTES || spareBytes + bytes > SPARE_MAX_BYTES) return
  // Given twice it would belong to two partitions.
  if (spare.includes(batch)) throw new Error('a batch was given back twice')
  spare.push(batch)
  spareBytes += bytes
}
