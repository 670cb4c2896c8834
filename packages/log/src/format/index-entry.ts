/**
 * Index file: 20-byte entries, dense, one per record, in offset order. All integers big-endian.
 *
 *     +0  4  offset relative to the segment's base    int32
 *     +4  8  timestamp, nanoseconds                   int64
 *     +12 4  position of the frame in the log file    int32
 *     +16 4  size of frame and body                   int32
 *
 * A file written by Go Liftbridge may be longer than its entries and end in zeros (it is mapped
 * in steps of 10 MiB); an entry whose position, timestamp and size are all zero is none.
 */
import { type Position, timestampFromWords, type TimestampNs } from '../units.ts'
import { readUint32 } from './record.ts'

export const INDEX_ENTRY_SIZE = 20

/** One decoded entry; for look-ups, not for loops over records. */
export interface IndexEntry {
  readonly relativeOffset: number
  readonly timestampNs: TimestampNs
  readonly position: Position
  readonly size: number
}

export function readIndexEntry(bytes: Uint8Array, at: number): IndexEntry {
  return {
    relativeOffset: readUint32(bytes, at),
    timestampNs: timestampFromWords(readUint32(bytes, at + 4), readUint32(bytes, at + 8)),
    position: readUint32(bytes, at + 12),
    size: readUint32(bytes, at + 16),
  }
}

/** True for an entry of a file's zero padding. */
export function isPadding(entry: IndexEntry): boolean {
  return entry.position === 0 && entry.size === 0 && entry.timestampNs === 0n
}
