/**
 * Removing the end of a log, by cutting files, never by copying [LB 6.2]. Later segments go first,
 * the newest of them first, so that a crash at any instant leaves a longer valid log [K3].
 */
import { CorruptSegmentError } from './errors.ts'
import { writeEpochs, writeHighWatermark } from './hints.ts'
import type { LogCore } from './log-core.ts'
import { removeFiles } from './retention.ts'
import type { Segment } from './segment.ts'
import { findRecord } from './segment-search.ts'
import { walkRecords } from './segment-walk.ts'
import { NO_OFFSET, type Offset, type Position, type TimestampNs } from './units.ts'

/** Where a segment is cut, and what its last record then is. */
interface Cut {
  readonly position: Position
  readonly number: number
  readonly lastOffset: Offset
  readonly lastTimestampNs: TimestampNs
}

/** Removes the records at and above `offset`. Runs in the maintenance lane and the log's lane. */
export async function truncateLog(core: LogCore, offset: Offset): Promise<void> {
  core.assertOpen()
  if (offset >= core.nextOffset) {
    // An epoch without records that begins there goes nevertheless: the next leader's records may
    // be older than it, and could not be appended behind it.
    if (core.epochs.truncate(offset)) await writeEpochs(core)
    return
  }
  const kept = core.segments.filter((segment, i) => i === 0 || segment.baseOffset < offset)
  const last = kept.at(-1)
  if (last === undefined) return
  const cut = await findCut(core, last, offset)
  const removed = core.segments.slice(kept.length)
  await lowerMarks(core, cut, last)
  core.generation++
  core.tail.clear()
  core.segments = kept
  for (const listener of core.listeners)
    listener.truncated(last.baseOffset > offset ? last.baseOffset : offset)
  try {
    await removeFiles(core, removed.toReversed())
    await cutSegment(last, cut)
  } catch (error) {
    // Memory and files disagree now; opening the log again settles it.
    core.fail(error)
    throw error
  }
  core.lastTimestampNs = newestTimestamp(core)
  core.generation++
  if (core.epochs.truncate(offset)) await writeEpochs(core)
}

async function findCut(core: LogCore, segment: Segment, offset: Offset): Promise<Cut> {
  const empty = { position: 0, number: 0, lastOffset: NO_OFFSET, lastTimestampNs: 0n }
  if (segment.damage !== undefined) return findCutByWalk(segment, offset)
  if (segment.firstOffset === NO_OFFSET || segment.firstOffset >= offset) return empty
  const { before } = await findRecord(core, segment, { kind: 'offset', offset }, true)
  if (before === undefined) return empty
  return {
    position: before.position + before.size,
    number: before.number + 1,
    lastOffset: before.offset,
    lastTimestampNs: before.timestampNs,
  }
}

/** For a quarantined segment: what is cut must include the damage, what stays must verify. */
async function findCutByWalk(segment: Segment, offset: Offset): Promise<Cut> {
  const { damage } = segment
  let lastTimestampNs = 0n
  const walk = { from: 0, end: segment.size, minOffset: segment.baseOffset, verify: true }
  const end = await walkRecords(segment.file, { ...walk, limit: offset - 1 }, (block) => {
    const { view, scan } = block
    lastTimestampNs = view.getBigInt64(scan.lastStart + 8)
  })
  if (damage !== undefined && end.stop !== 'limit' && end.lastOffset + 1 < offset) {
    throw new CorruptSegmentError(damage)
  }
  return {
    position: end.position,
    number: end.count,
    lastOffset: end.count === 0 ? NO_OFFSET : end.lastOffset,
    lastTimestampNs,
  }
}

/** The marks go down before the records do: a mark above the log would look like lost records. */
async function lowerMarks(core: LogCore, cut: Cut, last: Segment): Promise<void> {
  const newest = cut.lastOffset === NO_OFFSET ? last.baseOffset - 1 : cut.lastOffset
  core.syncedOffset = Math.min(core.syncedOffset, newest)
  core.highWatermark = Math.min(core.highWatermark, newest)
  if ((core.checkpointed ?? NO_OFFSET) > newest) await writeHighWatermark(core)
}

async function cutSegment(segment: Segment, cut: Cut): Promise<void> {
  const file = await segment.file.borrow()
  try {
    await file.truncate(cut.position)
    // Otherwise a power cut could bring the records back behind others that took their offsets.
    await file.sync()
  } finally {
    segment.file.giveBack()
  }
  const { firstOffset, firstTimestampNs } = segment
  segment.damage = undefined
  segment.size = cut.position
  segment.firstOffset = cut.number === 0 ? NO_OFFSET : firstOffset
  segment.firstTimestampNs = cut.number === 0 ? 0n : firstTimestampNs
  segment.lastOffset = cut.lastOffset
  segment.lastTimestampNs = cut.lastTimestampNs
  await segment.index.truncate(cut.number)
}

function newestTimestamp(core: LogCore): TimestampNs {
  let newest = 0n
  for (const { lastTimestampNs } of core.segments) {
    if (lastTimestampNs > newest) newest = lastTimestampNs
  }
  return newest
}
