/**
 * Runs the partitions that the metadata wants on this server: the reconciler says what, this says
 * how. A partition's log, its listening on NATS and its place in the table of running partitions
 * begin and end here.
 */
import {
  CommitLog,
  type Disk,
  DiskError,
  type FileCache,
  type LogProblem,
  type RetentionPolicy,
  type TailCache,
} from '@liftbridge/log'
import { effectiveConfig, type EffectiveConfig, type StreamDefaults } from '@liftbridge/metadata'
import { partitionSubject } from '@liftbridge/wire'
import type { Clock } from '../clock.ts'
import type { Config } from '../config/config.ts'
import {
  ACKS_MAX_BYTES,
  ACKS_TOTAL_MAX_BYTES,
  INGEST_QUEUE_MAX_BYTES,
  INGEST_QUEUE_MAX_MESSAGES,
  INGEST_TOTAL_MAX_BYTES,
  REPLICATION_OVERHEAD_BYTES,
} from '../config/limits.ts'
import type { Logger } from '../logging/logger.ts'
import type { PartitionHost, WantedPartition } from '../metadata/partition-host.ts'
import { masterKeyProblem, ValueCipher } from './encryption.ts'
import type { BatchLimits } from './ingest.ts'
import { IngestBudget } from './ingest-budget.ts'
import { Partition } from './partition.ts'
import type { SubjectRouter } from './subject-router.ts'

export type HostOptions = {
  /** May change while the server runs, with what is inherited from it. */
  readonly config: () => Config
  readonly defaults: () => StreamDefaults
  readonly disk: Disk
  readonly files: FileCache
  readonly tails: TailCache
  readonly router: SubjectRouter
  readonly clock: Clock
  readonly logger: Logger
  readonly masterKey: Uint8Array | undefined
  /** Largest payload NATS takes: a record must fit one replication response. */
  readonly natsMaxPayloadBytes: () => number
  /** The partition cannot go on as it is; the reconciler should try again. */
  readonly onFenced: (stream: string, partition: number, reason: string) => void
}

type Running = {
  readonly wanted: WantedPartition
  readonly partition: Partition
  effective: EffectiveConfig
  readonly unlisten: () => void
  /** When the log is cleaned next, on the monotonic clock. */
  nextCleanMs: number
  /** When it was opened, on the same clock. */
  readonly openedMs: number
}

export class Partitions implements PartitionHost {
  readonly #options: HostOptions
  readonly #running = new Map<string, Map<number, Running>>()
  /** By directory: logs whose latest sync failed, and the last offset durable before. */
  readonly #distrusted = new Map<
    string,
    { readonly incarnation: number; readonly beyond: number }
  >()
  readonly #budget = new IngestBudget(INGEST_TOTAL_MAX_BYTES)
  readonly #ackBudget = new IngestBudget(ACKS_TOTAL_MAX_BYTES)

  constructor(options: HostOptions) {
    this.#options = options
  }

  get(stream: string, partition: number): Partition | undefined {
    return this.#running.get(stream)?.get(partition)?.partition
  }

  /** All partitions that run now. */
  *all(): Generator<Partition> {
    for (const partitions of this.#running.values()) {
      for (const { partition } of partitions.values()) yield partition
    }
  }

  /** Partitions whose logs are due for cleaning; each is due again after its interval. */
  *dueForCleaning(nowMs: number): Generator<Partition> {
    for (const partitions of this.#running.values()) {
      for (const running of partitions.values()) {
        if (running.nextCleanMs > nowMs) continue
        running.nextCleanMs = nowMs + running.effective.cleanerIntervalMs
        yield running.partition
      }
    }
  }

  /**
   * Partitions that have had no message for their `autoPauseTime`, and no subscribers where those
   * count. One that never had a message pauses after that time too [LB data plane 4.10].
   */
  *idle(nowMs: number): Generator<Partition> {
    for (const partitions of this.#running.values()) {
      for (const { partition, effective, openedMs } of partitions.values()) {
        const { autoPauseTimeMs, autoPauseDisableIfSubscribers } = effective
        if (autoPauseTimeMs === 0) continue
        if (autoPauseDisableIfSubscribers && partition.subscribers > 0) continue
        const sinceMs = Math.max(partition.latestReceivedMs, openedMs)
        if (nowMs - sinceMs > autoPauseTimeMs) yield partition
      }
    }
  }

  async open(wanted: WantedPartition): Promise<void> {
    const { stream, partition } = wanted
    const effective = effectiveConfig(stream.config, this.#options.defaults())
    const cipher = this.#cipherFor(effective)
    const log = await this.#openTrusted(wanted, effective)
    try {
      log.setReadonly(partition.readonly)
      const running = this.#makePartition(wanted, { effective, cipher, log })
      await running.lead()
      const unlisten = this.#options.router.listen(running)
      try {
        await this.#options.router.flush()
      } catch (error) {
        unlisten()
        // It may have taken messages from NATS already.
        await running.stop()
        throw error
      }
      const openedMs = this.#options.clock.monotonicMs()
      const nextCleanMs = openedMs + effective.cleanerIntervalMs
      this.#add({ wanted, partition: running, effective, unlisten, nextCleanMs, openedMs })
    } catch (error) {
      await this.#closeLog(wanted, log)
      throw error
    }
  }

  /** A partition of one server changes its readonly flag only; anything else means a new start. */
  async update(wanted: WantedPartition): Promise<void> {
    const running = this.#find(wanted)
    if (!running) return this.open(wanted)
    if (running.wanted.partition.leaderEpoch !== wanted.partition.leaderEpoch) {
      await this.close(wanted)
      return this.open(wanted)
    }
    running.partition.log.setReadonly(wanted.partition.readonly)
    return undefined
  }

  async close(wanted: WantedPartition): Promise<void> {
    const running = this.#find(wanted)
    if (!running) return
    this.#remove(wanted)
    running.unlisten()
    await running.partition.stop()
    await this.#closeLog(running.wanted, running.partition.log)
  }

  /** The configuration has changed: running partitions take over what they can. */
  reconfigure(): void {
    const config = this.#options.config()
    const defaults = this.#options.defaults()
    const nowMs = this.#options.clock.monotonicMs()
    const settings = { batch: batchLimits(config), syncMaxMessages: config.streams.sync.messages }
    for (const partitions of this.#running.values()) {
      for (const running of partitions.values()) {
        running.effective = effectiveConfig(running.wanted.stream.config, defaults)
        running.partition.log.setRetention(retentionOf(running.effective))
        const soonMs = nowMs + running.effective.cleanerIntervalMs
        running.nextCleanMs = Math.min(running.nextCleanMs, soonMs)
        running.partition.reconfigure(settings)
      }
    }
  }

  #cipherFor(effective: EffectiveConfig): ValueCipher | undefined {
    if (!effective.encryption) return undefined
    const { masterKey } = this.#options
    const problem = masterKeyProblem(masterKey)
    if (problem !== undefined || !masterKey) {
      throw new Error(`LIFTBRIDGE_ENCRYPTION_KEY cannot be used: ${problem}`)
    }
    return new ValueCipher(masterKey)
  }

  /** Closes a log; when a sync failed, the next opening must not believe what it reads [D7]. */
  async #closeLog(wanted: WantedPartition, log: CommitLog): Promise<void> {
    await log.close()
    if (log.failure === undefined) return
    const { incarnation } = wanted.stream
    this.#distrusted.set(wanted.directory, { incarnation, beyond: log.syncedOffset })
  }

  async #openTrusted(wanted: WantedPartition, effective: EffectiveConfig): Promise<CommitLog> {
    const { directory, stream } = wanted
    const distrusted = this.#distrusted.get(directory)
    const isSame = distrusted?.incarnation === stream.incarnation
    const beyond = isSame ? distrusted.beyond : undefined
    try {
      const log = await this.#openLog(wanted, effective, beyond)
      this.#distrusted.delete(directory)
      return log
    } catch (error) {
      // It may have been a sync that failed; then only the high watermark's file can be believed.
      if (error instanceof DiskError && error.code === 'io' && beyond === undefined) {
        this.#distrusted.set(directory, { incarnation: stream.incarnation, beyond: -1 })
      }
      throw error
    }
  }

  #openLog(
    wanted: WantedPartition,
    effective: EffectiveConfig,
    distrustBeyond: number | undefined,
  ): Promise<CommitLog> {
    const { disk, files, tails, logger } = this.#options
    const at = { stream: wanted.stream.name, partition: wanted.partition.id }
    return CommitLog.open({
      disk,
      files,
      tails,
      directory: wanted.directory,
      ...(distrustBeyond === undefined ? {} : { distrustBeyond }),
      segmentMaxBytes: effective.segmentMaxBytes,
      segmentMaxAgeMs: effective.segmentMaxAgeMs,
      retention: retentionOf(effective),
      compact: effective.compactEnabled,
      onProblem: (problem) => reportProblem(logger.child(at), problem),
    })
  }

  #makePartition(
    wanted: WantedPartition,
    parts: {
      readonly effective: EffectiveConfig
      readonly cipher: ValueCipher | undefined
      readonly log: CommitLog
    },
  ): Partition {
    const { clock, logger, natsMaxPayloadBytes } = this.#options
    const config = this.#options.config()
    const { stream, partition } = wanted
    const largest = Math.min(config.clustering.replicationMaxBytes, natsMaxPayloadBytes())
    return new Partition({
      stream: stream.name,
      incarnation: stream.incarnation,
      partition: partition.id,
      streamSubject: stream.subject,
      subject: partitionSubject(stream.subject, partition.id),
      group: stream.group,
      // Data of a Go server may carry epochs of its own Raft log, beyond ours [R9].
      leaderEpoch: Math.max(partition.leaderEpoch, parts.log.leaderEpoch),
      log: parts.log,
      cipher: parts.cipher,
      budget: this.#budget,
      ackBudget: this.#ackBudget,
      clock,
      logger,
      onFenced: (reason) => this.#options.onFenced(stream.name, partition.id, reason),
      settings: {
        syncPolicy: config.streams.sync.policy,
        syncMaxMessages: config.streams.sync.messages,
        minIsr: parts.effective.minIsr,
        optimisticConcurrency: parts.effective.optimisticConcurrencyControl,
        maxRecordBytes: largest - REPLICATION_OVERHEAD_BYTES,
        batch: batchLimits(config),
        queueMaxMessages: INGEST_QUEUE_MAX_MESSAGES,
        queueMaxBytes: INGEST_QUEUE_MAX_BYTES,
        acksMaxBytes: ACKS_MAX_BYTES,
      },
    })
  }

  #find(wanted: WantedPartition): Running | undefined {
    return this.#running.get(wanted.stream.name)?.get(wanted.partition.id)
  }

  #add(running: Running): void {
    const { stream, id } = running.partition
    const partitions = this.#running.get(stream) ?? new Map<number, Running>()
    partitions.set(id, running)
    this.#running.set(stream, partitions)
  }

  #remove(wanted: WantedPartition): void {
    const partitions = this.#running.get(wanted.stream.name)
    partitions?.delete(wanted.partition.id)
    if (partitions?.size === 0) this.#running.delete(wanted.stream.name)
  }
}

/** 0 and 1 both mean that every message is written alone. */
function batchLimits({ batch }: Config): BatchLimits {
  return { maxMessages: Math.max(1, batch.maxMessages), maxTimeMs: batch.maxTimeMs }
}

function retentionOf(effective: EffectiveConfig): RetentionPolicy {
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
