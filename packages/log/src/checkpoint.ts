/**
 * The high watermark's file: the decimal number, nothing else, no newline [LB 2.4]. It never names
 * an offset that was not synced [reliability R3], which lets the opener take it as a mark: damage
 * below it hit durable records and must not be cut away [T2].
 */
import { NO_OFFSET, type Offset } from './units.ts'

/** Its presence says that compaction has removed records of the log; it is empty. */
export const COMPACTED_FILE = 'compacted'
export const HIGH_WATERMARK_FILE = 'replication-offset-checkpoint'
export const EPOCH_FILE = 'leader-epoch-checkpoint'
/** More digits than any offset has. */
export const MAX_HIGH_WATERMARK_FILE_BYTES = 64

export function encodeHighWatermark(offset: Offset): Uint8Array {
  return Buffer.from(String(offset), 'latin1')
}

/** The offset in the file; undefined when it holds anything else, and then it is only missing. */
export function decodeHighWatermark(bytes: Uint8Array): Offset | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
  if (!/^(-1|\d{1,16})$/.test(text)) return undefined
  const offset = Number(text)
  return Number.isSafeInteger(offset) && offset >= NO_OFFSET ? offset : undefined
}
