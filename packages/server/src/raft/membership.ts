import type { MembershipChange, RaftStatus, ServerId } from '@liftbridge/raft'
import type { ClusterSubjects } from '@liftbridge/wire'
import type { Bus } from '../bus.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logging/logger.ts'
import type { BootstrapSettings } from './bootstrap.ts'
import { JoinService } from './join-service.ts'
import { Joiner } from './joiner.ts'
import { SeedDetector } from './seed-detector.ts'

export interface MembershipOptions {
  readonly bus: Bus
  readonly subjects: ClusterSubjects
  readonly serverId: ServerId
  readonly clock: Clock
  readonly logger: Logger
  readonly settings: BootstrapSettings
  readonly status: () => RaftStatus
  readonly appliedIndex: () => number
  readonly leads: () => boolean
  readonly change: (change: MembershipChange) => Promise<number>
  /** Notes durably that this server is a whole member. */
  readonly onWhole: () => Promise<void>
}

/** A server that others name as a member hears of the leader by itself, in most cases. */
const NAMED_DELAY_MS = 3_000

/**
 * Everything about who belongs to the cluster: taking others in, asking to be taken in, and looking
 * for a second seed. While this server is on its way in it has no vote, see joining-mark.ts.
 */
export class Membership {
  readonly #options: MembershipOptions
  readonly #service: JoinService
  readonly #joiner: Joiner
  readonly #detector: SeedDetector | undefined
  #joining: boolean
  /** The entry that took this server in; undefined until it is told. */
  #admittedAt: number | undefined
  #ending = false

  constructor(options: MembershipOptions, joining: boolean) {
    const { bus, subjects, serverId, clock, logger, settings, status } = options
    this.#options = options
    this.#joining = joining
    const shared = { bus, serverId, clock, logger }
    this.#service = new JoinService({
      ...shared,
      subject: subjects.raftJoin,
      maxQuorumSize: settings.maxQuorumSize,
      leads: options.leads,
      configuration: () => status().configuration,
      change: options.change,
    })
    this.#joiner = new Joiner({
      ...shared,
      subject: subjects.raftJoin,
      delayMs: settings.bootstrapPeers.length > 0 ? NAMED_DELAY_MS : 0,
      onJoined: (index) => (this.#admittedAt = index),
    })
    if (!settings.bootstrapSeed) return
    this.#detector = new SeedDetector({
      ...shared,
      subject: subjects.raftBootstrap,
      replySubject: subjects.raftBootstrapReply,
      isMember: (server) => status().configuration.servers.some(({ id }) => id === server),
    })
  }

  get mayVote(): boolean {
    return !this.#joining
  }

  /** What an operator should know; undefined when all is well. */
  get notice(): string | undefined {
    if (!this.#joining) return this.#detector?.finding
    if (this.#admittedAt === undefined) return this.#joiner.reason
    return `joined the cluster, and waits for its metadata up to entry ${this.#admittedAt}`
  }

  start(): void {
    this.#service.start()
    this.#detector?.start()
    if (this.#joining) this.#joiner.start()
  }

  stop(): void {
    this.#service.stop()
    this.#joiner.stop()
    this.#detector?.stop()
  }

  /** To be called after each step of the core. */
  stepped(): void {
    if (!this.#joining || this.#ending || this.#admittedAt === undefined) return
    const { status, appliedIndex, onWhole, logger } = this.#options
    const { durableIndex, configuration, configurationIndex } = status()
    const { serverId } = this.#options
    if (configuration.servers.every(({ id }) => id !== serverId)) return
    // Go Liftbridge does not say which entry it was: then it is the one that is known to name it.
    const needed = this.#admittedAt || configurationIndex
    if (durableIndex < needed || appliedIndex() < needed) return
    this.#ending = true
    onWhole().then(
      () => {
        this.#joining = false
      },
      (error: unknown) => {
        this.#ending = false
        logger.limited('raft-joining', 'warn', 'joining could not be noted as done', { error })
      },
    )
  }
}
