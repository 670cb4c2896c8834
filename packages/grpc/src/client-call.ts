import {
  constants,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from 'node:http2'
import { parseEncoding } from './compression.ts'
import { IncomingMessages } from './incoming-messages.ts'
import type { MemoryBudget } from './memory-budget.ts'
import { Metadata } from './metadata.ts'
import { CALL_OVER, OutgoingMessages } from './outgoing-messages.ts'
import { GrpcError, GrpcStatus, statusFromHttp, statusFromReset } from './status.ts'
import { DeadlineTimer } from './timeout.ts'
import { receivedStatus, statusError, type ReceivedStatus } from './trailers.ts'

export interface RunningClientCallOptions {
  readonly stream: ClientHttp2Stream
  readonly timeoutMs: number | undefined
  readonly signal: AbortSignal | undefined
  readonly maxMessageBytes: number
  readonly queueMaxBytes: number
  readonly streamWindowBytes: number
  readonly budget: MemoryBudget
  readonly compress: boolean
  /** Why the connection ended, when it did; undefined while it lives. */
  readonly connectionError: () => GrpcError | undefined
}

/** One call on the client, from its request headers to its status; over exactly once. */
export class RunningClientCall {
  readonly incoming: IncomingMessages
  readonly outgoing: OutgoingMessages
  /** The response headers; rejects when the call fails before they came. */
  readonly headers: Promise<Metadata>
  /** The trailers of a call that ended OK; rejects with the status otherwise. */
  readonly trailers: Promise<Metadata>
  readonly #options: RunningClientCallOptions
  readonly #stream: ClientHttp2Stream
  readonly #deadline: DeadlineTimer | undefined
  readonly #deadlineMs: number = Infinity
  readonly #headers: PromiseWithResolvers<Metadata> = Promise.withResolvers<Metadata>()
  readonly #trailers: PromiseWithResolvers<Metadata> = Promise.withResolvers<Metadata>()
  readonly #onAbort = (): void => this.cancel()
  #status: ReceivedStatus | undefined
  /** What the response headers say when no status follows: a proxy's answer, not a server's. */
  #httpError: GrpcError | undefined
  #over = false

  constructor(options: RunningClientCallOptions) {
    const { stream } = options
    this.#options = options
    this.#stream = stream
    this.headers = this.#headers.promise
    this.trailers = this.#trailers.promise
    // Most callers look at one of the ways an error reaches them only.
    this.headers.catch(() => undefined)
    this.trailers.catch(() => undefined)
    this.incoming = new IncomingMessages({ ...options, onBytesEnd: () => this.#onEnd() })
    this.incoming.onFault((error) => this.fail(error))
    this.outgoing = new OutgoingMessages(stream)
    this.outgoing.setCompression(options.compress)
    stream.on('response', (headers) => this.#onResponse(headers))
    stream.on('trailers', (headers) => this.#onTrailers(headers))
    stream.on('error', () => undefined)
    stream.on('close', () => this.#onClose())
    if (options.timeoutMs !== undefined) {
      this.#deadlineMs = performance.now() + options.timeoutMs
      this.#deadline = new DeadlineTimer(this.#deadlineMs, () => this.fail(deadlineExceeded()))
    }
    options.signal?.addEventListener('abort', this.#onAbort, { once: true })
    if (options.signal?.aborted === true) this.cancel()
  }

  /** No more requests will follow. */
  halfClose(): void {
    if (this.#stream.writable) this.#stream.end()
  }

  /** The caller wants no more: what waits for it is dropped too. */
  cancel(): void {
    const error = new GrpcError(GrpcStatus.CANCELLED, 'the call was cancelled')
    this.fail(error)
    this.incoming.close(error)
  }

  /** Ends the call from this side; the server sees RST_STREAM with CANCEL. */
  fail(error: GrpcError): void {
    if (this.#over) return
    this.#end(error)
    this.#stream.close(constants.NGHTTP2_CANCEL)
  }

  #onResponse(headers: IncomingHttpHeaders & IncomingHttpStatusHeader): void {
    const httpStatus = headers[':status'] ?? 0
    const contentType = headers['content-type'] ?? ''
    // Trailers-only responses carry the status here.
    this.#status = receivedStatus(headers)
    if (this.#status !== undefined) return
    if (httpStatus !== 200 || !contentType.startsWith('application/grpc')) {
      const code = httpStatus === 200 ? GrpcStatus.UNKNOWN : statusFromHttp(httpStatus)
      const text = `unexpected HTTP status ${httpStatus}, content-type "${contentType}"`
      this.#httpError = new GrpcError(code, text)
      void this.incoming.return()
      return
    }
    const encoding = parseEncoding(textOf(headers['grpc-encoding']))
    if (encoding === undefined) {
      const text = `grpc: Decompressor is not installed for grpc-encoding "${textOf(headers['grpc-encoding'])}"`
      this.fail(new GrpcError(GrpcStatus.INTERNAL, text))
      return
    }
    this.incoming.setEncoding(encoding)
    this.#headers.resolve(Metadata.fromHeaders(headers))
  }

  #onTrailers(headers: IncomingHttpHeaders): void {
    this.#status ??= receivedStatus(headers)
  }

  /** All messages have arrived; the trailers, if any, came before this event. */
  #onEnd(): void {
    if (this.#status !== undefined) this.#finish(this.#status)
  }

  #onClose(): void {
    if (this.#over) return
    if (this.#status !== undefined) return this.#finish(this.#status)
    this.#end(this.#httpError ?? this.#options.connectionError() ?? this.#resetError())
  }

  #resetError(): GrpcError {
    const code = this.#stream.rstCode
    // Go's server keeps the deadline too and may be first to say so, by a bare reset.
    if (code === constants.NGHTTP2_CANCEL && performance.now() >= this.#deadlineMs - 1) {
      return deadlineExceeded()
    }
    const text =
      code === constants.NGHTTP2_NO_ERROR
        ? 'the response ended without a status'
        : `the server reset the call with HTTP/2 code ${code}`
    return new GrpcError(statusFromReset(code), text)
  }

  #finish(status: ReceivedStatus): void {
    if (this.#over) return
    this.#end(status.code === GrpcStatus.OK ? undefined : statusError(status), status.metadata)
    // The status ends the call even when the request side is still open.
    if (this.#stream.writable) this.#stream.close(constants.NGHTTP2_CANCEL)
  }

  #end(error: GrpcError | undefined, trailers?: Metadata): void {
    this.#over = true
    this.#deadline?.cancel()
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    this.outgoing.end(error ?? CALL_OVER)
    if (error === undefined) {
      this.incoming.finish()
      this.#headers.resolve(new Metadata())
      this.#trailers.resolve(trailers ?? new Metadata())
    } else {
      this.incoming.fail(error)
      this.#headers.reject(error)
      this.#trailers.reject(error)
    }
  }
}

function deadlineExceeded(): GrpcError {
  return new GrpcError(GrpcStatus.DEADLINE_EXCEEDED, 'context deadline exceeded')
}

function textOf(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}
