import type { ServerId } from '@liftbridge/raft'
import type { Bus } from '../bus.ts'
import type { Clock, Timer } from '../clock.ts'
import type { Logger } from '../logging/logger.ts'
import { decodeJoinAnswer, encodeJoinRequest, type JoinAnswer } from './join-messages.ts'
import type { JoinStage } from './store/joining-mark.ts'

export interface JoinContext {
  readonly bus: Bus
  /** `<ns>.raft.metadata.join`. */
  readonly subject: string
  readonly serverId: ServerId
}

export interface JoinerOptions extends JoinContext {
  readonly clock: Clock
  readonly logger: Logger
  readonly stage: JoinStage
  /** Before the first attempt. */
  readonly delayMs: number
  /** Called once, with the index of the entry that took this server in; 0: not told. */
  readonly onJoined: (index: number) => void
}

const REQUEST_TIMEOUT_MS = 1_000
const RETRY_MS = 1_000
/** Attempts between two log lines. */
const TELL_EVERY = 5

export type AskedToJoin = JoinAnswer | { readonly kind: 'unanswered'; readonly reason: string }

/** Asks once. Never rejects. A refusal says that there is a cluster, silence that there is none. */
export const askToJoin = async (context: JoinContext, stage: JoinStage): Promise<AskedToJoin> => {
  const { bus, subject, serverId } = context
  try {
    const request = encodeJoinRequest(serverId, stage)
    const { data } = await bus.request(subject, request, REQUEST_TIMEOUT_MS)
    return decodeJoinAnswer(data)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return { kind: 'unanswered', reason: `no answer on ${subject} (${why})` }
  }
}

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
    const why = this.#lastReason ?? `asking on ${this.#options.subject}`
    if (this.#options.stage === 'whole') return `waits to be made a voter: ${why}`
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

  async #attempt(): Promise<void> {
    const { logger, onJoined, stage } = this.#options
    this.#attempts += 1
    const answer = await askToJoin(this.#options, stage)
    if (this.#stopped) return
    if (answer.kind === 'joined') {
      this.#stopped = true
      onJoined(answer.index)
      return
    }
    this.#lastReason = answer.reason
    if (this.#attempts % TELL_EVERY === 1) logger.warn(this.reason)
    this.#after(RETRY_MS)
  }
}
