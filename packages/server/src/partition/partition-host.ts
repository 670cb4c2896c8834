/**
 * Runs the partitions that the metadata wants on this server: the reconciler says what, this says
 * how. A partition's log, its listening on NATS and its place in the table of running partitions
 * begin and end here.
 */
import type { Disk, FileCache, TailCache } from '@liftbridge/log'
import { effectiveConfig, type EffectiveConfig, type StreamDefaults } from '@liftbridge/metadata'
import {
  partitionSubject,
  REPLICATION_HEADER_BYTES,
  REPLICATION_HEADER_WITH_BOUNDS_BYTES,
} from '@liftbridge/wire'
import type { Clock } from '../clock.ts'
import type { Config } from '../config/config.ts'
import {
  ACKS_MAX_BYTES,
  ACKS_TOTAL_MAX_BYTES,
  FETCHED_SHARE_MIN_BYTES,
  FETCHED_TOTAL_MAX_BYTES,
  INGEST_QUEUE_MAX_BYTES,
  INGEST_QUEUE_MAX_MESSAGES,
  INGEST_TOTAL_MAX_BYTES,
} from '../config/limits.ts'
import type { Logger } from '../logging/logger.ts'
import type { PartitionHost, WantedPartition } from '../metadata/partition-host.ts'
import { leaderCovers } from '../replication/leader-covers.ts'
import type { Replication } from '../replication/replication.ts'
import { Completeness } from './completeness.ts'
import { masterKeyProblem, ValueCipher } from './encryption.ts'
import type { BatchLimits } from './ingest.ts'
import { IngestBudget } from './ingest-budget.ts'
import { Partition, type PartitionSettings } from './partition.ts'
import type { ReplicatedOptions } from './partition-options.ts'
import { PartitionLogs, retentionOf, type OpenedLog } from './partition-logs.ts'
import { LogProofs } from './log-proof.ts'
import { RunningPartitions, type Running } from './running-partitions.ts'
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
  /** The other servers; absent on a server without any. */
  readonly replication?: Replication
}

export class Partitions implements PartitionHost {
  readonly #options: HostOptions
  readonly #running = new RunningPartitions()
  readonly #logs: PartitionLogs
  readonly #proofs: LogProofs
  readonly #budget = new IngestBudget(INGEST_TOTAL_MAX_BYTES)
  readonly #ackBudget = new IngestBudget(ACKS_TOTAL_MAX_BYTES)

  constructor(options: HostOptions) {
    this.#options = options
    this.#logs = new PartitionLogs(options)
    this.#proofs = new LogProofs(options, this.#logs, new Completeness(options.disk))
    options.replication?.bus.onStatus(({ kind }) => {
      if (kind !== 'connected') return
      for (const partition of this.all()) partition.reconnected()
    })
  }

  /** A partition that is led here and takes messages. */
  get(stream: string, partition: number): Partition | undefined {
    const found = this.at(stream, partition)
    return found?.leads === true ? found : undefined
  }

  /** A partition that runs here, in whatever role. */
  at(stream: string, partition: number): Partition | undefined {
    return this.#running.at(stream, partition)?.partition
  }

  /** All partitions that run now. */
  *all(): Generator<Partition> {
    for (const { partition } of this.#running.all()) yield partition
  }

  /** See `RunningPartitions.dueForCleaning`. */
  dueForCleaning(nowMs: number): Generator<Partition> {
    return this.#running.dueForCleaning(nowMs)
  }

  /** See `RunningPartitions.idle`. */
  idle(nowMs: number): Generator<Partition> {
    return this.#running.idle(nowMs)
  }

  async open(wanted: WantedPartition): Promise<void> {
    const effective = effectiveConfig(wanted.stream.config, this.#options.defaults())
    const cipher = this.#cipherFor(effective)
    const opened = await this.#openLog(wanted, effective)
    const openedMs = this.#options.clock.monotonicMs()
    const nextCleanMs = openedMs + effective.cleanerIntervalMs
    const partition = this.#makePartition(wanted, { effective, cipher, opened })
    const times = { nextCleanMs, openedMs }
    const noting = Promise.resolve()
    const running = { wanted, partition, opened, effective, ...times, onlyUnsynced: false, noting }
    try {
      // Before upkeep finds the log: a new high watermark's file would hide that records are lost.
      const facts = await this.#proofs.factsOf(running)
      // Before it begins: a leader that is deposed in that very moment must be found.
      this.#running.add(running)
      opened.log.setReadonly(wanted.partition.readonly)
      await partition.begin(wanted.partition, facts)
      this.#leads(running)
    } catch (error) {
      this.#running.remove(wanted)
      await running.noting
      await this.#logs.close(wanted, opened, 0)
      throw error
    }
  }

  async update(wanted: WantedPartition): Promise<void> {
    const running = this.#running.at(wanted.stream.name, wanted.partition.id)
    if (!running) return this.open(wanted)
    const { partition, opened } = running
    const before = running.wanted
    running.wanted = wanted
    opened.log.setReadonly(wanted.partition.readonly)
    // A candidate that is left alone in the ISR may be the last resort now.
    const isLast = partition.role === 'candidate' && wanted.partition.isr.length === 1
    if (before.partition.leaderEpoch === wanted.partition.leaderEpoch && !isLast) {
      partition.changed(wanted.partition)
      return undefined
    }
    await partition.end()
    const isCopy = wanted.role === 'leader' && !partition.proven
    const isReplaced = isCopy && (await this.#logs.isAside(wanted))
    if (opened.health.damaged || isReplaced || opened.log.state !== 'open') {
      await this.close(wanted)
      return this.open(wanted)
    }
    try {
      const { onlyUnsynced } = running
      const proven = partition.proven || (onlyUnsynced && this.#proofs.isLastResort(wanted, before))
      const knownAtStart = this.#options.replication?.run.startedAtIndex ?? -1
      const facts = { continues: false, proven, onlyUnsynced, damaged: false, knownAtStart }
      await partition.begin(wanted.partition, facts)
      this.#leads(running)
      return undefined
    } catch (error) {
      // What rejected is tried again from the start.
      await this.close(wanted)
      throw error
    }
  }

  /** The leader of a partition tells that there is something to fetch. */
  notified(stream: string, partition: number): void {
    this.at(stream, partition)?.notified()
  }

  /**
   * Before others lead: partitions with other replicas take no more messages, and what they took
   * gets its answer. Resolves when that is done, or after `timeoutMs`.
   */
  async quiesce(timeoutMs: number): Promise<void> {
    const { clock } = this.#options
    const leaders = Array.from(this.all()).filter(
      ({ role, isr }) => role === 'leader' && isr.length > 1,
    )
    const deadlineMs = clock.monotonicMs() + timeoutMs
    await Promise.race([
      Promise.all(leaders.map((partition) => partition.quiesce())),
      new Promise<void>((resolve) => clock.after(timeoutMs, resolve)),
    ])
    const waits = (): boolean => leaders.some(({ settled }) => !settled)
    while (waits() && clock.monotonicMs() < deadlineMs) {
      await new Promise<void>((resolve) => clock.after(QUIESCE_LOOK_MS, resolve))
    }
  }

  /** Whether the leader of a partition that runs here leads now, and has what is committed. */
  async isCovered(stream: string, partition: number): Promise<boolean> {
    const { replication } = this.#options
    const running = this.#running.at(stream, partition)
    if (replication === undefined || running === undefined) return false
    const { wanted, opened } = running
    return leaderCovers(replication, { stream, partition: wanted.partition, log: opened.log })
  }

  supersede({ stream, partition }: WantedPartition): void {
    const running = this.#running.at(stream.name, partition.id)
    if (running?.wanted.stream.incarnation !== stream.incarnation) return
    if (running.wanted.partition.leaderEpoch !== partition.leaderEpoch) return
    running.partition.supersede()
  }

  async close(wanted: WantedPartition): Promise<void> {
    const running = this.#running.at(wanted.stream.name, wanted.partition.id)
    if (!running) return
    this.#running.remove(wanted)
    const { partition, opened } = running
    const ledEpoch = partition.role === 'leader' ? partition.leaderEpoch : 0
    await partition.end()
    await running.noting
    await this.#logs.close(running.wanted, opened, ledEpoch)
  }

  /** The configuration has changed: running partitions take over what they can. */
  reconfigure(): void {
    const config = this.#options.config()
    const defaults = this.#options.defaults()
    const nowMs = this.#options.clock.monotonicMs()
    const settings = { batch: batchLimits(config), syncMaxMessages: config.streams.sync.messages }
    for (const running of this.#running.all()) {
      running.effective = effectiveConfig(running.wanted.stream.config, defaults)
      running.partition.log.setRetention(retentionOf(running.effective))
      const soonMs = nowMs + running.effective.cleanerIntervalMs
      running.nextCleanMs = Math.min(running.nextCleanMs, soonMs)
      running.partition.reconfigure(settings)
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

  /**
   * A damaged copy gives way to an empty one, which the leader fills [T2]: only while a replica leads
   * that has what is committed, since the damaged copy may be the only one of many a record. When the
   * leadership comes here before the leader has filled it, the damaged copy is taken back.
   */
  async #openLog(wanted: WantedPartition, effective: EffectiveConfig): Promise<OpenedLog> {
    const { role, partition, stream } = wanted
    const { replication, logger } = this.#options
    const at = { stream: stream.name, partition: partition.id }
    const open = (): Promise<OpenedLog> =>
      this.#logs.open(wanted, effective, () => this.#damaged(wanted))
    const opened = await open()
    if (partition.replicas.length === 1 || replication === undefined) return opened
    if (role === 'leader' && (await this.#logs.isAside(wanted))) {
      await this.#logs.close(wanted, opened, 0)
      logger.error(
        'a damaged replica is taken back: its leader went before it had filled another',
        at,
      )
      await this.#logs.takeBack(wanted, opened.log.newestOffset < 0)
      return open()
    }
    if (role === 'leader' || !opened.health.damaged) return opened
    const covers = await leaderCovers(replication, { ...at, partition, log: opened.log })
    await this.#logs.close(wanted, opened, 0)
    if (!covers) {
      throw new Error(
        'its log is damaged, and kept: no leader has shown that it has what is committed here',
      )
    }
    logger.error('a damaged replica begins anew; its leader has the data', at)
    await this.#logs.putAside(wanted)
    return open()
  }

  /** With other replicas a damaged log is replaced: this one must not lead, nor be counted [T2]. */
  #damaged({ stream, partition }: WantedPartition): void {
    if (partition.replicas.length === 1) return
    this.#options.onFenced(stream.name, partition.id, 'its log is damaged')
  }

  #makePartition(
    wanted: WantedPartition,
    parts: {
      readonly effective: EffectiveConfig
      readonly cipher: ValueCipher | undefined
      readonly opened: OpenedLog
    },
  ): Partition {
    const { clock, logger, router } = this.#options
    const { stream, partition } = wanted
    const replicated = this.#replicatedFor(wanted, parts)
    return new Partition({
      stream: stream.name,
      incarnation: stream.incarnation,
      partition: partition.id,
      streamSubject: stream.subject,
      subject: partitionSubject(stream.subject, partition.id),
      group: stream.group,
      log: parts.opened.log,
      cipher: parts.cipher,
      budget: this.#budget,
      ackBudget: this.#ackBudget,
      clock,
      logger,
      ...(replicated ? { replicated } : {}),
      listen: (listener) => router.listen(listener),
      flush: () => router.flush(),
      onFenced: (reason) => this.#options.onFenced(stream.name, partition.id, reason),
      settings: this.#settingsFor(wanted, parts.effective),
    })
  }

  #settingsFor({ partition }: WantedPartition, effective: EffectiveConfig): PartitionSettings {
    const config = this.#options.config()
    const isShared = partition.replicas.length > 1
    const overhead = isShared ? REPLICATION_HEADER_WITH_BOUNDS_BYTES : REPLICATION_HEADER_BYTES
    return {
      syncPolicy: config.streams.sync.policy,
      syncMaxMessages: config.streams.sync.messages,
      minIsr: effective.minIsr,
      optimisticConcurrency: effective.optimisticConcurrencyControl,
      // A record that fits no response could never be replicated [LB 7.A7].
      maxRecordBytes: () => this.#responseMaxBytes() - overhead,
      batch: batchLimits(config),
      queueMaxMessages: INGEST_QUEUE_MAX_MESSAGES,
      queueMaxBytes: INGEST_QUEUE_MAX_BYTES,
      acksMaxBytes: ACKS_MAX_BYTES,
    }
  }

  #replicatedFor(
    wanted: WantedPartition,
    { effective, opened }: { readonly effective: EffectiveConfig; readonly opened: OpenedLog },
  ): ReplicatedOptions | undefined {
    const { replication } = this.#options
    if (replication === undefined) return undefined
    return {
      replication,
      logIncarnation: replication.run.nextIncarnation(),
      compacted: effective.compactEnabled,
      maxResponseBytes: () => {
        const share = Math.floor(FETCHED_TOTAL_MAX_BYTES / Math.max(1, this.#running.count))
        return Math.min(this.#responseMaxBytes(), Math.max(FETCHED_SHARE_MIN_BYTES, share))
      },
      onDamaged: () => {
        if (opened.health.damaged) return
        opened.health.damaged = true
        this.#damaged(wanted)
      },
      onProven: () => this.#proven(wanted),
    }
  }

  /** What one response can carry at most. */
  #responseMaxBytes(): number {
    const { config, natsMaxPayloadBytes } = this.#options
    return Math.min(config().clustering.replicationMaxBytes, natsMaxPayloadBytes())
  }

  /** What a leader has is what there is, also when it leads as the last resort only. */
  #leads(running: Running): void {
    if (running.onlyUnsynced && running.partition.leads) this.#proven(running.wanted)
  }

  /** The copy has everything: a damaged one that it took the place of is not needed any more. */
  #proven(wanted: WantedPartition): void {
    const { stream, partition } = wanted
    const running = this.#running.at(stream.name, partition.id)
    if (running === undefined) return
    running.onlyUnsynced = false
    const note = async (): Promise<void> => {
      await this.#logs.replaced(wanted)
      await this.#proofs.settle(wanted)
    }
    // Told once. If it fails, this replica has to prove itself again after the next opening.
    running.noting = running.noting.then(note).catch((error: unknown) => {
      const at = { stream: stream.name, partition: partition.id, error }
      this.#options.logger.warn('a proven replica could not be marked as such', at)
    })
  }
}

/** Acks of a busy partition come every few milliseconds. */
const QUIESCE_LOOK_MS = 5

/** 0 and 1 both mean that every message is written alone. */
function batchLimits({ batch }: Config): BatchLimits {
  return { maxMessages: Math.max(1, batch.maxMessages), maxTimeMs: batch.maxTimeMs }
}
