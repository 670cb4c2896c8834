import { RaftReplyReader, type RaftResponse, type RaftRpcKind } from '@liftbridge/wire'
import type { Clock } from '../clock.ts'
import { DIALED_IDLE_MS, PROBE_EVERY_MS } from './limits.ts'
import type { NatsStream } from './nats-stream.ts'
import { asTransportError, RaftTransportError } from './transport-error.ts'

/** A request as it goes out. */
export type RaftCall = {
  readonly kind: RaftRpcKind
  /** The type byte and the request. */
  readonly frame: Uint8Array
  /** What follows the request; its size was told in it. */
  readonly body?: Iterable<Uint8Array> | AsyncIterable<Uint8Array>
  /** From when the request is written and those before it are answered. */
  readonly timeoutMs: number
}

type Outstanding = RaftCall & {
  readonly written: Promise<void>
  readonly resolve: (response: RaftResponse) => void
  readonly reject: (error: RaftTransportError) => void
}

/**
 * Requests and their responses on one stream, the responses in the order of the requests. Whatever
 * goes wrong with the stream ends it and every call on it; an error of the peer's handler does not.
 */
export class ClientConnection {
  readonly #stream: NatsStream
  readonly #clock: Clock
  readonly #replies = new RaftReplyReader()
  readonly #calls: Outstanding[] = []
  #reading = false
  #usedAtMs: number

  constructor(stream: NatsStream, clock: Clock) {
    this.#stream = stream
    this.#clock = clock
    this.#usedAtMs = clock.monotonicMs()
  }

  /** Calls that wait for their response. */
  get outstanding(): number {
    return this.#calls.length
  }

  /** Whether the stream stands, for calls that are under way. */
  get open(): boolean {
    return this.#stream.open
  }

  /** Whether another call may go out: nothing came unasked, and the peer has not grown tired. */
  get usable(): boolean {
    if (!this.#stream.open) return false
    if (this.#calls.length > 0) return true
    const idleMs = this.#clock.monotonicMs() - this.#usedAtMs
    return idleMs < DIALED_IDLE_MS && this.#stream.unreadBytes === 0 && this.#replies.atBoundary
  }

  /** Sends a request behind those before it. Rejects with RaftTransportError only. */
  call(call: RaftCall): Promise<RaftResponse> {
    return new Promise((resolve, reject) => {
      const written = this.#write(call)
      this.#calls.push({ ...call, written, resolve, reject })
      written.catch((error: unknown) => {
        this.#end(asTransportError(error, 'closed', 'writing a request'))
      })
      if (!this.#reading) void this.#readReplies()
    })
  }

  close(): void {
    this.#end(new RaftTransportError('closed', 'the connection was closed'))
  }

  /** Nothing of another call comes between a request and its body: calls of those go out alone. */
  async #write(call: RaftCall): Promise<void> {
    await this.#stream.write(call.frame, { probe: true })
    if (call.body === undefined) return
    for await (const bytes of call.body) await this.#stream.write(bytes)
  }

  async #readReplies(): Promise<void> {
    this.#reading = true
    try {
      for (let call = this.#calls[0]; call !== undefined; call = this.#calls[0]) {
        await call.written
        this.#settle(call, await this.#reply(call))
      }
    } catch (error) {
      this.#end(asTransportError(error, 'closed', 'reading a response'))
    } finally {
      this.#reading = false
      this.#usedAtMs = this.#clock.monotonicMs()
    }
  }

  async #reply(call: Outstanding): Promise<ReplyOf> {
    const deadlineMs = this.#clock.monotonicMs() + call.timeoutMs
    for (;;) {
      const reply = this.#replies.next(call.kind)
      if (reply?.kind === 'malformed') throw new RaftTransportError('closed', reply.reason)
      if (reply !== undefined) return reply
      const leftMs = deadlineMs - this.#clock.monotonicMs()
      if (leftMs <= 0) throw new RaftTransportError('timeout', 'no response in time')
      await this.#readSome(Math.min(leftMs, PROBE_EVERY_MS))
    }
  }

  /** Reads what comes within `ms`; when nothing does, asks whether anybody is still there. */
  async #readSome(ms: number): Promise<void> {
    try {
      const bytes = await this.#stream.read(ms)
      if (bytes === undefined) throw new RaftTransportError('closed', 'the peer ended the stream')
      this.#replies.push(bytes)
    } catch (error) {
      const silent = error instanceof RaftTransportError && error.code === 'timeout'
      if (!silent || !this.#stream.open) throw error
      this.#stream.probe()
    }
  }

  #settle(call: Outstanding, reply: ReplyOf): void {
    // A connection that has ended has rejected the call already.
    if (this.#calls[0] !== call) return
    this.#calls.shift()
    if (reply.kind === 'response') call.resolve(reply.response)
    else call.reject(new RaftTransportError('remote', reply.error))
  }

  /** The call at the head failed by `error`; for those behind it the connection is gone. */
  #end(error: RaftTransportError): void {
    this.#stream.close()
    const [first, ...rest] = this.#calls.splice(0)
    first?.reject(error)
    for (const call of rest) {
      call.reject(
        new RaftTransportError('closed', 'a request before this one failed', { cause: error }),
      )
    }
  }
}

type ReplyOf =
  | { readonly kind: 'response'; readonly response: RaftResponse }
  | { readonly kind: 'error'; readonly error: string }
