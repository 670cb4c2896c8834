/**
 * Opens and closes the logs of partitions, and remembers of each closed one what its next opening
 * must know: that a sync failed, that its durable records do not verify, that it was led in order.
 */
import {
  CommitLog,
  type CommitLogOptions,
  type Disk,
  DiskError,
  type FileCache,
  type LogProblem,
  type RetentionPolicy,
  type TailCache,
} from '@liftbridge/log'
import type { EffectiveConfig } from '@liftbridge/metadata'
import type { Logger } from '../logging/logger.ts'
import type { WantedPartition } from '../metadata/partition-host.ts'
import { forgetFailedSync, hasFailedSync, noteFailedSync } from './failed-sync-note.ts'

export type LogsOptions = {
  readonly disk: Disk
  readonly files: FileCache
  readonly tails: TailCache
  readonly logger: Logger
}

export type OpenedLog = {
  readonly log: CommitLog
  readonly health: LogHealth
  /** The leader epoch that was led, and ended in order, before the log was closed last; 0: none. */
  readonly ledInOrder: number
}

/** What was found out about a log since it was opened; changes with what reading it brings up. */
type LogHealth = {
  /** Durable records do not verify [T2]. */
  damaged: boolean
  /** The log ends before what was durable once. */
  lostTail: boolean
}

/** What is remembered of a closed log. */
type Memory = {
  readonly incarnation: number
  /** The last offset known durable when a sync failed; undefined when none did. */
  readonly distrustBeyond: number | undefined
  readonly damaged: boolean
  readonly ledInOrder: number
}

export class PartitionLogs {
  readonly #options: LogsOptions
  /** By directory. */
  readonly #memories = new Map<string, Memory>()

  constructor(options: LogsOptions) {
    this.#options = options
  }

  /** Rejects with a DiskError. */
  async open(
    wanted: WantedPartition,
    effective: EffectiveConfig,
    onDamaged: () => void,
  ): Promise<OpenedLog> {
    const { directory, stream } = wanted
    const known = this.#memories.get(directory)
    const memory = known?.incarnation === stream.incarnation ? known : undefined
    const health: LogHealth = { damaged: memory?.damaged ?? false, lostTail: false }
    const logger = this.#options.logger.child({
      stream: stream.name,
      partition: wanted.partition.id,
    })
    let missingThrough = -1
    const onProblem = (problem: LogProblem): void => {
      reportProblem(logger, problem)
      if (problem.kind === 'durable-tail-missing') {
        health.lostTail = true
        missingThrough = missingThrough < 0 ? problem.mark : Math.min(missingThrough, problem.mark)
      }
      if (problem.kind !== 'segment-quarantined' || health.damaged) return
      health.damaged = true
      onDamaged()
    }
    const { disk } = this.#options
    // Without a memory the sync failed in a process before this one.
    const isNoted = await hasFailedSync(disk, directory)
    const distrustBeyond = memory?.distrustBeyond ?? (isNoted ? -1 : undefined)
    try {
      const log = await this.#openLog(wanted, {
        ...(distrustBeyond === undefined ? {} : { distrustBeyond }),
        ...optionsOf(effective),
        onProblem,
      })
      this.#memories.delete(directory)
      if (isNoted) await this.#tryNote(forgetFailedSync(disk, directory), logger)
      // What is missing between other records no fetch would bring: it asks for what follows the end.
      if (missingThrough >= 0 && missingThrough < log.newestOffset && !health.damaged) {
        health.damaged = true
        onDamaged()
      }
      return { log, health, ledInOrder: memory?.ledInOrder ?? 0 }
    } catch (error) {
      // It may have been a sync that failed; then only the high watermark's file can be believed.
      if (
        error instanceof DiskError &&
        error.code === 'io' &&
        memory?.distrustBeyond === undefined
      ) {
        this.#remember(wanted, { distrustBeyond: -1, damaged: health.damaged, ledInOrder: 0 })
        await this.#tryNote(noteFailedSync(disk, directory), logger)
      }
      throw error
    }
  }

  /** Closes a log; when a sync failed, the next opening must not believe what it reads [D7]. */
  async close(wanted: WantedPartition, opened: OpenedLog, ledInOrder: number): Promise<void> {
    const { log, health } = opened
    await log.close()
    const distrustBeyond = log.failure === undefined ? undefined : log.syncedOffset
    const isOrderly = distrustBeyond === undefined && !health.damaged
    if (distrustBeyond !== undefined) {
      const { disk, logger } = this.#options
      await this.#tryNote(noteFailedSync(disk, wanted.directory), logger)
    }
    if (isOrderly && ledInOrder === 0) return
    this.#remember(wanted, {
      distrustBeyond,
      damaged: health.damaged,
      ledInOrder: isOrderly ? ledInOrder : 0,
    })
  }

  /** This process remembers by itself; a disk that fails may take no note for the next one. */
  async #tryNote(note: Promise<void>, logger: Logger): Promise<void> {
    try {
      await note
    } catch (error) {
      logger.warn('a failed sync could not be noted for a later start', { error })
    }
  }

  #remember(wanted: WantedPartition, memory: Omit<Memory, 'incarnation'>): void {
    const { incarnation } = wanted.stream
    this.#memories.set(wanted.directory, { incarnation, ...memory })
    if (this.#memories.size <= REMEMBERED_MAX) return
    for (const [directory, { distrustBeyond, damaged }] of this.#memories) {
      // Forgetting it costs a new leader epoch; the others are about data.
      if (distrustBeyond !== undefined || damaged) continue
      this.#memories.delete(directory)
      return
    }
  }

  /**
   * Puts a log that is damaged aside, so that an empty one takes its place [T2]. Until `replaced`
   * is called the one aside also says that records are missing: it outlives a crash.
   */
  async putAside({ directory }: WantedPartition): Promise<void> {
    const { disk } = this.#options
    const aside = `${directory}${ASIDE_SUFFIX}`
    // One that is there already is the whole log; what came after it is part of a copy.
    if (await this.isAside({ directory })) await disk.removeTree(directory)
    else await disk.rename(directory, aside)
    await disk.syncDirectory(parentOf(directory))
    this.#memories.delete(directory)
  }

  /**
   * Puts a log that was put aside in its place again. What was filled in its stead is kept beside it,
   * unless it is empty; an earlier one of those goes.
   */
  async takeBack(wanted: WantedPartition, isEmpty: boolean): Promise<void> {
    const { directory } = wanted
    const { disk } = this.#options
    if (!isEmpty) {
      await disk.removeTree(`${directory}${PARTIAL_SUFFIX}`)
      await disk.rename(directory, `${directory}${PARTIAL_SUFFIX}`)
    } else await disk.removeTree(directory)
    await disk.rename(`${directory}${ASIDE_SUFFIX}`, directory)
    await disk.syncDirectory(parentOf(directory))
    this.#remember(wanted, { distrustBeyond: undefined, damaged: true, ledInOrder: 0 })
  }

  /** Whether this log takes the place of a damaged one and may lack records of it. */
  async isAside({ directory }: { readonly directory: string }): Promise<boolean> {
    try {
      await this.#options.disk.list(`${directory}${ASIDE_SUFFIX}`)
      return true
    } catch (error) {
      if (error instanceof DiskError && error.code === 'not-found') return false
      throw error
    }
  }

  /** The log has everything that a damaged one had, if it took the place of one: that one is kept for an operator only. */
  async replaced({ directory }: WantedPartition): Promise<void> {
    if (!(await this.isAside({ directory }))) return
    const { disk } = this.#options
    const kept = `${directory}${REPLACED_SUFFIX}`
    await disk.removeTree(kept)
    await disk.rename(`${directory}${ASIDE_SUFFIX}`, kept)
    await disk.syncDirectory(parentOf(directory))
  }

  #openLog(
    { directory }: WantedPartition,
    rest: Partial<Omit<CommitLogOptions, 'directory'>>,
  ): Promise<CommitLog> {
    const { disk, files, tails } = this.#options
    return CommitLog.open({ disk, files, tails, directory, ...rest })
  }
}

/** A damaged log, beside the directory of the one that takes its place. */
const ASIDE_SUFFIX = '.damaged'
/** What was filled of a copy when the damaged log was taken back. */
const PARTIAL_SUFFIX = '.partial'
/** A damaged log that is not needed any more; the latest one is kept. */
const REPLACED_SUFFIX = '.replaced'

function parentOf(directory: string): string {
  return directory.slice(0, directory.lastIndexOf('/'))
}

function optionsOf(
  effective: EffectiveConfig,
): Pick<CommitLogOptions, 'segmentMaxBytes' | 'segmentMaxAgeMs' | 'retention' | 'compact'> {
  return {
    segmentMaxBytes: effective.segmentMaxBytes,
    segmentMaxAgeMs: effective.segmentMaxAgeMs,
    retention: retentionOf(effective),
    compact: effective.compactEnabled,
  }
}

/** Closed logs that something is remembered of: about as many as a server has paused partitions. */
const REMEMBERED_MAX = 100_000

export function retentionOf(effective: EffectiveConfig): RetentionPolicy {
  return {
    maxBytes: effective.retentionMaxBytes,
    maxMessages: effective.retentionMaxMessages,
    maxAgeMs: effective.retentionMaxAgeMs,
  }
}

function reportProblem(logger: Logger, problem: LogProblem): void {
  switch (problem.kind) {
    case 'segment-quarantined':
      logger.error('a segment is damaged: its damaged records are not served', problem)
      return
    case 'durable-tail-missing':
      logger.error('the log ends before what was durable once', problem)
      return
    case 'tail-cut':
      logger.warn('an incomplete tail was cut off', problem)
      return
    case 'hint-rebuilt':
      logger.info('a hint file was made again', problem)
      return
    case 'hint-not-written':
      logger.warn('a hint file could not be written and will be tried again', problem)
      return
    case 'failed':
      logger.error('the log is fenced', problem)
      return
    default:
      problem satisfies never
  }
}
