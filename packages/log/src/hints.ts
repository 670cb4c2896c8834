/** The small files beside the segments: epochs and high watermark. Hints, all of them [T3]. */
import {
  decodeHighWatermark,
  encodeHighWatermark,
  EPOCH_FILE,
  HIGH_WATERMARK_FILE,
  MAX_HIGH_WATERMARK_FILE_BYTES,
} from './checkpoint.ts'
import { readSmallFile, replaceFile } from './file-io.ts'
import { decodeEpochs, encodeEpochs, MAX_EPOCH_FILE_BYTES } from './leader-epochs.ts'
import type { EpochStart } from './leader-epochs.ts'
import type { LogCore } from './log-core.ts'
import type { Segment } from './segment.ts'
import type { LeaderEpoch, Offset } from './units.ts'

/** Notes the start of an epoch, durably, before its first record is written. */
export async function noteEpoch(core: LogCore, epoch: LeaderEpoch, start: Offset): Promise<void> {
  if (core.epochs.assign(epoch, start)) await writeEpochs(core)
}

export async function writeEpochs(core: LogCore): Promise<void> {
  const text = Buffer.from(encodeEpochs(core.epochs.entries), 'latin1')
  await replaceFile(core.disk, { directory: core.directory, name: EPOCH_FILE }, text)
}

/** The epochs in the file; undefined when it is missing or not one. */
export async function readEpochs(core: LogCore): Promise<EpochStart[] | undefined> {
  const path = `${core.directory}/${EPOCH_FILE}`
  const bytes = await readSmallFile(core.disk, path, MAX_EPOCH_FILE_BYTES)
  if (bytes === undefined) return undefined
  const entries = decodeEpochs(bytes)
  if (entries === undefined) core.report({ kind: 'hint-rebuilt', path, reason: 'not readable' })
  return entries
}

/**
 * Writes the high watermark when it changed. It is capped at what is synced: a mark above the
 * durable records would make the next opener take their absence for damage [R3, LB 7.A6].
 */
export async function writeHighWatermark(core: LogCore): Promise<void> {
  const durable = Math.min(core.highWatermark, core.syncedOffset)
  if (durable === core.checkpointed) return
  const bytes = encodeHighWatermark(durable)
  await replaceFile(core.disk, { directory: core.directory, name: HIGH_WATERMARK_FILE }, bytes)
  core.checkpointed = durable
}

/** The offset in the high watermark's file; undefined when it is missing or not one. */
export async function readHighWatermark(core: LogCore): Promise<Offset | undefined> {
  const path = `${core.directory}/${HIGH_WATERMARK_FILE}`
  const bytes = await readSmallFile(core.disk, path, MAX_HIGH_WATERMARK_FILE_BYTES)
  if (bytes === undefined) return undefined
  const offset = decodeHighWatermark(bytes)
  if (offset === undefined) core.report({ kind: 'hint-rebuilt', path, reason: 'not readable' })
  return offset
}

/** Writes waiting index entries; a failure costs the next opener time, and nothing else. */
export async function flushIndex(core: LogCore, segment: Segment): Promise<void> {
  try {
    await segment.index.flush()
  } catch (error) {
    core.report({ kind: 'hint-not-written', path: segment.index.file.path, error })
  }
}
