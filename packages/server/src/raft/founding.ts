import type { ServerId } from '@liftbridge/raft'
import type { Bus, BusMessage } from '../bus.ts'
import type { Clock, Timer } from '../clock.ts'
import type { Logger } from '../logging/logger.ts'
import { decodeFoundingAnswer, decodeJoinRequest, encodeFoundingQuestion } from './join-messages.ts'

export interface FoundingOptions {
  readonly bus: Bus
  readonly serverId: ServerId
  /** `<ns>.raft.metadata.join`. */
  readonly subject: string
  readonly clock: Clock
  readonly logger: Logger
}

export type FoundingDecision =
  /** Most of the founders are new. */
  | { readonly kind: 'found' }
  /** There is a cluster. `admittedAt`: the entry that took this server in, if its leader said so. */
  | { readonly kind: 'join'; readonly admittedAt: number | undefined }
  | { readonly kind: 'stopped' }

const ASK_EVERY_MS = 500
/** What a founder said counts for so long; it says so again with each question. */
const FRESH_MS = 3_000
/** Whoever has not said anything yet may know of a cluster: a majority waits for it so long. */
const OBJECTION_MS = 1_000
/** The word of a leader is worth more than that of another member: it names the entry. */
const LEADER_MS = 1_000
const FIRST_TELL_MS = 3_000
const TELL_EVERY_MS = 15_000

/**
 * Founders of a cluster, named to each other by `raft.bootstrap.peers`, find out whether they are
 * one: who has an empty store is new, or has lost its disk, and then its vote might elect a leader
 * that lacks what was acknowledged. So it founds only when a majority of the founders, itself
 * counted, says to be new as well. Silence says nothing: it asks for as long as it takes. Any word
 * of a member of a cluster decides against founding.
 *
 * Why a majority is enough: when most are empty, those that have data are too few to be a quorum.
 * Of three, two that are new leave one that may have data and be slow to say so; alone it could
 * commit nothing. What remains is a majority made of lost disks and of servers that no leader ever
 * reached: then what was acknowledged is only left with the silent, and no answer can tell.
 */
export class Founding {
  readonly #options: FoundingOptions
  readonly #inbox: string
  readonly #heardAtMs = new Map<ServerId, number>()
  #voters: readonly ServerId[] = []
  #majoritySinceMs: number | undefined
  #clusterSinceMs: number | undefined
  #tellAtMs = 0
  #timer: Timer | undefined
  #decided: ((decision: FoundingDecision) => void) | undefined
  #stopped = false

  constructor(options: FoundingOptions) {
    this.#options = options
    this.#inbox = `${options.subject}.founder.${options.serverId}`
  }

  /** What is waited for, for the operator; undefined while nothing is. */
  get notice(): string | undefined {
    if (this.#decided === undefined) return undefined
    if (!this.#options.bus.connected) return 'waits for NATS, to found a cluster or to join one'
    const voters = this.#voters
    const silent = voters.filter((id) => !this.#isNew(id))
    return (
      `no cluster is founded yet: ${majorityOf(voters)} of ${voters.join(', ')} must say that ` +
      `they are new as well, or one that there is a cluster; nothing is heard of ` +
      `${silent.join(', ')}: start them`
    )
  }

  /** Asks until it is clear; called once. `voters` are the founders, this server among them. */
  async decide(voters: readonly ServerId[]): Promise<FoundingDecision> {
    if (this.#stopped) return { kind: 'stopped' }
    const { bus, subject, clock } = this.#options
    this.#voters = voters
    this.#tellAtMs = clock.monotonicMs() + FIRST_TELL_MS
    const decision = new Promise<FoundingDecision>((resolve) => (this.#decided = resolve))
    const subscriptions = [
      bus.subscribe(subject, (message) => this.#asked(message)),
      bus.subscribe(this.#inbox, (message) => this.#answered(message)),
    ]
    this.#tick()
    const what = await decision
    this.#timer?.cancel()
    for (const subscription of subscriptions) subscription.unsubscribe()
    return what
  }

  stop(): void {
    this.#stopped = true
    this.#decide({ kind: 'stopped' })
  }

  #tick(): void {
    const { clock, logger, subject } = this.#options
    this.#publish(subject, this.#inbox)
    this.#timer = clock.after(ASK_EVERY_MS, () => this.#tick())
    const now = clock.monotonicMs()
    const { notice } = this
    if (now >= this.#tellAtMs && notice !== undefined) {
      this.#tellAtMs = now + TELL_EVERY_MS
      logger.warn(notice)
    }
    this.#consider()
  }

  /** Another founder asks, and is new by that. */
  #asked({ data, reply }: BusMessage): void {
    const decoded = decodeJoinRequest(data)
    if (decoded.kind === 'rejected' || !decoded.message.founds) return
    const { id } = decoded.message
    if (id === this.#options.serverId) return
    // Whoever has heard of a cluster does not help to found another one.
    if (reply !== '' && this.#clusterSinceMs === undefined) this.#publish(reply)
    this.#heard(id)
  }

  #answered({ data }: BusMessage): void {
    const { logger, clock } = this.#options
    const answer = decodeFoundingAnswer(data)
    switch (answer.kind) {
      case 'new':
        this.#heard(answer.id)
        break
      case 'joined':
        this.#decide({ kind: 'join', admittedAt: answer.index })
        break
      case 'refused':
        this.#clusterSinceMs ??= clock.monotonicMs()
        break
      case 'rejected': {
        const { reason } = answer
        logger.limited('raft-founding', 'warn', 'an answer could not be understood', { reason })
        break
      }
      default:
        answer satisfies never
    }
  }

  #heard(id: ServerId): void {
    this.#heardAtMs.set(id, this.#options.clock.monotonicMs())
    // Anybody may say anything under any name: only the founders are kept.
    if (!this.#voters.includes(id)) this.#heardAtMs.delete(id)
    this.#consider()
  }

  #isNew(id: ServerId): boolean {
    if (id === this.#options.serverId) return true
    const heardAtMs = this.#heardAtMs.get(id)
    return heardAtMs !== undefined && this.#options.clock.monotonicMs() - heardAtMs < FRESH_MS
  }

  #consider(): void {
    const { bus, clock } = this.#options
    const now = clock.monotonicMs()
    if (this.#clusterSinceMs !== undefined) {
      if (now - this.#clusterSinceMs < LEADER_MS) return
      this.#decide({ kind: 'join', admittedAt: undefined })
      return
    }
    const fresh = this.#voters.filter((id) => this.#isNew(id)).length
    if (!bus.connected || fresh < majorityOf(this.#voters)) {
      this.#majoritySinceMs = undefined
      return
    }
    this.#majoritySinceMs ??= now
    const isHeard = now - this.#majoritySinceMs >= OBJECTION_MS
    if (fresh === this.#voters.length || isHeard) this.#decide({ kind: 'found' })
  }

  #decide(decision: FoundingDecision): void {
    const decided = this.#decided
    this.#decided = undefined
    decided?.(decision)
  }

  #publish(subject: string, reply?: string): void {
    const { bus, serverId } = this.#options
    try {
      bus.publish(subject, encodeFoundingQuestion(serverId), reply)
    } catch {
      // Without NATS nobody hears it; the next question is near.
    }
  }
}

const majorityOf = (voters: readonly ServerId[]): number => Math.floor(voters.length / 2) + 1
