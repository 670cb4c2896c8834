import { NatsServerError } from '../errors.ts'
import type { NatsLimits } from '../limits.ts'
import { emptyPublication, type Publication } from '../routing/publication.ts'
import type { Router } from '../routing/router.ts'
import {
  fromByteString,
  isLiteralSubject,
  isValidSubject,
  toByteString,
} from '../routing/subject.ts'
import { Subscription, type Subscriber } from '../routing/subscription.ts'

/** A message as a subscriber inside this process gets it. */
export interface InProcessMessage {
  readonly subject: string
  /** '' when there is none. */
  readonly reply: string
  /** Without headers. Never written to again, but it may pin the chunk it arrived in: copy to keep. */
  readonly data: Uint8Array
  /** The header block ("NATS/1.0…"), undefined when there is none. */
  readonly headers: Uint8Array | undefined
}

export type InProcessHandler = (message: InProcessMessage) => void

export interface InProcessSubscription {
  /** After it returns the handler is not called again. Idempotent. */
  unsubscribe(): void
}

export interface InProcessSubscribeOptions {
  readonly queue?: string
  /** Ends by itself after so many messages. */
  readonly max?: number
}

export interface InProcessOptions {
  readonly name?: string
  /** False: it does not get what it published itself. True by default. */
  readonly echo?: boolean
  /** Takes what a handler threw; without it the error becomes an uncaught exception. */
  readonly onHandlerError?: (error: unknown) => void
}

/**
 * A NATS connection without a socket. Publishing routes at once; what is published to it waits in
 * one queue and is handed to the handlers in order, later: a publisher's stack never runs a
 * subscriber's code.
 *
 * The queue is emptied by `queueMicrotask`, that is right after the code that published (for a TCP
 * publisher: after the chunk it sent), while its bytes are in the processor's caches. Two handlers
 * that answer each other could so keep the event loop from ever turning; therefore the server
 * grants a number of messages per turn (`DeliveryBudget`), and then goes on by `setImmediate`.
 */
export class InProcessConnection implements Subscriber {
  readonly name: string
  readonly echo: boolean
  readonly #onHandlerError: (error: unknown) => void
  readonly #router: Router
  readonly #limits: NatsLimits
  readonly #budget: DeliveryBudget
  readonly #onEnd: (connection: InProcessConnection) => void
  readonly #publication: Publication = emptyPublication()
  readonly #subscriptions = new Map<Subscription, Receiver>()
  #queue: Queued[] = []
  #queuedBytes = 0
  #scheduled = false
  #closed = false
  #nextSid = 1
  #relief: (() => void)[] = []
  readonly #overfilled = new Set<Subscriber>()
  #waitingForRelief: (() => void)[] = []
  readonly #published = new LastConverted(literalBytes)
  readonly #received = new LastConverted(fromByteString)

  constructor(options: InProcessOptions, context: InProcessContext) {
    this.name = options.name ?? ''
    this.echo = options.echo ?? true
    this.#onHandlerError = options.onHandlerError ?? throwLater
    this.#router = context.router
    this.#limits = context.limits
    this.#budget = context.budget
    this.#onEnd = context.onEnd
  }

  /** Bytes waiting for this connection's own handlers. */
  get pendingBytes(): number {
    return this.#queuedBytes
  }

  /**
   * Back-pressure for this connection as a publisher: bytes that wait for subscribers it has
   * overfilled. 0 in the normal case. A subscriber counts for at most `holdMaxMs` at a time: one
   * that is stuck is cut by its own bounds and does not stop its publishers.
   */
  get congestedBytes(): number {
    let bytes = 0
    for (const subscriber of this.#overfilled) bytes += subscriber.pendingBytes
    return bytes
  }

  /** Resolves when `congestedBytes` is 0. */
  relieved(): Promise<void> {
    if (this.#overfilled.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#waitingForRelief.push(resolve))
  }

  get closed(): boolean {
    return this.#closed
  }

  get congested(): boolean {
    return this.#queuedBytes > this.#limits.congestedBytes
  }

  /**
   * Returns whether anybody gets it. `payload` must not be changed afterwards. Throws
   * NatsServerError 'closed', 'bad-subject', 'too-large', or 'congested' when the caller has
   * filled a queue in this process to its bound without ever letting it be emptied.
   */
  publish(subject: string, payload: Uint8Array, reply = ''): boolean {
    if (this.#closed) throw new NatsServerError('closed', 'the connection is closed')
    if (payload.length > this.#limits.maxPayloadBytes) {
      throw new NatsServerError('too-large', `payload of ${payload.length} bytes is over the limit`)
    }
    const publication = this.#publication
    publication.subject = this.#published.get(subject)
    publication.reply = reply === '' ? '' : literalBytes(reply)
    publication.bytes = payload
    publication.end = payload.length
    if (this.#budget.queuedBytes > this.#limits.maxPendingBytes) {
      throw new NatsServerError('congested', 'too many bytes wait to be delivered in this process')
    }
    const delivered = this.#router.route(publication, this)
    const congested = this.#router.takeCongested()
    if (congested !== undefined) this.#waitFor(congested)
    return delivered
  }

  /** Whether a message on `subject` would reach anybody; with `echo` off, anybody else. */
  hasInterest(subject: string): boolean {
    return this.#router.hasInterest(toByteString(subject), this)
  }

  /** Throws NatsServerError 'closed' or 'bad-subject'. */
  subscribe(
    subject: string,
    handler: InProcessHandler,
    options: InProcessSubscribeOptions = {},
  ): InProcessSubscription {
    if (this.#closed) throw new NatsServerError('closed', 'the connection is closed')
    const queue = options.queue ?? ''
    if (!isValidSubject(subject) || /\s/.test(queue)) throw badSubject()
    const subscription = new Subscription(this, {
      sid: String(this.#nextSid++),
      subject: toByteString(subject),
      queue: toByteString(queue),
    })
    subscription.max = options.max ?? 0
    this.#subscriptions.set(subscription, { handler, handled: 0 })
    this.#router.add(subscription)
    return { unsubscribe: () => this.#unsubscribe(subscription) }
  }

  /** Resolves when the handlers have had everything that waited for them. */
  flush(): Promise<void> {
    return new Promise((resolve) => {
      this.#enqueue({ kind: 'marker', reached: resolve }, 0)
    })
  }

  /** Delivers what waits, then frees everything. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const subscription of this.#subscriptions.keys()) this.#router.remove(subscription)
    await this.flush()
    this.#subscriptions.clear()
    this.#onEnd(this)
  }

  onceRelieved(callback: () => void): void {
    if (this.congested) this.#relief.push(callback)
    else callback()
  }

  deliver(subscription: Subscription, publication: Publication): boolean {
    const { bytes, start, end, headerBytes } = publication
    const dataStart = headerBytes > 0 ? start + headerBytes : start
    const message: InProcessMessage = {
      subject: this.#received.get(publication.subject),
      reply: publication.reply === '' ? '' : fromByteString(publication.reply),
      data: view(bytes, dataStart, end),
      headers: headerBytes > 0 ? view(bytes, start, dataStart) : undefined,
    }
    this.#enqueue({ kind: 'message', subscription, message }, end - start + ENTRY_BYTES)
    return true
  }

  expired(): void {
    // The handler stays until it has had the messages that wait for it: see #handle.
  }

  #waitFor(congested: ReadonlySet<Subscriber>): void {
    for (const subscriber of congested) {
      if (this.#overfilled.has(subscriber)) continue
      this.#overfilled.add(subscriber)
      const done = (): void => {
        clearTimeout(timer)
        if (!this.#overfilled.delete(subscriber) || this.#overfilled.size > 0) return
        const waiting = this.#waitingForRelief
        this.#waitingForRelief = []
        for (const resolve of waiting) resolve()
      }
      const timer = setTimeout(done, this.#limits.holdMaxMs)
      subscriber.onceRelieved(done)
    }
  }

  #unsubscribe(subscription: Subscription): void {
    if (!this.#subscriptions.delete(subscription)) return
    if (!subscription.closed) this.#router.remove(subscription)
  }

  #enqueue(entry: Queued, bytes: number): void {
    this.#queue.push(entry)
    this.#queuedBytes += bytes
    this.#budget.queuedBytes += bytes
    if (this.#scheduled) return
    this.#scheduled = true
    this.#budget.schedule(this.#drain)
  }

  /** Hands out what waits, as far as the budget goes; what handlers publish meanwhile waits too. */
  readonly #drain = (): void => {
    this.#scheduled = false
    const queue = this.#queue
    const count = Math.min(queue.length, this.#budget.take(queue.length))
    this.#queue = count === queue.length ? [] : queue.slice(count)
    let bytes = 0
    for (let i = 0; i < count; i++) {
      const entry = queue[i]
      if (entry === undefined) continue
      if (entry.kind === 'marker') {
        entry.reached()
      } else {
        const { message, subscription } = entry
        bytes += message.data.length + (message.headers?.length ?? 0) + ENTRY_BYTES
        this.#handle(subscription, message)
      }
    }
    this.#queuedBytes -= bytes
    this.#budget.queuedBytes -= bytes
    if (this.#queue.length > 0 && !this.#scheduled) {
      this.#scheduled = true
      this.#budget.schedule(this.#drain)
    }
    this.#relieve()
  }

  #handle(subscription: Subscription, message: InProcessMessage): void {
    const receiver = this.#subscriptions.get(subscription)
    if (receiver === undefined) return
    receiver.handled++
    if (receiver.handled === subscription.max) this.#subscriptions.delete(subscription)
    try {
      receiver.handler(message)
    } catch (error) {
      this.#onHandlerError(error)
    }
  }

  #relieve(): void {
    if (this.#relief.length === 0 || this.congested) return
    const waiting = this.#relief
    this.#relief = []
    for (const callback of waiting) callback()
  }
}

interface Receiver {
  readonly handler: InProcessHandler
  handled: number
}

type Queued =
  | {
      readonly kind: 'message'
      readonly subscription: Subscription
      readonly message: InProcessMessage
    }
  | { readonly kind: 'marker'; readonly reached: () => void }

/** What a connection is given by its server. */
export interface InProcessContext {
  readonly router: Router
  readonly limits: NatsLimits
  readonly budget: DeliveryBudget
  readonly onEnd: (connection: InProcessConnection) => void
}

/** How many messages the handlers of one server may have per turn of the event loop. */
export class DeliveryBudget {
  /** Bytes waiting in all queues. */
  queuedBytes = 0
  #left = MESSAGES_PER_TURN
  #armed = false

  /** Runs `drain` soon: in this turn while the budget lasts, else in the next. */
  schedule(drain: () => void): void {
    if (this.#left > 0) queueMicrotask(drain)
    else setImmediate(drain)
  }

  /** Grants up to `wanted` messages, at least one. */
  take(wanted: number): number {
    if (!this.#armed) {
      this.#armed = true
      setImmediate(() => {
        this.#armed = false
        this.#left = MESSAGES_PER_TURN
      })
    }
    const granted = Math.max(1, Math.min(wanted, this.#left))
    this.#left -= granted
    return granted
  }
}

/** What a waiting message takes besides its payload, so that empty ones are bounded too. */
const ENTRY_BYTES = 128

/** A 64 KiB chunk of small messages fits; a turn of the event loop stays within milliseconds. */
const MESSAGES_PER_TURN = 4096

/** Remembers the last conversion: consecutive messages mostly share their subject. */
class LastConverted {
  readonly #convert: (text: string) => string
  #from = ''
  #to = ''

  constructor(convert: (text: string) => string) {
    this.#convert = convert
  }

  get(text: string): string {
    if (text !== this.#from || text === '') {
      this.#to = this.#convert(text)
      this.#from = text
    }
    return this.#to
  }
}

function literalBytes(subject: string): string {
  if (!isLiteralSubject(subject)) throw badSubject()
  return toByteString(subject)
}

function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}

function badSubject(): NatsServerError {
  return new NatsServerError('bad-subject', 'not a valid NATS subject')
}

function view(bytes: Uint8Array, start: number, end: number): Uint8Array {
  if (start === 0 && end === bytes.length) return bytes
  return new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start)
}
