/**
 * Keeping the newest record per key [reliability K1-K4]. Sealed segments are rewritten without the
 * records whose key has a later one at or below the high watermark. Records without a key, above
 * the high watermark, and in the active segment stay; order, offsets and bytes never change.
 *
 * A segment's replacement is written aside, synced, and renamed over it: the old index is removed,
 * then the log file replaced, then the new index put in place.
 * Epoch starts stay as they are, also those of epochs all of whose records went [LB 7.A19].
 */
import { COMPACTED_FILE } from './checkpoint.ts'
import { CorruptSegmentError } from './errors.ts'
import { writeAll } from './file-io.ts'
import { RecordView } from './format/record.ts'
import type { LogCore } from './log-core.ts'
import { DEFAULT_COMPACT_MAX_KEY_BYTES } from './options.ts'
import { removeFiles } from './retention.ts'
import {
  CLEANED_SUFFIX,
  INDEX_SUFFIX,
  LOG_SUFFIX,
  Segment,
  type SegmentExtent,
  segmentStem,
} from './segment.ts'
import { SegmentIndex } from './segment-index.ts'
import { rebuildIndex } from './segment-search.ts'
import { walkRecords, type WalkedBlock } from './segment-walk.ts'
import { NO_OFFSET, type Offset, timestampFromWords, type TimestampNs } from './units.ts'

/** What a map entry costs beside its key, roughly. */
const KEY_OVERHEAD_BYTES = 64

/** Rewrites what has something to lose: the number of records removed. */
export async function compactLog(core: LogCore): Promise<number> {
  // A record that is not durable yet supersedes nothing: a power cut would take both.
  const highWatermark = Math.min(core.highWatermark, core.syncedOffset)
  const sealed = core.segments.slice(0, -1)
  if (sealed.length === 0) return 0
  const latest = await collectLatest(core, highWatermark)
  let removed = 0
  for (const segment of sealed) {
    if (core.state !== 'open') break
    if (segment.damage !== undefined || segment.firstOffset > highWatermark) continue
    try {
      if (!(await hasSuperseded(segment, latest))) continue
      await noteCompaction(core)
      removed += await rewrite(core, segment, latest)
    } catch (error) {
      // A damaged segment stays as it is; the others are compacted all the same.
      if (!(error instanceof CorruptSegmentError)) throw error
    }
  }
  return removed
}

/** Durable before the first record goes: a gap would look like lost records without it. */
async function noteCompaction(core: LogCore): Promise<void> {
  if (core.wasCompacted) return
  const file = await core.disk.open(`${core.directory}/${COMPACTED_FILE}`, { create: true })
  await file.close()
  await core.disk.syncDirectory(core.directory)
  core.wasCompacted = true
}

/**
 * The highest offset at or below the high watermark for as many keys as memory allows. Any subset
 * is safe: a record only goes when a later one with its key is known.
 */
async function collectLatest(core: LogCore, limit: Offset): Promise<Map<string, Offset>> {
  const latest = new Map<string, Offset>()
  const view = new RecordView()
  let budget = core.options.compactMaxKeyBytes ?? DEFAULT_COMPACT_MAX_KEY_BYTES
  const note = (block: WalkedBlock): void => {
    const buffer = bufferOf(block)
    for (let at = block.start; at < block.end; at = view.end) {
      const key = keyOf(view, buffer, at)
      if (key === undefined) continue
      if (!latest.has(key)) {
        if (budget <= 0) continue
        budget -= key.length + KEY_OVERHEAD_BYTES
      }
      latest.set(key, view.offset)
    }
  }
  for (const segment of core.segments) {
    if (segment.damage !== undefined || segment.firstOffset > limit) continue
    await walkWhole(core, segment, limit, note).catch((error: unknown) => {
      if (!(error instanceof CorruptSegmentError)) throw error
    })
  }
  return latest
}

/** The record's key, one character a byte; undefined for none. Always moves `view` on. */
function keyOf(view: RecordView, buffer: Buffer, at: number): string | undefined {
  const whole = view.load(buffer, at)
  if (!whole || view.keyStart < 0) return undefined
  return buffer.toString('latin1', view.keyStart, view.keyEnd)
}

/** The block's bytes as a Buffer, which alone can turn a range into a string. */
function bufferOf({ bytes }: WalkedBlock): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Walks all records up to `limit`; damage on the way quarantines the segment. */
async function walkWhole(
  core: LogCore,
  segment: Segment,
  limit: Offset,
  visit: (block: WalkedBlock) => void | Promise<void>,
): Promise<void> {
  const { size, baseOffset, isDense: dense, firstOffset: minOffset } = segment
  const walk = { from: 0, end: size, minOffset, limit, dense, verify: true }
  const end = await walkRecords(segment.file, walk, visit)
  if (end.position === size || end.stop === 'limit') return
  const path = segment.file.path
  const offset = Math.max(baseOffset, end.lastOffset + 1)
  const damage = { path, baseOffset, position: end.position, offset, reason: end.stop }
  core.quarantine(segment, damage)
  throw new CorruptSegmentError(damage)
}

function isSuperseded(
  view: RecordView,
  key: string | undefined,
  latest: ReadonlyMap<string, Offset>,
): boolean {
  return key !== undefined && (latest.get(key) ?? NO_OFFSET) > view.offset
}

async function hasSuperseded(
  segment: Segment,
  latest: ReadonlyMap<string, Offset>,
): Promise<boolean> {
  const view = new RecordView()
  let found = false
  const { size, baseOffset } = segment
  const walk = { from: 0, end: size, minOffset: baseOffset, verify: false }
  await walkRecords(segment.file, walk, (block) => {
    const buffer = bufferOf(block)
    for (let at = block.start; at < block.end && !found; at = view.end) {
      found = isSuperseded(view, keyOf(view, buffer, at), latest)
    }
  })
  return found
}

/** What is being written in place of a segment. */
class Replacement {
  readonly #core: LogCore
  readonly #segment: Segment
  readonly #index: SegmentIndex
  readonly logPath: string
  readonly indexPath: string
  size = 0
  firstOffset: Offset = NO_OFFSET
  lastOffset: Offset = NO_OFFSET
  firstTimestampNs: TimestampNs = 0n
  lastTimestampNs: TimestampNs = 0n

  constructor(core: LogCore, segment: Segment) {
    this.#core = core
    this.#segment = segment
    const stem = `${core.directory}/${segmentStem(segment.baseOffset)}`
    this.logPath = stem + LOG_SUFFIX + CLEANED_SUFFIX
    this.indexPath = stem + INDEX_SUFFIX + CLEANED_SUFFIX
    this.#index = new SegmentIndex(core.files, this.indexPath, 0)
  }

  get count(): number {
    return this.#index.count
  }

  get extent(): SegmentExtent {
    const { size, firstOffset, lastOffset, firstTimestampNs, lastTimestampNs } = this
    return { size, firstOffset, lastOffset, firstTimestampNs, lastTimestampNs }
  }

  /** Copies the segment's surviving records and makes them durable. */
  async write(latest: ReadonlyMap<string, Offset>): Promise<void> {
    const file = await this.#core.disk.open(this.logPath, { create: true })
    try {
      // A file that an earlier attempt left must not take part [LB 7.A18].
      await file.truncate(0)
      const { baseOffset } = this.#segment
      await walkWhole(this.#core, this.#segment, Number.MAX_SAFE_INTEGER, async (block) => {
        const length = this.#keep(block, latest)
        if (length === 0) return
        await writeAll(file, { bytes: block.bytes, start: 0, length }, this.size)
        const place = { position: this.size, baseOffset }
        this.#index.addRecords(block.view, { start: 0, end: length }, place)
        this.size += length
        if (this.#index.wantsFlush) await this.#index.flush()
      })
      await file.sync()
    } finally {
      await file.close()
    }
    await this.#index.flush()
    await this.#index.trimFile()
    await this.#index.file.discard()
  }

  /** Removes what did not take the segment's place. */
  async abandon(): Promise<void> {
    await this.#index.file.discard()
    await this.#core.disk.remove(this.logPath)
    await this.#core.disk.remove(this.indexPath)
  }

  /** Moves the records that stay to the front of the block; how many bytes they are. */
  #keep(block: WalkedBlock, latest: ReadonlyMap<string, Offset>): number {
    const bytes = bufferOf(block)
    const view = new RecordView()
    let to = 0
    for (let at = block.start; at < block.end; at = view.end) {
      const key = keyOf(view, bytes, at)
      if (isSuperseded(view, key, latest)) continue
      if (to !== at) bytes.copyWithin(to, at, view.end)
      to += view.end - at
      const timestampNs = timestampFromWords(view.timestampHigh, view.timestampLow)
      if (this.firstOffset === NO_OFFSET) {
        this.firstOffset = view.offset
        this.firstTimestampNs = timestampNs
      }
      this.lastOffset = view.offset
      this.lastTimestampNs = timestampNs
    }
    return to
  }
}

/** Replaces one segment by its surviving records: how many went. */
async function rewrite(
  core: LogCore,
  segment: Segment,
  latest: ReadonlyMap<string, Offset>,
): Promise<number> {
  const replacement = new Replacement(core, segment)
  try {
    await replacement.write(latest)
    await core.lane.run(async () => {
      core.assertOpen()
      if (replacement.size > 0) return install(core, segment, replacement)
      core.segments = core.segments.filter((other) => other !== segment)
      return removeFiles(core, [segment])
    })
    return segment.count - replacement.count
  } finally {
    await replacement.abandon().catch(() => {
      // The disk refuses; the next opener removes what is left, and the first error tells why.
    })
  }
}

/** Puts the replacement in place. Readers of the old segment look their offsets up again [K4]. */
async function install(core: LogCore, old: Segment, replacement: Replacement): Promise<void> {
  const { directory } = core
  const { count } = replacement
  // After a crash in the middle the old index beside the new log would name records that look lost,
  // while without an index either log is merely indexed again.
  await core.disk.remove(old.index.file.path)
  // Held open meanwhile, so that nobody opens the new file under the old segment's positions.
  await old.file.borrow()
  try {
    await core.disk.rename(replacement.logPath, old.file.path)
    const next = new Segment(core.files, { directory, baseOffset: old.baseOffset, indexed: count })
    next.setExtent(replacement.extent)
    try {
      await core.disk.rename(replacement.indexPath, old.index.file.path)
    } catch {
      await rebuildIndex(core, next, next.index.version)
    }
    core.segments = core.segments.map((segment) => (segment === old ? next : segment))
    old.live = false
  } finally {
    old.file.giveBack()
  }
  await old.retire()
  await core.disk.syncDirectory(directory)
}
