/** The durable log of operations, on the same segments as every partition's log. */
import { CommitLog, RecordBatch, RecordView, type Disk } from '@liftbridge/log'
import type { LogIndex } from '@liftbridge/metadata'
import type { Clock } from '../clock.ts'
import type { LoggedEntry, OperationLog } from './operation-log.ts'

/** Operations are small; a segment of them is read as a whole at every start. */
const SEGMENT_MAX_BYTES = 16 * 1024 * 1024
/** One server has one term. */
const EPOCH = 1

export class CommitOperationLog implements OperationLog {
  readonly #log: CommitLog
  readonly #clock: Clock
  readonly #batch = new RecordBatch()

  private constructor(log: CommitLog, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  /** Opens it in its directory, making it when missing. Rejects with a DiskError. */
  static async open(options: {
    readonly disk: Disk
    readonly directory: string
    readonly clock: Clock
  }): Promise<CommitOperationLog> {
    const { disk, directory, clock } = options
    const log = await CommitLog.open({ disk, directory, segmentMaxBytes: SEGMENT_MAX_BYTES })
    return new CommitOperationLog(log, clock)
  }

  /** The index of an entry is its offset plus one, as Raft counts from 1. */
  get lastIndex(): LogIndex {
    return this.#log.newestOffset + 1
  }

  async append(entries: readonly Uint8Array[]): Promise<LogIndex> {
    this.#batch.clear()
    for (const value of entries) {
      const problem = this.#batch.addRecord({ value })
      if (problem !== undefined) throw new Error(`an operation cannot be stored: ${problem}`)
    }
    const timestampNs = this.#clock.wallNs()
    const base = await this.#log.append(this.#batch, { timestampNs, leaderEpoch: EPOCH })
    await this.#log.sync()
    return base + 1
  }

  async *read(from: LogIndex): AsyncGenerator<LoggedEntry> {
    const last = this.#log.newestOffset
    if (from - 1 > last) return
    const reader = this.#log.reader({ from: from - 1, until: 'written' })
    const view = new RecordView()
    try {
      for (let next = from - 1; next <= last;) {
        const block = await reader.next()
        if (block.kind === 'end') throw new Error(`the metadata log ended: ${block.reason}`)
        for (let at = block.start; at < block.end && next <= last; at = view.end) {
          if (!view.load(block.bytes, at) || view.offset !== next) {
            throw new Error(`the metadata log is damaged at entry ${next + 1}`)
          }
          // The block is reused by the next read.
          yield { index: next + 1, entry: block.bytes.slice(view.valueStart, view.valueEnd) }
          next++
        }
      }
    } finally {
      reader.close()
    }
  }

  close(): Promise<void> {
    return this.#log.close()
  }
}
