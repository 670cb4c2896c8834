/** Walks the records of a log file in blocks; recovery, index rebuilds and compaction share it. */
import type { CachedFile } from './file-cache.ts'
import { readAll } from './file-io.ts'
import { FRAME_SIZE } from './format/record.ts'
import { Scan, type ScanStop } from './format/scan.ts'
import type { Offset, Position } from './units.ts'

/** Large enough that the cost of a read is that of its bytes. */
export const BLOCK_BYTES: number = 256 * 1024

export interface WalkOptions {
  readonly from: Position
  /** The walk never looks beyond; the file may grow meanwhile. */
  readonly end: Position
  readonly minOffset: Offset
  readonly limit?: Offset
  /** The records are known to follow each other without a gap, beginning at `minOffset`. */
  readonly dense?: boolean
  /** Epochs must not fall from record to record. */
  readonly epochsAscend?: boolean
  readonly verify: boolean
}

/** Accepted records `bytes[start..end)`, which stand at `position` in the file. */
export interface WalkedBlock {
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly start: number
  readonly end: number
  readonly position: Position
  readonly scan: Scan
}

export interface WalkEnd {
  /** After the last accepted record. */
  readonly position: Position
  readonly count: number
  /** Of the last accepted record, -1 when there was none. */
  readonly lastOffset: Offset
  readonly stop: ScanStop
  /** Size that the frame at `position` claims, -1 when there is no sane frame. */
  readonly nextSize: number
}

/**
 * Calls `visit` for block after block of verified records until something stops the walk. The
 * block's buffer is reused: what must last has to be copied.
 */
export async function walkRecords(
  file: CachedFile,
  options: WalkOptions,
  visit: (block: WalkedBlock) => void | Promise<void>,
): Promise<WalkEnd> {
  const { end, limit = Number.MAX_SAFE_INTEGER, verify, dense = false } = options
  const scan = new Scan()
  let minEpoch = options.epochsAscend === true ? 0 : undefined
  let buffer = new Uint8Array(Math.max(0, Math.min(BLOCK_BYTES, end - options.from)))
  let position = options.from
  let minOffset = options.minOffset
  let count = 0
  let lastOffset = -1
  for (;;) {
    const wanted = Math.min(buffer.length, end - position)
    const read = await readBlock(file, buffer, { position, length: wanted })
    const view = new DataView(buffer.buffer, buffer.byteOffset, read)
    const part = { start: 0, end: read, maxBytes: read }
    scan.run(view, { ...part, minOffset, limit, dense, minEpoch, verify })
    if (minEpoch !== undefined) minEpoch = scan.lastEpoch
    if (scan.count > 0) {
      await visit({ bytes: buffer, view, start: 0, end: scan.end, position, scan })
      count += scan.count
      lastOffset = scan.lastOffset
      minOffset = lastOffset + 1
      position += scan.end
    }
    const { stop, nextSize } = scan
    const needed = Math.max(FRAME_SIZE, nextSize)
    const more = read === wanted && (stop === 'end' ? position < end : position + needed <= end)
    if (!more || (stop !== 'short' && stop !== 'end')) {
      return { position, count, lastOffset, stop, nextSize }
    }
    if (needed > buffer.length) buffer = new Uint8Array(needed)
  }
}

/** Reads from a cached file; the number of bytes got. */
export async function readBlock(
  file: CachedFile,
  into: Uint8Array,
  range: { readonly position: Position; readonly length: number },
): Promise<number> {
  if (range.length <= 0) return 0
  const handle = await file.borrow()
  try {
    return await readAll(handle, { bytes: into, start: 0, length: range.length }, range.position)
  } finally {
    file.giveBack()
  }
}
