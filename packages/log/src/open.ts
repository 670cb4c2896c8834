/** Opening a log's directory: what is in it, what is left over, and what it adds up to. */
import { COMPACTED_FILE, EPOCH_FILE, HIGH_WATERMARK_FILE } from './checkpoint.ts'
import { DiskError } from './disk.ts'
import { recoverEpochs } from './epoch-recovery.ts'
import { TEMPORARY_SUFFIX } from './file-io.ts'
import { readHighWatermark } from './hints.ts'
import type { LogCore } from './log-core.ts'
import { rewriteTail } from './rewrite-tail.ts'
import { createFirstSegment, createSegment } from './roll.ts'
import { INDEX_SUFFIX, LOG_SUFFIX, parseSegmentName, type Segment } from './segment.ts'
import { openActive, openSealed, reportGaps, reportMissing } from './segment-recovery.ts'
import { syncNames } from './sync.ts'
import { NO_OFFSET, type Offset } from './units.ts'

/** Fills a new core from its directory. Repairs what can be; fails only on storage errors. */
export async function openLog(core: LogCore): Promise<void> {
  const names = await listFiles(core)
  const bases = await removeLeftovers(core, names)
  core.wasCompacted = names.has(COMPACTED_FILE)
  const hasMark = names.has(HIGH_WATERMARK_FILE)
  const mark = hasMark ? await readHighWatermark(core) : undefined
  // No file says the same as one that says -1, so an empty log needs none.
  core.checkpointed = hasMark ? mark : NO_OFFSET
  const { distrustBeyond } = core.options
  const known = Math.max(mark ?? NO_OFFSET, distrustBeyond ?? NO_OFFSET)
  await openSegments(core, bases, known)
  const { newestOffset } = core
  if (newestOffset < known) reportMissing(core, newestOffset + 1, known)
  if (distrustBeyond !== undefined) await rewriteTail(core, known)
  // Records above the mark may only be in the page cache yet; from here on they count as durable.
  if (newestOffset > (mark ?? NO_OFFSET)) {
    await syncNames(core)
    if (core.active.size > 0) await core.active.file.sync()
  }
  core.syncedOffset = newestOffset
  // The original takes a mark beyond the log for good and shows records below it that were never
  // committed [LB 7.A6].
  core.highWatermark = Math.min(mark ?? NO_OFFSET, newestOffset)
  for (const segment of core.segments) {
    if (segment.lastTimestampNs > core.lastTimestampNs) {
      core.lastTimestampNs = segment.lastTimestampNs
    }
  }
  await recoverEpochs(core, names.has(EPOCH_FILE))
}

async function listFiles(core: LogCore): Promise<Set<string>> {
  try {
    const entries = await core.disk.list(core.directory)
    return new Set(entries.filter(({ kind }) => kind === 'file').map(({ name }) => name))
  } catch (error) {
    if (!(error instanceof DiskError && error.code === 'not-found')) throw error
  }
  await core.disk.makeDirectory(core.directory)
  return new Set()
}

/**
 * Removes what an interrupted compaction, truncation or atomic write left, so that no stray file
 * ever takes part again [reliability K3, LB 7.A18]. Files of other kinds are left alone. The base
 * offsets of the segments, ascending.
 */
async function removeLeftovers(core: LogCore, names: Set<string>): Promise<Offset[]> {
  const bases: Offset[] = []
  for (const name of names) {
    const base = parseSegmentName(name)
    if (base !== undefined) bases.push(base)
    else if (isLeftover(name, names)) await core.disk.remove(`${core.directory}/${name}`)
  }
  return bases.sort((a, b) => a - b)
}

function isLeftover(name: string, names: Set<string>): boolean {
  if (/^\d{20}\.(log|index)\.(cleaned|truncated)$/.test(name)) return true
  if (/^\d{20}\.index$/.test(name)) {
    return !names.has(name.slice(0, -INDEX_SUFFIX.length) + LOG_SUFFIX)
  }
  for (const hint of [EPOCH_FILE, HIGH_WATERMARK_FILE]) {
    const rest = name.startsWith(hint) ? name.slice(hint.length) : ''
    // Go Liftbridge names its temporary files with a random number.
    if (rest === TEMPORARY_SUFFIX || /^\d+$/.test(rest)) return true
  }
  return false
}

async function openSegments(core: LogCore, bases: readonly Offset[], mark: Offset): Promise<void> {
  const short = new Set<Segment>()
  for (const [i, base] of bases.entries()) {
    const successor = bases[i + 1]
    if (successor !== undefined) {
      const { segment, isShort } = await openSealed(core, base, successor)
      core.segments.push(segment)
      if (isShort) short.add(segment)
      continue
    }
    const { segment, continueAt } = await openActive(core, base, mark)
    core.segments.push(segment)
    if (continueAt !== undefined) core.segments.push(await createSegment(core, continueAt))
  }
  if (core.segments.length === 0) core.segments.push(await createFirstSegment(core))
  reportGaps(core, short)
}
