import { BusError } from '@liftbridge/server'
import type {
  Bus,
  BusHandler,
  BusMessage,
  BusStatus,
  BusSubscription,
  SubscribeOptions,
} from '@liftbridge/server'
import { isLiteralSubject, isValidSubject } from '@liftbridge/nats'
import type { Connection, SimNats } from './nats.ts'
import type { SimProcess } from './sim-process.ts'

export interface ConnectOptions {
  readonly process: SimProcess
  /** The machine it runs on: faults of the network go by machines. */
  readonly host: string
  /** A name that ends in `raft` marks the Raft path. */
  readonly name: string
  readonly echo: boolean
}

/** A command of a client to NATS. */
export type Sent =
  | {
      readonly kind: 'publish'
      readonly subject: string
      readonly reply: string
      readonly data: Uint8Array
    }
  | {
      readonly kind: 'subscribe'
      readonly id: number
      readonly subject: string
      readonly queue: string
      /** 0 for no bound. */
      readonly max: number
    }
  | { readonly kind: 'unsubscribe'; readonly id: number }
  | { readonly kind: 'ping' }

/** What NATS sends to a client. */
export type Delivered =
  | {
      readonly kind: 'message'
      readonly id: number
      readonly subject: string
      readonly reply: string
      readonly data: Uint8Array
    }
  | { readonly kind: 'no-responders'; readonly inbox: string }
  | { readonly kind: 'pong' }

type ClientSubscription = {
  readonly id: number
  readonly subject: string
  readonly queue: string
  readonly handler: BusHandler
  left: number
  active: boolean
}

type Asked = {
  readonly resolve: (message: BusMessage) => void
  readonly reject: (error: BusError) => void
}

type Ping = { readonly resolve: () => void; readonly reject: (error: BusError) => void }

const RECONNECT_WAIT_US = 250_000
const LOW_WATER_BYTES = 256 * 1_024

/** One connection to the simulated NATS, as the adapter for a real one behaves. */
export class SimBus implements Bus {
  readonly options: ConnectOptions
  readonly #nats: SimNats
  readonly #inbox: string
  readonly #subscriptions = new Map<number, ClientSubscription>()
  readonly #requests = new Map<string, Asked>()
  readonly #listeners: ((status: BusStatus) => void)[] = []
  #connection: Connection | undefined
  #pings: Ping[] = []
  #unsent: Sent[] = []
  #unsentBytes = 0
  #inFlightBytes = 0
  #flushQueued = false
  #nextId = 1
  #closing: Promise<void> | undefined
  #waiting: (() => void)[] = []
  #listensToInbox = false

  constructor(nats: SimNats, options: ConnectOptions) {
    this.#nats = nats
    this.options = options
    this.#inbox = `_INBOX.${nats.world.random.of(`inbox ${options.name}`).id()}`
  }

  get maxPayloadBytes(): number {
    return this.#nats.maxPayloadBytes
  }

  get connected(): boolean {
    return this.#connection !== undefined && this.#closing === undefined
  }

  get pendingBytes(): number {
    return this.#unsentBytes + this.#inFlightBytes
  }

  drained(): Promise<void> {
    if (this.pendingBytes === 0) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  publish(subject: string, payload: Uint8Array, reply = ''): void {
    this.#requireOpen()
    this.#requireSize(payload)
    if (!isLiteralSubject(subject)) throw badSubject()
    if (reply !== '' && !isLiteralSubject(reply)) throw badSubject()
    this.#unsentBytes += payload.length
    this.#send({ kind: 'publish', subject, reply, data: payload })
  }

  /** A NATS elsewhere does not tell. */
  hasInterest(): boolean {
    return true
  }

  subscribe(subject: string, handler: BusHandler, options: SubscribeOptions = {}): BusSubscription {
    const { queue, max } = options
    if (this.#closing !== undefined) throw new BusError('closed', 'the bus is closed')
    if (!isValidSubject(subject) || (queue !== undefined && !/^[^\s]+$/.test(queue))) {
      throw badSubject()
    }
    const subscription: ClientSubscription = {
      id: this.#nextId++,
      subject,
      queue: queue ?? '',
      handler,
      left: max ?? Infinity,
      active: true,
    }
    this.#subscriptions.set(subscription.id, subscription)
    if (this.#connection) this.#send(subscribeCommand(subscription))
    return { unsubscribe: () => this.#unsubscribe(subscription) }
  }

  request(subject: string, payload: Uint8Array, timeoutMs: number): Promise<BusMessage> {
    return new Promise((resolve, reject) => {
      this.#listenToInbox()
      const inbox = `${this.#inbox}.${this.#nextId++}`
      const timer = this.options.process.after(timeoutMs * 1_000, 'request timeout', () => {
        this.#requests.delete(inbox)
        reject(new BusError('timeout', 'nats: timeout'))
      })
      const settle = (): void => {
        timer.cancel()
        this.#requests.delete(inbox)
      }
      this.#requests.set(inbox, {
        resolve: (message) => {
          settle()
          resolve(message)
        },
        reject: (error) => {
          settle()
          reject(error)
        },
      })
      try {
        this.publish(subject, payload, inbox)
      } catch (error) {
        settle()
        throw error
      }
    })
  }

  flush(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#requireOpen()
      this.#pings.push({ resolve, reject })
      this.#send({ kind: 'ping' })
    })
  }

  onStatus(listener: (status: BusStatus) => void): void {
    this.#listeners.push(listener)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Connects as soon as NATS can be reached. */
  connectFirst(): Promise<void> {
    return new Promise((resolve) => this.#attempt(0, resolve))
  }

  /** From NATS: so many bytes have arrived there. */
  arrived(bytes: number): void {
    this.#inFlightBytes -= bytes
    if (this.pendingBytes <= LOW_WATER_BYTES) this.#wake()
  }

  /** From NATS: so many bytes will never arrive. */
  gone(bytes: number): void {
    this.arrived(bytes)
  }

  /** From NATS: the connection is lost. */
  disconnected(connection: Connection, status: BusStatus): void {
    if (this.#connection !== connection) return
    this.#connection = undefined
    this.#unsent = []
    this.#unsentBytes = 0
    this.#wake()
    const pings = this.#pings
    this.#pings = []
    const error = new BusError('disconnected', 'not connected to NATS')
    for (const ping of pings) ping.reject(error)
    this.#report(status)
    if (this.#closing === undefined) this.#attempt(RECONNECT_WAIT_US, () => undefined)
  }

  /** From NATS: a message, or an answer to a ping. */
  receive(delivered: Delivered): void {
    switch (delivered.kind) {
      case 'message': {
        const subscription = this.#subscriptions.get(delivered.id)
        if (subscription?.active) this.#handle(subscription, delivered)
        return
      }
      case 'no-responders':
        this.#requests
          .get(delivered.inbox)
          ?.reject(new BusError('no-responders', 'nats: no responders available for request'))
        return
      case 'pong':
        this.#pings.shift()?.resolve()
        return
      default:
        delivered satisfies never
    }
  }

  async #close(): Promise<void> {
    const connection = this.#connection
    if (connection) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#pings.push({ resolve, reject: () => resolve() })
      this.#send({ kind: 'ping' })
      await promise
      this.#nats.cut(connection, 'closed', 'untold')
    }
    this.#connection = undefined
    for (const subscription of this.#subscriptions.values()) subscription.active = false
    for (const asked of Array.from(this.#requests.values())) {
      asked.reject(new BusError('closed', 'the bus was closed'))
    }
    this.#wake()
  }

  #attempt(delayUs: number, connected: () => void): void {
    const { process } = this.options
    const jitterUs = delayUs === 0 ? 0 : this.#nats.world.random.of('reconnect').integer(100_000)
    process.after(delayUs + jitterUs, 'connect', () => {
      if (this.#closing !== undefined) return
      const connection = this.#nats.accept(this)
      if (connection === undefined) {
        this.#attempt(RECONNECT_WAIT_US, connected)
        return
      }
      this.#connection = connection
      process.onEnd(() => this.#nats.cut(connection, 'process died', 'untold'))
      for (const subscription of this.#subscriptions.values()) {
        if (subscription.active) this.#send(subscribeCommand(subscription))
      }
      this.#report({ kind: 'connected', server: 'sim' })
      connected()
    })
  }

  #handle(subscription: ClientSubscription, message: BusMessage): void {
    if (--subscription.left <= 0) {
      subscription.active = false
      this.#subscriptions.delete(subscription.id)
    }
    try {
      subscription.handler(message)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#report({ kind: 'error', reason })
    }
  }

  #unsubscribe(subscription: ClientSubscription): void {
    if (!subscription.active) return
    subscription.active = false
    this.#subscriptions.delete(subscription.id)
    if (this.#connection) this.#send({ kind: 'unsubscribe', id: subscription.id })
  }

  #listenToInbox(): void {
    if (this.#listensToInbox) return
    this.subscribe(`${this.#inbox}.*`, (message) => {
      this.#requests.get(message.subject)?.resolve(message)
    })
    this.#listensToInbox = true
  }

  /** What is sent in one turn leaves together. */
  #send(command: Sent): void {
    this.#unsent.push(command)
    if (this.#flushQueued) return
    this.#flushQueued = true
    queueMicrotask(() => {
      this.#flushQueued = false
      const commands = this.#unsent
      this.#unsent = []
      const bytes = this.#unsentBytes
      this.#unsentBytes = 0
      if (this.#connection === undefined || commands.length === 0) return
      this.#inFlightBytes += bytes
      this.#nats.send(this.#connection, commands)
    })
  }

  #requireOpen(): void {
    if (this.#closing !== undefined) throw new BusError('closed', 'the bus is closed')
    if (!this.#connection) throw new BusError('disconnected', 'not connected to NATS')
  }

  #requireSize(payload: Uint8Array): void {
    if (payload.length <= this.maxPayloadBytes) return
    throw new BusError('too-large', `${payload.length} bytes are over the limit of NATS`)
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }

  #report(status: BusStatus): void {
    for (const listener of this.#listeners) listener(status)
  }
}

function subscribeCommand(subscription: ClientSubscription): Sent {
  const { id, subject, queue, left } = subscription
  return { kind: 'subscribe', id, subject, queue, max: left === Infinity ? 0 : left }
}

function badSubject(): BusError {
  return new BusError('bad-subject', 'not a valid NATS subject')
}
