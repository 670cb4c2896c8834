/**
 * Offsets by time. The answers are those of a linear scan [reliability O6]; the original's are not
 * where segments meet, where the active one is empty, and for equal times [LB 7.D1-3].
 */
import { LogError } from './errors.ts'
import type { LogCore } from './log-core.ts'
import { findRecord } from './segment-search.ts'
import type { Offset, TimestampNs } from './units.ts'

/** Offset of the first record at or after a time; the next offset when there is none. */
export async function earliestOffsetFrom(core: LogCore, timestampNs: TimestampNs): Promise<Offset> {
  for (const segment of core.segments) {
    if (segment.count === 0 || segment.lastTimestampNs < timestampNs) continue
    if (segment.firstTimestampNs >= timestampNs) return segment.firstOffset
    const found = await findRecord(core, segment, { kind: 'timestamp', timestampNs })
    if (found.kind === 'found') return found.at.offset
  }
  return core.nextOffset
}

/**
 * Offset of the last record at or before a time. Throws `LogError` `empty` when the log has no
 * records and `before-log` when all of them are later.
 */
export async function latestOffsetUntil(core: LogCore, timestampNs: TimestampNs): Promise<Offset> {
  let latest: Offset | undefined
  for (const segment of core.segments) {
    if (segment.count === 0) continue
    if (segment.lastTimestampNs <= timestampNs) {
      latest = segment.lastOffset
      continue
    }
    if (segment.firstTimestampNs <= timestampNs) {
      const after = { kind: 'timestamp', timestampNs: timestampNs + 1n } as const
      const found = await findRecord(core, segment, after)
      latest = found.before?.offset ?? latest
    }
    break
  }
  if (latest !== undefined) return latest
  if (core.oldestOffset < 0) throw new LogError('empty', 'the log has no records')
  throw new LogError('before-log', 'timestamp is before the beginning of the log')
}
