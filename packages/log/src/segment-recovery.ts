/**
 * Opening segments after any kind of end: clean, killed, power cut, garbled hints.
 *
 * What is believed: the log file's records, if they verify. A sealed segment was durable in full
 * before its successor existed, so its index is spot-checked and its records are verified when
 * they are read. The active segment's end may be torn: it is walked from the last record that the
 * high watermark's file calls durable (the mark) to the first that does not hold, and then
 *
 *     first bad offset > mark                   cut there: only unsynced bytes can be lost [T1]
 *     the file just ends, at or below the mark  durable records are gone; cut, and report it
 *     bad bytes at or below the mark            quarantine the segment as it is, and go on in a
 *                                               new one behind everything it held [T2]
 */
import type { DiskFile } from './disk.ts'
import type { CachedFile } from './file-cache.ts'
import { INDEX_ENTRY_SIZE, isPadding } from './format/index-entry.ts'
import { recordTimestamp } from './format/record.ts'
import { isDamage } from './format/scan.ts'
import type { LogCore } from './log-core.ts'
import { EMPTY_EXTENT, Segment, type SegmentExtent } from './segment.ts'
import { placeOf, searchIndex } from './segment-search.ts'
import { walkRecords, type WalkEnd } from './segment-walk.ts'
import { NO_OFFSET, type Offset, type Position } from './units.ts'

/** How a sealed segment came up. */
export interface OpenedSealed {
  readonly segment: Segment
  /** Set when its index named more records than it holds. */
  readonly isShort: boolean
}

/** Opens a segment that has a successor, whose base offset is given. */
export async function openSealed(
  core: LogCore,
  baseOffset: Offset,
  successor: Offset,
): Promise<OpenedSealed> {
  const segment = new Segment(core.files, { directory: core.directory, baseOffset })
  const indexed = await measure(segment)
  if (segment.size === 0) {
    // A segment is sealed only with records in it.
    segment.index.restart(0)
    return { segment, isShort: indexed > 0 }
  }
  const extent = await indexedExtent(segment)
  if (extent !== undefined && extent.lastOffset < successor) {
    segment.setExtent(extent)
    return { segment, isShort: false }
  }
  await rebuildSealed(core, segment, successor)
  return { segment, isShort: segment.count < indexed }
}

/** How the active segment came up. */
export interface OpenedActive {
  readonly segment: Segment
  /** Set when the segment is quarantined and the log must go on at this offset in a new one. */
  readonly continueAt: Offset | undefined
}

/** Opens the last segment and repairs its end; `mark` is the last offset known to be durable. */
export async function openActive(
  core: LogCore,
  baseOffset: Offset,
  mark: Offset,
): Promise<OpenedActive> {
  const segment = new Segment(core.files, { directory: core.directory, baseOffset })
  const indexed = await measure(segment)
  const lastIndexed = indexed === 0 ? undefined : await placeOf(segment, indexed - 1)
  const end = await walkActive(segment, mark)
  const fileSize = segment.size
  segment.size = end.position
  if (end.position < fileSize) {
    const beyond = (lastIndexed?.position ?? -1) >= end.position ? lastIndexed : undefined
    const damaged = isDamage(end.stop) || end.stop === 'limit' || beyond !== undefined
    if (segment.nextOffset <= mark && damaged) {
      const lastKnown = Math.max(mark, segment.lastOffset, beyond?.offset ?? NO_OFFSET)
      return { segment, continueAt: await setAside(core, segment, { end, fileSize, lastKnown }) }
    }
    await cutTail(core, segment, fileSize)
  }
  await settleIndex(core, segment)
  return { segment, continueAt: undefined }
}

/** Reads the sizes of both files into the segment; the number of index entries. */
async function measure(segment: Segment): Promise<number> {
  segment.size = await sizeOf(segment.file)
  const bytes = await segment.index.fileSize()
  let count = Math.floor(bytes / INDEX_ENTRY_SIZE)
  segment.index.restart(count)
  const last = count === 0 ? undefined : await segment.index.entry(count - 1)
  if (last === undefined || !isPadding(last)) return count
  // Go Liftbridge leaves zeros behind the entries of an index that it did not close.
  let low = 0
  while (low < count) {
    const middle = (low + count) >>> 1
    const entry = await segment.index.entry(middle)
    if (entry === undefined || isPadding(entry)) count = middle
    else low = middle + 1
  }
  segment.index.restart(low)
  return low
}

async function sizeOf(file: CachedFile): Promise<number> {
  const handle: DiskFile = await file.borrow()
  try {
    return await handle.size()
  } finally {
    file.giveBack()
  }
}

/** What the index says of a whole segment, when its ends agree with the log file. */
async function indexedExtent(segment: Segment): Promise<SegmentExtent | undefined> {
  const { count, size, baseOffset } = segment
  if (count === 0) return undefined
  const first = await placeOf(segment, 0)
  const last = count === 1 ? first : await placeOf(segment, count - 1)
  if (first === undefined || last === undefined) return undefined
  if (first.position !== 0 || first.offset < baseOffset) return undefined
  if (last.position + last.size !== size || last.offset - first.offset + 1 < count) return undefined
  return {
    size,
    firstOffset: first.offset,
    lastOffset: last.offset,
    firstTimestampNs: first.timestampNs,
    lastTimestampNs: last.timestampNs,
  }
}

async function rebuildSealed(core: LogCore, segment: Segment, successor: Offset): Promise<void> {
  const fileSize = segment.size
  const path = segment.index.file.path
  core.report({ kind: 'hint-rebuilt', path, reason: 'the index does not match the log' })
  const end = await walkFrom(segment, START, successor - 1)
  if (end.position < fileSize) {
    await setAside(core, segment, { end, fileSize, lastKnown: successor - 1 })
    return
  }
  await settleIndex(core, segment)
}

/** Where a walk begins: record `number` at `position`. */
interface WalkStart {
  readonly number: number
  readonly position: Position
  readonly minOffset: Offset
}

const START: WalkStart = { number: 0, position: 0, minOffset: 0 }

/** Walks from the mark; from the beginning when what the index says of the mark is not true. */
async function walkActive(segment: Segment, mark: Offset): Promise<WalkEnd> {
  const fileSize = segment.size
  const start = await trustedStart(segment, mark)
  const end = await walkFrom(segment, start, segment.maxOffset)
  if (start.number === 0 || end.count > 0) return end
  segment.setExtent({ ...EMPTY_EXTENT, size: fileSize })
  return walkFrom(segment, START, segment.maxOffset)
}

/** The last record at or below the mark that index and log agree on. */
async function trustedStart(segment: Segment, mark: Offset): Promise<WalkStart> {
  const { count, baseOffset } = segment
  if (mark < baseOffset || count === 0) return START
  const first = await placeOf(segment, 0)
  const lastEntry = await segment.index.entry(count - 1)
  if (first === undefined || lastEntry === undefined || first.position !== 0) return START
  segment.firstOffset = first.offset
  segment.lastOffset = baseOffset + lastEntry.relativeOffset
  const number = await searchIndex(segment, count, { kind: 'offset', offset: mark + 1 })
  segment.setExtent({ ...EMPTY_EXTENT, size: segment.size })
  if (number === undefined || number < 2) return START
  const before = await placeOf(segment, number - 2)
  const place = await placeOf(segment, number - 1)
  if (before === undefined || place === undefined || place.offset > mark) return START
  if (before.position + before.size !== place.position) return START
  segment.firstOffset = first.offset
  segment.firstTimestampNs = first.timestampNs
  return { number: number - 1, position: place.position, minOffset: place.offset }
}

/** Verifies records, collects their index entries and sets the segment's extent. */
async function walkFrom(segment: Segment, start: WalkStart, limit: Offset): Promise<WalkEnd> {
  const { index, baseOffset } = segment
  index.restart(start.number)
  const walk = {
    from: start.position,
    end: segment.size,
    minOffset: Math.max(start.minOffset, baseOffset),
    epochsAscend: true,
    verify: true,
    limit,
  }
  return walkRecords(segment.file, walk, async (block) => {
    index.addRecords(block.view, block, { position: block.position, baseOffset })
    if (segment.firstOffset === NO_OFFSET) {
      segment.firstOffset = block.scan.firstOffset
      segment.firstTimestampNs = recordTimestamp(block.bytes, block.start)
    }
    segment.lastOffset = block.scan.lastOffset
    segment.lastTimestampNs = recordTimestamp(block.bytes, block.scan.lastStart)
    if (index.wantsFlush) await index.reconcile().catch(stayInMemory)
  })
}

/**
 * Brings the index file in line with what was found. It is only a hint: on a full or failing disk
 * the entries stay in memory, and the log can be read all the same [reliability T3, T4].
 */
async function settleIndex(core: LogCore, segment: Segment): Promise<void> {
  const { index } = segment
  try {
    await index.reconcile()
    await index.trimFile()
  } catch (error) {
    core.report({ kind: 'hint-not-written', path: index.file.path, error })
  }
}

/** The end of the opening tries again, and reports it. */
function stayInMemory(): void {}

/**
 * Reports, and marks for readers, offsets that no segment holds although the log goes on behind them: records or a whole
 * file are gone. Only compaction leaves such gaps in a sound log, and then within segments as well.
 */
export function reportGaps(core: LogCore, isShort: ReadonlySet<Segment>): void {
  const { segments } = core
  const { options, wasCompacted } = core
  const mayBeCompacted =
    wasCompacted || options.compact === true || segments.some(({ isDense }) => !isDense)
  for (const [i, segment] of segments.entries()) {
    const next = segments[i + 1]
    if (segment.damage !== undefined || next === undefined) continue
    if (segment.nextOffset >= next.baseOffset) continue
    if (mayBeCompacted && !isShort.has(segment)) continue
    next.missingFrom = segment.nextOffset
    reportMissing(core, segment.nextOffset, next.baseOffset - 1)
  }
}

/** Quarantines a segment and leaves its files as they are; where the log has to go on. */
async function setAside(
  core: LogCore,
  segment: Segment,
  found: { readonly end: WalkEnd; readonly fileSize: number; readonly lastKnown: Offset },
): Promise<Offset> {
  const { end, fileSize } = found
  const reason = end.stop === 'short' ? 'bytes are missing' : end.stop
  const path = segment.file.path
  const { baseOffset, nextOffset: offset } = segment
  const damage = { path, baseOffset, position: end.position, offset, reason }
  const lastKnown = Math.max(found.lastKnown, await lastBeyond(segment, end, fileSize))
  segment.size = fileSize
  if (segment.firstOffset === NO_OFFSET) segment.firstOffset = segment.baseOffset
  segment.lastOffset = lastKnown
  core.quarantine(segment, damage)
  return lastKnown + 1
}

/** The last offset of the records that still verify behind one that does not; -1 when none do. */
async function lastBeyond(segment: Segment, damage: WalkEnd, fileSize: number): Promise<Offset> {
  let last = NO_OFFSET
  let end = damage
  while (end.stop === 'bad-checksum') {
    const from = end.position + end.nextSize
    const walk = { from, end: fileSize, minOffset: segment.baseOffset, verify: true }
    end = await walkRecords(segment.file, walk, () => {})
    last = Math.max(last, end.lastOffset)
  }
  return last
}

/** Cuts bytes behind the last record that holds, durably. */
async function cutTail(core: LogCore, segment: Segment, fileSize: number): Promise<void> {
  const handle = await segment.file.borrow()
  try {
    await handle.truncate(segment.size)
    await handle.sync()
  } finally {
    segment.file.giveBack()
  }
  core.report({ kind: 'tail-cut', path: segment.file.path, bytes: fileSize - segment.size })
}

/** Reports that durable records are gone; a replica that lost them must not lead [T2, R8]. */
export function reportMissing(core: LogCore, lostFrom: Offset, mark: Offset): void {
  core.report({ kind: 'durable-tail-missing', lostFrom, mark })
}
