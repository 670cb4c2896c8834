/**
 * The role of a leader: a leadership, what hears the partition's subject for it, and what answers
 * its replicas. They begin and end together, in the order that is owed.
 */
import type { LeaderStanding } from '@liftbridge/replication'
import type { FetchService } from '../replication/fetch-service.ts'
import type { AckSource } from './ack.ts'
import type { BatchLimits, Ingest } from './ingest.ts'
import { Leadership, type PartitionSettings, type Receipts } from './leadership.ts'
import type { PartitionOptions, Roles } from './partition-options.ts'
import { leaderOptions, replicaLink, serveReplicas, type RoleContext } from './replica-roles.ts'
import type { Listener } from './subject-router.ts'

type LeadingOptions = Pick<
  PartitionOptions,
  'cipher' | 'budget' | 'ackBudget' | 'listen' | 'flush' | 'replicated'
> & {
  /** Hears what is published to the partition's subject. */
  readonly listener: Listener
  readonly roles: Roles
  /** The leader before this one, if this server knew it. */
  readonly deposed: string | undefined
  readonly settings: PartitionSettings
  readonly source: AckSource
  readonly receipts: Receipts
  /** The log cannot go on. */
  readonly onFailed: (reason: string, error: unknown) => void
  readonly onStanding: (standing: LeaderStanding) => void
}

export class Leading {
  readonly #context: RoleContext
  readonly #options: LeadingOptions
  readonly #leadership: Leadership
  readonly #fetches: FetchService | undefined
  /** Ends hearing the partition's subject. */
  #listening: (() => void) | undefined

  /** Throws when the partition has other replicas and this server no way to them. */
  constructor(context: RoleContext, options: LeadingOptions) {
    const { replicated, roles } = options
    const { log, clock } = context
    this.#context = context
    this.#options = options
    const isShared = roles.replicas.length > 1
    if (isShared && replicated === undefined) {
      throw new Error('a partition with several replicas needs the other servers of its cluster')
    }
    const shared = isShared ? replicated : undefined
    const onFetch: Leadership['fetched'] = (fetch) => this.#leadership.fetched(fetch)
    const fetches = shared && serveReplicas(context, shared, { roles, onFetch })
    this.#fetches = fetches
    this.#leadership = new Leadership({
      source: options.source,
      // Data of a Go server may carry epochs of its own Raft log, beyond ours [R9].
      leaderEpoch: Math.max(roles.leaderEpoch, log.leaderEpoch),
      log,
      settings: options.settings,
      cipher: options.cipher,
      budget: options.budget,
      ackBudget: options.ackBudget,
      clock,
      receipts: options.receipts,
      replicas:
        shared && fetches
          ? {
              core: leaderOptions(context, shared, options),
              link: replicaLink(context, shared, fetches),
            }
          : undefined,
      onFailed: options.onFailed,
      onStanding: options.onStanding,
      onAppendRefused: (error) => this.#onAppendRefused(error),
    })
  }

  get ended(): boolean {
    return this.#leadership.ended
  }

  /** See `Leadership.settled`. */
  get settled(): boolean {
    return this.#leadership.settled
  }

  /**
   * Leads: `onReady` gets what takes messages before the first can come. Resolves when what is
   * published from then on is heard, or when it was deposed meanwhile. After a rejection `stop`
   * must follow.
   */
  async begin(onReady: (ingest: Ingest) => void): Promise<void> {
    await this.#leadership.begin()
    if (this.#leadership.ended) return
    this.#fetches?.start()
    onReady(this.#leadership.ingest)
    this.#listening = this.#options.listen(this.#options.listener)
    await this.#options.flush()
  }

  changed(roles: Roles): void {
    this.#leadership.changed(roles)
  }

  reconfigure(settings: { readonly batch: BatchLimits; readonly syncMaxMessages: number }): void {
    this.#leadership.reconfigure(settings)
  }

  requestSync(): void {
    this.#leadership.requestSync()
  }

  /** Takes no more messages; resolves when what was accepted is written. Replicas are served on. */
  async quiesce(): Promise<void> {
    this.#unlisten()
    await this.#leadership.quiesce()
  }

  /** Ends at once [E2]: last answers; whoever cannot be told meets its deadline. */
  depose(): void {
    this.#unlisten()
    this.#fetches?.stop()
    try {
      this.#leadership.depose()
    } catch (error) {
      this.#reportUndelivered(error)
    }
  }

  /** Finishes what was accepted, and waits for its acks where it can. */
  async stop(): Promise<void> {
    this.#unlisten()
    try {
      await this.#leadership.stop()
    } catch (error) {
      this.#reportUndelivered(error)
    }
    this.#fetches?.stop()
  }

  #unlisten(): void {
    this.#listening?.()
    this.#listening = undefined
  }

  /** A full disk leaves the log as it was and heals by itself [reliability T4]. */
  #onAppendRefused(error: unknown): void {
    const { stream, partition, logger } = this.#context
    const key = `append ${stream} ${partition}`
    logger.limited(key, 'error', 'append failed', { stream, partition, error })
  }

  #reportUndelivered(error: unknown): void {
    const { stream, partition, logger } = this.#context
    logger.error('acks could not be delivered', { stream, partition, error })
  }
}
