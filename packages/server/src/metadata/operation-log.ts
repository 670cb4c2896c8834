import type { LogIndex } from '@liftbridge/metadata'

/** The durable log of operations as the consensus of one server sees it. */
export interface OperationLog {
  /** Index of the newest entry; 0 when there is none. */
  readonly lastIndex: LogIndex
  /**
   * Appends entries and syncs once for all of them; resolves with the index of the first when all
   * are durable. One call at a time. After a rejection nothing of the call is in the log, as when
   * the disk was full, and the next call may try again [T4]; or the log is `fenced`.
   */
  append(entries: readonly Uint8Array[]): Promise<LogIndex>
  /** What the disk holds is unknown until the log is opened anew: nothing is appended before [D7]. */
  readonly fenced: boolean
  /** Every entry from `from` on, in order, as of the call. Rejects when one cannot be trusted. */
  read(from: LogIndex): AsyncIterable<LoggedEntry>
  /** Idempotent. */
  close(): Promise<void>
}

export interface LoggedEntry {
  readonly index: LogIndex
  readonly entry: Uint8Array
}
