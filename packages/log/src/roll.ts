/** Sealing the active segment and beginning the next one. */
import { flushIndex } from './hints.ts'
import type { LogCore } from './log-core.ts'
import { LOG_SUFFIX, MAX_SEGMENT_BYTES, MAX_SEGMENT_SPAN, Segment, segmentStem } from './segment.ts'
import { syncNames } from './sync.ts'
import { NO_OFFSET, type Offset, type TimestampNs } from './units.ts'

/**
 * Rolls when the active segment is full or too old, or cannot hold what is coming, or when it is
 * damaged: what is appended behind damage might not be found again, so it goes to a new segment
 * [T2].
 */
export async function rollIfNeeded(
  core: LogCore,
  coming: {
    /** Undefined: age is not looked at; a follower rolls by its own size and cleaner. */
    readonly nowNs: TimestampNs | undefined
    readonly bytes: number
    readonly records: number
  },
): Promise<void> {
  const segment = core.active
  if (segment.firstOffset === NO_OFFSET) return
  const full =
    segment.damage !== undefined ||
    segment.size >= core.segmentMaxBytes ||
    segment.size + coming.bytes > MAX_SEGMENT_BYTES ||
    segment.nextOffset + coming.records - segment.baseOffset > MAX_SEGMENT_SPAN
  if (full || isTooOld(core, coming.nowNs)) await roll(core)
}

/** True when the active segment's first record has reached the age at which segments end. */
export function isTooOld(core: LogCore, nowNs: TimestampNs | undefined): boolean {
  const maxAgeMs = core.options.segmentMaxAgeMs ?? 0
  const segment = core.active
  if (nowNs === undefined || maxAgeMs <= 0 || segment.firstOffset === NO_OFFSET) return false
  // A record without a time says nothing about age [LB 3.3].
  if (segment.firstTimestampNs <= 0n) return false
  return nowNs - segment.firstTimestampNs >= BigInt(maxAgeMs) * 1_000_000n
}

/**
 * Seals the active segment and begins the next. The old one is durable before the new file exists,
 * and the new name before a record is written to it [T5]; so whatever is missing from a segment
 * that has a successor was damaged, and not torn by a crash [T2].
 */
export async function roll(core: LogCore): Promise<void> {
  const sealed = core.active
  try {
    await syncNames(core)
    await sealed.file.sync()
  } catch (error) {
    core.fail(error)
    throw error
  }
  core.assertOpen()
  core.syncedOffset = Math.max(core.syncedOffset, sealed.lastOffset)
  await flushIndex(core, sealed)
  const next = await createSegment(core, sealed.nextOffset)
  core.segments = [...core.segments, next]
}

/** Makes the first segment of a log; its name is made durable with the first record. */
export function createFirstSegment(core: LogCore): Promise<Segment> {
  return makeSegment(core, 0, async () => {})
}

/** Makes the files of an empty segment, durably. */
export function createSegment(core: LogCore, baseOffset: Offset): Promise<Segment> {
  return makeSegment(core, baseOffset, () => core.disk.syncDirectory(core.directory))
}

async function makeSegment(
  core: LogCore,
  baseOffset: Offset,
  syncName: () => Promise<void>,
): Promise<Segment> {
  const path = `${core.directory}/${segmentStem(baseOffset)}${LOG_SUFFIX}`
  const file = await core.disk.open(path, { create: true })
  try {
    if ((await file.size()) > 0) await file.truncate(0)
    await syncName()
  } catch (error) {
    // The next opener would take the file for this one's successor, so nothing may be appended to
    // this one any more.
    core.fail(error)
    throw error
  } finally {
    await file.close()
  }
  return new Segment(core.files, { directory: core.directory, baseOffset })
}
