import {
  constants,
  performServerHandshake,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { parseEncoding } from './compression.ts'
import { DEFAULT_LIMITS, type GrpcLimits } from './limits.ts'
import { MemoryBudget } from './memory-budget.ts'
import type { Method, MethodTable, Peer } from './method.ts'
import {
  HEADERS_TOO_LARGE,
  refuse,
  refuseHttp,
  UNAVAILABLE_STOPPING,
  unknownEncoding,
} from './refusal.ts'
import { RunningCall } from './server-call.ts'
import { SessionGuard, type CutReason } from './session-guard.ts'
import { GrpcError, GrpcStatus } from './status.ts'
import { parseTimeout } from './timeout.ts'

/** For the last bytes of calls that a stop ended. */
const STOP_FLUSH_MS = 1000
const CONTENT_TYPE = /^application\/grpc(\+[a-z0-9.-]+)?\s*(;|$)/i

export interface GrpcServerOptions {
  readonly methods: MethodTable
  readonly limits?: Partial<GrpcLimits>
  /** Gzip responses for clients that accept it; a handler may say otherwise for its call. */
  readonly compressResponses?: boolean
  /** What a handler threw that is no GrpcError; the client saw INTERNAL `internal error`. */
  readonly onError?: (error: unknown, path: string) => void
  /**
   * Serves HTTP/2 requests that are no gRPC: probes, metrics, other protocols on the same port.
   * Without it they are answered 405 or 415. What it throws ends its stream only.
   */
  readonly other?: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void
  /** A connection was cut, and why. */
  readonly onCut?: (reason: CutReason, address: string) => void
}

export interface GrpcServerStats {
  /** Sockets not yet closed, the truth about descriptors. */
  readonly sockets: number
  readonly sessions: number
  readonly calls: number
  readonly callsStarted: number
  readonly connectionsRefused: number
  readonly connectionsCut: number
  /** Request bytes waiting for handlers. */
  readonly bufferedBytes: number
}

interface Connection {
  readonly socket: Socket
  readonly session: ServerHttp2Session
  readonly guard: SessionGuard
  readonly peer: Peer
}

/**
 * Serves gRPC on connections that others accept. Nothing a peer sends, and nothing a handler
 * throws, escapes from here: a fault costs its call, or at most its connection.
 */
export class GrpcServer {
  readonly #methods: ReadonlyMap<string, Method>
  readonly #services: ReadonlySet<string>
  readonly #options: GrpcServerOptions
  #limits: GrpcLimits
  readonly #budget: MemoryBudget
  readonly #sockets = new Set<Socket>()
  readonly #perAddress = new Map<string, number>()
  readonly #connections = new Set<Connection>()
  readonly #calls = new Set<RunningCall>()
  #state: 'running' | 'draining' | 'stopped' = 'running'
  #sweeper: NodeJS.Timeout | undefined
  #idle: (() => void)[] = []
  #callsStarted = 0
  #refused = 0
  #cut = 0

  constructor(options: GrpcServerOptions) {
    this.#options = options
    this.#methods = new Map(Object.entries(options.methods))
    this.#services = new Set([...this.#methods.keys()].map(serviceOf))
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits }
    this.#budget = new MemoryBudget(this.#limits.maxBufferedBytes)
  }

  /** New limits hold for connections and calls that begin from now on. */
  setLimits(limits: Partial<GrpcLimits>): void {
    this.#limits = { ...this.#limits, ...limits }
  }

  get stats(): GrpcServerStats {
    return {
      sockets: this.#sockets.size,
      sessions: this.#connections.size,
      calls: this.#calls.size,
      callsStarted: this.#callsStarted,
      connectionsRefused: this.#refused,
      connectionsCut: this.#cut,
      bufferedBytes: this.#budget.heldBytes,
    }
  }

  /**
   * Takes over one accepted connection, plain or TLS, whose first bytes are (or will be) those of
   * HTTP/2. Bytes put back by `socket.unshift` are read first.
   */
  handleConnection(socket: Socket): void {
    socket.on('error', () => undefined)
    if (socket.destroyed) return
    if (this.#state !== 'running' || !this.#admits(socket)) {
      this.#refused++
      socket.destroy()
      return
    }
    this.#track(socket)
    try {
      this.#open(socket)
    } catch (error) {
      this.#report(error, 'connection')
      socket.destroy()
    }
  }

  /**
   * Tells all clients to go elsewhere (GOAWAY), lets running calls finish, and after `timeoutMs`
   * ends what still runs, as `stop` does. Resolves when no connection is left.
   */
  async drain(timeoutMs: number): Promise<void> {
    if (this.#state === 'running') this.#state = 'draining'
    for (const { session } of this.#connections) session.close()
    if (this.#sockets.size === 0) return this.stop()
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs)
    })
    await Promise.race([this.#whenEmpty(), timeout])
    clearTimeout(timer)
    await this.stop()
  }

  /**
   * Ends all calls with UNAVAILABLE and closes all connections. Resolves when they are closed;
   * a peer that does not take its last bytes is cut after a second.
   */
  async stop(): Promise<void> {
    this.#state = 'stopped'
    const error = new GrpcError(GrpcStatus.UNAVAILABLE, 'the server is stopping')
    for (const call of this.#calls) call.fail(error)
    for (const { session } of this.#connections) session.close()
    const cut = setTimeout(() => {
      for (const { guard } of this.#connections) guard.cut('stopped')
      for (const socket of this.#sockets) socket.destroy()
    }, STOP_FLUSH_MS)
    await this.#whenEmpty()
    clearTimeout(cut)
    clearInterval(this.#sweeper)
    this.#sweeper = undefined
  }

  #admits(socket: Socket): boolean {
    const ofAddress = this.#perAddress.get(socket.remoteAddress ?? '') ?? 0
    return (
      this.#sockets.size < this.#limits.maxConnections &&
      ofAddress < this.#limits.maxConnectionsPerAddress
    )
  }

  #track(socket: Socket): void {
    const address = socket.remoteAddress ?? ''
    this.#sockets.add(socket)
    this.#perAddress.set(address, (this.#perAddress.get(address) ?? 0) + 1)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      const left = (this.#perAddress.get(address) ?? 1) - 1
      if (left === 0) this.#perAddress.delete(address)
      else this.#perAddress.set(address, left)
      this.#noteEmpty()
    })
    this.#sweeper ??= setInterval(() => this.#sweep(), this.#limits.sweepIntervalMs).unref()
  }

  #open(socket: Socket): void {
    const peer = peerOf(socket)
    const session = performServerHandshake(socket, sessionOptions(this.#limits))
    const guard = new SessionGuard(
      {
        session,
        socket,
        limits: this.#limits,
        onCut: (reason) => {
          this.#cut++
          this.#options.onCut?.(reason, peer.address)
        },
      },
      performance.now(),
    )
    const connection: Connection = { socket, session, guard, peer }
    this.#connections.add(connection)
    session.on('error', () => guard.sessionFailed())
    session.on('frameError', () => guard.cut('protocol-error'))
    session.once('close', () => {
      // On some faults node:http2 ends the session and leaves the socket open [reliability 3e].
      if (!socket.destroyed) socket.destroySoon()
    })
    // The socket has the last word: some sessions are destroyed without a 'close'.
    socket.once('close', () => {
      this.#connections.delete(connection)
      if (!session.destroyed) session.destroy()
      this.#noteEmpty()
    })
    session.on('stream', (stream, headers) => this.#onStream(connection, stream, headers))
    session.setLocalWindowSize(this.#limits.connectionWindowBytes)
  }

  #onStream(connection: Connection, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    // A stream's own error says what its close and the session's error say as well.
    stream.on('error', () => undefined)
    connection.guard.callStarted()
    if (stream.destroyed || stream.closed || stream.aborted) {
      connection.guard.callEnded(true)
      return
    }
    let call: RunningCall | undefined
    stream.once('close', () => {
      connection.guard.callEnded(call?.takenBack === true)
      if (call !== undefined) this.#calls.delete(call)
    })
    try {
      call = this.#accept(connection, stream, headers)
    } catch (error) {
      this.#report(error, String(headers[':path']))
      stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    }
  }

  /** Starts the call, or answers at once why not and returns undefined. */
  #accept(
    connection: Connection,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
  ): RunningCall | undefined {
    if (headerListBytes(headers) > this.#limits.maxHeaderListBytes) {
      return refuse(stream, HEADERS_TOO_LARGE)
    }
    if (connection.guard.openCalls > this.#limits.maxConcurrentStreams) {
      stream.close(constants.NGHTTP2_REFUSED_STREAM)
      return undefined
    }
    if (this.#state === 'stopped') return refuse(stream, UNAVAILABLE_STOPPING)
    const contentType = headers['content-type'] ?? ''
    if (headers[':method'] !== 'POST' || !CONTENT_TYPE.test(contentType)) {
      return this.#serveOther(stream, headers)
    }
    const path = headers[':path'] ?? ''
    const method = this.#methods.get(path)
    if (method === undefined) return refuse(stream, this.#unknown(path))
    const encoding = parseEncoding(textHeader(headers, 'grpc-encoding'))
    if (encoding === undefined) {
      return refuse(stream, unknownEncoding(textHeader(headers, 'grpc-encoding')))
    }
    const timeout = textHeader(headers, 'grpc-timeout')
    const timeoutMs = timeout === undefined ? undefined : parseTimeout(timeout)
    if (timeout !== undefined && timeoutMs === undefined) {
      return refuse(stream, new GrpcError(GrpcStatus.INTERNAL, 'malformed grpc-timeout'))
    }
    const call = new RunningCall({
      stream,
      headers,
      path,
      contentType: contentType.split(';')[0]?.trim() ?? 'application/grpc',
      encoding,
      timeoutMs,
      peer: connection.peer,
      limits: this.#limits,
      budget: this.#budget,
      compressResponses: this.#options.compressResponses === true,
      onError: (error, failedPath) => this.#report(error, failedPath),
      onRead: (bytes) => connection.guard.messageBytes(bytes),
      onDribble: () => connection.guard.dribbled(),
    })
    this.#calls.add(call)
    this.#callsStarted++
    void call.run(method)
    return call
  }

  #serveOther(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): undefined {
    if (this.#options.other !== undefined) this.#options.other(stream, headers)
    else refuseHttp(stream, headers[':method'] === 'POST' ? 415 : 405)
    return undefined
  }

  /** Texts as Go's; UNIMPLEMENTED is what clients look at. */
  #unknown(path: string): GrpcError {
    const service = serviceOf(path)
    const method = path.slice(path.lastIndexOf('/') + 1)
    const text = this.#services.has(service)
      ? `unknown method ${method} for service ${service}`
      : `unknown service ${service}`
    return new GrpcError(GrpcStatus.UNIMPLEMENTED, text)
  }

  #sweep(): void {
    const nowMs = performance.now()
    for (const { guard } of this.#connections) guard.sweep(nowMs)
    for (const call of this.#calls) {
      if (!call.requestComplete && nowMs - call.startedMs > this.#limits.requestTimeoutMs) {
        call.fail(new GrpcError(GrpcStatus.DEADLINE_EXCEEDED, 'the request did not arrive in time'))
      }
      if (call.overMs > 0 && nowMs - call.overMs > this.#limits.lingerMs) call.cutLinger()
    }
  }

  #whenEmpty(): Promise<void> {
    if (this.#sockets.size === 0 && this.#connections.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  #noteEmpty(): void {
    if (this.#sockets.size > 0 || this.#connections.size > 0) return
    clearInterval(this.#sweeper)
    this.#sweeper = undefined
    const waiting = this.#idle
    this.#idle = []
    for (const resolve of waiting) resolve()
  }

  #report(error: unknown, path: string): void {
    this.#options.onError?.(error, path)
  }
}

function sessionOptions(limits: GrpcLimits): Parameters<typeof performServerHandshake>[1] {
  return {
    maxSessionMemory: limits.sessionMemoryMegabytes,
    maxSessionInvalidFrames: 100,
    maxHeaderListPairs: 128,
    maxSettings: 32,
    streamResetBurst: limits.resetBurst,
    streamResetRate: limits.resetsPerSecond,
    settings: {
      initialWindowSize: limits.streamWindowBytes,
      maxFrameSize: limits.maxFrameBytes,
      maxConcurrentStreams: limits.maxConcurrentStreams,
      maxHeaderListSize: limits.maxHeaderListBytes,
      enablePush: false,
    },
  }
}

/**
 * Size by the rule of HTTP/2: names, values and 32 bytes for each field. Measured here because
 * node:http2 holds to the limit only for peers that acknowledged our settings.
 */
function headerListBytes(headers: IncomingHttpHeaders): number {
  let bytes = 0
  for (const name in headers) bytes += name.length + String(headers[name]).length + 32
  return bytes
}

function textHeader(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : undefined
}

/** `proto.API` of `/proto.API/Publish`. */
function serviceOf(path: string): string {
  return path.slice(path.startsWith('/') ? 1 : 0, Math.max(0, path.lastIndexOf('/')))
}

function peerOf(socket: Socket): Peer {
  const encrypted = socket instanceof TLSSocket
  const certificate = encrypted && socket.authorized ? socket.getPeerCertificate(true) : undefined
  return {
    address: socket.remoteAddress ?? '',
    port: socket.remotePort ?? 0,
    encrypted,
    certificate: certificate?.raw === undefined ? undefined : certificate,
  }
}
