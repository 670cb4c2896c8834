import type { MembershipChange, RaftStatus, ServerId } from '@liftbridge/raft'
import type { ClusterSubjects } from '@liftbridge/wire'
import type { Bus } from '../bus.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logging/logger.ts'
import type { BootstrapSettings } from './bootstrap.ts'
import { JoinService } from './join-service.ts'
import { Joiner } from './joiner.ts'
import { SeedDetector } from './seed-detector.ts'
import type { JoinStage } from './store/joining-mark.ts'

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
  /** Whether a server of that id answers a call of Raft. Never rejects, never waits for ever. */
  readonly answers: (server: ServerId) => Promise<boolean>
  /** Notes durably how far this server has come; undefined: it is a member. */
  readonly setStage: (stage: JoinStage | undefined) => Promise<void>
}

export interface JoinProgress {
  /** Undefined: this server is a member. */
  readonly stage: JoinStage | undefined
  /** The entry that took this server in, if it is known already; 0: not told. */
  readonly admittedAt: number | undefined
}

/** A server that others name as a member hears of the leader by itself, in most cases. */
const NAMED_DELAY_MS = 3_000
const RETRY_MS = 1_000

/**
 * Everything about who belongs to the cluster: taking others in, asking to be taken in, and looking
 * for a second seed.
 *
 *     joining   ask; taken in as a non-voter, or known as a voter from before; no vote
 *        │      has the entry that the answer named
 *     whole     ask again; made a voter if there is room; may vote
 *        │      answered
 *     member
 *
 * A server that is new to the cluster becomes a voter only after it may vote, so that no quorum
 * ever needs a server that refuses.
 */
export class Membership {
  readonly #options: MembershipOptions
  readonly #service: JoinService
  readonly #detector: SeedDetector | undefined
  #joiner: Joiner | undefined
  #stage: JoinStage | undefined
  #admittedAt: number | undefined
  /** The next stage is being written down. */
  #advancing = false
  #stopped = false

  constructor(options: MembershipOptions, progress: JoinProgress) {
    const { bus, subjects, serverId, clock, logger, settings, status } = options
    this.#options = options
    this.#stage = progress.stage
    this.#admittedAt = progress.admittedAt
    const shared = { bus, serverId, clock, logger }
    this.#service = new JoinService({
      ...shared,
      subject: subjects.raftJoin,
      maxQuorumSize: settings.maxQuorumSize,
      leads: options.leads,
      // Whatever founds a cluster is its first entry; a leader adds the second.
      isEstablished: () => status().lastIndex > 1,
      hasJustFounded: () => {
        const { lastIndex, role, votedFor } = status()
        return this.#stage === undefined && lastIndex === 1 && role.term <= 1 && !votedFor
      },
      configuration: () => status().configuration,
      change: options.change,
      answers: options.answers,
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
    return this.#stage !== 'joining'
  }

  /** What an operator should know; undefined when all is well. */
  get notice(): string | undefined {
    if (this.#stage === undefined) return this.#detector?.finding
    if (this.#admittedAt === undefined) return this.#joiner?.reason
    return `taken into the cluster; waits for its metadata up to entry ${this.#admittedAt}`
  }

  start(): void {
    this.#service.start()
    this.#detector?.start()
    if (this.#stage === undefined || this.#admittedAt !== undefined) return
    const named = this.#options.settings.bootstrapPeers.length > 0
    this.#ask(this.#stage, named && this.#stage === 'joining' ? NAMED_DELAY_MS : 0)
  }

  stop(): void {
    this.#stopped = true
    this.#service.stop()
    this.#joiner?.stop()
    this.#detector?.stop()
  }

  /** To be called after each step of the core. */
  stepped(): void {
    if (this.#stage !== 'joining' || this.#admittedAt === undefined || this.#advancing) return
    const { status, appliedIndex, serverId } = this.#options
    const { durableIndex, configuration, configurationIndex } = status()
    if (configuration.servers.every(({ id }) => id !== serverId)) return
    // Go Liftbridge does not say which entry it was: then it is the one that is known to name it.
    const needed = this.#admittedAt || configurationIndex
    if (durableIndex >= needed && appliedIndex() >= needed) this.#advance('whole')
  }

  #ask(stage: JoinStage, delayMs: number): void {
    const { subjects } = this.#options
    this.#joiner = new Joiner({
      ...this.#options,
      subject: subjects.raftJoin,
      stage,
      delayMs,
      onJoined: (index) => {
        if (stage === 'whole') this.#advance(undefined)
        else this.#admittedAt = index
      },
    })
    this.#joiner.start()
  }

  #advance(stage: JoinStage | undefined): void {
    if (this.#stopped) return
    const { setStage, logger, clock } = this.#options
    this.#advancing = true
    setStage(stage).then(
      () => {
        this.#advancing = false
        this.#stage = stage
        this.#admittedAt = undefined
        if (stage === undefined) logger.info('joined the cluster')
        else this.#ask(stage, 0)
      },
      (error: unknown) => {
        logger.limited('raft-joining', 'warn', 'joining could not be noted', { error })
        clock.after(RETRY_MS, () => this.#advance(stage))
      },
    )
  }
}
