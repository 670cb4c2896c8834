/** What the tests of this package share: short ways to write and read a log. */
import assert from 'node:assert/strict'
import { CommitLog } from './commit-log.ts'
import { RecordBatch } from './format/record-batch.ts'
import { RecordView } from './format/record.ts'
import { MemoryDisk } from './memory-disk.suite.ts'
import type { CommitLogOptions, LogProblem } from './options.ts'
import type { LogReader } from './reader.ts'
import type { LogEnd } from './record-block.ts'
import type { ReverseReader } from './reverse-reader.ts'

export const DIRECTORY = '/data/streams/foo/0'

/** A log on a disk in memory, with what it reported. */
export interface Fixture {
  readonly disk: MemoryDisk
  readonly log: CommitLog
  readonly problems: LogProblem[]
}

export async function openFixture(
  options: Partial<CommitLogOptions> = {},
  disk: MemoryDisk = new MemoryDisk(),
): Promise<Fixture> {
  const problems: LogProblem[] = []
  const onProblem = (problem: LogProblem): void => {
    problems.push(problem)
  }
  const log = await CommitLog.open({ directory: DIRECTORY, onProblem, ...options, disk })
  return { disk, log, problems }
}

export interface AppendOptions {
  readonly ns?: bigint
  readonly epoch?: number
  readonly key?: string
}

/** Appends a batch of values; its base offset. */
export function append(
  log: CommitLog,
  values: readonly string[],
  options: AppendOptions = {},
): Promise<number> {
  const { ns = 1n, epoch = 1, key } = options
  const batch = new RecordBatch()
  for (const value of values) {
    const problem = batch.addRecord({
      key: key === undefined ? null : Buffer.from(key),
      value: Buffer.from(value),
    })
    assert.equal(problem, undefined)
  }
  return log.append(batch, { timestampNs: ns, leaderEpoch: epoch })
}

/** One record per batch, `v0`, `v1`, …; with small segments, one segment each. */
export async function fill(log: CommitLog, count: number, options?: AppendOptions): Promise<void> {
  for (let i = 0; i < count; i++) await append(log, [`v${log.nextOffset}`], options)
}

/** Commits everything. */
export function commitAll(log: CommitLog): void {
  log.advanceHighWatermark(log.newestOffset)
}

/** `offset=value` of the records that are there now. */
export async function drain(reader: LogReader): Promise<string[]> {
  const records: string[] = []
  for (;;) {
    const block = await reader.poll()
    if (block === undefined || block.kind === 'end') return records
    records.push(...texts(block))
  }
}

/** `offset=value` of one block's records. */
export function texts(block: { bytes: Uint8Array; start: number; end: number }): string[] {
  const found: string[] = []
  const view = new RecordView()
  for (let at = block.start; at < block.end; at = view.end) {
    assert.ok(view.load(block.bytes, at))
    const value = Buffer.from(block.bytes.subarray(view.valueStart, view.valueEnd))
    found.push(`${view.offset}=${value.toString()}`)
  }
  return found
}

/** All that can be read from the beginning, committed or not. */
export function readWritten(log: CommitLog, from = 0): Promise<string[]> {
  return drain(log.reader({ from, until: 'written' }))
}

/** The offsets a reverse reader delivers, and how it ended. */
export async function drainReverse(reader: ReverseReader): Promise<[number[], LogEnd]> {
  const offsets: number[] = []
  const view = new RecordView()
  for (;;) {
    const block = await reader.next()
    if (block.kind === 'end') return [offsets, block]
    for (const at of block.starts.toReversed()) {
      assert.ok(view.load(block.bytes, at))
      offsets.push(view.offset)
    }
  }
}

/** `v<first>` to `v<last>` as `drain` gives them. */
export function values(first: number, last: number): string[] {
  const found: string[] = []
  for (let i = first; i <= last; i++) found.push(`${i}=v${i}`)
  return found
}

/** Path of the log file, or of the index, of the segment with this base offset. */
export function segmentPath(base: number, suffix: 'log' | 'index' = 'log'): string {
  return `${DIRECTORY}/${String(base).padStart(20, '0')}.${suffix}`
}

/** A disk with a log of `count` records that was killed; nothing of it is marked as durable. */
export async function killedLog(count: number): Promise<MemoryDisk> {
  const { disk, log } = await openFixture()
  await fill(log, count)
  return disk.clone()
}
