/**
 * Refuses a second live server of one id. Two of them would both vote and both be counted under one
 * name, and what was acknowledged by a majority would be held by fewer. Each run of a server has a
 * name of its own, and answers for its id with it on `<ns>.raft.metadata.claim.<id>`.
 *
 * A server that died answers nothing, and NATS has forgotten it with its connection, so a restart
 * after kill -9 is never kept waiting by its own ghost. What ends a run is the answer to a question
 * that it asked itself; a message that anybody may send only makes it ask [G10].
 */
import { decodeText, encodeText, type ClusterSubjects } from '@liftbridge/wire'
import type { Bus, BusMessage, BusSubscription } from '../bus.ts'
import type { Clock, Random, Timer } from '../clock.ts'
import type { HostPort } from '../config/addresses.ts'
import { formatHostPort } from '../config/addresses.ts'
import type { Logger } from '../logging/logger.ts'

export type ServerClaimOptions = {
  readonly bus: Bus
  readonly subjects: ClusterSubjects
  readonly serverId: string
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly advertised: () => HostPort
  /** Another live run keeps the id; this one must end at once. Called once at most. */
  readonly onIdLost?: ((error: Error) => void) | undefined
}

/** A paused process does not answer either; it asks by itself when it hears of this one. */
const ANSWER_MS = 500
/** Questions of a run that hears of another one; a flood of claims costs no more. */
const ASK_AGAIN_MS = 1_000
const CLAIM_MAX_BYTES = 512

type Claim = { readonly run: string; readonly address: string }

export class ServerClaim {
  readonly #options: ServerClaimOptions
  readonly #subject: string
  readonly #run: string
  #subscription: BusSubscription | undefined
  #askedMs = Number.NEGATIVE_INFINITY
  /** The next question, when another run has been heard of. */
  #next: Timer | undefined
  #stopped = false

  constructor(options: ServerClaimOptions) {
    this.#options = options
    this.#subject = options.subjects.serverClaim(options.serverId)
    this.#run = options.random.id()
  }

  /** Rejects, with a text for the operator, when another live server answers for this id. */
  async take(): Promise<void> {
    const { bus } = this.#options
    const holder = await this.#ask()
    if (this.#stopped) return
    if (holder !== undefined) throw this.#taken(holder)
    this.#subscription = bus.subscribe(this.#subject, (message) => this.#hear(message))
    // Two that start together both found nobody: whoever asks now is heard by the other.
    this.#askAgain()
    bus.onStatus(({ kind }) => {
      if (kind === 'connected') this.#askAgain()
    })
  }

  /** Idempotent. */
  stop(): void {
    this.#stopped = true
    this.#next?.cancel()
    this.#subscription?.unsubscribe()
    this.#subscription = undefined
  }

  #hear({ data, reply }: BusMessage): void {
    const { bus, clock } = this.#options
    const other = decodeClaim(data)
    if (other === undefined || other.run === this.#run || this.#stopped) return
    try {
      if (reply !== '') bus.publish(reply, this.#claim())
    } catch {
      // NATS has gone: both ask again when it is back.
    }
    // The last question may have come before the other one listened.
    const waitMs = Math.max(0, this.#askedMs + ASK_AGAIN_MS - clock.monotonicMs())
    this.#next ??= clock.after(waitMs, () => this.#askAgain())
  }

  #askAgain(): void {
    this.#next?.cancel()
    this.#next = undefined
    if (this.#stopped) return
    this.#askedMs = this.#options.clock.monotonicMs()
    void this.#ask().then((holder) => {
      // Both ask, so both know which of them goes on: the one whose name comes first.
      if (this.#stopped || holder === undefined || this.#run < holder.run) return
      this.stop()
      const error = this.#taken(holder)
      this.#options.logger.error(error.message)
      this.#options.onIdLost?.(error)
    })
  }

  /** Another run that answers for the id; undefined when none does. Never rejects. */
  async #ask(): Promise<Claim | undefined> {
    const { bus, logger } = this.#options
    try {
      const { data } = await bus.request(this.#subject, this.#claim(), ANSWER_MS)
      const holder = decodeClaim(data)
      return holder?.run === this.#run ? undefined : holder
    } catch (error) {
      logger.debug('nobody else answers for this server id', { error })
      return undefined
    }
  }

  #claim(): Uint8Array {
    return encodeText(`${this.#run} ${formatHostPort(this.#options.advertised())}`)
  }

  #taken(holder: Claim): Error {
    const { serverId } = this.#options
    return new Error(
      `another live server has the id ${serverId}: it serves on ${holder.address} (run ${holder.run}; ` +
        `this is run ${this.#run}). Stop one of them, or give this one a clustering.server.id and an ` +
        'empty data.dir of its own, or another clustering.namespace',
    )
  }
}

function decodeClaim(data: Uint8Array): Claim | undefined {
  if (data.length > CLAIM_MAX_BYTES) return undefined
  const [, run, address] = /^([A-Za-z0-9]{1,64}) ([!-~]+)$/.exec(decodeText(data)) ?? []
  return run === undefined || address === undefined ? undefined : { run, address }
}
