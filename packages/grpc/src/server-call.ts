import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { ACCEPTED_ENCODINGS, acceptsGzip, type Encoding } from './compression.ts'
import { encodeFrame } from './frames-out.ts'
import { IncomingMessages, readSingle } from './incoming-messages.ts'
import type { GrpcLimits } from './limits.ts'
import type { MemoryBudget } from './memory-budget.ts'
import { Metadata } from './metadata.ts'
import type { Method, Peer, ResponseStream, ServerCall } from './method.ts'
import { CALL_OVER, OutgoingMessages } from './outgoing-messages.ts'
import { GrpcError, GrpcStatus } from './status.ts'
import { stopReceiving } from './stop-receiving.ts'
import { DeadlineTimer } from './timeout.ts'
import { statusTrailers } from './trailers.ts'

const INTERNAL_ERROR = 2
const CANCEL = 8
/** Clients of gRPC read it as RESOURCE_EXHAUSTED. */
const ENHANCE_YOUR_CALM = 11

export interface RunningCallOptions {
  readonly stream: ServerHttp2Stream
  readonly headers: IncomingHttpHeaders
  readonly path: string
  readonly contentType: string
  readonly encoding: Encoding
  readonly timeoutMs: number | undefined
  readonly peer: Peer
  readonly limits: GrpcLimits
  readonly budget: MemoryBudget
  readonly compressResponses: boolean
  /** What a handler threw that is no GrpcError. */
  readonly onError: (error: unknown, path: string) => void
  readonly onRead: (bytes: number) => void
  readonly onDribble: () => void
}

type Status = Pick<GrpcError, 'code' | 'message' | 'metadata'>
const OK: Status = { code: GrpcStatus.OK, message: '', metadata: undefined }

/**
 * One call on the server, from its headers to its status.
 *
 * It is over exactly once, by the first of: the handler's end, the deadline, a fault in what the
 * client sent, the client's cancellation, the loss of the connection, the server's stop. What
 * comes later is ignored, so a status is never sent twice.
 */
export class RunningCall implements ServerCall, ResponseStream {
  readonly path: string
  readonly deadlineMs: number | undefined
  readonly peer: Peer
  readonly metadata: Metadata
  readonly responseMetadata: Metadata = new Metadata()
  readonly trailers: Metadata = new Metadata()
  compressResponses: boolean
  /** When the headers came, as a reading of `performance.now()`. */
  readonly startedMs: number = performance.now()
  readonly #options: RunningCallOptions
  readonly #stream: ServerHttp2Stream
  readonly #incoming: IncomingMessages
  readonly #outgoing: OutgoingMessages
  readonly #deadline: DeadlineTimer | undefined
  #abort: AbortController | undefined
  #abortReason: GrpcError | undefined
  #status: GrpcStatus | undefined
  #overMs = 0
  #requestComplete = false
  #taken = false

  constructor(options: RunningCallOptions) {
    const { stream, headers, limits } = options
    this.#options = options
    this.#stream = stream
    this.path = options.path
    this.peer = options.peer
    this.metadata = Metadata.fromHeaders(headers)
    this.compressResponses = options.compressResponses
    this.#incoming = new IncomingMessages({
      stream,
      maxMessageBytes: limits.maxMessageBytes,
      budget: options.budget,
      queueMaxBytes: limits.queueMaxBytes,
      streamWindowBytes: limits.streamWindowBytes,
      onRead: options.onRead,
      onDribble: options.onDribble,
    })
    this.#incoming.setEncoding(options.encoding)
    this.#incoming.onFault((error) => this.fail(error))
    this.#outgoing = new OutgoingMessages(stream)
    stream.on('aborted', () => this.#lost())
    stream.on('close', () => this.#lost())
    if (options.timeoutMs !== undefined) {
      this.deadlineMs = this.startedMs + options.timeoutMs
      this.#deadline = new DeadlineTimer(this.deadlineMs, () => {
        this.fail(new GrpcError(GrpcStatus.DEADLINE_EXCEEDED, 'context deadline exceeded'))
      })
    }
  }

  get remainingMs(): number | undefined {
    return this.deadlineMs === undefined
      ? undefined
      : Math.max(0, this.deadlineMs - performance.now())
  }

  get signal(): AbortSignal {
    // Most unary handlers never ask, so the controller is made on demand.
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      if (this.#abortReason !== undefined) this.#abort.abort(this.#abortReason)
    }
    return this.#abort.signal
  }

  /** The status the call ended with; undefined while it runs. */
  get status(): GrpcStatus | undefined {
    return this.#status
  }

  /** Since when the call is over, as a reading of `performance.now()`; 0 while it runs. */
  get overMs(): number {
    return this.#overMs
  }

  /** The client, or the loss of its connection, ended the call before we did. */
  get takenBack(): boolean {
    return this.#taken || (this.#status === undefined && this.#stream.closed)
  }

  /** False while a call with one request message still waits for all of it. */
  get requestComplete(): boolean {
    return this.#requestComplete
  }

  /** Runs the handler to its end. Never rejects. */
  async run(method: Method): Promise<void> {
    try {
      const response = await this.#handle(method)
      this.#succeed(response)
    } catch (error) {
      this.#handlerFailed(error)
    }
  }

  async #handle(method: Method): Promise<Uint8Array | undefined> {
    switch (method.kind) {
      case 'unary':
        return method.handle(await this.#request(), this)
      case 'server-stream':
        await method.handle(await this.#request(), this, this)
        return undefined
      case 'client-stream':
        this.#requestComplete = true
        return method.handle(this, this.#incoming)
      case 'bidi':
        this.#requestComplete = true
        await method.handle(this, this.#incoming, this)
        return undefined
    }
    return method satisfies never
  }

  async #request(): Promise<Uint8Array> {
    const request = await readSingle(this.#incoming, 'request message')
    this.#requestComplete = true
    return request
  }

  /** Ends the call with an error, unless it is over. The handler learns it by `signal`. */
  fail(error: GrpcError): void {
    if (this.#status !== undefined) return
    this.#over(error.code, error)
    this.#sendStatus(error, undefined)
  }

  cut(): void {
    if (this.#status !== undefined) return
    const error = new GrpcError(GrpcStatus.RESOURCE_EXHAUSTED, 'the client does not read')
    this.#over(error.code, error)
    // A status would wait behind the very bytes that are not read.
    this.#stream.close(ENHANCE_YOUR_CALM)
  }

  /** Frees what a call that is over still holds because its peer does not read. */
  cutLinger(): void {
    this.#stream.close(CANCEL)
  }

  sendHeaders(): void {
    if (this.#status !== undefined || this.#stream.headersSent || this.#stream.destroyed) return
    const compress = this.compressResponses && acceptsGzip(this.#header('grpc-accept-encoding'))
    this.#outgoing.setCompression(compress)
    const headers: OutgoingHttpHeaders = {
      ':status': 200,
      'content-type': this.#options.contentType,
    }
    if (compress) headers['grpc-encoding'] = 'gzip'
    this.responseMetadata.writeTo(headers)
    this.#stream.respond(headers, { waitForTrailers: true })
  }

  write(frames: Uint8Array, sent?: () => void): boolean {
    this.sendHeaders()
    return this.#outgoing.write(frames, sent)
  }

  drained(): Promise<void> {
    return this.#outgoing.drained()
  }

  get backlogBytes(): number {
    return this.#outgoing.backlogBytes
  }

  #header(name: string): string | undefined {
    const value = this.#options.headers[name]
    return typeof value === 'string' ? value : undefined
  }

  #succeed(response: Uint8Array | undefined): void {
    if (this.#status !== undefined) return
    // Headers go even when the handler wrote nothing: an OK call is never trailers-only.
    this.sendHeaders()
    const last = response === undefined ? undefined : this.#outgoing.encode(encodeFrame(response))
    this.#over(GrpcStatus.OK, undefined)
    this.#sendStatus(OK, last)
  }

  #handlerFailed(error: unknown): void {
    if (this.#status !== undefined) {
      // The end of the call is what most handlers fail with once it is over; that is no news.
      if (!(error instanceof GrpcError) && !isAbort(error)) this.#report(error)
      return
    }
    if (error instanceof GrpcError) {
      this.fail(error)
      return
    }
    this.#report(error)
    this.fail(new GrpcError(GrpcStatus.INTERNAL, 'internal error'))
  }

  #report(error: unknown): void {
    try {
      this.#options.onError(error, this.path)
    } catch {
      // A hook that fails must not end the process; there is nobody left to tell.
    }
  }

  /** The stream is gone. Normal after the status was sent, a cancellation before. */
  #lost(): void {
    if (this.#status !== undefined) return
    this.#taken = true
    this.#over(GrpcStatus.CANCELLED, new GrpcError(GrpcStatus.CANCELLED, 'context canceled'))
  }

  #over(status: GrpcStatus, reason: GrpcError | undefined): void {
    this.#status = status
    this.#overMs = performance.now()
    this.#requestComplete = true
    this.#deadline?.cancel()
    const why = reason ?? CALL_OVER
    this.#incoming.close(why)
    this.#outgoing.end(why)
    if (reason === undefined) return
    this.#abortReason = reason
    this.#abort?.abort(reason)
  }

  #sendStatus(status: Status, last: Uint8Array | undefined): void {
    const stream = this.#stream
    if (stream.destroyed || stream.closed) return
    const trailers = statusTrailers(status.code, status.message, [this.trailers, status.metadata])
    try {
      if (stream.headersSent) {
        stream.on('wantTrailers', () => this.#sendTrailers(trailers))
        stream.end(last)
        return
      }
      stream.respond(
        {
          ':status': 200,
          'content-type': this.#options.contentType,
          'grpc-accept-encoding': ACCEPTED_ENCODINGS,
          ...trailers,
        },
        { endStream: true },
      )
      stopReceiving(this.#stream)
    } catch (error) {
      this.#report(error)
      stream.close(INTERNAL_ERROR)
    }
  }

  #sendTrailers(trailers: OutgoingHttpHeaders): void {
    try {
      this.#stream.sendTrailers(trailers)
      stopReceiving(this.#stream)
    } catch (error) {
      this.#report(error)
      this.#stream.close(INTERNAL_ERROR)
    }
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}
