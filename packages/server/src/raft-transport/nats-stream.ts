import { decodeText, encodeText } from '@liftbridge/wire'
import { BusError, type Bus, type BusMessage, type BusSubscription } from '../bus.ts'
import type { Clock } from '../clock.ts'
import { within } from './deadline.ts'
import {
  BUS_PENDING_BYTES,
  FLUSH_EVERY_BYTES,
  PROBE_MS,
  PROBE_QUIET_MS,
  STREAM_CREDIT_BYTES,
  WRITE_STALL_MS,
} from './limits.ts'
import { numberOf, replyOf } from './message-number.ts'
import type { StreamMemory } from './stream-memory.ts'
import { RaftTransportError, asTransportError } from './transport-error.ts'

/**
 * A stream of bytes to a peer and back, made of two NATS inboxes [LB control plane 2.4]. Where one
 * message ends and the next begins has no meaning; an empty one is the end of the stream. Nothing
 * acknowledges the bytes: their order is that of one NATS connection, so a stream never outlives
 * its connection. Servers of ours number the messages: one that comes again is dropped, and one
 * that is missing ends the stream.
 *
 *     state     reading                      writing    left by
 *     open      what arrives                 goes out   an empty message, `close`, `fail`
 *     finished  what had arrived, then EOF   refused    `close`, `fail`
 *     closed    EOF, or the failure          refused
 *
 * Whatever closes it ends the reader and the writer that wait, also while NATS is away [D-53].
 *
 * Between servers of ours a writer keeps a window: the reader sends the count of the bytes that it
 * has used to `<inbox>.credit` of the writer, and no more than the window is under way [D-54].
 */
export class NatsStream {
  /** Server id that the peer told, or that was dialed. */
  readonly peer: string
  /** Where this side listens. */
  readonly inbox: string
  readonly #bus: Bus
  readonly #clock: Clock
  readonly #memory: StreamMemory
  readonly #subscriptions: BusSubscription[] = []
  readonly #onEnd: (stream: NatsStream) => void

  #peerInbox: string | undefined
  /** Bytes that may be under way; undefined when the peer gives no credit. */
  #window: number | undefined

  /** Numbers of the next message to come and of the next to go. */
  #nextIn = 0
  #nextOut = 0
  readonly #arrived: Uint8Array[] = []
  #arrivedBytes = 0
  #reader: (() => void) | undefined
  /** Bytes that the reader has taken, and how many of them were told to the writer. */
  #used = 0
  #usedTold = 0

  #writes: Promise<void> = Promise.resolve()
  /** Wakes the writer that waits for credit. */
  #credited: (() => void) | undefined
  /** Wakes the writer that waits for anything, because the stream has ended. */
  #interruptWriter: (() => void) | undefined
  #written = 0
  #usedByPeer = 0
  #unflushed = 0

  #finished = false
  #closed: RaftTransportError | undefined
  #failure: RaftTransportError | undefined
  #lastHeardMs: number

  constructor(options: NatsStreamOptions) {
    this.peer = options.peer
    this.inbox = options.inbox
    this.#bus = options.bus
    this.#clock = options.clock
    this.#memory = options.memory
    this.#onEnd = options.onEnd
    this.#lastHeardMs = options.clock.monotonicMs()
    this.#subscriptions.push(
      this.#bus.subscribe(this.inbox, (message) => this.#hear(message)),
      this.#bus.subscribe(creditSubject(this.inbox), ({ data }) => this.#takeCredit(data)),
    )
  }

  /** Whether bytes can go both ways. */
  get open(): boolean {
    return this.#closed === undefined && !this.#finished
  }

  /** When the peer was last heard, by the monotonic clock. */
  get lastHeardMs(): number {
    return this.#lastHeardMs
  }

  /** Bytes that have arrived and were not read. */
  get unreadBytes(): number {
    return this.#arrivedBytes
  }

  /** Says where the peer listens. Until then nothing can be written. */
  connect(peerInbox: string, window: number | undefined): void {
    this.#peerInbox = peerInbox
    this.#window = window
    // Ended while it was dialed: the peer has only just opened its side.
    if (this.#closed) this.#sayGoodbye()
  }

  /**
   * The next bytes, or undefined at the end of the stream, whichever side has closed it. Rejects
   * with 'timeout' when none come within `timeoutMs`, and with the reason when the stream has
   * failed. One reader at a time.
   */
  async read(timeoutMs: number): Promise<Uint8Array | undefined> {
    if (this.#arrived.length === 0 && this.open) await this.#somethingArrives(timeoutMs)
    if (this.#failure) throw this.#failure
    const bytes = this.#arrived.shift()
    if (bytes === undefined) return undefined
    this.#arrivedBytes -= bytes.length
    this.#memory.give(bytes.length)
    this.#giveCredit(bytes.length)
    return bytes
  }

  /**
   * Sends bytes, in as many messages as NATS wants, after whatever was written before. Resolves when
   * they are handed over, which is late when NATS or the peer is slow. Rejects when the stream ends
   * first; how much of them was sent is not known then. With `probe` the stream fails as
   * 'unreachable', soon and whether or not this has resolved, when nobody listens to it any more.
   */
  write(bytes: Uint8Array, options: { readonly probe?: boolean } = {}): Promise<void> {
    const turn = this.#writes.then(() => this.#send(bytes, options.probe ?? false))
    // The writer hears of its failure; those behind it find the stream closed by themselves.
    this.#writes = turn.catch(() => {})
    return turn
  }

  /** Asks NATS whether the peer still listens; a stream to a server of ours fails soon if not. */
  probe(): void {
    if (!this.open || this.#peerInbox === undefined || this.#window === undefined) return
    // No bytes are no credit: the peer's side ignores them.
    this.#publishAsking(creditSubject(this.#peerInbox), new Uint8Array())
  }

  /** Ends the stream on both sides. Idempotent; never throws. */
  close(): void {
    if (this.#closed) return
    const tellPeer = !this.#finished
    this.#end(new RaftTransportError('closed', 'the stream was closed'))
    if (tellPeer) this.#sayGoodbye()
  }

  /** Ends this side because of `error`, and the peer's side if it can be told. */
  fail(error: RaftTransportError): void {
    if (this.#closed) return
    const tellPeer = !this.#finished
    this.#failure = error
    this.#end(error)
    if (tellPeer) this.#sayGoodbye()
  }

  #hear({ data, reply }: BusMessage): void {
    if (!this.open) return
    const number = numberOf(reply) ?? this.#nextIn
    if (number < this.#nextIn) return
    if (number > this.#nextIn) {
      return this.fail(new RaftTransportError('closed', 'NATS lost a message of the stream'))
    }
    this.#nextIn += 1
    this.#lastHeardMs = this.#clock.monotonicMs()
    if (data.length === 0) {
      this.#finished = true
      this.#stopListening()
      this.#wake()
      this.#onEnd(this)
      return
    }
    if (!this.#memory.take(data.length, this.#arrivedBytes)) {
      return this.fail(new RaftTransportError('closed', 'too much was sent and not read'))
    }
    // NATS lends its buffer until this returns.
    this.#arrived.push(data.slice())
    this.#arrivedBytes += data.length
    this.#reader?.()
  }

  #takeCredit(data: Uint8Array): void {
    if (data.length > 16) return
    const used = Number(decodeText(data))
    if (!Number.isSafeInteger(used) || used <= this.#usedByPeer || used > this.#written) return
    this.#usedByPeer = used
    this.#credited?.()
  }

  #giveCredit(count: number): void {
    this.#used += count
    if (this.#window === undefined || this.#used - this.#usedTold < STREAM_CREDIT_BYTES) return
    if (!this.open || this.#peerInbox === undefined) return
    try {
      this.#bus.publish(creditSubject(this.#peerInbox), encodeText(String(this.#used)))
      this.#usedTold = this.#used
    } catch (error) {
      this.fail(asTransportError(error, 'closed', 'NATS refused a message'))
    }
  }

  async #send(bytes: Uint8Array, probe: boolean): Promise<void> {
    const step = Math.min(this.#bus.maxPayloadBytes, this.#partBytes())
    // An empty message would be the end of the stream; no bytes give no message.
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + step)
      await this.#room(part.length)
      this.#publish(part, probe && at === 0)
      at += part.length
    }
  }

  /** Several parts fit the window, since credit comes a quarter of it late. */
  #partBytes(): number {
    return this.#window === undefined ? Infinity : Math.max(1, Math.floor(this.#window / 4))
  }

  /** Waits until another `count` bytes may go out. */
  async #room(count: number): Promise<void> {
    if (this.#unflushed >= FLUSH_EVERY_BYTES) {
      this.#unflushed = 0
      await this.#whileOpen(this.#bus.flush())
    }
    while (this.open && this.#bus.pendingBytes > BUS_PENDING_BYTES) {
      await this.#whileOpen(this.#bus.drained())
    }
    const window = this.#window
    if (window === undefined) return
    while (this.open && this.#written + count - this.#usedByPeer > window) {
      const credit = new Promise<void>((resolve) => (this.#credited = resolve))
      await this.#whileOpen(credit)
    }
  }

  #publish(bytes: Uint8Array, probe: boolean): void {
    if (this.#closed) throw this.#closed
    if (this.#finished || this.#peerInbox === undefined) {
      throw new RaftTransportError('closed', 'the peer has ended the stream')
    }
    try {
      const isQuiet = this.#clock.monotonicMs() - this.#lastHeardMs >= PROBE_QUIET_MS
      const asks = probe && isQuiet
      if (asks && this.#window === undefined) this.#publishAsking(this.#peerInbox, bytes)
      else this.#publishNext(this.#peerInbox, bytes)
      if (asks) this.probe()
    } catch (error) {
      const failure = asTransportError(error, 'closed', 'NATS refused a message')
      this.fail(failure)
      throw failure
    }
    this.#written += bytes.length
    this.#unflushed += bytes.length
  }

  #publishNext(inbox: string, bytes: Uint8Array): void {
    if (this.#window === undefined) return this.#bus.publish(inbox, bytes)
    this.#bus.publish(inbox, bytes, replyOf(this.#nextOut))
    this.#nextOut += 1
  }

  /** The same message as a request: a reader of streams answers none, but NATS does when nobody listens. */
  #publishAsking(inbox: string, bytes: Uint8Array): void {
    this.#bus.request(inbox, bytes, PROBE_MS).catch((error: unknown) => {
      const code = error instanceof BusError ? error.code : 'other'
      if (code === 'timeout') return
      const gone = code === 'no-responders'
      this.fail(
        gone
          ? new RaftTransportError('unreachable', 'the peer has gone without a word')
          : asTransportError(error, 'closed', 'NATS refused a message'),
      )
    })
  }

  /** `work`, unless the stream ends first or the time for it passes, which ends the stream. */
  async #whileOpen(work: Promise<void>): Promise<void> {
    let interrupted: () => void = () => {}
    const ended = new Promise<void>((resolve) => (interrupted = resolve))
    this.#interruptWriter = interrupted
    try {
      await within(this.#clock, WRITE_STALL_MS, Promise.race([work, ended]))
    } catch (error) {
      this.fail(asTransportError(error, 'closed', 'waiting to write'))
    } finally {
      this.#interruptWriter = undefined
      this.#credited = undefined
    }
  }

  async #somethingArrives(timeoutMs: number): Promise<void> {
    const arrival = new Promise<void>((resolve) => (this.#reader = resolve))
    try {
      await within(this.#clock, timeoutMs, arrival)
    } finally {
      this.#reader = undefined
    }
  }

  #end(error: RaftTransportError): void {
    this.#closed = error
    this.#arrived.length = 0
    this.#memory.give(this.#arrivedBytes)
    this.#arrivedBytes = 0
    this.#stopListening()
    this.#wake()
    if (!this.#finished) this.#onEnd(this)
  }

  #wake(): void {
    this.#reader?.()
    this.#interruptWriter?.()
  }

  #stopListening(): void {
    for (const subscription of this.#subscriptions.splice(0)) {
      try {
        subscription.unsubscribe()
      } catch {
        // NATS is away or closed: then it has forgotten the subscription, or will. What must not
        // happen is that the reader is not woken because of it [D-53].
      }
    }
  }

  #sayGoodbye(): void {
    if (this.#peerInbox === undefined) return
    try {
      this.#publishNext(this.#peerInbox, new Uint8Array())
    } catch {
      // NATS is away: the peer's side ends by its own disconnection, or for want of requests.
    }
  }
}

export type NatsStreamOptions = {
  readonly bus: Bus
  readonly clock: Clock
  /** Shared by all streams of the server. */
  readonly memory: StreamMemory
  readonly peer: string
  /** A fresh subject of this server's own. */
  readonly inbox: string
  /** Called once, when the peer has ended the stream or this side has. */
  readonly onEnd: (stream: NatsStream) => void
}

function creditSubject(inbox: string): string {
  return `${inbox}.credit`
}
