import type { ServerId } from '@liftbridge/raft'
import { decodeText, encodeText } from '@liftbridge/wire'
import type { Bus, BusMessage, BusSubscription } from '../bus.ts'
import type { Clock, Timer } from '../clock.ts'
import type { Logger } from '../logging/logger.ts'
import { isServerId } from './join-messages.ts'

export interface SeedDetectorOptions {
  readonly bus: Bus
  /** `<ns>.raft.metadata.bootstrap` and the subject of the answers. */
  readonly subject: string
  readonly replySubject: string
  readonly serverId: ServerId
  readonly clock: Clock
  readonly logger: Logger
  readonly isMember: (server: ServerId) => boolean
}

const INTERVAL_MS = 10_000
/** Without a further word of the other seed the finding is forgotten. */
const FORGET_AFTER_MS: number = 3 * INTERVAL_MS

/**
 * Finds a second server that was started as the seed of a new cluster under the same namespace:
 * there would be two clusters that disturb each other. Seeds tell each other their ids every ten
 * seconds. The original ends the process on any message here, whoever sent it; this server tells
 * the operator and goes on, since a message that anybody can send must not end it [LB 2.2, D-15,
 * G10].
 */
export class SeedDetector {
  readonly #options: SeedDetectorOptions
  #subscriptions: readonly BusSubscription[] = []
  #timer: Timer | undefined
  #found: { readonly server: ServerId; readonly atMs: number } | undefined

  constructor(options: SeedDetectorOptions) {
    this.#options = options
  }

  /** What was found, for the operator; undefined when all is well. */
  get finding(): string | undefined {
    const { clock, isMember } = this.#options
    const found = this.#found
    if (found === undefined || clock.monotonicMs() - found.atMs >= FORGET_AFTER_MS) return undefined
    // Two members of one cluster that were both started with the flag do no harm.
    if (isMember(found.server)) return undefined
    return `server ${found.server} was also started with raft.bootstrap.seed`
  }

  start(): void {
    const { bus, subject, replySubject } = this.#options
    this.#subscriptions = [
      bus.subscribe(subject, (message) => this.#hear(message, true)),
      bus.subscribe(replySubject, (message) => this.#hear(message, false)),
    ]
    this.#tell()
  }

  stop(): void {
    this.#timer?.cancel()
    for (const subscription of this.#subscriptions) subscription.unsubscribe()
  }

  #tell(): void {
    const { subject, replySubject, clock } = this.#options
    this.#publish(subject, replySubject)
    this.#timer = clock.after(INTERVAL_MS, () => this.#tell())
  }

  #hear({ data }: BusMessage, answers: boolean): void {
    const { serverId, replySubject, clock, logger } = this.#options
    const server = decodeText(data)
    if (server === serverId || !isServerId(server)) return
    if (answers) this.#publish(replySubject)
    this.#found = { server, atMs: clock.monotonicMs() }
    const { finding } = this
    if (finding === undefined) return
    logger.limited('raft-seed', 'error', `${finding}: stop one, or give it another namespace`)
  }

  #publish(subject: string, reply?: string): void {
    const { bus, serverId } = this.#options
    try {
      bus.publish(subject, encodeText(serverId), reply)
    } catch {
      // Without NATS nobody hears it, and the next round is near.
    }
  }
}
