/**
 * Appending. Per batch: one roll check, one write, one copy into the tail, index entries in
 * memory. Runs in the log's lane, so there is one append at a time.
 */
import type { DiskFile } from './disk.ts'
import { LogError } from './errors.ts'
import { SYNC_WRITE_MAX_BYTES, writeAll, writeAllSync } from './file-io.ts'
import { recordEpoch, recordOffset, recordSize, recordTimestamp } from './format/record.ts'
import type { RecordBatch } from './format/record-batch.ts'
import { isDamage, Scan } from './format/scan.ts'
import { flushIndex, noteEpoch } from './hints.ts'
import type { EpochStart } from './leader-epochs.ts'
import type { LogCore } from './log-core.ts'
import { rollIfNeeded } from './roll.ts'
import {
  type LeaderEpoch,
  NO_OFFSET,
  type Offset,
  type Position,
  timestampHigh,
  timestampLow,
  type TimestampNs,
} from './units.ts'

/** Records ready to be written: stamped or verified. */
interface Run {
  readonly bytes: Uint8Array
  readonly view: DataView
  /** The records are `bytes[0..length)`. */
  readonly length: number
  readonly firstOffset: Offset
  readonly lastOffset: Offset
  readonly firstTimestampNs: TimestampNs
  readonly lastTimestampNs: TimestampNs
}

/** Appends a leader's batch; its base offset. An empty batch only names the next offset. */
export async function appendBatch(
  core: LogCore,
  batch: RecordBatch,
  stamp: { readonly timestampNs: TimestampNs; readonly leaderEpoch: LeaderEpoch },
): Promise<Offset> {
  assertWritable(core)
  if (batch.count === 0) return core.nextOffset
  if (stamp.leaderEpoch < core.epochs.latest) {
    throw new LogError('rejected', `epoch ${stamp.leaderEpoch} is older than the log's last`)
  }
  await rollIfNeeded(core, {
    nowNs: stamp.timestampNs,
    bytes: batch.byteLength,
    records: batch.count,
  })
  const base = core.nextOffset
  if (stamp.leaderEpoch > core.epochs.latest) await noteEpoch(core, stamp.leaderEpoch, base)
  // Time look-ups search by halving, so a clock that steps back must not show [O6, G23].
  const last = core.lastTimestampNs
  const timestampNs = stamp.timestampNs > last ? stamp.timestampNs : last
  const time = { high: timestampHigh(timestampNs), low: timestampLow(timestampNs) }
  batch.stamp(base, time, stamp.leaderEpoch)
  await writeRun(core, {
    bytes: batch.bytes,
    view: batch.view,
    length: batch.byteLength,
    firstOffset: base,
    lastOffset: base + batch.count - 1,
    firstTimestampNs: timestampNs,
    lastTimestampNs: timestampNs,
  })
  return base
}

/** How a follower's append is checked. */
export interface VerbatimOptions {
  /** The epoch of the leader that sent the records; none of them may be newer. */
  readonly leaderEpoch: LeaderEpoch
  /** The leader's log is compacted, so offsets may be missing. Refused by default [R9, G8]. */
  readonly gaps?: boolean
}

/**
 * Appends records as a leader sent them, all or none: they must begin at the next offset without
 * a gap, verify, and carry epochs that neither fall nor exceed the leader's [reliability R9, G8].
 * The number of records. Works on a readonly log: what the leader has, its replicas need.
 */
export async function appendVerbatim(
  core: LogCore,
  bytes: Uint8Array,
  options: VerbatimOptions,
): Promise<number> {
  core.assertOpen()
  if (bytes.length === 0) return 0
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const scan = verifyVerbatim(core, view, options)
  const starts = newEpochs(bytes, core.epochs.latest, options.leaderEpoch)
  await rollIfNeeded(core, { nowNs: undefined, bytes: bytes.length, records: scan.count })
  for (const { epoch, start } of starts) await noteEpoch(core, epoch, start)
  await writeRun(core, {
    bytes,
    view,
    length: bytes.length,
    firstOffset: scan.firstOffset,
    lastOffset: scan.lastOffset,
    firstTimestampNs: recordTimestamp(bytes, 0),
    lastTimestampNs: recordTimestamp(bytes, scan.lastStart),
  })
  return scan.count
}

function assertWritable(core: LogCore): void {
  core.assertOpen()
  if (core.readonly) throw new LogError('readonly', 'end of readonly log')
}

function verifyVerbatim(core: LogCore, view: DataView, options: VerbatimOptions): Scan {
  const scan = new Scan()
  scan.run(view, {
    start: 0,
    end: view.byteLength,
    minOffset: core.nextOffset,
    limit: Number.MAX_SAFE_INTEGER,
    maxBytes: view.byteLength,
    dense: !options.gaps,
    verify: true,
  })
  if (scan.stop !== 'end') {
    const what = isDamage(scan.stop) ? scan.stop : 'a record is cut off'
    throw new LogError('rejected', `records offered at ${core.nextOffset} do not hold: ${what}`)
  }
  return scan
}

/** Where epochs newer than `latest` begin; throws when one falls or is newer than the leader's. */
function newEpochs(bytes: Uint8Array, latest: LeaderEpoch, newest: LeaderEpoch): EpochStart[] {
  const starts: EpochStart[] = []
  let last = latest
  for (let at = 0; at < bytes.length; at += recordSize(bytes, at)) {
    const epoch = recordEpoch(bytes, at)
    if (epoch < last || epoch > newest) {
      throw new LogError('rejected', `epoch ${epoch} is not between ${last} and ${newest}`)
    }
    if (epoch > last) starts.push({ epoch, start: recordOffset(bytes, at) })
    last = epoch
  }
  return starts
}

/** Writes a run at the end of the active segment, or leaves the file as it was [T4]. */
async function writeRun(core: LogCore, run: Run): Promise<void> {
  const segment = core.active
  const position = segment.size
  const file = segment.file.tryBorrow() ?? (await segment.file.borrow())
  try {
    const span = { bytes: run.bytes, start: 0, length: run.length }
    if (run.length <= SYNC_WRITE_MAX_BYTES) writeAllSync(file, span, position)
    else await writeAll(file, span, position)
  } catch (error) {
    await rollBack(core, file, position)
    throw error
  } finally {
    segment.file.markDirty((error) => core.fail(error))
    segment.file.giveBack()
  }
  segment.index.addRecords(
    run.view,
    { start: 0, end: run.length },
    { position, baseOffset: segment.baseOffset },
  )
  if (segment.firstOffset === NO_OFFSET) {
    segment.firstOffset = run.firstOffset
    segment.firstTimestampNs = run.firstTimestampNs
  }
  segment.lastOffset = run.lastOffset
  segment.lastTimestampNs = run.lastTimestampNs
  segment.size = position + run.length
  if (run.lastTimestampNs > core.lastTimestampNs) core.lastTimestampNs = run.lastTimestampNs
  core.tail.push(segment, {
    bytes: run.bytes,
    length: run.length,
    position,
    firstOffset: run.firstOffset,
  })
  if (segment.index.wantsFlush) await flushIndex(core, segment)
  core.notify('written')
}

/**
 * Cuts off what a failed write left behind. When even that fails, the file's end is unknown and
 * nothing more may be appended.
 */
async function rollBack(core: LogCore, file: DiskFile, size: Position): Promise<void> {
  try {
    await file.truncate(size)
  } catch (error) {
    core.fail(error)
  }
}
