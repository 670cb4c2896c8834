/**
 * What may be forgotten: whole oldest segments, never the active one, never past the high
 * watermark [reliability K2, LB 7.A11]. The rules apply in the order age, messages, bytes, as in
 * Go Liftbridge; a limit is an upper bound that counts the active segment too [LB 3.9].
 */
import { writeEpochs } from './hints.ts'
import type { LogCore } from './log-core.ts'
import type { RetentionPolicy } from './options.ts'
import { INDEX_SUFFIX, LOG_SUFFIX, type Segment, segmentStem } from './segment.ts'
import type { Offset, TimestampNs } from './units.ts'

/** What the plan looks at in a segment. */
export interface SegmentSummary {
  readonly size: number
  readonly count: number
  readonly lastOffset: Offset
  readonly lastTimestampNs: TimestampNs
}

/** How many of the oldest segments go. Pure. */
export function planRetention(
  segments: readonly SegmentSummary[],
  policy: RetentionPolicy,
  now: { readonly timestampNs: TimestampNs; readonly highWatermark: Offset },
): number {
  const sealed = segments.slice(0, -1)
  let removable = sealed.findIndex(({ lastOffset }) => lastOffset > now.highWatermark)
  if (removable < 0) removable = sealed.length
  const wanted = Math.max(
    countTooOld(sealed, policy.maxAgeMs, now.timestampNs),
    countBeyond(segments, policy.maxMessages, ({ count }) => count),
    countBeyond(segments, policy.maxBytes, ({ size }) => size),
  )
  return Math.min(wanted, removable)
}

function countTooOld(
  sealed: readonly SegmentSummary[],
  maxAgeMs: number,
  nowNs: TimestampNs,
): number {
  if (maxAgeMs <= 0) return 0
  const oldest = nowNs - BigInt(maxAgeMs) * 1_000_000n
  const survivor = sealed.findIndex(({ lastTimestampNs }) => lastTimestampNs >= oldest)
  return survivor < 0 ? sealed.length : survivor
}

/** Sums from the newest segment down; the first that overflows the limit goes, with all older. */
function countBeyond(
  segments: readonly SegmentSummary[],
  limit: number,
  measure: (segment: SegmentSummary) => number,
): number {
  if (limit <= 0) return 0
  let total = 0
  for (let i = segments.length - 1; i >= 0; i--) {
    const segment = segments[i]
    if (segment !== undefined) total += measure(segment)
    if (total > limit) return Math.min(i + 1, segments.length - 1)
  }
  return 0
}

/** Applies the log's policy: the number of segments removed. */
export async function applyRetention(core: LogCore, nowNs: TimestampNs): Promise<number> {
  const policy = { maxAgeMs: 0, maxMessages: 0, maxBytes: 0, ...core.options.retention }
  const now = { timestampNs: nowNs, highWatermark: core.highWatermark }
  const count = planRetention(core.segments, policy, now)
  const retry = core.doomed.length > 0
  if (count === 0 && !retry) return 0
  const removed = core.segments.slice(0, count)
  core.segments = core.segments.slice(count)
  await removeFiles(core, removed)
  return count
}

/**
 * Removes segments that left the log, in the order given. They are out of every reader's way
 * before their files go, and a file that cannot be removed now is tried again next time, so a
 * failure in the middle leaves nothing half-closed behind [LB 7.B5].
 */
export async function removeFiles(core: LogCore, segments: readonly Segment[]): Promise<void> {
  for (const segment of segments) {
    const stem = `${core.directory}/${segmentStem(segment.baseOffset)}`
    core.doomed.push(stem + LOG_SUFFIX, stem + INDEX_SUFFIX)
    await segment.retire()
  }
  while (core.doomed[0] !== undefined) {
    await core.disk.remove(core.doomed[0])
    core.doomed.shift()
  }
  await core.disk.syncDirectory(core.directory)
  if (core.epochs.advanceStart(core.startOffset)) await writeEpochs(core)
}
