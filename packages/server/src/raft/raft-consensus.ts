import type {
  Answer,
  MembershipChange,
  Proposal,
  RaftParameters,
  RaftStatus,
  Role,
} from '@liftbridge/raft'
import type { ClusterSubjects } from '@liftbridge/wire'
import type { Bus } from '../bus.ts'
import type { Clock, Random, Timer } from '../clock.ts'
import type { Logger } from '../logging/logger.ts'
import {
  ConsensusError,
  type ClusterMember,
  type Consensus,
  type MetadataLeadership,
  type StateMachine,
} from '../metadata/consensus.ts'
import type { BootstrapSettings } from './bootstrap.ts'
import { firstState } from './first-state.ts'
import { Founding } from './founding.ts'
import { PendingAnswers } from './pending-answers.ts'
import { RaftDriver } from './raft-driver.ts'
import { Membership } from './membership.ts'
import type { RaftNetwork } from './raft-network.ts'
import type { OpenedRaftStore } from './store/raft-store.ts'
import { RaftStoreUnreadable } from './store/unreadable.ts'

export interface RaftConsensusOptions {
  readonly serverId: string
  readonly opened: OpenedRaftStore
  /** Where the store lies, for errors. */
  readonly directory: string
  readonly network: RaftNetwork
  /** For requests to join and the like. */
  readonly bus: Bus
  readonly subjects: ClusterSubjects
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly settings: BootstrapSettings
  readonly parameters: Partial<RaftParameters>
  /** This server takes part no more, until its next start. Called once at most; must not throw. */
  readonly onFailed?: ((error: Error) => void) | undefined
}

/** How long a proposal may take [LB control plane 2.7]. */
const PROPOSAL_TIMEOUT_MS = 5_000
/** Proposals that may wait; each holds a client's request in memory. */
const PROPOSALS_MAX = 4096
/** The core itself gives up a hand-over after an election's time. */
const HAND_OVER_TIMEOUT_MS = 3_000

/** What became of something that was asked of the core. */
interface Done<Result> {
  readonly index: number
  /** What the machine returned, for a proposal. */
  readonly result: Result | undefined
}

/** Somebody who waits until an entry has been applied. */
interface AppliedWaiter {
  readonly index: number
  readonly resolve: () => void
  readonly reject: (error: ConsensusError) => void
  readonly timer: Timer
}

/**
 * The metadata's consensus over Raft. `start` returns as soon as what is stored has been read: what
 * is committed becomes known, and is applied, when there is a leader. Leadership counts as here
 * once this server, as the leader, has applied everything that was committed before.
 */
export class RaftConsensus<Result> implements Consensus<Result> {
  readonly #options: RaftConsensusOptions
  readonly #founding: Founding
  readonly #pending: PendingAnswers<Done<Result>>
  readonly #listeners: ((leadership: MetadataLeadership) => void)[] = []
  #driver: RaftDriver<Result> | undefined
  #membership: Membership | undefined
  #role: Role | undefined
  /** The term in which this server leads and knows all that is committed. */
  #leadingTerm: number | undefined
  #leadership: MetadataLeadership = { kind: 'unknown' }
  #proposals: Proposal[] = []
  #waiters: AppliedWaiter[] = []
  #closing: Promise<void> | undefined

  constructor(options: RaftConsensusOptions) {
    this.#options = options
    this.#founding = new Founding({ ...options, subject: options.subjects.raftJoin })
    this.#pending = new PendingAnswers(options.clock)
  }

  async start(machine: StateMachine<Result>): Promise<void> {
    this.#restore(machine)
    const { serverId, opened, network, clock, random, logger, parameters } = this.#options
    const first = await firstState({ ...this.#options, founding: this.#founding })
    if (this.#closing !== undefined || first === undefined) {
      throw new ConsensusError('closed', 'metadata is closed')
    }
    const { stored, progress } = first
    const driver = new RaftDriver<Result>({
      self: serverId,
      store: opened.store,
      stored,
      network,
      clock,
      random,
      logger,
      machine,
      parameters,
      listener: {
        answered: (answer, result) => this.#answered(answer, result),
        role: (role) => this.#followRole(role),
        caughtUp: (term) => this.#caughtUp(term),
        stepped: () => {
          this.#wakeWaiters()
          this.#membership?.stepped()
        },
        failed: (error) => this.#failed(error),
      },
      mayVote: () => membership.mayVote,
    })
    const membership = new Membership(
      {
        ...this.#options,
        status: () => driver.status,
        appliedIndex: () => driver.appliedIndex,
        leads: () => this.#leadership.kind === 'here',
        change: (change) => this.changeMembership(change),
        answers: (server) => driver.reaches(server),
        setStage: (stage) => opened.store.setJoinStage(stage),
      },
      progress,
    )
    this.#driver = driver
    this.#membership = membership
    driver.start()
    membership.start()
  }

  get leadership(): MetadataLeadership {
    return this.#leadership
  }

  get failure(): string | undefined {
    return this.#driver?.failure?.message ?? this.#options.opened.store.stalled
  }

  /**
   * What keeps this server from being a whole member, or what is wrong with how the cluster was
   * set up; for `/readyz`. Undefined when all is well.
   */
  get notice(): string | undefined {
    return this.#membership?.notice ?? this.#founding.notice
  }

  /** What the core holds; undefined before `start`. For health pages and tests. */
  get status(): RaftStatus | undefined {
    return this.#driver?.status
  }

  get members(): readonly ClusterMember[] {
    const servers = this.#driver?.status.configuration.servers ?? []
    return servers.map(({ id, suffrage }) => ({ id, voter: suffrage === 'voter' }))
  }

  silenceMs(server: string): number | undefined {
    const { serverId, clock } = this.#options
    if (server === serverId) return 0
    const status = this.status
    if (status?.role.kind === 'leader') {
      const peer = status.peers.find(({ id }) => id === server)
      return peer === undefined ? undefined : clock.monotonicMs() - peer.lastContact
    }
    if (status?.role.kind !== 'follower' || status.role.leader !== server) return undefined
    return status.lastContact === undefined ? undefined : clock.monotonicMs() - status.lastContact
  }

  onLeadership(listener: (leadership: MetadataLeadership) => void): void {
    this.#listeners.push(listener)
  }

  async propose(entry: Uint8Array): Promise<Result> {
    const { clock } = this.#options
    const driver = this.#running()
    if (this.#leadership.kind !== 'here') throw this.#notLeader()
    if (this.#pending.size >= PROPOSALS_MAX) {
      throw new ConsensusError('overloaded', 'too many metadata operations wait')
    }
    const { result } = await this.#pending.wait(PROPOSAL_TIMEOUT_MS, (ticket) => {
      this.#proposals.push({ ticket, data: entry, appendedAtNs: clock.wallNs() })
      // What is proposed in one turn is one step, one write and one message to each peer.
      if (this.#proposals.length === 1) queueMicrotask(() => this.#flush(driver))
    })
    return result as Result
  }

  /**
   * On the leader: everything committed anywhere before the call has been applied. Elsewhere:
   * everything that had reached this server's log has, and there is a leader. Rejects with
   * ConsensusError after five seconds.
   */
  async barrier(): Promise<void> {
    const driver = this.#running()
    const { role } = driver.status
    if (role.kind !== 'leader') return this.#whenApplied(driver.status.lastIndex)
    const { index } = await this.#pending.wait(PROPOSAL_TIMEOUT_MS, (ticket) =>
      driver.post({ kind: 'read', ticket }),
    )
    await this.#whenApplied(index)
  }

  /** Changes the membership, as the leader. Rejects with ConsensusError; resolves when committed. */
  async changeMembership(change: MembershipChange): Promise<number> {
    const driver = this.#running()
    const { index } = await this.#pending.wait(PROPOSAL_TIMEOUT_MS, (ticket) =>
      driver.post({ kind: 'change-membership', ticket, change }),
    )
    return index
  }

  async handOver(): Promise<void> {
    const driver = this.#driver
    if (driver === undefined || driver.status.role.kind !== 'leader') return
    const voters = this.members.filter(({ voter }) => voter)
    if (voters.length < 2) return
    try {
      await this.#pending.wait(HAND_OVER_TIMEOUT_MS, (ticket) =>
        driver.post({ kind: 'transfer-leadership', ticket }),
      )
    } catch (error) {
      // The others elect a leader by themselves once this one is gone.
      this.#options.logger.warn('metadata leadership could not be handed over', { error })
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#founding.stop()
    this.#membership?.stop()
    this.#driver?.stop()
    const error = new ConsensusError('closed', 'metadata is closed')
    this.#pending.failAll(error)
    this.#failWaiters(error)
    this.#setLeadership({ kind: 'unknown' })
    await this.#options.network.close()
    await this.#options.opened.store.close()
  }

  #restore(machine: StateMachine<Result>): void {
    const { opened, directory } = this.#options
    const { state, stored } = opened
    if (state === undefined || stored.snapshot === undefined) return
    const unreadable = machine.whyUnreadable(state)
    if (unreadable !== undefined) {
      throw new RaftStoreUnreadable(`${directory}/snapshots`, unreadable)
    }
    machine.restore(stored.snapshot.index, state)
  }

  #running(): RaftDriver<Result> {
    const driver = this.#driver
    if (driver === undefined) throw new ConsensusError('closed', 'metadata is not open yet')
    if (this.#closing !== undefined) throw new ConsensusError('closed', 'metadata is closed')
    if (driver.failure !== undefined) throw new ConsensusError('failed', driver.failure.message)
    return driver
  }

  #notLeader(): ConsensusError {
    const { leadership } = this
    const known = leadership.kind === 'elsewhere' ? `; ${leadership.leader} is` : ''
    return new ConsensusError('not-leader', `node is not the leader${known}`)
  }

  #flush(driver: RaftDriver<Result>): void {
    const proposals = this.#proposals
    this.#proposals = []
    driver.post({ kind: 'propose', proposals })
  }

  #answered(answer: Answer, result: Result | undefined): void {
    const { ticket } = answer
    switch (answer.kind) {
      case 'committed':
        this.#pending.resolve(ticket, { index: answer.index, result })
        break
      case 'read':
        this.#pending.resolve(ticket, { index: answer.index, result: undefined })
        break
      case 'transferred':
        this.#pending.resolve(ticket, { index: 0, result: undefined })
        break
      case 'failed':
        this.#pending.fail(answer)
        break
      default:
        answer satisfies never
    }
  }

  #followRole(role: Role): void {
    this.#role = role
    if (role.kind === 'leader' && this.#leadingTerm === role.term) return
    this.#leadingTerm = undefined
    if (role.kind === 'follower' && role.leader !== undefined) {
      this.#setLeadership({ kind: 'elsewhere', leader: role.leader })
    } else {
      this.#setLeadership({ kind: 'unknown' })
    }
  }

  #caughtUp(term: number): void {
    if (this.#role?.kind !== 'leader' || this.#role.term !== term) return
    this.#leadingTerm = term
    this.#setLeadership({ kind: 'here' })
  }

  #setLeadership(leadership: MetadataLeadership): void {
    const before = this.#leadership
    this.#leadership = leadership
    const isSame =
      before.kind === leadership.kind &&
      (before.kind !== 'elsewhere' ||
        leadership.kind !== 'elsewhere' ||
        before.leader === leadership.leader)
    if (isSame) return
    for (const listener of this.#listeners) listener(leadership)
  }

  #failed(error: Error): void {
    const failed = new ConsensusError('failed', error.message, { cause: error })
    this.#pending.failAll(failed)
    this.#failWaiters(failed)
    this.#setLeadership({ kind: 'unknown' })
    this.#options.onFailed?.(failed)
  }

  #whenApplied(index: number): Promise<void> {
    if (this.#hasApplied(index)) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const timer = this.#options.clock.after(PROPOSAL_TIMEOUT_MS, () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter)
        reject(new ConsensusError('failed', `entry ${index} was not committed in time`))
      })
      const waiter: AppliedWaiter = { index, resolve, reject, timer }
      this.#waiters.push(waiter)
    })
  }

  #hasApplied(index: number): boolean {
    const driver = this.#driver
    if (driver === undefined || this.#leadership.kind === 'unknown') return false
    // A new leader may have replaced entries that were not committed.
    return driver.appliedIndex >= index || driver.status.lastIndex < index
  }

  #wakeWaiters(): void {
    if (this.#waiters.length === 0) return
    const done = this.#waiters.filter(({ index }) => this.#hasApplied(index))
    if (done.length === 0) return
    this.#waiters = this.#waiters.filter((waiter) => !done.includes(waiter))
    for (const { resolve, timer } of done) {
      timer.cancel()
      resolve()
    }
  }

  #failWaiters(error: ConsensusError): void {
    for (const { reject, timer } of this.#waiters.splice(0)) {
      timer.cancel()
      reject(error)
    }
  }
}
