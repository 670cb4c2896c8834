/** A NATS in memory on virtual time, whose links a test can cut and whose messages it can change. */
import {
  BusError,
  type Bus,
  type BusHandler,
  type BusMessage,
  type BusStatus,
  type BusSubscription,
} from '../bus.ts'
import type { Clock } from '../clock.ts'

type Subscription = {
  readonly owner: LocalBus
  readonly subject: string
  readonly handler: BusHandler
}

export class LocalNats {
  readonly clock: Clock
  readonly subscriptions = new Set<Subscription>()
  /** Messages from one server to another are lost while this says so. */
  isCut: (from: string, to: string) => boolean = () => false
  /** Changes a message on its way, or loses it. */
  tamper: (message: BusMessage, from: string, to: string) => BusMessage | undefined = (message) =>
    message
  /** How long a message takes, in milliseconds; they may overtake each other. */
  delayMs: () => number = () => 0
  /** All messages that arrived, for looking at. */
  readonly traffic: { readonly from: string; readonly subject: string; readonly bytes: number }[] =
    []
  /** Grows with each restart. */
  generation = 0
  readonly statusListeners = new Set<(status: BusStatus) => void>()
  #inboxes = 0

  constructor(clock: Clock) {
    this.clock = clock
  }

  connect(owner: string): LocalBus {
    return new LocalBus(this, owner)
  }

  /** As a restart of NATS looks to everybody: what was under way is lost. */
  restart(): void {
    this.generation++
    for (const listener of this.statusListeners) listener({ kind: 'connected', server: 'nats' })
  }

  nextInbox(): string {
    return `_INBOX.${this.#inboxes++}`
  }

  /** How many hear the subject, cut off or not. */
  deliver(from: LocalBus, message: BusMessage): number {
    let heard = 0
    for (const { owner, subject, handler } of this.subscriptions) {
      if (subject !== message.subject) continue
      heard++
      if (this.isCut(from.owner, owner.owner)) continue
      const arriving = this.tamper(message, from.owner, owner.owner)
      if (arriving === undefined) continue
      this.traffic.push({ from: from.owner, subject, bytes: arriving.data.length })
      const arrive = (): void => {
        for (const other of this.subscriptions) {
          if (other.handler !== handler) continue
          handler(arriving)
          return
        }
      }
      const { generation } = this
      const arriveIfKept = (): void => {
        if (generation === this.generation) arrive()
      }
      const delayMs = this.delayMs()
      if (delayMs === 0) queueMicrotask(arriveIfKept)
      else this.clock.after(delayMs, arriveIfKept)
    }
    return heard
  }
}

export class LocalBus implements Bus {
  readonly owner: string
  readonly maxPayloadBytes = 1024 * 1024
  readonly pendingBytes = 0
  readonly #nats: LocalNats
  #closed = false
  #held: BusMessage[] | undefined

  constructor(nats: LocalNats, owner: string) {
    this.#nats = nats
    this.owner = owner
  }

  get connected(): boolean {
    return !this.#closed
  }

  drained(): Promise<void> {
    return Promise.resolve()
  }

  publish(subject: string, payload: Uint8Array, reply = ''): void {
    this.#require(payload)
    const message = { subject, reply, data: payload }
    if (this.#held) this.#held.push(message)
    else this.#nats.deliver(this, message)
  }

  /** What is published from now on stays in the buffers of this connection, until `release`. */
  hold(): void {
    this.#held ??= []
  }

  release(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const message of held) this.#nats.deliver(this, message)
  }

  hasInterest(): boolean {
    return true
  }

  subscribe(subject: string, handler: BusHandler): BusSubscription {
    const subscription = { owner: this, subject, handler }
    this.#nats.subscriptions.add(subscription)
    return { unsubscribe: () => void this.#nats.subscriptions.delete(subscription) }
  }

  async request(subject: string, payload: Uint8Array, timeoutMs: number): Promise<BusMessage> {
    this.#require(payload)
    const reply = this.#nats.nextInbox()
    const { promise, resolve, reject } = Promise.withResolvers<BusMessage>()
    const inbox = this.subscribe(reply, resolve)
    const timer = this.#nats.clock.after(timeoutMs, () =>
      reject(new BusError('timeout', 'nats: timeout')),
    )
    try {
      const heard = this.#nats.deliver(this, { subject, reply, data: payload })
      if (heard === 0) throw new BusError('no-responders', 'nats: no responders')
      return await promise
    } finally {
      timer.cancel()
      inbox.unsubscribe()
    }
  }

  flush(): Promise<void> {
    return Promise.resolve()
  }

  onStatus(listener: (status: BusStatus) => void): void {
    this.#nats.statusListeners.add(listener)
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const subscription of this.#nats.subscriptions) {
      if (subscription.owner === this) this.#nats.subscriptions.delete(subscription)
    }
  }

  #require(payload: Uint8Array): void {
    if (this.#closed) throw new BusError('closed', 'the bus is closed')
    if (payload.length > this.maxPayloadBytes) throw new BusError('too-large', 'too large')
  }
}
