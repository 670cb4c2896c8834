/**
 * Finds records through the index, and believes none of it: the entry found and the one before it
 * must adjoin and match their frames in the log file, which proves that no record lies between
 * them. An index that fails is rebuilt from the log, and the search repeated [reliability T3].
 */
import { CorruptSegmentError, LogError } from './errors.ts'
import { INDEX_ENTRY_SIZE, type IndexEntry, readIndexEntry } from './format/index-entry.ts'
import { FRAME_SIZE, recordOffset, recordSize, recordTimestamp } from './format/record.ts'
import type { LogCore } from './log-core.ts'
import type { Segment } from './segment.ts'
import { readBlock, walkRecords } from './segment-walk.ts'
import type { Offset, Position, TimestampNs } from './units.ts'

/** Where a record lies. */
export interface RecordPlace {
  /** Number of its index entry. */
  readonly number: number
  readonly offset: Offset
  readonly timestampNs: TimestampNs
  readonly position: Position
  readonly size: number
}

/** What is looked for: the first record at or after an offset, or at or after a time. */
export type SearchFor =
  | { readonly kind: 'offset'; readonly offset: Offset }
  | { readonly kind: 'timestamp'; readonly timestampNs: TimestampNs }

/** Answers of a search; `end` when all records come before. */
export type Found =
  | { readonly kind: 'found'; readonly at: RecordPlace; readonly before: RecordPlace | undefined }
  | { readonly kind: 'end'; readonly before: RecordPlace | undefined }

const PAGE_ENTRIES = 256
const ATTEMPTS = 4

/**
 * The first record of `segment` that matches, and its predecessor in the segment. `inLane` is set
 * by callers that already run in the log's lane.
 */
export async function findRecord(
  core: LogCore,
  segment: Segment,
  wanted: SearchFor,
  inLane = false,
): Promise<Found> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const version = segment.index.version
    const found = await trySearch(segment, wanted)
    if (found !== undefined) return found
    if (segment.damage !== undefined) throw new CorruptSegmentError(segment.damage)
    if (!segment.live) break
    const rebuild = (): Promise<void> => rebuildIndex(core, segment, version)
    await (inLane ? rebuild() : core.lane.run(rebuild))
  }
  throw new LogError('failed', `segment ${segment.baseOffset} changed during a search`)
}

/** Makes the index anew from the log file, unless somebody did since `version`. */
export async function rebuildIndex(
  core: LogCore,
  segment: Segment,
  version: number,
): Promise<void> {
  if (segment.index.version !== version || !segment.live) return
  const { index } = segment
  core.report({
    kind: 'hint-rebuilt',
    path: index.file.path,
    reason: 'the index does not match the log',
  })
  index.restart(0)
  const end = await walkRecords(
    segment.file,
    {
      from: 0,
      end: segment.size,
      minOffset: segment.baseOffset,
      limit: segment.maxOffset,
      verify: true,
    },
    async (block) => {
      index.addRecords(block.view, block, {
        position: block.position,
        baseOffset: segment.baseOffset,
      })
      if (index.wantsFlush) await index.flush()
    },
  )
  if (end.position !== segment.size) {
    const reason = end.stop === 'short' ? 'the file is shorter than it was' : end.stop
    const damage = {
      path: segment.file.path,
      baseOffset: segment.baseOffset,
      position: end.position,
      offset: Math.max(end.lastOffset + 1, segment.baseOffset),
      reason,
    }
    core.quarantine(segment, damage)
    throw new CorruptSegmentError(damage)
  }
  await index.flush()
  await index.trimFile()
}

/** One search; undefined when the index turned out to be wrong. */
async function trySearch(segment: Segment, wanted: SearchFor): Promise<Found | undefined> {
  // Both change together when records are appended, so they are read together.
  const { count, size } = segment
  const number = await searchIndex(segment, count, wanted)
  if (number === undefined) return undefined
  const before = number === 0 ? undefined : await placeOf(segment, number - 1)
  if (number > 0 && before === undefined) return undefined
  const start = before === undefined ? 0 : before.position + before.size
  if (number === count) return start === size ? { kind: 'end', before } : undefined
  const at = await placeOf(segment, number)
  if (at === undefined || at.position !== start) return undefined
  return { kind: 'found', at, before }
}

/** The number of the first of `count` entries that matches, `count` when none does; unverified. */
export async function searchIndex(
  segment: Segment,
  count: number,
  wanted: SearchFor,
): Promise<number | undefined> {
  const matches = (entry: IndexEntry): boolean =>
    wanted.kind === 'offset'
      ? segment.baseOffset + entry.relativeOffset >= wanted.offset
      : entry.timestampNs >= wanted.timestampNs
  let low = 0
  let high = count
  if (wanted.kind === 'offset' && segment.isDense) {
    // Without gaps the entry's number is known; verification catches a wrong guess.
    return Math.min(Math.max(0, wanted.offset - segment.firstOffset), count)
  }
  while (high - low > PAGE_ENTRIES) {
    const middle = (low + high) >>> 1
    const entry = await segment.index.entry(middle)
    if (entry === undefined) return undefined
    if (matches(entry)) high = middle
    else low = middle + 1
  }
  const page = await segment.index.entries(low, high - low)
  if (page.length !== (high - low) * INDEX_ENTRY_SIZE) return undefined
  while (
    low < high &&
    !matches(readIndexEntry(page, page.length - (high - low) * INDEX_ENTRY_SIZE))
  ) {
    low++
  }
  return low
}

/** An index entry that its frame in the log file confirms. */
export async function placeOf(segment: Segment, number: number): Promise<RecordPlace | undefined> {
  const entry = await segment.index.entry(number)
  if (entry === undefined) return undefined
  const frame = new Uint8Array(FRAME_SIZE)
  const { position, size, timestampNs } = entry
  const read = await readBlock(segment.file, frame, { position, length: FRAME_SIZE })
  const offset = segment.baseOffset + entry.relativeOffset
  const agrees =
    read === FRAME_SIZE &&
    recordOffset(frame, 0) === offset &&
    recordSize(frame, 0) === size &&
    recordTimestamp(frame, 0) === timestampNs
  return agrees ? { number, offset, timestampNs, position, size } : undefined
}
