import type { Configuration, MembershipChange, ServerId } from '@liftbridge/raft'
import type { Bus, BusMessage, BusSubscription } from '../bus.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logging/logger.ts'
import {
  decodeJoinRequest,
  encodeFoundingQuestion,
  encodeJoinAnswer,
  type JoinAnswer,
  type JoinRequest,
} from './join-messages.ts'

export interface JoinServiceOptions {
  readonly bus: Bus
  /** `<ns>.raft.metadata.join`. */
  readonly subject: string
  readonly serverId: ServerId
  /** `raft.max.quorum.size`; 0: no limit. */
  readonly maxQuorumSize: number
  readonly logger: Logger
  readonly clock: Clock
  readonly leads: () => boolean
  /** This server holds entries of a cluster that has had a leader. */
  readonly isEstablished: () => boolean
  /** This server has founded a cluster, in which there was no election yet as far as it knows. */
  readonly hasJustFounded: () => boolean
  readonly configuration: () => Configuration
  /** Resolves with the index of the entry, once it is committed. */
  readonly change: (change: MembershipChange) => Promise<number>
  /** Whether a server of that id answers a call of Raft. Never rejects, never waits for ever. */
  readonly answers: (server: ServerId) => Promise<boolean>
}

/** Servers that may wait to be taken in; they ask again. */
const WAITING_MAX = 64
/** The leader's answer comes first, and this one before the asker gives up. */
const WITNESS_DELAY_MS = 700
const NO_LEADER: JoinAnswer = { kind: 'refused', reason: 'the cluster has no metadata leader now' }

/**
 * Takes servers into the cluster, one after the other, since whether the next one votes depends on
 * those before. The leader answers [LB 2.2, M10]. Other members say, a little later and not to Go
 * Liftbridge, that there is a cluster: else a founder that lost its disk would found it anew while
 * the others elect a leader.
 */
export class JoinService {
  readonly #options: JoinServiceOptions
  #subscription: BusSubscription | undefined
  #waiting = 0
  #last: Promise<void> = Promise.resolve()

  constructor(options: JoinServiceOptions) {
    this.#options = options
  }

  start(): void {
    const { bus, subject } = this.#options
    this.#subscription = bus.subscribe(subject, (message) => this.#take(message))
  }

  stop(): void {
    this.#subscription?.unsubscribe()
    this.#subscription = undefined
  }

  #take({ data, reply }: BusMessage): void {
    const { logger, leads } = this.#options
    if (reply === '') return
    const decoded = decodeJoinRequest(data)
    if (decoded.kind === 'rejected') {
      const { reason } = decoded
      logger.limited('raft-join', 'warn', 'a request to join could not be understood', { reason })
      return
    }
    if (this.#waiting >= WAITING_MAX) return
    if (!leads()) {
      if (decoded.message.founds) this.#answerFounder(reply)
      else if (decoded.message.stage !== undefined) this.#witness(reply)
      return
    }
    this.#waiting += 1
    this.#last = this.#last.then(async () => {
      const answer = await this.#admit(decoded.message)
      this.#waiting -= 1
      this.#answer(reply, encodeJoinAnswer(answer))
    })
  }

  /**
   * A founder gathers answers, so the leader's needs no head start. One that came a little later
   * than the others is as new as they were, and they may need its vote.
   */
  #answerFounder(reply: string): void {
    const { isEstablished, hasJustFounded, serverId } = this.#options
    if (isEstablished()) this.#answer(reply, encodeJoinAnswer(NO_LEADER))
    else if (hasJustFounded()) this.#answer(reply, encodeFoundingQuestion(serverId))
  }

  #witness(reply: string): void {
    const { clock, isEstablished } = this.#options
    if (!isEstablished()) return
    this.#waiting += 1
    clock.after(WITNESS_DELAY_MS, () => {
      this.#waiting -= 1
      this.#answer(reply, encodeJoinAnswer(NO_LEADER))
    })
  }

  /** Never rejects. */
  async #admit(request: JoinRequest): Promise<JoinAnswer> {
    const { logger, serverId, change } = this.#options
    const { id, stage } = request
    if (id === serverId) return { kind: 'joined', index: 0 }
    const kind = this.#changeFor(request)
    if (kind === undefined) return { kind: 'joined', index: 0 }
    // A few words in the name of servers that do not exist would make a quorum that nobody can
    // reach, and nothing could be changed any more, this neither.
    if (!this.#isVoter(id) && !(await this.#options.answers(id))) {
      logger.limited('raft-join', 'warn', 'a server that asks to join cannot be reached', { id })
      return { kind: 'refused', reason: `${id} does not answer calls of Raft` }
    }
    try {
      const index = await change({ kind, id, address: id })
      const voter = kind === 'add-voter'
      logger.info('a server joins the cluster', { server: id, voter, stage })
      return { kind: 'joined', index }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      logger.warn('a server could not be taken into the cluster', { server: id, reason })
      return { kind: 'refused', reason }
    }
  }

  /** Who is on its way in stays what it is, or begins as a non-voter; see membership.ts. */
  #changeFor({ id, stage }: JoinRequest): 'add-voter' | 'add-non-voter' | undefined {
    const isVoter = this.#isVoter(id)
    switch (stage) {
      case 'joining':
        return isVoter ? 'add-voter' : 'add-non-voter'
      case 'whole':
        return isVoter || !this.#hasRoomFor(id) ? undefined : 'add-voter'
      case undefined:
        return this.#hasRoomFor(id) ? 'add-voter' : 'add-non-voter'
    }
  }

  #isVoter(id: ServerId): boolean {
    const { servers } = this.#options.configuration()
    return servers.some((member) => member.id === id && member.suffrage === 'voter')
  }

  #hasRoomFor(id: ServerId): boolean {
    const { maxQuorumSize, configuration } = this.#options
    if (maxQuorumSize === 0) return true
    const others = configuration().servers.filter((member) => member.id !== id)
    return others.filter(({ suffrage }) => suffrage !== 'non-voter').length < maxQuorumSize
  }

  #answer(reply: string, bytes: Uint8Array): void {
    try {
      this.#options.bus.publish(reply, bytes)
    } catch {
      // Without NATS nobody hears it: the server asks again.
    }
  }
}
