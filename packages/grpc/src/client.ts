import { connect, type ClientHttp2Session, type OutgoingHttpHeaders } from 'node:http2'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { RunningClientCall } from './client-call.ts'
import { ACCEPTED_ENCODINGS } from './compression.ts'
import { encodeFrame } from './frames-out.ts'
import { readSingle } from './incoming-messages.ts'
import { MemoryBudget } from './memory-budget.ts'
import type { MessageChunk } from './message-chunk.ts'
import type { Metadata } from './metadata.ts'
import type { OutgoingStream } from './outgoing-messages.ts'
import { GrpcError, GrpcStatus } from './status.ts'
import { formatTimeout } from './timeout.ts'

const MIB = 1024 * 1024
/** How long calls may take to finish once their channel closes, unless `close` is told. */
const CLOSE_GRACE_MS = 5_000

export interface ChannelOptions {
  readonly host: string
  readonly port: number
  /** TLS settings as of node:tls; undefined means cleartext HTTP/2 with prior knowledge. */
  readonly tls?: ConnectionOptions
  /** Until the server has spoken HTTP/2; default 10 s. */
  readonly connectTimeoutMs?: number
  /** Largest response message; default 4 MiB. */
  readonly maxMessageBytes?: number
  /** Per call; what the server may send ahead of the consumer. Default 1 MiB. */
  readonly streamWindowBytes?: number
  /** Response bytes of all calls that may wait for their consumers; default 256 MiB. */
  readonly maxBufferedBytes?: number
  /** PING after this much silence while calls run; off by default. */
  readonly keepaliveIntervalMs?: number
  readonly keepaliveTimeoutMs?: number
  readonly userAgent?: string
}

export interface CallOptions {
  /** Sent as grpc-timeout, and kept on this side too. */
  readonly timeoutMs?: number
  readonly metadata?: Metadata
  readonly signal?: AbortSignal
  /** Gzip the requests. */
  readonly compress?: boolean
}

/** Responses of a streaming call. Leaving the iteration early cancels the call. */
export interface ServerStreamCall extends AsyncIterable<MessageChunk> {
  readonly headers: Promise<Metadata>
  readonly trailers: Promise<Metadata>
  cancel(): void
}

export interface ClientStreamCall extends OutgoingStream {
  halfClose(): void
  /** The one response; rejects with the status of a call that failed. */
  readonly response: Promise<Uint8Array>
  readonly trailers: Promise<Metadata>
  cancel(): void
}

export interface BidiCall extends OutgoingStream {
  halfClose(): void
  readonly responses: AsyncIterable<MessageChunk>
  readonly headers: Promise<Metadata>
  /** Resolves when the call ended OK, rejects with its status otherwise. */
  readonly trailers: Promise<Metadata>
  cancel(): void
}

/**
 * One connection to one gRPC server, carrying any number of calls. It never reconnects: when it
 * is closed every call fails UNAVAILABLE and the owner opens another.
 */
export class GrpcChannel {
  /** Resolves, with the reason, once the connection is gone. */
  readonly closed: Promise<GrpcError>
  readonly #session: ClientHttp2Session
  readonly #options: ChannelOptions
  readonly #budget: MemoryBudget
  readonly #keepalive: NodeJS.Timeout | undefined
  #error: GrpcError | undefined
  #draining = false
  #calls = 0

  /** @throws GrpcError UNAVAILABLE when there is no HTTP/2 server or it did not answer in time. */
  static async connect(options: ChannelOptions): Promise<GrpcChannel> {
    const socket = dial(options)
    const session = connect(authority(options), {
      createConnection: () => socket,
      settings: {
        enablePush: false,
        initialWindowSize: options.streamWindowBytes ?? MIB,
        maxFrameSize: 64 * 1024,
      },
      maxSessionMemory: 64,
    })
    await handshake(session, socket, options)
    return new GrpcChannel(session, socket, options)
  }

  private constructor(session: ClientHttp2Session, socket: Socket, options: ChannelOptions) {
    this.#session = session
    this.#options = options
    this.#budget = new MemoryBudget(options.maxBufferedBytes ?? 256 * MIB)
    session.setLocalWindowSize(16 * MIB)
    session.on('error', (error: unknown) => {
      this.#error ??= lost(error)
    })
    session.on('goaway', () => {
      this.#draining = true
    })
    this.closed = new Promise((resolve) => {
      const onClose = (): void => {
        clearInterval(this.#keepalive)
        this.#error ??= lost(undefined)
        if (!session.destroyed) session.destroy()
        resolve(this.#error)
      }
      // Not every end of a session is told by the session: see handshake.
      session.once('close', onClose)
      socket.once('close', onClose)
    })
    const interval = options.keepaliveIntervalMs
    if (interval !== undefined) {
      this.#keepalive = setInterval(() => this.#ping(), interval).unref()
    }
  }

  /** `draining`: the server asked to go elsewhere; running calls finish, new ones are refused. */
  get state(): 'open' | 'draining' | 'closed' {
    if (this.#session.destroyed) return 'closed'
    return this.#draining || this.#session.closed ? 'draining' : 'open'
  }

  /** Where this channel leads. */
  get peer(): { readonly host: string; readonly port: number } {
    return this.#options
  }

  /** Calls that are not over. */
  get openCalls(): number {
    return this.#calls
  }

  /** @throws GrpcError with the status of the call. */
  async unary(path: string, request: Uint8Array, options: CallOptions = {}): Promise<Uint8Array> {
    const call = this.#start(path, options)
    send(call, request)
    const response = await readSingle(call.incoming, 'response message')
    await call.trailers
    return response
  }

  /** As `unary`, with the trailers of the answer. */
  async unaryWithTrailers(
    path: string,
    request: Uint8Array,
    options: CallOptions = {},
  ): Promise<{ readonly response: Uint8Array; readonly trailers: Metadata }> {
    const call = this.#start(path, options)
    send(call, request)
    const response = await readSingle(call.incoming, 'response message')
    return { response, trailers: await call.trailers }
  }

  serverStream(path: string, request: Uint8Array, options: CallOptions = {}): ServerStreamCall {
    const call = this.#start(path, options)
    send(call, request)
    return {
      headers: call.headers,
      trailers: call.trailers,
      cancel: () => call.cancel(),
      [Symbol.asyncIterator]: () => cancelling(call),
    }
  }

  clientStream(path: string, options: CallOptions = {}): ClientStreamCall {
    const call = this.#start(path, options)
    const response = readSingle(call.incoming, 'response message').then(async (message) => {
      await call.trailers
      return message
    })
    response.catch(() => undefined)
    return {
      write: (frames) => call.outgoing.write(frames),
      drained: () => call.outgoing.drained(),
      get backlogBytes() {
        return call.outgoing.backlogBytes
      },
      halfClose: () => call.halfClose(),
      response,
      trailers: call.trailers,
      cancel: () => call.cancel(),
    }
  }

  bidi(path: string, options: CallOptions = {}): BidiCall {
    const call = this.#start(path, options)
    return {
      write: (frames) => call.outgoing.write(frames),
      drained: () => call.outgoing.drained(),
      get backlogBytes() {
        return call.outgoing.backlogBytes
      },
      halfClose: () => call.halfClose(),
      responses: { [Symbol.asyncIterator]: () => cancelling(call) },
      headers: call.headers,
      trailers: call.trailers,
      cancel: () => call.cancel(),
    }
  }

  /**
   * Takes no more calls, lets those that run finish for `graceMs`, and then closes: what still runs,
   * such as an open server stream, ends UNAVAILABLE. `graceMs` 0 closes at once. Resolves when the
   * connection is gone.
   */
  async close(graceMs: number = CLOSE_GRACE_MS): Promise<void> {
    this.#error ??= new GrpcError(GrpcStatus.UNAVAILABLE, 'the channel is closed')
    if (graceMs > 0) this.#session.close()
    else this.#session.destroy()
    const cut = setTimeout(() => this.#session.destroy(), graceMs)
    await this.closed
    clearTimeout(cut)
  }

  #start(path: string, options: CallOptions): RunningClientCall {
    if (this.state !== 'open') {
      const why = this.#error?.message ?? 'the server is shutting down'
      throw new GrpcError(GrpcStatus.UNAVAILABLE, `the channel is closed: ${why}`)
    }
    const stream = this.#session.request(this.#requestHeaders(path, options), { endStream: false })
    this.#calls++
    stream.once('close', () => this.#calls--)
    return new RunningClientCall({
      stream,
      timeoutMs: options.timeoutMs,
      signal: options.signal,
      maxMessageBytes: this.#options.maxMessageBytes ?? 4 * MIB,
      queueMaxBytes: 256 * 1024,
      streamWindowBytes: this.#options.streamWindowBytes ?? MIB,
      budget: this.#budget,
      compress: options.compress === true,
      connectionError: () =>
        this.#session.destroyed ? (this.#error ?? lost(undefined)) : undefined,
    })
  }

  #requestHeaders(path: string, options: CallOptions): OutgoingHttpHeaders {
    const headers: OutgoingHttpHeaders = {
      ':method': 'POST',
      ':path': path,
      te: 'trailers',
      'content-type': 'application/grpc',
      'user-agent': this.#options.userAgent ?? 'liftbridge-grpc',
      'grpc-accept-encoding': ACCEPTED_ENCODINGS,
    }
    if (options.compress === true) headers['grpc-encoding'] = 'gzip'
    if (options.timeoutMs !== undefined) headers['grpc-timeout'] = formatTimeout(options.timeoutMs)
    options.metadata?.writeTo(headers)
    return headers
  }

  #ping(): void {
    if (this.#calls === 0 || this.state === 'closed') return
    const cut = setTimeout(() => {
      this.#error ??= new GrpcError(GrpcStatus.UNAVAILABLE, 'the server does not answer PING')
      this.#session.destroy()
    }, this.#options.keepaliveTimeoutMs ?? 20_000)
    this.#session.ping(() => clearTimeout(cut))
    this.#session.once('close', () => clearTimeout(cut))
  }
}

function send(call: RunningClientCall, request: Uint8Array): void {
  // A call that was cancelled before it began reports that through its response.
  try {
    call.outgoing.write(encodeFrame(request))
    call.halfClose()
  } catch (error) {
    if (!(error instanceof GrpcError)) throw error
  }
}

/** The call's chunks; leaving the loop early cancels the call, as the caller wants no more. */
function cancelling(call: RunningClientCall): AsyncIterator<MessageChunk, undefined> {
  return {
    next: () => call.incoming.next(),
    return: () => {
      call.cancel()
      return call.incoming.return()
    },
  }
}

function authority(options: ChannelOptions): string {
  const host = options.host.includes(':') ? `[${options.host}]` : options.host
  return `${options.tls === undefined ? 'http' : 'https'}://${host}:${options.port}`
}

function dial(options: ChannelOptions): Socket {
  const { host, port, tls } = options
  const socket =
    tls === undefined
      ? connectTcp({ host, port, noDelay: true })
      : connectTls({
          host,
          port,
          ALPNProtocols: ['h2'],
          ...(isIP(host) === 0 ? { servername: host } : {}),
          ...tls,
        })
  socket.setNoDelay(true)
  return socket
}

/**
 * Waits for the server's SETTINGS: a TCP connection alone says nothing about who answers. The
 * socket is watched too, because a session whose TLS peer refuses our certificate is destroyed
 * without a 'close', and its socket then stays half open for ever.
 */
function handshake(
  session: ClientHttp2Session,
  socket: Socket,
  options: ChannelOptions,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let cause: unknown
    const onError = (error: unknown): void => {
      cause ??= error
    }
    const onClose = (): void => {
      clearTimeout(timer)
      socket.destroy()
      reject(lost(cause))
    }
    const timer = setTimeout(() => {
      onError(new Error('the server did not answer in time'))
      session.destroy()
      onClose()
    }, options.connectTimeoutMs ?? 10_000)
    session.on('error', onError)
    socket.on('error', onError)
    session.once('close', onClose)
    socket.once('close', onClose)
    socket.once('end', onClose)
    session.once('remoteSettings', () => {
      clearTimeout(timer)
      session.off('close', onClose)
      socket.off('close', onClose)
      socket.off('end', onClose)
      resolve()
    })
  })
}

function lost(cause: unknown): GrpcError {
  const text = cause instanceof Error ? cause.message : 'the connection was closed'
  return new GrpcError(GrpcStatus.UNAVAILABLE, `connection error: ${text}`, { cause })
}
