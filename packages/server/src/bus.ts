/**
 * The port through which the server sees NATS. Implementations: `adapters/nats-bus.ts` (an
 * external NATS, by @nats-io/transport-node) and `adapters/embedded-bus.ts` (package `nats`, in
 * process). All pass `adapters/bus.suite.ts`.
 *
 * A bus is one NATS connection: messages published on it arrive at each subscriber in the order
 * of publishing; between two buses there is no order. Delivery is at most once.
 */
export interface Bus {
  /** Largest payload NATS takes, in bytes (`max_payload`). */
  readonly maxPayloadBytes: number
  readonly connected: boolean
  /**
   * Sends a message. Returns at once; throws BusError 'disconnected' while there is no connection
   * (nothing is buffered across a reconnect, so that nothing is sent twice), 'too-large', or
   * 'bad-subject'. `payload` must not be changed by the caller afterwards. A bus that gathers
   * messages for some time sends what it has with one that must leave `now`.
   */
  publish(subject: string, payload: Uint8Array, reply?: string, haste?: 'now'): void
  /**
   * True when a message on `subject` would reach somebody, this very connection counted if it echoes.
   * An external NATS cannot tell and answers true.
   */
  hasInterest(subject: string): boolean
  /** Bytes published and not yet handed to the socket; a producer waits on `drained` above a bound. */
  readonly pendingBytes: number
  /** Resolves when `pendingBytes` has fallen low enough to go on. */
  drained(): Promise<void>
  /** Throws BusError 'bad-subject'. The handler must not throw; it runs for one message at a time. */
  subscribe(subject: string, handler: BusHandler, options?: SubscribeOptions): BusSubscription
  /** Publishes with a fresh reply inbox and waits for one answer. Rejects with BusError 'timeout', 'no-responders', … */
  request(subject: string, payload: Uint8Array, timeoutMs: number): Promise<BusMessage>
  /** Resolves when the server has processed everything sent before (PING/PONG). */
  flush(): Promise<void>
  onStatus(listener: (status: BusStatus) => void): void
  /** Delivers what is queued, then closes. Idempotent. */
  close(): Promise<void>
}

/** The connections of a server [LB control plane 1.1]. */
export type Buses = {
  /** Subscriptions of partitions, forwarded messages, answers to fetches; does not echo. */
  readonly streams: Bus
  /** Whatever must come back to this server, and acks. */
  readonly publishes: Bus
  /** Raft streams, and what servers ask each other. */
  readonly raft: Bus
  /** Fetches of followers, and notifications to them. */
  readonly replication: Bus
}

export type BusHandler = (message: BusMessage) => void

/** `data` may be a view into a receive buffer: valid until the handler returns, copy to keep. */
export interface BusMessage {
  readonly subject: string
  /** Empty when the publisher gave none. */
  readonly reply: string
  readonly data: Uint8Array
}

export interface SubscribeOptions {
  /** Members of the same queue group share the messages: each goes to one of them. */
  readonly queue?: string
  /** Unsubscribes by itself after so many messages. */
  readonly max?: number
}

export interface BusSubscription {
  /** After it returns the handler is not called again. Idempotent. */
  unsubscribe(): void
}

export type BusStatus =
  | { readonly kind: 'connected'; readonly server: string }
  | { readonly kind: 'disconnected'; readonly reason: string }
  | { readonly kind: 'error'; readonly reason: string }

export type BusErrorCode =
  | 'disconnected'
  | 'too-large'
  | 'bad-subject'
  | 'timeout'
  | 'no-responders'
  | 'closed'
  | 'other'

export class BusError extends Error {
  readonly code: BusErrorCode
  constructor(code: BusErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'BusError'
    this.code = code
  }
}
