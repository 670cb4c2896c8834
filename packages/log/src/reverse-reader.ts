/**
 * Reading backward, from an offset down to the oldest record. Every call looks its place up anew,
 * by offset, so gaps that compaction left cannot lead it astray [LB 7.D4], and a segment that
 * leaves the log meanwhile is no matter [K4].
 */
import { CorruptSegmentError } from './errors.ts'
import { INDEX_ENTRY_SIZE, readIndexEntry } from './format/index-entry.ts'
import { recordSize } from './format/record.ts'
import { Scan } from './format/scan.ts'
import type { LogCore } from './log-core.ts'
import type { LogBlock, LogEnd, LogEndReason } from './record-block.ts'
import type { Segment } from './segment.ts'
import { findRecord, rebuildIndex, type RecordPlace } from './segment-search.ts'
import { BLOCK_BYTES, readBlock } from './segment-walk.ts'
import { NO_OFFSET, type Offset, type Position } from './units.ts'

/** A block whose records are to be taken from the last to the first. */
export interface ReverseBlock extends LogBlock {
  /** Where each record starts in `bytes`, ascending. */
  readonly starts: Uint32Array
}

export interface ReverseReaderOptions {
  /** The first record to deliver, or the next lower one; the newest readable one by default. */
  readonly from?: Offset
  readonly until: 'committed' | 'written'
}

const MAX_ENTRIES = 4096

export class ReverseReader {
  readonly #core: LogCore
  #next: Offset
  #end: LogEnd | undefined

  constructor(core: LogCore, options: ReverseReaderOptions) {
    this.#core = core
    const limit = options.until === 'committed' ? core.highWatermark : core.newestOffset
    const { from = limit } = options
    this.#next = from < 0 ? limit : Math.min(from, limit)
  }

  /**
   * The records before those of the last call, in a block of its own memory; `start` after the
   * oldest. Never waits for new records. Throws like `LogReader.poll`.
   */
  async next(options: { readonly maxBytes?: number } = {}): Promise<ReverseBlock | LogEnd> {
    const maxBytes = Math.max(1, options.maxBytes ?? BLOCK_BYTES)
    for (;;) {
      if (this.#end !== undefined) return this.#end
      const { state } = this.#core
      if (state !== 'open') return this.#finish(state)
      const segment = this.#segment()
      if (segment === undefined) return this.#finish('start')
      const after = this.#core.segmentAfter(segment)
      const missing = after && this.#core.missingBefore(after, this.#next)
      const damage = segment.damage ?? (this.#next > segment.lastOffset ? missing : undefined)
      if (damage !== undefined) throw new CorruptSegmentError(damage)
      const block = await this.#read(segment, maxBytes)
      if (block !== undefined) return block
    }
  }

  close(): void {
    this.#finish('closed')
  }

  /** The last segment with a record at or before `#next`. */
  #segment(): Segment | undefined {
    if (this.#next < 0) return undefined
    return this.#core.segments.findLast(
      (segment) => segment.firstOffset !== NO_OFFSET && segment.firstOffset <= this.#next,
    )
  }

  #finish(reason: LogEndReason): LogEnd {
    this.#end ??= { kind: 'end', reason }
    return this.#end
  }

  /** A block that ends with the record looked for; undefined when the log changed meanwhile. */
  async #read(segment: Segment, maxBytes: number): Promise<ReverseBlock | undefined> {
    const { version } = segment.index
    try {
      const found = await findRecord(this.#core, segment, {
        kind: 'offset',
        offset: this.#next + 1,
      })
      if (found.before === undefined) {
        // Compaction took the records at and below the offset that this segment had.
        this.#next = Math.min(this.#next, segment.firstOffset - 1)
        return undefined
      }
      const first = await firstPosition(segment, found.before, maxBytes)
      const block = first === undefined ? undefined : await load(segment, first, found.before)
      if (block === undefined) {
        await this.#core.lane.run(() => rebuildIndex(this.#core, segment, version))
        return undefined
      }
      this.#next = block.firstOffset - 1
      return block
    } catch (error) {
      if (segment.live) throw error
      return undefined
    }
  }
}

/** Where to begin so that the block stays within `maxBytes` and ends with `last`. */
async function firstPosition(
  segment: Segment,
  last: RecordPlace,
  maxBytes: number,
): Promise<Position | undefined> {
  const count = Math.min(last.number + 1, MAX_ENTRIES)
  const entries = await segment.index.entries(last.number + 1 - count, count)
  if (entries.length !== count * INDEX_ENTRY_SIZE) return undefined
  const end = last.position + last.size
  let position = last.position
  for (let i = count - 2; i >= 0; i--) {
    const entry = readIndexEntry(entries, i * INDEX_ENTRY_SIZE)
    if (entry.position + entry.size !== position) return undefined
    if (end - entry.position > maxBytes) break
    position = entry.position
  }
  return position
}

/** Verified records from `position` to the end of `last`; undefined when they do not chain up. */
async function load(
  segment: Segment,
  position: Position,
  last: RecordPlace,
): Promise<ReverseBlock | undefined> {
  const bytes = new Uint8Array(last.position + last.size - position)
  const read = await readBlock(segment.file, bytes, { position, length: bytes.length })
  if (read !== bytes.length) return undefined
  const scan = new Scan()
  scan.run(new DataView(bytes.buffer), {
    start: 0,
    end: bytes.length,
    minOffset: segment.baseOffset,
    limit: last.offset,
    maxBytes: bytes.length,
    verify: true,
  })
  if (scan.end !== bytes.length || scan.lastOffset !== last.offset) return undefined
  const starts = new Uint32Array(scan.count)
  for (let i = 0, at = 0; i < scan.count; i++, at += recordSize(bytes, at)) starts[i] = at
  const { firstOffset, lastOffset, count } = scan
  return {
    kind: 'block',
    bytes,
    start: 0,
    end: bytes.length,
    firstOffset,
    lastOffset,
    count,
    starts,
  }
}
