/**
 * One partition led by this server: it owns the partition's log, takes messages from the router,
 * and drives the leader core. Nothing in here is shared with another partition, so whatever goes
 * wrong stays here: a log that cannot go on is fenced and reported, the others go on.
 *
 *     accept ─> ingest ─> log.append ─> leader.step ─> acks, high watermark ─> readers
 *                              └─> log.sync (group commit) ─> leader.step ─┘
 */
import type { CommitLog } from '@liftbridge/log'
import { PartitionLeader, type LeaderOutput, type SyncPolicy } from '@liftbridge/replication'
import type { PublishView } from '@liftbridge/wire'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logging/logger.ts'
import { ACK_UNKNOWN, AckSource, type AckSink } from './ack.ts'
import { AckDispatcher } from './ack-dispatcher.ts'
import type { Arrival } from './arrival.ts'
import type { ValueCipher } from './encryption.ts'
import { GroupReaders } from './group-readers.ts'
import { Ingest, type BatchLimits } from './ingest.ts'
import type { IngestBatch } from './ingest-batch.ts'
import type { IngestBudget } from './ingest-budget.ts'
import type { Listener } from './subject-router.ts'

export type PartitionOptions = {
  readonly stream: string
  /** Tells a stream from an earlier one of its name. */
  readonly incarnation: number
  readonly partition: number
  /** Subject of the stream. */
  readonly streamSubject: string
  /** Subject of this partition; may have wildcards. */
  readonly subject: string
  readonly group: string
  readonly leaderEpoch: number
  readonly log: CommitLog
  readonly settings: PartitionSettings
  readonly cipher: ValueCipher | undefined
  readonly budget: IngestBudget
  /** Memory of records that wait for their acks, of all partitions. */
  readonly ackBudget: IngestBudget
  readonly clock: Clock
  readonly logger: Logger
  /** The log cannot go on; the host closes the partition and opens it again later. */
  readonly onFenced: (reason: string) => void
}

export type PartitionSettings = {
  readonly syncPolicy: SyncPolicy
  /** With policy `interval`: written records that trigger a sync before the interval does; 0: none. */
  readonly syncMaxMessages: number
  readonly minIsr: number
  readonly optimisticConcurrency: boolean
  readonly maxRecordBytes: number
  readonly batch: BatchLimits
  readonly queueMaxMessages: number
  readonly queueMaxBytes: number
  /** Memory of this partition's records that wait for their acks. */
  readonly acksMaxBytes: number
}

/** A server alone is the whole ISR of its partitions. */
const ISR_SIZE = 1

export class Partition implements Listener {
  readonly stream: string
  readonly incarnation: number
  readonly id: number
  readonly streamSubject: string
  readonly subject: string
  readonly group: string
  readonly leaderEpoch: number
  readonly log: CommitLog
  readonly cipher: ValueCipher | undefined
  readonly groupReaders: GroupReaders = new GroupReaders()
  readonly optimisticConcurrency: boolean
  /** When the first and the latest message were received here; 0n when never. */
  firstReceivedNs = 0n
  latestReceivedNs = 0n
  /** Open subscriptions. */
  subscribers = 0
  /** When the latest message came, on the monotonic clock; -Infinity when none has [LB 4.10]. */
  latestReceivedMs: number = Number.NEGATIVE_INFINITY
  readonly #options: PartitionOptions
  readonly #leader: PartitionLeader
  readonly #acks: AckDispatcher
  readonly #ingest: Ingest
  #syncMaxMessages: number
  #syncing: Promise<void> | undefined
  #syncWanted = false
  #fenced = false

  constructor(options: PartitionOptions) {
    const { settings, log, clock } = options
    this.stream = options.stream
    this.incarnation = options.incarnation
    this.id = options.partition
    this.streamSubject = options.streamSubject
    this.subject = options.subject
    this.group = options.group
    this.leaderEpoch = options.leaderEpoch
    this.log = log
    this.cipher = options.cipher
    this.optimisticConcurrency = settings.optimisticConcurrency
    this.#options = options
    this.#syncMaxMessages = settings.syncMaxMessages
    this.#leader = new PartitionLeader({
      syncPolicy: settings.syncPolicy,
      minIsr: settings.minIsr,
      isrSize: ISR_SIZE,
      newestOffset: log.newestOffset,
      syncedOffset: log.syncedOffset,
      highWatermark: log.highWatermark,
    })
    const source = new AckSource(options.stream, options.partition, options.streamSubject)
    this.#acks = new AckDispatcher({
      source,
      now: () => clock.wallNs(),
      recycle: (batch) => this.#ingest.recycle(batch),
      budget: options.ackBudget,
      maxBytes: settings.acksMaxBytes,
      acksCanCome: settings.minIsr <= ISR_SIZE,
      onRetired: () => this.#ingest.acksRetired(),
    })
    this.#ingest = new Ingest({
      source,
      log,
      leaderEpoch: options.leaderEpoch,
      maxRecordBytes: settings.maxRecordBytes,
      batch: settings.batch,
      budget: options.budget,
      queueMaxMessages: settings.queueMaxMessages,
      queueMaxBytes: settings.queueMaxBytes,
      optimisticConcurrency: settings.optimisticConcurrency,
      cipher: options.cipher,
      clock,
      acks: this.#acks,
      onAppended: (batch) => this.#guarded(() => this.#onAppended(batch)),
      onFailed: (error) => this.#onAppendFailed(error),
    })
  }

  /**
   * Begins to lead: what the log holds was written by an earlier leadership and counts as written
   * now; it is made durable first, since a crash may have left it in the page cache only.
   */
  async lead(): Promise<void> {
    const { newestOffset } = this.log
    if (newestOffset < 0) return
    await this.log.sync()
    this.#carryOut(this.#leader.step({ kind: 'written', newestOffset, firstAllOffset: -1 }))
    this.#carryOut(this.#leader.step({ kind: 'synced', offset: this.log.syncedOffset }))
  }

  get fenced(): boolean {
    return this.#fenced
  }

  get congested(): boolean {
    return this.#ingest.congested
  }

  drained(): Promise<void> {
    return this.#ingest.drained()
  }

  accept(publish: PublishView, arrival: Arrival, sink: AckSink | undefined): void {
    this.#ingest.accept(publish, arrival, sink)
  }

  kick(): void {
    this.#ingest.kick()
  }

  /** Takes over settings that may change while the partition runs. */
  reconfigure(settings: { readonly batch: BatchLimits; readonly syncMaxMessages: number }): void {
    this.#ingest.setBatch(settings.batch)
    this.#syncMaxMessages = settings.syncMaxMessages
  }

  /** Makes what is written durable, unless it is already; called on every tick of `streams.sync.interval`. */
  syncIfDirty(): void {
    if (this.log.syncedOffset < this.log.newestOffset) this.#requestSync()
  }

  /** Stops taking messages, finishes what was accepted, and waits for its acks where it can. */
  async stop(): Promise<void> {
    await this.#ingest.stop()
    // Acks that a sync under way owes, and its failure, come before the end.
    await this.#syncing
    if (!this.#fenced && this.log.syncedOffset < this.log.newestOffset) {
      try {
        await this.#sync()
      } catch (error) {
        this.#fence('the log could not be synced', error)
      }
    }
    this.#tellAll(() => this.#acks.abandon())
  }

  /** Last answers; whoever cannot be told meets its deadline. */
  #tellAll(work: () => void): void {
    try {
      work()
    } catch (error) {
      const { stream, id } = this
      this.#options.logger.error('acks could not be delivered', { stream, partition: id, error })
    }
  }

  /** What must not throw and does leaves this partition in doubt, not the process. */
  #guarded(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#fence('an invariant is broken', error)
    }
  }

  #onAppended(batch: IngestBatch): void {
    // What was written around a failed sync may be gone: nobody is told that it is there [D7].
    if (this.#fenced) {
      this.#acks.reject(batch, ACK_UNKNOWN)
      return
    }
    if (this.firstReceivedNs === 0n) this.firstReceivedNs = batch.timestampNs
    this.latestReceivedNs = batch.timestampNs
    this.latestReceivedMs = this.#options.clock.monotonicMs()
    this.#acks.add(batch)
    this.#carryOut(
      this.#leader.step({
        kind: 'written',
        newestOffset: batch.baseOffset + batch.count - 1,
        firstAllOffset: batch.firstAll < 0 ? -1 : batch.baseOffset + batch.firstAll,
      }),
    )
    const { syncPolicy } = this.#options.settings
    const syncMaxMessages = this.#syncMaxMessages
    const unsynced = this.log.newestOffset - this.log.syncedOffset
    if (syncPolicy === 'interval' && syncMaxMessages > 0 && unsynced >= syncMaxMessages) {
      this.#requestSync()
    }
  }

  /** High watermark first, so that a publisher whose message is acknowledged can read it. */
  #carryOut(output: LeaderOutput): void {
    if (output.highWatermark >= 0) this.log.advanceHighWatermark(output.highWatermark)
    this.#acks.advance(output.ackLeaderThrough, output.ackAllThrough)
    if (output.syncNow) this.#requestSync()
  }

  /** At most one sync at a time; what asks meanwhile shares the next one (group commit). */
  #requestSync(): void {
    if (this.#syncing) {
      this.#syncWanted = true
      return
    }
    this.#syncing = this.#syncLoop()
  }

  async #syncLoop(): Promise<void> {
    try {
      do {
        this.#syncWanted = false
        await this.#sync()
      } while (this.#syncWanted && !this.#fenced)
    } catch (error) {
      this.#fence('the log could not be synced', error)
    } finally {
      this.#syncing = undefined
    }
  }

  async #sync(): Promise<void> {
    const offset = await this.log.sync()
    this.#carryOut(this.#leader.step({ kind: 'synced', offset }))
  }

  #onAppendFailed(error: unknown): void {
    // A full disk leaves the log as it was and heals by itself [reliability T4].
    if (this.log.state === 'open') {
      this.#options.logger.limited(`append ${this.stream} ${this.id}`, 'error', 'append failed', {
        stream: this.stream,
        partition: this.id,
        error,
      })
      return
    }
    this.#fence('the log cannot be written', error)
  }

  /** Nothing more is acknowledged; readers end; the host decides what comes next. [D7] */
  #fence(reason: string, error: unknown): void {
    if (this.#fenced) return
    this.#fenced = true
    this.#tellAll(() => this.#ingest.fail())
    this.#tellAll(() => this.#acks.abandon())
    this.#options.logger.error(`partition fenced: ${reason}`, {
      stream: this.stream,
      partition: this.id,
      epoch: this.leaderEpoch,
      error,
    })
    this.#options.onFenced(reason)
  }
}
