/**
 * One partition on this server: its log, and the role that this server has in it. Nothing in here
 * is shared with another partition, so whatever goes wrong stays here: a log that cannot go on is
 * fenced and reported, the others go on.
 *
 *     none ──begin──> leader    takes messages, acknowledges, serves replicas and readers
 *                     candidate named leader, but must not lead; asks for another leadership
 *                     follower  copies the leader's log; may be read while it is in the ISR
 *      ^────end────── any of these, in order; `supersede` stops a leader at once before that
 */
import type { CommitLog } from '@liftbridge/log'
import type { LogTail } from '@liftbridge/metadata'
import { decideLeadership, type LeaderStanding } from '@liftbridge/replication'
import type { PublishView } from '@liftbridge/wire'
import { Candidacy, type CandidacyReason } from '../replication/candidacy.ts'
import type { Following } from '../replication/following.ts'
import { ACK_UNKNOWN, AckSource, type AckSink } from './ack.ts'
import type { Arrival } from './arrival.ts'
import type { ValueCipher } from './encryption.ts'
import { GroupReaders } from './group-readers.ts'
import type { BatchLimits, Ingest } from './ingest.ts'
import type { PartitionSettings, Receipts } from './leadership.ts'
import { Leading } from './leading.ts'
import type { LogFacts, PartitionOptions, ReplicatedOptions, Roles } from './partition-options.ts'
import { ReadTerms, type ReadTerm } from './read-term.ts'
import { refuse } from './refusal.ts'
import { followLeader, type RoleContext } from './replica-roles.ts'
import type { Listener } from './subject-router.ts'

export type { PartitionSettings } from './leadership.ts'

type Role =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'leader'
      readonly leading: Leading
    }
  | { readonly kind: 'candidate'; candidacy: Candidacy | undefined }
  | { readonly kind: 'follower'; readonly following: Following }

const NO_ROLE: Role = { kind: 'none' }

export class Partition implements Listener {
  readonly stream: string
  readonly incarnation: number
  readonly id: number
  readonly streamSubject: string
  readonly subject: string
  readonly group: string
  readonly log: CommitLog
  readonly cipher: ValueCipher | undefined
  readonly groupReaders: GroupReaders = new GroupReaders()
  readonly optimisticConcurrency: boolean
  /** Open subscriptions. */
  subscribers = 0
  readonly #options: PartitionOptions
  readonly #context: RoleContext
  readonly #source: AckSource
  readonly #receipts: Receipts = {
    firstNs: 0n,
    latestNs: 0n,
    latestMs: Number.NEGATIVE_INFINITY,
  }
  readonly #readTerms = new ReadTerms()
  #settings: PartitionSettings
  #role: Role = NO_ROLE
  #roles: Roles | undefined
  /** Of the leadership while it takes messages, for the way of each of them. */
  #ingest: Ingest | undefined
  #proven = true
  #fenced = false

  constructor(options: PartitionOptions) {
    const { stream, partition, log, clock, logger } = options
    this.#context = { stream, partition, log, clock, logger, settings: options.settings }
    this.stream = options.stream
    this.incarnation = options.incarnation
    this.id = options.partition
    this.streamSubject = options.streamSubject
    this.subject = options.subject
    this.group = options.group
    this.log = options.log
    this.cipher = options.cipher
    this.optimisticConcurrency = options.settings.optimisticConcurrency
    this.#options = options
    this.#settings = options.settings
    this.#source = new AckSource(options.stream, options.partition, options.streamSubject)
  }

  /** What this server does for the partition now; `leader` only while it takes messages. */
  get role(): Role['kind'] {
    return this.#role.kind === 'leader' && !this.leads ? 'none' : this.#role.kind
  }

  get leads(): boolean {
    return this.#ingest !== undefined
  }

  /** The epoch under which it has that role; 0 before any. */
  get leaderEpoch(): number {
    return this.#roles?.leaderEpoch ?? 0
  }

  /** The ISR as the metadata has it. */
  get isr(): readonly string[] {
    return this.#roles?.isr ?? []
  }

  /** Whether it may be read here now, as what, and until when. */
  get reading(): ReadTerm | undefined {
    return this.#readTerms.current
  }

  /** See `LogFacts.proven`; may become true while it follows. */
  get proven(): boolean {
    return this.#role.kind === 'follower' ? this.#role.following.proven : this.#proven
  }

  /** When the first and the latest message were received here; 0n when never. */
  get firstReceivedNs(): bigint {
    return this.#receipts.firstNs
  }

  get latestReceivedNs(): bigint {
    return this.#receipts.latestNs
  }

  /** When the latest message came, on the monotonic clock; -Infinity when none has [LB 4.10]. */
  get latestReceivedMs(): number {
    return this.#receipts.latestMs
  }

  get fenced(): boolean {
    return this.#fenced
  }

  get congested(): boolean {
    return this.#ingest?.congested ?? false
  }

  drained(): Promise<void> {
    return this.#ingest?.drained() ?? Promise.resolve()
  }

  accept(publish: PublishView, arrival: Arrival, sink: AckSink | undefined): void {
    if (this.#ingest !== undefined) {
      this.#ingest.accept(publish, arrival, sink)
    } else if (sink !== undefined) {
      const due = { error: ACK_UNKNOWN, commitNs: this.#options.clock.wallNs() }
      refuse(this.#source, { publish, arrival }, sink, due)
    }
  }

  kick(): void {
    this.#ingest?.kick()
  }

  /** Takes over settings that may change while the partition runs. */
  reconfigure(settings: { readonly batch: BatchLimits; readonly syncMaxMessages: number }): void {
    this.#settings = { ...this.#settings, ...settings }
    if (this.#role.kind === 'leader') this.#role.leading.reconfigure(settings)
  }

  /** Makes what is written durable, unless it is already; called on every tick of `streams.sync.interval`. */
  syncIfDirty(): void {
    if (this.#role.kind !== 'leader' || this.log.syncedOffset >= this.log.newestOffset) return
    this.#role.leading.requestSync()
  }

  /**
   * Takes the role that the metadata gives to this server. Resolves when a leader leads: what is
   * published from then on is heard. Rejects when it cannot; it then has no role.
   */
  async begin(roles: Roles, facts: LogFacts): Promise<void> {
    const deposed = this.#roles?.leader
    this.#roles = roles
    this.#proven = facts.proven
    const { replicated } = this.#options
    if (replicated === undefined) return this.#lead(roles, deposed)
    const { serverId } = replicated.replication
    if (roles.leader !== serverId) return this.#follow(roles, replicated)
    const decision = decideLeadership({
      serverId,
      replicas: roles.replicas,
      isr: roles.isr,
      leaderEpoch: roles.leaderEpoch,
      latestEpoch: this.log.leaderEpoch,
      continues: facts.continues,
      proven: facts.proven,
      knownAtStart: facts.knownAtStart,
    })
    const damaged = facts.damaged && roles.replicas.length > 1
    if (decision === 'lead' && !damaged) return this.#lead(roles, deposed)
    this.#role = { kind: 'candidate', candidacy: undefined }
    if (decision === 'stale-metadata') {
      this.#reportNewerLog(roles)
      return
    }
    const isUnsynced = decision === 'unproven' && facts.onlyUnsynced && !damaged
    this.#campaign(isUnsynced ? 'unsynced' : decision === 'lead' ? 'damaged' : decision)
  }

  /** The ISR, or anything else under the same leadership, has changed. */
  changed(roles: Roles): void {
    this.#roles = roles
    const role = this.#role
    if (role.kind === 'leader') role.leading.changed(roles)
    else if (role.kind === 'follower') this.#readAsFollower(roles)
  }

  /** The leader tells that there is something to fetch. */
  notified(): void {
    if (this.#role.kind === 'follower') this.#role.following.notified()
  }

  /** NATS is there again: what was asked before is lost, or its answer is. */
  reconnected(): void {
    if (this.#role.kind === 'follower') this.#role.following.reconnected()
  }

  /**
   * A newer leadership exists: nothing is acknowledged, read or copied any more under this one
   * [E2]. Returns at once; `end` follows.
   */
  supersede(): void {
    const role = this.#role
    this.#readTerms.set(undefined)
    if (role.kind === 'leader') {
      this.#ingest = undefined
      role.leading.depose()
    } else if (role.kind === 'follower') role.following.end()
    else if (role.kind === 'candidate') role.candidacy?.end()
  }

  /** Takes no more messages; resolves when what was accepted is written. Replicas are served on. */
  async quiesce(): Promise<void> {
    if (this.#role.kind === 'leader') await this.#role.leading.quiesce()
  }

  /** True when every message that was accepted has had its answer. */
  get settled(): boolean {
    return this.#role.kind !== 'leader' || this.#role.leading.settled
  }

  /**
   * Ends the role in order: finishes what was accepted, and waits for its acks where it can. The
   * log stays open, and nobody works on it any more.
   */
  async end(): Promise<void> {
    const role = this.#role
    const { proven } = this
    this.#readTerms.set(undefined)
    switch (role.kind) {
      case 'none':
        break
      case 'leader':
        await role.leading.stop()
        break
      case 'candidate':
        role.candidacy?.end()
        break
      case 'follower':
        await role.following.stop()
        break
      default:
        role satisfies never
    }
    this.#proven = proven
    this.#ingest = undefined
    this.#role = NO_ROLE
  }

  async #lead(roles: Roles, deposed: string | undefined): Promise<void> {
    const leading = new Leading(this.#context, {
      ...this.#options,
      settings: this.#settings,
      listener: this,
      source: this.#source,
      receipts: this.#receipts,
      roles,
      deposed,
      onFailed: (reason, error) => this.#fence(reason, error),
      onStanding: (standing) => this.#onStanding(standing),
    })
    this.#role = { kind: 'leader', leading }
    try {
      await leading.begin((ingest) => (this.#ingest = ingest))
    } catch (error) {
      // It may have taken messages from NATS already.
      await this.end()
      throw error
    }
    if (!leading.ended) this.#readTerms.set('leader')
  }

  #follow(roles: Roles, replicated: ReplicatedOptions): void {
    const following = followLeader(this.#context, replicated, {
      roles,
      proven: this.#proven,
      onFailed: (reason, error) => this.#fence(reason, error),
    })
    this.#role = { kind: 'follower', following }
    this.#readAsFollower(roles)
    following.begin()
  }

  /** Outside of the ISR a follower's log may lack what was committed. */
  #readAsFollower({ isr }: Roles): void {
    const serverId = this.#options.replicated?.replication.serverId ?? ''
    this.#readTerms.set(isr.includes(serverId) && !this.#fenced ? 'follower' : undefined)
  }

  /** Newer metadata will come by itself; for an adopted log of Go Liftbridge it may never do so. */
  #reportNewerLog({ leaderEpoch: epoch }: Roles): void {
    const at = { stream: this.stream, partition: this.id, epoch, logEpoch: this.log.leaderEpoch }
    const text = 'partition without a leader: its log is of a newer epoch than the metadata'
    this.#options.logger.warn(text, at)
  }

  #campaign(reason: CandidacyReason): void {
    const { replicated, clock, logger } = this.#options
    const role = this.#role
    if (replicated === undefined || role.kind !== 'candidate') return
    const { stream, id: partition, leaderEpoch } = this
    const { replication } = replicated
    const at = { stream, partition, leaderEpoch }
    role.candidacy = new Candidacy({
      ...at,
      reason,
      tail: tailOf(this.log),
      replication,
      clock,
      logger,
    })
    role.candidacy.begin()
  }

  #onStanding(standing: LeaderStanding): void {
    const { stream, id: partition, leaderEpoch: epoch } = this
    this.#options.logger.info(`partition leader: ${standing.kind}`, {
      stream,
      partition,
      epoch,
      ...(standing.kind === 'fenced' ? { reason: standing.reason } : {}),
    })
    switch (standing.kind) {
      case 'leading':
        this.#readTerms.set('leader')
        return
      case 'isolated':
        this.#readTerms.set(undefined)
        return
      case 'fenced':
        this.supersede()
        return
      default:
        standing satisfies never
    }
  }

  /** Nothing more is acknowledged; readers end; the host decides what comes next. [D7] */
  #fence(reason: string, error: unknown): void {
    if (this.#fenced) return
    this.#fenced = true
    this.supersede()
    this.#options.logger.error(`partition fenced: ${reason}`, {
      stream: this.stream,
      partition: this.id,
      epoch: this.leaderEpoch,
      error,
    })
    this.#options.onFenced(reason)
  }
}

/** What a log has left, for the choice among replicas none of which is proven complete. */
const tailOf = ({ epochs, newestOffset: newest, nextOffset: end }: CommitLog): LogTail => ({
  // An epoch that wrote nothing says nothing about what the log holds.
  epoch: epochs.findLast(({ start }) => start <= newest)?.epoch ?? 0,
  end,
})
