/**
 * One leadership of this server over a partition: takes messages, writes them, makes them durable,
 * and drives the leader core. It ends by being stopped in order, by being deposed, or because the
 * log fails; nothing is acknowledged after its end.
 *
 *     accept ─> ingest ─> log.append ─> core.step ─> high watermark ─> acks, answers to replicas
 *                             └─> log.sync (group commit) ─> core.step ─┘
 *     fetch of a replica ─────────────────────────────────> core.step ─┘
 */
import type { CommitLog } from '@liftbridge/log'
import {
  PartitionLeader,
  type FetchAnswer,
  type FetchInput,
  type IsrProposal,
  type LeaderOptions,
  type LeaderOutput,
  type LeaderStanding,
  type SyncPolicy,
} from '@liftbridge/replication'
import type { Clock } from '../clock.ts'
import { WakeTimer } from '../replication/wake-timer.ts'
import { ACK_UNKNOWN, type AckSource } from './ack.ts'
import { AckDispatcher } from './ack-dispatcher.ts'
import type { ValueCipher } from './encryption.ts'
import { Ingest, type BatchLimits } from './ingest.ts'
import type { IngestBatch } from './ingest-batch.ts'
import type { IngestBudget } from './ingest-budget.ts'
import { SyncLoop } from './sync-loop.ts'

export type PartitionSettings = {
  readonly syncPolicy: SyncPolicy
  /** With policy `interval`: written records that trigger a sync before the interval does; 0: none. */
  readonly syncMaxMessages: number
  readonly minIsr: number
  readonly optimisticConcurrency: boolean
  /** What one record may take now; NATS may come back with other limits. */
  readonly maxRecordBytes: () => number
  readonly batch: BatchLimits
  readonly queueMaxMessages: number
  readonly queueMaxBytes: number
  /** Memory of this partition's records that wait for their acks. */
  readonly acksMaxBytes: number
}

/** When messages were received here; kept over leaderships. */
export type Receipts = {
  /** 0n when never. */
  firstNs: bigint
  latestNs: bigint
  /** The latest on the monotonic clock; -Infinity when none came [LB 4.10]. */
  latestMs: number
}

/** The way to the other replicas and to the metadata leader. Nothing here throws. */
export interface ReplicaLink {
  answer(answer: FetchAnswer): void
  notify(replicas: readonly string[]): void
  /** Resolves with whether the change was applied, as far as that is known; never rejects. */
  propose(proposal: IsrProposal): Promise<boolean>
}

export type LeadershipOptions = {
  readonly source: AckSource
  readonly leaderEpoch: number
  readonly log: CommitLog
  readonly settings: PartitionSettings
  readonly cipher: ValueCipher | undefined
  readonly budget: IngestBudget
  /** Memory of records that wait for their acks, of all partitions. */
  readonly ackBudget: IngestBudget
  readonly clock: Clock
  readonly receipts: Receipts
  /** Undefined for the only replica. */
  readonly replicas:
    | { readonly core: NonNullable<LeaderOptions['replication']>; readonly link: ReplicaLink }
    | undefined
  /** The log cannot go on. */
  readonly onFailed: (reason: string, error: unknown) => void
  /** Must not throw. */
  readonly onStanding: (standing: LeaderStanding) => void
  readonly onAppendRefused: (error: unknown) => void
}

export class Leadership {
  /** What takes messages; a partition hands each to it directly. */
  readonly ingest: Ingest
  readonly #options: LeadershipOptions
  readonly #core: PartitionLeader
  readonly #acks: AckDispatcher
  readonly #syncs: SyncLoop
  readonly #wakes: WakeTimer
  #syncMaxMessages: number
  #isrSize: number
  /** Nothing is acknowledged or answered any more. */
  #ended = false

  constructor(options: LeadershipOptions) {
    const { settings, log, clock, source, replicas } = options
    this.#options = options
    this.#syncMaxMessages = settings.syncMaxMessages
    this.#isrSize = replicas?.core.isr.length ?? 1
    this.#core = new PartitionLeader({
      syncPolicy: settings.syncPolicy,
      minIsr: settings.minIsr,
      newestOffset: log.newestOffset,
      syncedOffset: log.syncedOffset,
      highWatermark: log.highWatermark,
      ...(replicas ? { replication: replicas.core } : {}),
    })
    this.#syncs = new SyncLoop({
      log,
      onSynced: (offset) => this.#step({ kind: 'synced', offset }),
      onFailed: (error) => this.#fail('the log could not be synced', error),
    })
    this.#wakes = new WakeTimer(clock, () => this.#step({ kind: 'tick', now: clock.monotonicMs() }))
    this.#acks = new AckDispatcher({
      source,
      now: () => clock.wallNs(),
      recycle: (batch) => this.ingest.recycle(batch),
      budget: options.ackBudget,
      maxBytes: settings.acksMaxBytes,
      acksCanCome: () => settings.minIsr <= this.#isrSize,
      onRetired: () => this.ingest.acksRetired(),
    })
    this.ingest = new Ingest({
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
   * Begins: what the log holds was written by an earlier leadership and counts as written now; it
   * is made durable first, since a crash may have left it in the page cache only. With replicas the
   * epoch's start is noted before anything is written or answered in it.
   */
  async begin(): Promise<void> {
    const { log, replicas, leaderEpoch, clock } = this.#options
    const { newestOffset } = log
    if (newestOffset >= 0) await log.sync()
    if (replicas) await log.beginEpoch(leaderEpoch)
    if (this.#ended) return
    if (newestOffset >= 0) {
      this.#step({ kind: 'written', newestOffset, firstAllOffset: -1 })
      this.#step({ kind: 'synced', offset: log.syncedOffset })
    }
    if (replicas) this.#step({ kind: 'tick', now: clock.monotonicMs() })
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Nothing waits for an ack any more. */
  get settled(): boolean {
    return this.#acks.empty
  }

  /** New limits hold from the next batch on. */
  reconfigure(settings: { readonly batch: BatchLimits; readonly syncMaxMessages: number }): void {
    this.ingest.setBatch(settings.batch)
    this.#syncMaxMessages = settings.syncMaxMessages
  }

  requestSync(): void {
    this.#syncs.request()
  }

  /** A replica asks; the answers come through the link. */
  fetched(fetch: FetchInput): void {
    this.#step(fetch)
  }

  /** What the servers agree on about the partition has changed. */
  changed(partition: {
    readonly leader: string
    readonly leaderEpoch: number
    readonly epoch: number
    readonly isr: readonly string[]
  }): void {
    const { leader, leaderEpoch, epoch: partitionEpoch, isr } = partition
    this.#isrSize = isr.length
    // Whoever waits for acks that cannot come any more must not wait for ever.
    this.ingest.acksRetired()
    const now = this.#options.clock.monotonicMs()
    if (!this.#options.replicas) return
    this.#step({ kind: 'metadata', leader, leaderEpoch, partitionEpoch, isr, now })
  }

  /** Writes what was accepted and refuses from then on. */
  quiesce(): Promise<void> {
    return this.ingest.stop()
  }

  /** Stops taking messages, finishes what was accepted, and waits for its acks where it can. */
  async stop(): Promise<void> {
    await this.ingest.stop()
    // Acks that a sync under way owes, and its failure, come before the end.
    await this.#syncs.settled()
    const { log } = this.#options
    if (!this.#ended && log.state === 'open' && log.syncedOffset < log.newestOffset) {
      this.#syncs.request()
      await this.#syncs.settled()
    }
    this.#end()
  }

  /**
   * Another leadership has taken its place, or the log is gone: whoever waits is told that the
   * fate of its message is not known here. Returns at once; `ended` work may still be in the log's
   * hands until `stop` resolves.
   */
  depose(): void {
    if (this.#ended) return
    this.#ended = true
    this.#wakes.end()
    this.#syncs.end()
    this.ingest.fail()
    this.#acks.abandon()
  }

  #end(): void {
    this.#ended = true
    this.#wakes.end()
    this.#syncs.end()
    this.#acks.abandon()
  }

  /** What must not throw and does leaves this partition in doubt, not the process. */
  #guarded(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#fail('an invariant is broken', error)
    }
  }

  #step(input: Parameters<PartitionLeader['step']>[0]): void {
    if (this.#ended) return
    this.#guarded(() => this.#carryOut(this.#core.step(input)))
  }

  #onAppended(batch: IngestBatch): void {
    // What was written around a failed sync may be gone, and what a deposed leader wrote may be cut
    // off: nobody is told that it is there [D7].
    if (this.#ended) {
      this.#acks.reject(batch, ACK_UNKNOWN)
      return
    }
    const { clock, receipts, settings, log } = this.#options
    if (receipts.firstNs === 0n) receipts.firstNs = batch.timestampNs
    receipts.latestNs = batch.timestampNs
    receipts.latestMs = clock.monotonicMs()
    this.#acks.add(batch)
    const newestOffset = batch.baseOffset + batch.count - 1
    const firstAllOffset = batch.firstAll < 0 ? -1 : batch.baseOffset + batch.firstAll
    this.#carryOut(this.#core.step({ kind: 'written', newestOffset, firstAllOffset }))
    const unsynced = log.newestOffset - log.syncedOffset
    const max = this.#syncMaxMessages
    if (settings.syncPolicy === 'interval' && max > 0 && unsynced >= max) this.#syncs.request()
  }

  /** High watermark first, so that a publisher whose message is acknowledged can read it. */
  #carryOut(output: LeaderOutput): void {
    const { highWatermark, ackLeaderThrough, ackAllThrough } = output
    if (highWatermark >= 0) this.#options.log.advanceHighWatermark(highWatermark)
    if (ackLeaderThrough >= 0 || ackAllThrough >= 0) {
      this.#acks.advance(ackLeaderThrough, ackAllThrough)
    }
    if (output.syncNow) this.#syncs.request()
    const { replicas } = this.#options
    if (!replicas) return
    const { standing, answers, notify, propose } = output
    if (standing !== undefined) this.#options.onStanding(standing)
    for (const answer of answers) replicas.link.answer(answer)
    if (notify.length > 0) replicas.link.notify(notify)
    // Never rejects.
    if (propose !== undefined) void this.#propose(propose, replicas.link)
    this.#wakes.by(this.#core.wakeAt)
  }

  async #propose(proposal: IsrProposal, link: ReplicaLink): Promise<void> {
    const applied = await link.propose(proposal)
    const { partitionEpoch } = proposal
    const now = this.#options.clock.monotonicMs()
    this.#step({ kind: 'isr-answered', partitionEpoch, applied, now })
  }

  #onAppendFailed(error: unknown): void {
    // A full disk leaves the log as it was and heals by itself [reliability T4].
    if (this.#options.log.state === 'open') this.#options.onAppendRefused(error)
    else this.#fail('the log cannot be written', error)
  }

  /** Nothing more is acknowledged. [D7] */
  #fail(reason: string, error: unknown): void {
    if (this.#ended) return
    this.#options.onFailed(reason, error)
  }
}
