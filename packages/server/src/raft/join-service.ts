import type { Configuration, MembershipChange, ServerId } from '@liftbridge/raft'
import type { Bus, BusMessage, BusSubscription } from '../bus.ts'
import type { Logger } from '../logging/logger.ts'
import { decodeJoinRequest, encodeJoinAnswer, type JoinAnswer } from './join-messages.ts'

export interface JoinServiceOptions {
  readonly bus: Bus
  /** `<ns>.raft.metadata.join`. */
  readonly subject: string
  readonly serverId: ServerId
  /** `raft.max.quorum.size`; 0: no limit. */
  readonly maxQuorumSize: number
  readonly logger: Logger
  readonly leads: () => boolean
  readonly configuration: () => Configuration
  /** Resolves with the index of the entry, once it is committed. */
  readonly change: (change: MembershipChange) => Promise<number>
}

/** Servers that may wait to be taken in; they ask again. */
const WAITING_MAX = 64

/**
 * Takes servers into the cluster, one after the other, since whether the next one votes depends on
 * those before. The leader answers; everybody else keeps silent [LB 2.2, M10].
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
    if (reply === '' || !leads()) return
    const decoded = decodeJoinRequest(data)
    if (decoded.kind === 'rejected') {
      const { reason } = decoded
      logger.limited('raft-join', 'warn', 'a request to join could not be understood', { reason })
      return
    }
    if (this.#waiting >= WAITING_MAX) return
    this.#waiting += 1
    this.#last = this.#last.then(async () => {
      const answer = await this.#admit(decoded.message)
      this.#waiting -= 1
      this.#answer(reply, answer)
    })
  }

  /** Never rejects. */
  async #admit(id: ServerId): Promise<JoinAnswer> {
    const { logger, serverId, change } = this.#options
    if (id === serverId) return { kind: 'joined', index: 0 }
    const kind = this.#wantsVoter(id) ? 'add-voter' : 'add-non-voter'
    try {
      const index = await change({ kind, id, address: id })
      logger.info('a server joined the cluster', { server: id, voter: kind === 'add-voter' })
      return { kind: 'joined', index }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      logger.warn('a server could not be taken into the cluster', { server: id, reason })
      return { kind: 'refused', reason }
    }
  }

  #wantsVoter(id: ServerId): boolean {
    const { maxQuorumSize, configuration } = this.#options
    if (maxQuorumSize === 0) return true
    // A member that has lost its data asks as well: it stays what it is.
    const others = configuration().servers.filter((member) => member.id !== id)
    return others.filter(({ suffrage }) => suffrage !== 'non-voter').length < maxQuorumSize
  }

  #answer(reply: string, answer: JoinAnswer): void {
    try {
      this.#options.bus.publish(reply, encodeJoinAnswer(answer))
    } catch {
      // Without NATS nobody hears it: the server asks again.
    }
  }
}
