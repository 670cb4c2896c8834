/** A Subscribe or PublishAsync call whose events a test awaits one after the other. */
import type { ClientDuplexStream, ClientReadableStream, StatusObject } from '@grpc/grpc-js'
import { within } from '../e2e/child.ts'
import { type ApiClient, codeName } from './api-client.ts'
import type { Message, PublishRequest, PublishResponse, SubscribeRequest } from './api-types.ts'

/** How long an awaited event may take on a busy machine before the test fails. */
const PATIENT_MS = 10_000
/** How long silence must last to count as silence. */
const QUIET_MS = 200

export type StreamEnd = { readonly code: string; readonly details: string }

type Event<T> =
  | { readonly kind: 'message'; readonly message: T }
  | { readonly kind: 'end'; readonly end: StreamEnd }

/** The receiving side of a streaming call, in order. */
class Inbound<T> {
  readonly #events: Event<T>[] = []
  #wake: (() => void) | undefined
  #ended = false

  constructor(call: ClientReadableStream<T> | ClientDuplexStream<PublishRequest, T>) {
    call.on('data', (message: T) => this.#push({ kind: 'message', message }))
    call.on('status', (status: StatusObject) => {
      this.#push({ kind: 'end', end: { code: codeName(status.code), details: status.details } })
    })
    // The status event carries the same outcome; without a listener the error would be thrown.
    call.on('error', () => undefined)
  }

  /** The next event, which stays an error of the test when none comes in time. */
  async event(timeoutMs = PATIENT_MS): Promise<Event<T> | undefined> {
    const end = performance.now() + timeoutMs
    while (this.#events.length === 0) {
      const left = end - performance.now()
      if (left <= 0) return undefined
      await within(new Promise<void>((resolve) => (this.#wake = resolve)), left)
    }
    return this.#events.shift()
  }

  async message(): Promise<T> {
    const event = await this.event()
    if (event === undefined) throw new Error('no message came in time')
    if (event.kind === 'message') return event.message
    throw new Error(`the call ended instead: ${event.end.code} ${event.end.details}`)
  }

  async messages(count: number): Promise<T[]> {
    const messages: T[] = []
    while (messages.length < count) messages.push(await this.message())
    return messages
  }

  async end(): Promise<StreamEnd> {
    const event = await this.event()
    if (event === undefined) throw new Error('the call did not end in time')
    if (event.kind === 'end') return event.end
    throw new Error(`a message came instead of the end: ${JSON.stringify(event.message)}`)
  }

  /** Rejects when anything arrives within 200 ms. */
  async quiet(): Promise<void> {
    const event = await this.event(QUIET_MS)
    if (event !== undefined) throw new Error(`expected silence, got ${JSON.stringify(event)}`)
  }

  get ended(): boolean {
    return this.#ended
  }

  #push(event: Event<T>): void {
    if (this.#ended) return
    this.#ended = event.kind === 'end'
    this.#events.push(event)
    this.#wake?.()
    this.#wake = undefined
  }
}

export class Subscription extends Inbound<Message> {
  readonly #call: ClientReadableStream<Message>

  private constructor(call: ClientReadableStream<Message>) {
    super(call)
    this.#call = call
  }

  /** Subscribes and consumes the first, empty message; rejects when the call fails instead. */
  static async open(api: ApiClient, request: SubscribeRequest): Promise<Subscription> {
    const subscription = Subscription.start(api, request)
    await subscription.message()
    return subscription
  }

  static start(api: ApiClient, request: SubscribeRequest): Subscription {
    return new Subscription(api.subscribe(request))
  }

  /** Everything up to the end, without the first, empty message. */
  static async readAll(
    api: ApiClient,
    request: SubscribeRequest,
  ): Promise<{ readonly messages: readonly Message[]; readonly end: StreamEnd }> {
    const subscription = Subscription.start(api, request)
    const messages: Message[] = []
    let first = true
    for (;;) {
      const event = await subscription.event()
      if (event === undefined) throw new Error('the subscription neither went on nor ended')
      if (event.kind === 'end') return { messages, end: event.end }
      if (!first) messages.push(event.message)
      first = false
    }
  }

  cancel(): void {
    this.#call.cancel()
  }
}

export class AsyncPublisher extends Inbound<PublishResponse> {
  readonly #call: ClientDuplexStream<PublishRequest, PublishResponse>

  constructor(api: ApiClient) {
    const call = api.publishAsync()
    super(call)
    this.#call = call
  }

  send(request: PublishRequest): void {
    this.#call.write(request)
  }

  /** Half-closes: nothing more will be sent. */
  finish(): void {
    this.#call.end()
  }

  cancel(): void {
    this.#call.cancel()
  }
}
