/**
 * Reading forward. A reader keeps its place as a segment and a position, so that going on costs no
 * search; when its segment leaves the log (retention, compaction, truncation) it looks its next
 * offset up again and continues at the next record that is still there [reliability K4].
 *
 *     next offset <= limit, bytes in the tail   -> a range of the tail, no copy, no wait
 *     next offset <= limit, otherwise           -> one read of 256 KiB, every record verified
 *     next offset >  limit                      -> wait for the limit, or for the end of the log
 */
import { CorruptSegmentError } from './errors.ts'
import { FRAME_SIZE } from './format/record.ts'
import { isDamage, Scan, type ScanOptions } from './format/scan.ts'
import type { LogChange, LogCore, LogListener } from './log-core.ts'
import type { LogBlock, LogEnd, LogEndReason } from './record-block.ts'
import type { Segment } from './segment.ts'
import { findRecord } from './segment-search.ts'
import { BLOCK_BYTES, readBlock } from './segment-walk.ts'
import type { TailChunk } from './tail-cache.ts'
import type { Offset, Position } from './units.ts'

/** Bounds of one read, whatever the caller's `maxBytes`. */
const MIN_READ_BYTES = 16 * 1024
const MAX_READ_BYTES = 4 * 1024 * 1024

export interface ReaderOptions {
  /**
   * Where to start. Before the oldest record: at the oldest. Beyond the limit: right after it, as
   * in Go Liftbridge [LB 7.D7].
   */
  readonly from: Offset
  /** Up to the high watermark, or up to the newest record for replication. */
  readonly until: 'committed' | 'written'
}

export interface ReadOptions {
  /** Upper bound of the block's bytes, but always one whole record. Default 256 KiB. */
  readonly maxBytes?: number
  /** Ends the reader when it fires while waiting. */
  readonly signal?: AbortSignal
}

/** Reads committed or written records in order, in blocks. Made by `CommitLog.reader`. */
export class LogReader implements LogListener {
  readonly #core: LogCore
  readonly #until: 'committed' | 'written'
  readonly #scan = new Scan()
  #next: Offset
  /** Where `#next` is, when that is known. */
  #segment: Segment | undefined
  #position: Position = 0
  #end: LogEnd | undefined
  #buffer: Uint8Array<ArrayBuffer> | undefined
  /** Size of a record that did not fit the block, for the next try. */
  #largeRecord = 0
  /** Where the block returned last lies, when that is the tail. */
  #held: TailChunk | undefined
  #wake: (() => void) | undefined

  constructor(core: LogCore, options: ReaderOptions) {
    this.#core = core
    this.#until = options.until
    // Whoever resumes at a new leader, whose high watermark may lag, gets nothing twice.
    this.#next = Math.min(Math.max(0, options.from), core.newestOffset + 1)
    core.listeners.add(this)
  }

  /** The offset of the next record, if it is still there when it is read. */
  get nextOffset(): Offset {
    return this.#next
  }

  /** Records that are in memory now, without waiting; undefined when there are none. */
  tryNext(options: ReadOptions = {}): LogBlock | undefined {
    if (this.#end !== undefined || this.#core.state !== 'open') return undefined
    if (this.#next > this.#limit) return undefined
    this.#release()
    return this.#fromTail(options.maxBytes ?? BLOCK_BYTES)
  }

  /** The next records, waiting until there are some. One call at a time. */
  async next(options: ReadOptions = {}): Promise<LogBlock | LogEnd> {
    for (;;) {
      const block = await this.poll(options)
      if (block !== undefined) return block
      await this.#wait(options.signal)
    }
  }

  /**
   * The next records that are there now, from memory or disk; undefined when there are none.
   * Throws `CorruptSegmentError` when the next record does not verify, or cannot be told for sure
   * in a damaged segment, and `DiskError` when reading fails; the reader stays where it is, and
   * one that starts behind the damage can go on.
   */
  async poll(options: ReadOptions = {}): Promise<LogBlock | LogEnd | undefined> {
    const maxBytes = Math.max(1, options.maxBytes ?? BLOCK_BYTES)
    this.#release()
    for (;;) {
      const end = this.#checkEnd(options.signal)
      if (end !== undefined) return end
      if (this.#next > this.#limit) return undefined
      const block = this.#fromTail(maxBytes) ?? (await this.#fromDisk(maxBytes))
      if (block !== undefined) return block
    }
  }

  /** Releases the reader. A call that waits gets `closed`. */
  close(): void {
    this.#finish('closed')
  }

  /** @internal */
  changed(what: LogChange): void {
    // A reader of committed records does not care for every append.
    if (what === 'state' || what === this.#until) this.#wake?.()
  }

  /** @internal */
  truncated(offset: Offset): void {
    if (this.#next > offset) this.#finish('truncated')
    else this.#segment = undefined
  }

  get #limit(): Offset {
    return this.#until === 'committed' ? this.#core.highWatermark : this.#core.newestOffset
  }

  #checkEnd(signal: AbortSignal | undefined): LogEnd | undefined {
    if (this.#end !== undefined) return this.#end
    const { state, readonly, highWatermark, newestOffset } = this.#core
    if (state !== 'open') return this.#finish(state)
    if (signal?.aborted === true) return this.#finish('aborted')
    if (this.#next <= this.#limit) return undefined
    // Records above the high watermark may still be committed, so a readonly log is not at its
    // end before they are [LB 3.4].
    const drained = this.#until === 'written' || highWatermark === newestOffset
    return readonly && drained ? this.#finish('readonly') : undefined
  }

  #finish(reason: LogEndReason): LogEnd {
    this.#end ??= { kind: 'end', reason }
    this.#core.listeners.delete(this)
    this.#segment = undefined
    this.#buffer = undefined
    this.#wake?.()
    return this.#end
  }

  #fromTail(maxBytes: number): LogBlock | undefined {
    const segment = this.#segment ?? this.#locateInTail()
    if (segment === undefined || !segment.live || segment.damage !== undefined) return undefined
    const chunk = this.#core.tail.find(segment, this.#position)
    if (chunk === undefined) return undefined
    const start = this.#position - chunk.position
    const scanned = { start, end: chunk.length, maxBytes, verify: false }
    const block = this.#take(chunk.bytes, chunk.view, scanned)
    if (block === undefined) {
      this.#next = this.#limit + 1
      return undefined
    }
    this.#core.tail.hold(chunk)
    this.#held = chunk
    return block
  }

  /** The caller asks for more, so it is done with the block before. */
  #release(): void {
    if (this.#held === undefined) return
    this.#core.tail.release(this.#held)
    this.#held = undefined
  }

  /** Finds `#next` among the records in memory by walking from the start of their chunk. */
  #locateInTail(): Segment | undefined {
    const segment = this.#core.segmentFor(this.#next)
    if (segment === undefined) return undefined
    const chunk = this.#core.tail.findOffset(segment, this.#next)
    if (chunk === undefined) return undefined
    const scan = this.#scan
    const all = { start: 0, end: chunk.length, maxBytes: chunk.length, verify: false }
    scan.run(chunk.view, { ...all, minOffset: 0, limit: this.#next - 1 })
    this.#segment = segment
    this.#position = chunk.position + scan.end
    return segment
  }

  async #fromDisk(maxBytes: number): Promise<LogBlock | undefined> {
    const segment = this.#segment ?? (await this.#locate())
    if (segment === undefined) return undefined
    const position = this.#position
    const rest = segment.size - position
    const { damage } = segment
    if (damage !== undefined && this.#next <= segment.lastOffset) {
      // Records that are missing at the end of a damaged segment are not passed over in silence.
      if (!segment.isReadable || rest <= 0) throw new CorruptSegmentError(damage)
    }
    if (rest <= 0) {
      this.#enterNext(segment)
      return undefined
    }
    const block = Math.min(Math.max(maxBytes, MIN_READ_BYTES), MAX_READ_BYTES)
    const wanted = Math.min(rest, Math.max(block, this.#largeRecord))
    const buffer = await this.#fill(segment, position, wanted)
    if (buffer === undefined) return undefined
    const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength)
    const dense = segment.isDense
    // The checksum does not cover offsets; what is known of the segment does.
    if (dense) this.#next = Math.max(this.#next, segment.firstOffset)
    const scanned = { start: 0, end: buffer.length, maxBytes, dense, verify: true }
    const taken = this.#take(buffer, view, scanned)
    if (taken === undefined) this.#checkDamage(segment, position, buffer.length)
    else this.#largeRecord = 0
    return taken
  }

  /** Reads bytes at `position`; undefined when the log changed meanwhile. */
  async #fill(
    segment: Segment,
    position: Position,
    wanted: number,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (this.#buffer === undefined || this.#buffer.length < wanted) {
      this.#buffer = new Uint8Array(wanted)
    }
    const buffer = this.#buffer
    const { generation } = this.#core
    let read: number
    try {
      read = await readBlock(segment.file, buffer, { position, length: wanted })
    } catch (error) {
      if (segment.live) throw error
      this.#segment = undefined
      return undefined
    }
    if (!segment.live || generation !== this.#core.generation || this.#end !== undefined) {
      this.#segment = undefined
      return undefined
    }
    return buffer.subarray(0, read)
  }

  /** The records at the reader's place, which then moves behind them. */
  #take(
    bytes: Uint8Array,
    view: DataView,
    part: Pick<ScanOptions, 'start' | 'end' | 'maxBytes' | 'dense' | 'verify'>,
  ): LogBlock | undefined {
    const scan = this.#scan
    scan.run(view, { ...part, minOffset: this.#next, limit: this.#limit })
    if (scan.count === 0) return undefined
    this.#next = scan.lastOffset + 1
    this.#position += scan.end - part.start
    return {
      kind: 'block',
      bytes,
      start: part.start,
      end: scan.end,
      firstOffset: scan.firstOffset,
      lastOffset: scan.lastOffset,
      count: scan.count,
    }
  }

  /** Tells a record larger than the buffer, which is read on its own, from a damaged one. */
  #checkDamage(segment: Segment, position: Position, read: number): void {
    const { stop, nextSize, nextOffset } = this.#scan
    if (stop === 'limit' && nextOffset <= segment.lastOffset) {
      // Everything up to the limit was compacted away.
      this.#next = this.#limit + 1
      return
    }
    const rest = segment.size - position
    // Asked for once already, it is not in the file: trying again would never end.
    const untried = nextSize > this.#largeRecord
    if (stop === 'short' && read >= FRAME_SIZE && nextSize <= rest && untried) {
      this.#largeRecord = nextSize
      return
    }
    const reason = isDamage(stop) || stop === 'limit' ? stop : 'the file is too short'
    const { baseOffset } = segment
    const damage = { path: segment.file.path, baseOffset, position, offset: this.#next, reason }
    this.#core.quarantine(segment, damage)
    throw new CorruptSegmentError(damage)
  }

  /** Looks `#next` up in the segments. */
  async #locate(): Promise<Segment | undefined> {
    const { generation } = this.#core
    const segment = this.#core.segmentFor(this.#next)
    if (segment === undefined) {
      // No record at or after it is left.
      this.#next = this.#limit + 1
      return undefined
    }
    if (segment.damage !== undefined && !segment.isReadable) {
      throw new CorruptSegmentError(segment.damage)
    }
    this.#failWhereMissing(segment)
    let position = 0
    if (this.#next > segment.firstOffset) {
      const found = await this.#search(segment)
      if (found === undefined || generation !== this.#core.generation) return undefined
      position = found
    }
    this.#segment = segment
    this.#position = position
    return segment
  }

  async #search(segment: Segment): Promise<Position | undefined> {
    try {
      const found = await findRecord(this.#core, segment, { kind: 'offset', offset: this.#next })
      return found.kind === 'found' ? found.at.position : segment.size
    } catch (error) {
      if (segment.live) throw error
      return undefined
    }
  }

  #enterNext(segment: Segment): void {
    const next = this.#core.segmentAfter(segment)
    if (next === undefined) {
      // The active segment holds nothing at or after the place: the limit was compacted away.
      this.#segment = undefined
      if (segment.live) this.#next = this.#limit + 1
      return
    }
    this.#failWhereMissing(next)
    this.#segment = next
    this.#position = 0
  }

  #failWhereMissing(segment: Segment): void {
    const missing = this.#core.missingBefore(segment, this.#next)
    if (missing !== undefined) throw new CorruptSegmentError(missing)
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    // What happened since the poll would wake nobody any more.
    if (this.#checkEnd(signal) !== undefined || this.#next <= this.#limit) return Promise.resolve()
    // The caller is done with the last block; a reader that waits holds no memory.
    this.#buffer = undefined
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#wake = undefined
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      this.#wake = wake
      signal?.addEventListener('abort', wake)
    })
  }
}
