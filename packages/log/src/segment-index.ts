/**
 * The index of one segment: where each record lies. A hint only [reliability T3]: every answer is
 * verified against the log file where it is used (segment-search.ts), and the file can be rebuilt.
 *
 * Entries are collected in memory and written in steps of 64 KiB, so an append costs no second
 * write; what a crash takes, the opener finds again by walking the log's tail.
 */
import { DiskError, type DiskFile } from './disk.ts'
import { CachedFile, type FileCache } from './file-cache.ts'
import { readAll, writeAllSync } from './file-io.ts'
import { INDEX_ENTRY_SIZE, type IndexEntry, readIndexEntry } from './format/index-entry.ts'
import { FRAME_SIZE } from './format/record.ts'
import type { Offset, Position } from './units.ts'

const FLUSH_BYTES = 64 * 1024
const MIN_PENDING_BYTES = 16 * INDEX_ENTRY_SIZE
const EMPTY = new Uint8Array(0)

export class SegmentIndex {
  readonly file: CachedFile
  /** Grows with every rebuild, so that a search can tell that its answers became stale. */
  version = 0
  /** Entries that the file holds. */
  #stored: number
  #pending: Uint8Array<ArrayBuffer> = EMPTY
  #view = new DataView(EMPTY.buffer)
  #pendingCount = 0

  constructor(cache: FileCache, path: string, stored: number) {
    this.file = new CachedFile(cache, path)
    this.#stored = stored
  }

  /** Entries in the file and in memory. */
  get count(): number {
    return this.#stored + this.#pendingCount
  }

  /** True when enough entries wait to make a write worth it. */
  get wantsFlush(): boolean {
    return this.#pendingCount * INDEX_ENTRY_SIZE >= FLUSH_BYTES
  }

  /**
   * Adds an entry for each record in `view[start..end)`, which stands at `position` in the log
   * file. About 5 ns per record.
   */
  addRecords(
    view: DataView,
    range: { readonly start: number; readonly end: number },
    place: { readonly position: Position; readonly baseOffset: Offset },
  ): void {
    let at = range.start
    const shift = place.position - range.start
    // Relative offsets fit 32 bits, so the difference of the lower words is exact.
    const baseLow = place.baseOffset >>> 0
    while (at < range.end) {
      const size = FRAME_SIZE + view.getUint32(at + 24)
      const to = this.#pendingCount * INDEX_ENTRY_SIZE
      if (to + INDEX_ENTRY_SIZE > this.#pending.length) this.#grow()
      const entries = this.#view
      entries.setUint32(to, (view.getUint32(at + 4) - baseLow) >>> 0)
      entries.setUint32(to + 4, view.getUint32(at + 8))
      entries.setUint32(to + 8, view.getUint32(at + 12))
      entries.setUint32(to + 12, at + shift)
      entries.setUint32(to + 16, size)
      this.#pendingCount++
      at += size
    }
  }

  /** Writes the waiting entries. On failure they stay, and the next flush tries again. */
  async flush(): Promise<void> {
    if (this.#pendingCount === 0) return
    const file = await this.file.borrow({ create: true })
    try {
      const length = this.#pendingCount * INDEX_ENTRY_SIZE
      const span = { bytes: this.#pending, start: 0, length }
      writeAllSync(file, span, this.#stored * INDEX_ENTRY_SIZE)
      this.#stored += this.#pendingCount
      this.#dropPending()
    } finally {
      this.file.giveBack()
    }
  }

  async entry(number: number): Promise<IndexEntry | undefined> {
    const bytes = await this.entries(number, 1)
    return bytes.length === INDEX_ENTRY_SIZE ? readIndexEntry(bytes, 0) : undefined
  }

  /** Raw entries `[first, first + count)`; fewer when the index ends or its file is short. */
  async entries(first: number, count: number): Promise<Uint8Array> {
    const last = Math.min(first + count, this.count)
    if (first < 0 || last <= first) return EMPTY
    const bytes = new Uint8Array((last - first) * INDEX_ENTRY_SIZE)
    if (last <= this.#stored) return bytes.subarray(0, await this.#readStored(bytes, first))
    const pendingFirst = Math.max(first, this.#stored)
    const from = (pendingFirst - this.#stored) * INDEX_ENTRY_SIZE
    const to = (last - this.#stored) * INDEX_ENTRY_SIZE
    // Copied before anything is awaited: a flush may empty the memory meanwhile.
    bytes.set(this.#pending.subarray(from, to), (pendingFirst - first) * INDEX_ENTRY_SIZE)
    if (first >= pendingFirst) return bytes
    const head = bytes.subarray(0, (pendingFirst - first) * INDEX_ENTRY_SIZE)
    const read = await this.#readStored(head, first)
    return read === head.length ? bytes : bytes.subarray(0, read)
  }

  /**
   * `flush` for recovery: leaves the file alone where it already holds the same entries, so that
   * opening a sound log writes nothing.
   */
  async reconcile(): Promise<void> {
    if (this.#pendingCount === 0) return
    const length = this.#pendingCount * INDEX_ENTRY_SIZE
    const present = new Uint8Array(length)
    const read = await this.#readStored(present, this.#stored)
    if (read !== length || Buffer.compare(present, this.#pending.subarray(0, length)) !== 0) {
      await this.flush()
      return
    }
    this.#stored += this.#pendingCount
    this.#dropPending()
  }

  /** Starts over with no entries; the file is overwritten from its beginning. */
  restart(count: number): void {
    this.version++
    this.#stored = count
    this.#dropPending()
  }

  /** Forgets the entries from `count` on, in memory and in the file. */
  async truncate(count: number): Promise<void> {
    if (count >= this.#stored) {
      this.#pendingCount = Math.min(this.#pendingCount, count - this.#stored)
    } else {
      this.#dropPending()
      this.#stored = count
    }
    await this.trimFile()
  }

  /** Bytes of the index file, 0 when there is none. */
  async fileSize(): Promise<number> {
    const file = await this.#borrowPresent()
    if (file === undefined) return 0
    try {
      return await file.size()
    } finally {
      this.file.giveBack()
    }
  }

  /** Cuts whatever the file holds beyond its entries, such as zero padding. */
  async trimFile(): Promise<void> {
    const file = await this.#borrowPresent()
    if (file === undefined) return
    try {
      const length = this.#stored * INDEX_ENTRY_SIZE
      if ((await file.size()) !== length) await file.truncate(length)
    } finally {
      this.file.giveBack()
    }
  }

  async #readStored(into: Uint8Array, first: number): Promise<number> {
    const file = await this.#borrowPresent()
    if (file === undefined) return 0
    try {
      const span = { bytes: into, start: 0, length: into.length }
      const read = await readAll(file, span, first * INDEX_ENTRY_SIZE)
      return read - (read % INDEX_ENTRY_SIZE)
    } finally {
      this.file.giveBack()
    }
  }

  /** The file, when there is one: its absence is no error, it is only a hint. */
  async #borrowPresent(): Promise<DiskFile | undefined> {
    try {
      return await this.file.borrow()
    } catch (error) {
      if (error instanceof DiskError && error.code === 'not-found') return undefined
      throw error
    }
  }

  #grow(): void {
    const larger = new Uint8Array(Math.max(MIN_PENDING_BYTES, this.#pending.length * 2))
    larger.set(this.#pending)
    this.#pending = larger
    this.#view = new DataView(larger.buffer)
  }

  #dropPending(): void {
    this.#pending = EMPTY
    this.#view = new DataView(EMPTY.buffer)
    this.#pendingCount = 0
  }
}
