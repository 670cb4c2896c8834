import { randomBytes } from 'node:crypto'
import {
  NatsServerError,
  type InProcessConnection,
  type NatsErrorCode,
  type NatsServer,
} from '@liftbridge/nats'
import {
  BusError,
  type Bus,
  type BusErrorCode,
  type BusHandler,
  type BusMessage,
  type BusStatus,
  type BusSubscription,
  type SubscribeOptions,
} from '../bus.ts'
import { BUS_ERROR_TEXT } from './bus-error-text.ts'
import { PendingRequests } from './pending-requests.ts'

/**
 * The bus of embedded mode: a connection to the NATS server in this process, without a socket and
 * without serialization. It never disconnects.
 */
export class EmbeddedBus implements Bus {
  readonly #server: NatsServer
  readonly #connection: InProcessConnection
  readonly #requests = new PendingRequests<BusMessage>(`_INBOX.${randomBytes(12).toString('hex')}`)
  readonly #listeners: ((status: BusStatus) => void)[] = []
  #listensToInbox = false

  constructor(server: NatsServer, options: { readonly name: string; readonly echo: boolean }) {
    this.#server = server
    this.#connection = server.connect({
      ...options,
      onHandlerError: (error) => this.#report(error),
    })
  }

  get maxPayloadBytes(): number {
    return this.#server.limits.maxPayloadBytes
  }

  get connected(): boolean {
    return !this.#connection.closed
  }

  get pendingBytes(): number {
    return this.#connection.congestedBytes
  }

  drained(): Promise<void> {
    return this.#connection.relieved()
  }

  publish(subject: string, payload: Uint8Array, reply?: string): void {
    try {
      this.#connection.publish(subject, payload, reply)
    } catch (error) {
      throw asBusError(error)
    }
  }

  hasInterest(subject: string): boolean {
    return this.#connection.hasInterest(subject)
  }

  subscribe(subject: string, handler: BusHandler, options?: SubscribeOptions): BusSubscription {
    if (options?.queue === '') throw new BusError('bad-subject', 'not a valid NATS queue group')
    try {
      return this.#connection.subscribe(subject, handler, options)
    } catch (error) {
      throw asBusError(error)
    }
  }

  async request(subject: string, payload: Uint8Array, timeoutMs: number): Promise<BusMessage> {
    if (!this.connected) throw new BusError('closed', 'the bus is closed')
    this.#listenToInbox()
    const { reply, answer } = this.#requests.open(subject, timeoutMs)
    try {
      if (!this.#connection.publish(subject, payload, reply)) {
        throw new BusError('no-responders', BUS_ERROR_TEXT.noResponders)
      }
    } catch (error) {
      this.#requests.fail(reply, asBusError(error))
    }
    return answer
  }

  async flush(): Promise<void> {
    if (!this.connected) throw new BusError('closed', 'the bus is closed')
    await this.#connection.flush()
  }

  /** Only errors of handlers: the connection stands from birth until `close`. */
  onStatus(listener: (status: BusStatus) => void): void {
    this.#listeners.push(listener)
  }

  async close(): Promise<void> {
    await this.#connection.close()
    this.#requests.failAll(new BusError('closed', 'the bus was closed'))
  }

  #report(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error)
    for (const listener of this.#listeners) listener({ kind: 'error', reason })
  }

  #listenToInbox(): void {
    if (this.#listensToInbox) return
    this.subscribe(this.#requests.subject, (message) => this.#requests.answered(message))
    this.#listensToInbox = true
  }
}

const BUS_CODE: Readonly<Record<NatsErrorCode, BusErrorCode>> = {
  'address-in-use': 'other',
  'address-refused': 'other',
  'bad-subject': 'bad-subject',
  'too-large': 'too-large',
  closed: 'closed',
  congested: 'other',
}

function asBusError(error: unknown): BusError {
  if (error instanceof BusError) return error
  if (error instanceof NatsServerError) {
    return new BusError(BUS_CODE[error.code], error.message, { cause: error })
  }
  return new BusError('other', 'publishing failed', { cause: error })
}
