import {
  CommitLog,
  LogError,
  RecordBatch,
  RecordView,
  TailCache,
  type Disk,
  type LogProblem,
} from '@liftbridge/log'
import type { Entry, Index } from '@liftbridge/raft'
import type { Clock, Timer } from '../../clock.ts'
import { reasonOf } from './files.ts'
import { decodeEntry, encodeEntry } from './stored-entry.ts'
import { RaftStoreUnreadable } from './unreadable.ts'

/** A thousand streams take some 200 KiB; whole segments are dropped when they are compacted. */
const SEGMENT_MAX_BYTES = 4 * 1024 * 1024
/** Raft's terms stand in the values; to the records' own epochs a Raft log is one epoch. */
const LEADER_EPOCH = 1
/**
 * Writing down how far the log is durable costs as much as an append; once for many will do. What
 * was synced within this time before a kill has no witness yet, so it is short.
 */
const MARK_PAUSE_MS = 200
/** Directories of a log carry the index of its first entry, in as many digits as segments have. */
const DIRECTORY_NAME = /^\d{20}$/
const SEGMENT_NAME = /^(\d{20})\.log$/

export interface EntryLogOptions {
  readonly disk: Disk
  /** Absolute path of the directory that holds the log's directories; it exists. */
  readonly directory: string
  readonly clock: Clock
  readonly segmentMaxBytes?: number | undefined
  /** What the log repaired or noticed; harmless ones only, others reject the opening. */
  readonly onProblem?: ((problem: LogProblem) => void) | undefined
}

/**
 * The entries of Raft as a log of package `log`, whose directory is named by the index of its
 * first entry: offset = index - that index. When a snapshot replaces the log, a new directory
 * takes its place; the older one goes only after the new one is durable.
 *
 * One caller at a time; nothing is durable before `sync`. The high watermark's file, the *mark*,
 * follows at once, or soon when many come, and never names what was not synced, so that at the next
 * start damage to what was answered is told from the torn end of what was not [T1, T2].
 */
export class EntryLog {
  readonly #options: EntryLogOptions
  readonly #batch = new RecordBatch()
  #log: CommitLog
  #base: Index
  /** Directories of logs that this one has replaced. */
  #stale: readonly string[]
  /** Runs while the mark was written a moment ago. */
  #markPause: Timer | undefined
  /** More became durable during the pause. */
  #isMarkDue = false

  private constructor(
    options: EntryLogOptions,
    opened: { readonly log: CommitLog; readonly base: Index; readonly stale: readonly string[] },
  ) {
    this.#options = options
    this.#log = opened.log
    this.#base = opened.base
    this.#stale = opened.stale
  }

  /** Rejects with RaftStoreUnreadable or DiskError. A log is made when there is none. */
  static async open(options: EntryLogOptions): Promise<EntryLog> {
    const entries = await options.disk.list(options.directory)
    const names = entries
      .filter(({ name, kind }) => kind === 'directory' && DIRECTORY_NAME.test(name))
      .map(({ name }) => name)
    const newest = names.at(-1)
    const base = newest === undefined ? 1 : Number(newest)
    const log = await openChecked(options, base)
    return new EntryLog(options, { log, base, stale: names.slice(0, -1) })
  }

  /** Index of the oldest entry that is there, or of the next one when there is none. */
  get firstIndex(): Index {
    const { oldestOffset, nextOffset } = this.#log
    return this.#base + (oldestOffset < 0 ? nextOffset : oldestOffset)
  }

  get nextIndex(): Index {
    return this.#base + this.#log.nextOffset
  }

  /** Where the log is now, for reports. */
  get path(): string {
    return pathOf(this.#options, this.#base)
  }

  /** A failed sync or roll-back: what is on disk is unknown until the next opening [D7]. */
  get fenced(): boolean {
    return this.#log.state !== 'open'
  }

  /** Everything that is there. Rejects with RaftStoreUnreadable or DiskError. */
  async readAll(): Promise<Entry[]> {
    const entries: Entry[] = []
    const view = new RecordView()
    const first = this.firstIndex
    const reader = this.#log.reader({ from: first - this.#base, until: 'written' })
    try {
      while (first + entries.length < this.nextIndex) {
        const block = await reader.poll()
        if (block === undefined || block.kind === 'end') break
        for (let at = block.start; at < block.end; at = view.end) {
          if (!view.load(block.bytes, at)) break
          const entry = decodeEntry(block.bytes.subarray(view.valueStart, view.valueEnd))
          if (entry?.index !== first + entries.length) break
          entries.push(entry)
        }
      }
    } catch (error) {
      if (!(error instanceof LogError)) throw error
      throw new RaftStoreUnreadable(this.path, error.message, { cause: error })
    } finally {
      reader.close()
    }
    const next = first + entries.length
    if (next < this.nextIndex) {
      throw new RaftStoreUnreadable(this.path, `entry ${next} is missing or is not one`)
    }
    return entries
  }

  /**
   * Writes the entries that are not there yet, so it can be called again after it failed. When it
   * rejects and the log is not fenced, what was written before stays.
   */
  async append(entries: readonly Entry[]): Promise<void> {
    for (const entry of entries) {
      if (entry.index < this.nextIndex) continue
      const expected = this.nextIndex + this.#batch.count
      if (entry.index !== expected) {
        throw new LogError('rejected', `entry ${entry.index} where ${expected} belongs`)
      }
      const value = encodeEntry(entry)
      if (this.#batch.addRecord({ value }) === undefined) continue
      await this.#write()
      if (this.#batch.addRecord({ value }) !== undefined) {
        throw new LogError('rejected', `entry ${entry.index} is too large for the log`)
      }
    }
    await this.#write()
  }

  async sync(): Promise<void> {
    await this.#log.sync()
    this.#log.advanceHighWatermark(this.#log.syncedOffset)
    if (this.#markPause === undefined) this.#writeMark()
    else this.#isMarkDue = true
  }

  /**
   * Writes down that all that was found on opening is durable, which the opening saw to: without
   * it, a server that is killed and started without a write in between has no witness of its end.
   */
  async markAll(): Promise<void> {
    this.#log.advanceHighWatermark(this.#log.syncedOffset)
    await this.#log.checkpoint().catch(later)
  }

  /** Removes an entry and all after it, durably. */
  async truncateFrom(index: Index): Promise<void> {
    await this.#log.truncate(Math.max(0, index - this.#base))
  }

  /** Drops everything and goes on at `nextIndex`, durably. Can be called again after it failed. */
  async reset(nextIndex: Index): Promise<void> {
    if (nextIndex < this.#base)
      throw new LogError('rejected', 'a log is never replaced by an older')
    if (nextIndex === this.#base) return this.#log.truncate(0)
    const log = await openChecked(this.#options, nextIndex)
    const { disk, directory } = this.#options
    await disk.syncDirectory(pathOf(this.#options, nextIndex))
    await disk.syncDirectory(directory)
    const replaced = this.#log
    this.#cancelMark()
    this.#stale = [...this.#stale, nameOf(this.#base)]
    this.#log = log
    this.#base = nextIndex
    await replaced.close()
  }

  /** Drops whole segments that hold nothing after `index`, and logs that were replaced. */
  async compactThrough(index: Index): Promise<void> {
    await this.removeReplaced()
    const kept = await this.#firstOffsetOfSegmentWith(index + 1 - this.#base)
    const { nextOffset, oldestOffset } = this.#log
    if (kept <= oldestOffset) return
    this.#log.setRetention({ maxMessages: nextOffset - kept })
    await this.#log.clean(this.#options.clock.wallNs())
  }

  /** Removes logs that this one has replaced; only after it is known that this one can be used. */
  async removeReplaced(): Promise<void> {
    const { disk, directory } = this.#options
    for (const name of this.#stale) await disk.removeTree(`${directory}/${name}`)
    if (this.#stale.length > 0) await disk.syncDirectory(directory)
    this.#stale = []
  }

  async close(): Promise<void> {
    this.#cancelMark()
    await this.#log.close()
  }

  /** Nobody waits for the mark: answers need what it speaks of, not the mark itself. */
  #writeMark(): void {
    this.#isMarkDue = false
    this.#markPause = this.#options.clock.after(MARK_PAUSE_MS, () => {
      this.#markPause = undefined
      if (this.#isMarkDue) this.#writeMark()
    })
    this.#log.checkpoint().catch(later)
  }

  #cancelMark(): void {
    this.#markPause?.cancel()
    this.#markPause = undefined
    this.#isMarkDue = false
  }

  async #write(): Promise<void> {
    if (this.#batch.count === 0) return
    try {
      const stamp = { timestampNs: this.#options.clock.wallNs(), leaderEpoch: LEADER_EPOCH }
      await this.#log.append(this.#batch, stamp)
    } finally {
      this.#batch.clear()
    }
  }

  /** Offset at which the segment begins that holds `offset`; the first when none does. */
  async #firstOffsetOfSegmentWith(offset: number): Promise<number> {
    let found = 0
    for (const { name } of await this.#options.disk.list(this.path)) {
      const start = Number(SEGMENT_NAME.exec(name)?.[1] ?? Number.NaN)
      if (start <= offset && start > found) found = start
    }
    return found
  }
}

/** A mark that could not be written is written after the next sync, or on closing. */
const later = (): void => {}

const nameOf = (base: Index): string => String(base).padStart(20, '0')

const pathOf = (options: EntryLogOptions, base: Index): string =>
  `${options.directory}/${nameOf(base)}`

/** Opens a log and refuses one that has lost or damaged what was durable. */
const openChecked = async (options: EntryLogOptions, base: Index): Promise<CommitLog> => {
  const directory = pathOf(options, base)
  const problems: LogProblem[] = []
  let opened = false
  const log = await CommitLog.open({
    disk: options.disk,
    directory,
    segmentMaxBytes: options.segmentMaxBytes ?? SEGMENT_MAX_BYTES,
    // Entries are read at the start only; the core keeps them in memory.
    tails: new TailCache({ maxBytes: 0 }),
    // A process that died after a failed sync may have left bytes that only look durable [D7].
    distrustBeyond: -1,
    onProblem: (problem) => {
      if (!opened) problems.push(problem)
      options.onProblem?.(problem)
    },
  })
  opened = true
  for (const problem of problems) {
    const reason = damageOf(problem, base)
    // Not closed: that would write down the shorter end as the right one, and the next start
    // would go on without the missing entries.
    if (reason !== undefined) throw new RaftStoreUnreadable(directory, reason)
  }
  return log
}

/** Why a problem found on opening makes the log untrustworthy; undefined for a repaired one. */
const damageOf = (problem: LogProblem, base: Index): string | undefined => {
  switch (problem.kind) {
    case 'segment-quarantined':
      return `${problem.damage.path} is damaged at position ${problem.damage.position}`
    case 'durable-tail-missing':
      return `entries ${base + problem.lostFrom} to ${base + problem.mark} are missing`
    case 'failed':
      return reasonOf(problem.error)
    case 'tail-cut':
    case 'hint-rebuilt':
    case 'hint-not-written':
      return undefined
  }
}
