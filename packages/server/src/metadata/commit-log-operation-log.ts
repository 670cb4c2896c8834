import {
  CommitLog,
  LogError,
  RecordBatch,
  RecordView,
  type CommitLogOptions,
  type Disk,
  type LogProblem,
} from '@liftbridge/log'
import type { LogIndex } from '@liftbridge/metadata'
import type { Clock, Timer } from '../clock.ts'
import type { LoggedEntry, OperationLog } from './operation-log.ts'

/** Segments are whole files of at most this size; a thousand streams take some 200 KiB. */
const SEGMENT_MAX_BYTES = 64 * 1024 * 1024
/** Raft terms will stand here; alone one leads for ever in the first. */
const TERM = 1
/** Writing down how far the log is durable costs as much as an append; once for many will do. */
const CHECKPOINT_PAUSE_MS = 1_000

/**
 * What is on disk cannot be trusted, so nothing may be done on the ground of it: the server does
 * not start, and no stream's data is touched [M9]. The text is for the operator.
 */
export class MetadataLogUnreadable extends Error {
  constructor(directory: string, reason: string, options?: ErrorOptions) {
    super(
      `the metadata log in ${directory} cannot be read: ${reason}. No stream was ` +
        'touched. Restore the directory from a copy, or move it away to start with ' +
        'empty metadata: the data of streams stays on disk and is left alone.',
      options,
    )
    this.name = 'MetadataLogUnreadable'
  }
}

/**
 * The log of operations as one of package `log`: entry i is the record at offset i - 1. Every
 * append is synced before it resolves, so what was answered is on disk. Nothing is ever cut off
 * or compacted. The high watermark's file follows within a second, so that at the next start
 * damage to what was answered is told from the torn end of what was not.
 */
export class CommitLogOperationLog implements OperationLog {
  readonly #log: CommitLog
  readonly #directory: string
  readonly #clock: Clock
  readonly #batch = new RecordBatch()
  #torn = false
  #checkpointTimer: Timer | undefined

  private constructor(log: CommitLog, directory: string, clock: Clock) {
    this.#log = log
    this.#directory = directory
    this.#clock = clock
  }

  /** Opens or makes the log. Rejects with MetadataLogUnreadable, or a DiskError. */
  static async open(options: {
    readonly disk: Disk
    /** Absolute path of a directory of its own. */
    readonly directory: string
    readonly clock: Clock
    /** What the log repaired or noticed; harmless ones only, others reject. */
    readonly onProblem?: (problem: LogProblem) => void
  }): Promise<CommitLogOperationLog> {
    const { disk, directory, clock, onProblem } = options
    const problems: LogProblem[] = []
    let opened = false
    const logOptions: CommitLogOptions = {
      disk,
      directory,
      segmentMaxBytes: SEGMENT_MAX_BYTES,
      onProblem: (problem) => {
        if (!opened) problems.push(problem)
        onProblem?.(problem)
      },
    }
    const log = await CommitLog.open(logOptions)
    opened = true
    for (const problem of problems) {
      const reason = damageOf(problem)
      if (reason === undefined) continue
      // Not closed: that would write down the shorter end as the right one, and the next start
      // would go on without the missing operations.
      throw new MetadataLogUnreadable(directory, reason)
    }
    return new CommitLogOperationLog(log, directory, clock)
  }

  get lastIndex(): LogIndex {
    return this.#log.newestOffset + 1
  }

  get fenced(): boolean {
    return this.#torn || this.#log.state !== 'open'
  }

  async append(entries: readonly Uint8Array[]): Promise<LogIndex> {
    if (this.fenced) throw new LogError('failed', 'an earlier append failed')
    const first = this.lastIndex + 1
    try {
      for (const entry of entries) {
        // A full batch is written and the rest follows: one sync covers all of it.
        if (this.#add(entry)) continue
        await this.#write()
        if (!this.#add(entry)) throw new LogError('rejected', 'the operation is too large')
      }
      await this.#write()
      await this.#log.sync()
    } catch (error) {
      this.#batch.clear()
      // A part of the call that stays in the log would be taken for an operation of its own.
      if (this.lastIndex >= first) this.#torn = true
      throw error
    }
    this.#note()
    return first
  }

  async *read(from: LogIndex): AsyncIterable<LoggedEntry> {
    const last = this.lastIndex
    const view = new RecordView()
    const reader = this.#log.reader({ from: from - 1, until: 'written' })
    let next = from
    try {
      while (next <= last) {
        const block = await this.#poll(() => reader.poll())
        if (block === undefined || block.kind === 'end') break
        for (let at = block.start; at < block.end; at = view.end) {
          if (!view.load(block.bytes, at) || view.offset !== next - 1) break
          yield { index: next, entry: block.bytes.subarray(view.valueStart, view.valueEnd) }
          next += 1
        }
      }
    } finally {
      reader.close()
    }
    if (next <= last) {
      throw new MetadataLogUnreadable(this.#directory, `operation ${next} of ${last} is missing`)
    }
  }

  async close(): Promise<void> {
    this.#checkpointTimer?.cancel()
    this.#checkpointTimer = undefined
    await this.#log.close()
  }

  #add(entry: Uint8Array): boolean {
    return this.#batch.addRecord({ value: entry }) === undefined
  }

  async #write(): Promise<void> {
    if (this.#batch.count === 0) return
    const stamp = { timestampNs: this.#clock.wallNs(), leaderEpoch: TERM }
    await this.#log.append(this.#batch, stamp)
    this.#batch.clear()
  }

  /** Notes how far the log is durable, beside the way of the answer; closing does it at once. */
  #note(): void {
    this.#log.advanceHighWatermark(this.#log.syncedOffset)
    this.#checkpointTimer ??= this.#clock.after(CHECKPOINT_PAUSE_MS, () => {
      this.#checkpointTimer = undefined
      this.#log.checkpoint().catch(() => {
        // Only a hint: the next append tries again, and so does closing.
      })
    })
  }

  async #poll<Block>(poll: () => Promise<Block>): Promise<Block> {
    try {
      return await poll()
    } catch (error) {
      if (!(error instanceof LogError)) throw error
      throw new MetadataLogUnreadable(this.#directory, error.message, { cause: error })
    }
  }
}

/** Why a problem found on opening makes the log untrustworthy; undefined for a repaired one. */
const damageOf = (problem: LogProblem): string | undefined => {
  switch (problem.kind) {
    case 'segment-quarantined':
      return `${problem.damage.path} is damaged at position ${problem.damage.position}`
    case 'durable-tail-missing':
      return `operations from ${problem.lostFrom + 1} to ${problem.mark + 1} are missing`
    case 'failed':
      return problem.error instanceof Error ? problem.error.message : String(problem.error)
    case 'tail-cut':
    case 'hint-rebuilt':
    case 'hint-not-written':
      return undefined
  }
}
