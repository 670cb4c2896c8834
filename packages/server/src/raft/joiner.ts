import type { ServerId } from '@liftbridge/raft'
import type { Bus } from '../bus.ts'
import type { Clock, Timer } from '../clock.ts'
import type { Logger } from '../logging/logger.ts'
import { decodeJoinAnswer, encodeJoinRequest } from './join-messages.ts'

export interface JoinerOptions {
  readonly bus: Bus
  /** `<ns>.raft.metadata.join`. */
  readonly subject: string
  readonly serverId: ServerId
  readonly clock: Clock
  readonly logger: Logger
  /** Before the first attempt; servers that are named in the configuration of others just wait. */
  readonly delayMs: number
  /** Called once, with the index of the entry that took this server in; 0: not told. */
  readonly onJoined: (index: number) => void
}

const REQUEST_TIMEOUT_MS = 1_000
const RETRY_MS = 1_000
/** Attempts between two log lines. */
const TELL_EVERY = 5

/**
 * Asks to be taken into the cluster until that is done. The original gives up after a minute and
 * ends the process; a server that comes up before the others should rather wait [LB 2.2].
 */
export class Joiner {
  readonly #options: JoinerOptions
  #timer: Timer | undefined
  #stopped = false
  #attempts = 0
  #lastReason: string | undefined

  constructor(options: JoinerOptions) {
    this.#options = options
  }

  /** Why this server is not a member yet, for the operator. */
  get reason(): string {
    const { subject } = this.#options
    const why = this.#lastReason ?? `asking on ${subject}`
    return (
      `not a member of a cluster yet: ${why}; start one server with --raft-bootstrap-seed, or ` +
      'list the first ones with --raft-bootstrap-peers'
    )
  }

  start(): void {
    this.#after(this.#options.delayMs)
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  #after(ms: number): void {
    if (this.#stopped) return
    this.#timer = this.#options.clock.after(ms, () => void this.#attempt())
  }

  /** Never rejects. */
  async #attempt(): Promise<void> {
    const { bus, subject, serverId, logger, onJoined } = this.#options
    this.#lastReason = `no answer on ${subject}`
    this.#attempts += 1
    try {
      const { data } = await bus.request(subject, encodeJoinRequest(serverId), REQUEST_TIMEOUT_MS)
      const answer = decodeJoinAnswer(data)
      if (answer.kind === 'joined') {
        if (this.#stopped) return
        this.#stopped = true
        logger.info('joined the cluster', { server: serverId })
        onJoined(answer.index)
        return
      }
      this.#lastReason = `refused: ${answer.reason}`
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#lastReason = `no answer on ${subject} (${reason})`
    }
    if (!this.#stopped && this.#attempts % TELL_EVERY === 1) logger.warn(this.reason)
    this.#after(RETRY_MS)
  }
}
