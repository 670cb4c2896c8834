/**
 * The epoch table on opening. The file is a hint: each start it names is compared with the records
 * around it, a start that Go Liftbridge's leader noted one too low is moved to where it belongs
 * [reliability G1, LB 7.A2], and a table that does not fit is made anew from the log [E3, T3].
 */
import { EPOCH_FILE } from './checkpoint.ts'
import { recordEpoch, recordOffset, recordSize } from './format/record.ts'
import { readEpochs, writeEpochs } from './hints.ts'
import { type EpochStart, LeaderEpochs } from './leader-epochs.ts'
import type { LogCore } from './log-core.ts'
import type { Segment } from './segment.ts'
import { findRecord, placeOf } from './segment-search.ts'
import { readBlock, walkRecords } from './segment-walk.ts'
import type { LeaderEpoch, Offset } from './units.ts'

export async function recoverEpochs(core: LogCore, present: boolean): Promise<void> {
  const read = present ? await readEpochs(core) : undefined
  const checked = read === undefined ? undefined : await checkEntries(core, read)
  const entries = checked ?? (await scanEpochs(core))
  core.epochs = new LeaderEpochs(entries)
  core.epochs.advanceStart(core.startOffset)
  const after = core.epochs.entries
  const same =
    read !== undefined &&
    read.length === after.length &&
    after.every(({ epoch, start }, i) => read[i]?.epoch === epoch && read[i]?.start === start)
  if (same || (read === undefined && after.length === 0 && !present)) return
  try {
    await writeEpochs(core)
  } catch (error) {
    // The next opening finds the same again; until then the log can be read [T3, T4].
    core.report({ kind: 'hint-not-written', path: `${core.directory}/${EPOCH_FILE}`, error })
  }
}

/** The entries with their starts put right, or undefined when they do not describe this log. */
async function checkEntries(
  core: LogCore,
  entries: readonly EpochStart[],
): Promise<EpochStart[] | undefined> {
  const { startOffset, nextOffset } = core
  if (await isOneEpoch(core, entries)) return [...entries]
  const checked: EpochStart[] = []
  for (const [i, { epoch, start }] of entries.entries()) {
    // Covered by its successor, or lost with a tail that was never durable.
    const successor = entries[i + 1]
    if (successor !== undefined && successor.start + 1 <= startOffset) continue
    if (start > nextOffset) break
    const actual = await actualStart(core, epoch, Math.max(start, startOffset))
    if (actual === undefined) return undefined
    checked.push({ epoch, start: actual })
  }
  const newest = await lastEpoch(core)
  const first = await firstEpoch(core)
  if (newest !== undefined && newest > (checked.at(-1)?.epoch ?? -1)) return undefined
  if (first !== undefined && first < (checked[0]?.epoch ?? first)) return undefined
  return checked
}

/** The common case, told with three small reads: one epoch, from the first record to the last. */
async function isOneEpoch(core: LogCore, entries: readonly EpochStart[]): Promise<boolean> {
  const [only] = entries
  const first = core.segments[0]
  const last = core.segments.at(-1)
  if (entries.length !== 1 || only === undefined || first === undefined || last === undefined) {
    return false
  }
  if (only.start !== core.startOffset || first.count === 0 || last.count === 0) return false
  if (first.damage !== undefined || last.damage !== undefined) return false
  if ((await readEpoch(first, 0)) !== only.epoch) return false
  const end = await placeOf(last, last.count - 1)
  return end !== undefined && (await readEpoch(last, end.position)) === only.epoch
}

/** Where `epoch` starts at or right after `start`; undefined when the records say otherwise. */
async function actualStart(
  core: LogCore,
  epoch: LeaderEpoch,
  start: Offset,
): Promise<Offset | undefined> {
  const before = await epochBefore(core, start)
  if (before !== undefined && before >= epoch) return undefined
  const here = await epochAt(core, start)
  if (here === undefined || here >= epoch) return start
  const next = await epochAt(core, start + 1)
  return next === undefined || next >= epoch ? start + 1 : undefined
}

/** Epoch of the first record at or after `offset`; undefined when there is none. */
async function epochAt(core: LogCore, offset: Offset): Promise<LeaderEpoch | undefined> {
  for (const segment of core.segments) {
    if (segment.nextOffset <= offset || segment.count === 0) continue
    if (segment.damage !== undefined) continue
    const found = await findRecord(core, segment, { kind: 'offset', offset })
    if (found.kind === 'found') return readEpoch(segment, found.at.position)
  }
  return undefined
}

/** Epoch of the last record before `offset`; undefined when there is none. */
async function epochBefore(core: LogCore, offset: Offset): Promise<LeaderEpoch | undefined> {
  for (const segment of core.segments.toReversed()) {
    if (segment.count === 0 || segment.firstOffset >= offset) continue
    if (segment.damage !== undefined) continue
    const found = await findRecord(core, segment, { kind: 'offset', offset })
    if (found.before !== undefined) return readEpoch(segment, found.before.position)
  }
  return undefined
}

function firstEpoch(core: LogCore): Promise<LeaderEpoch | undefined> {
  return epochAt(core, 0)
}

function lastEpoch(core: LogCore): Promise<LeaderEpoch | undefined> {
  return epochBefore(core, core.nextOffset)
}

async function readEpoch(segment: Segment, position: number): Promise<LeaderEpoch> {
  const frame = new Uint8Array(28)
  await readBlock(segment.file, frame, { position, length: frame.length })
  return recordEpoch(frame, 0)
}

/** The table as the records tell it; segments that lie within one epoch are not read. */
async function scanEpochs(core: LogCore): Promise<EpochStart[]> {
  const entries: EpochStart[] = []
  const note = (epoch: LeaderEpoch, start: Offset): void => {
    const last = entries.at(-1)
    if (last === undefined || epoch > last.epoch) entries.push({ epoch, start })
  }
  for (const segment of core.segments) {
    if (segment.count === 0 || segment.damage !== undefined) continue
    const last = await placeOf(segment, segment.count - 1)
    const lastEpochHere = last === undefined ? undefined : await readEpoch(segment, last.position)
    if (lastEpochHere !== undefined && lastEpochHere === entries.at(-1)?.epoch) continue
    const first = await readEpoch(segment, 0)
    note(first, segment.firstOffset)
    if (lastEpochHere === first) continue
    const walk = { from: 0, end: segment.size, minOffset: segment.baseOffset, verify: false }
    await walkRecords(segment.file, walk, ({ bytes, start, end }) => {
      for (let at = start; at < end; at += recordSize(bytes, at)) {
        note(recordEpoch(bytes, at), recordOffset(bytes, at))
      }
    })
  }
  return entries
}
