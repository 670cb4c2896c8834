import { randomBytes } from 'node:crypto'
import { createServer, type Server, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { ErrorText } from '../errors.ts'
import { boundPort, boundUrl, listenAt } from '../listening.ts'
import { infoFor, type ServerInfo } from '../protocol/server-info.ts'
import { ClientConnection } from './client-connection.ts'
import type { ClientEvent, ServerParts } from './client-context.ts'
import { certificateNames, TlsHandshakes, type NatsTls } from './tls.ts'

/**
 * Accepts clients over TCP and owns them: greets them, takes them through TLS, sweeps out the
 * stuck and the silent, and sends them away in the end.
 */
export class ClientListener {
  readonly #context: ListenerContext
  readonly #clients = new Map<number, ClientConnection>()
  /** Sockets on their way through the TLS handshake: they count as connections too. */
  readonly #greeted = new Set<Socket>()
  readonly #handshakes: TlsHandshakes | undefined
  #listener: Server | undefined
  #stopped: Promise<void> = Promise.resolve()
  #sweep: NodeJS.Timeout | undefined
  #nextClientId = 1
  #total = 0
  #slowConsumers = 0
  #lameDuck = false
  readonly #closing = new AbortController()
  /** A lame duck without clients has nothing to wait for. */
  readonly #deserted = new AbortController()

  constructor(context: ListenerContext) {
    this.#context = context
    this.#handshakes = context.tls && new TlsHandshakes(context.tls)
  }

  async listen(): Promise<void> {
    const { host, port, portSetting, limits } = this.#context
    const listener = createServer((socket) => this.#accept(socket))
    await listenAt(listener, { host, port, portSetting, clients: 'NATS clients', backlog: BACKLOG })
    // Accepting can fail later (no descriptors left); the connections that stand go on.
    listener.on('error', ({ message }) => this.#event({ kind: 'client-refused', reason: message }))
    this.#listener = listener
    const { pingIntervalMs, writeDeadlineMs } = limits
    const sweepMs = Math.max(5, Math.min(1000, pingIntervalMs / 4, writeDeadlineMs / 4))
    this.#sweep = setInterval(() => this.#check(), sweepMs)
    this.#sweep.unref()
    this.#event({ kind: 'listening', host, port: this.port })
  }

  get clients(): ReadonlyMap<number, ClientConnection> {
    return this.#clients
  }

  /** Since the start: clients accepted, and those cut for reading too slowly. */
  get totals(): { readonly connections: number; readonly slowConsumers: number } {
    return { connections: this.#total, slowConsumers: this.#slowConsumers }
  }

  /** 0 while not listening. */
  get port(): number {
    return boundPort(this.#listener)
  }

  /** As a NATS URL; '' while not listening. */
  get url(): string {
    return boundUrl(this.#context.tls === undefined ? 'nats' : 'tls', this.#listener)
  }

  /**
   * Accepts nobody any more, tells clients so that they move to other servers, and after `graceMs`
   * closes them one after the other over `durationMs`, so that not all of them reconnect at once.
   * Resolves as soon as nobody is left.
   */
  async retire(pace: LameDuckPace): Promise<void> {
    if (this.#lameDuck) return
    this.#lameDuck = true
    this.#event({ kind: 'lame-duck', clients: this.#clients.size })
    const stopped = this.#stopListening()
    for (const client of this.#clients.values()) {
      if (client.options.protocol >= 1) client.sendInfo(this.#info(client.id, client.socket, ''))
    }
    if (this.#clients.size === 0) this.#deserted.abort()
    const ended = AbortSignal.any([this.#closing.signal, this.#deserted.signal])
    await elapsed(pace.graceMs, ended)
    const eachMs = pace.durationMs / Math.max(1, this.#clients.size)
    for (const client of this.#clients.values()) {
      client.closeAfterFlush('lame duck')
      await elapsed(eachMs, ended)
    }
    await stopped
  }

  /** Stops listening, sends every client what waits for it, and closes all. */
  async close(): Promise<void> {
    this.#closing.abort()
    clearInterval(this.#sweep)
    const stopped = this.#stopListening()
    for (const socket of this.#greeted) socket.destroy()
    for (const client of this.#clients.values()) client.closeAfterFlush('server closed')
    await stopped
  }

  /** Resolves when every socket is closed too. */
  #stopListening(): Promise<void> {
    const listener = this.#listener
    this.#listener = undefined
    if (listener !== undefined) {
      this.#stopped = new Promise((resolve) => {
        listener.close(() => resolve())
      })
    }
    return this.#stopped
  }

  #accept(socket: Socket): void {
    // Until somebody else listens, an error only ends the socket.
    socket.on('error', () => {})
    const id = this.#nextClientId++
    const nonce = this.#context.authenticator.wantsNonce
      ? randomBytes(NONCE_BYTES).toString('base64url')
      : ''
    const info = this.#info(id, socket, nonce)
    if (this.#clients.size + this.#greeted.size >= this.#context.limits.maxConnections) {
      this.#event({ kind: 'client-refused', reason: ErrorText.maxConnections })
      socket.end(`INFO ${info} \r\n-ERR '${ErrorText.maxConnections}'\r\n`)
      socket.resume()
      setTimeout(() => socket.destroy(), LINGER_MS).unref()
      return
    }
    this.#total++
    const handshakes = this.#handshakes
    if (handshakes === undefined) {
      this.#open(socket, { id, nonce, greeting: info })
      return
    }
    this.#greeted.add(socket)
    const first = this.#context.tls?.handshakeFirst === true
    const begin = (): void => {
      // Also when INFO could not be written: the socket is gone then, and the handshake fails.
      handshakes.begin(socket, (outcome) => {
        this.#greeted.delete(socket)
        if (outcome.kind === 'failed')
          this.#event({ kind: 'client-refused', reason: outcome.reason })
        else this.#open(outcome.socket, { id, nonce, greeting: first ? info : undefined })
      })
    }
    if (first) begin()
    else socket.write(`INFO ${info} \r\n`, begin)
  }

  #open(
    socket: Socket,
    { id, nonce, greeting }: { id: number; nonce: string; greeting: string | undefined },
  ): void {
    const { limits, authenticator, router, outboxes, tls } = this.#context
    const mapped = tls?.verifyAndMap === true && socket instanceof TLSSocket
    const client = new ClientConnection(socket, {
      limits,
      authenticator,
      router,
      outboxes,
      id,
      nonce,
      greeting,
      certificateNames: mapped ? certificateNames(socket) : undefined,
      onEnd: (reason) => {
        this.#clients.delete(id)
        if (this.#lameDuck && this.#clients.size === 0) this.#deserted.abort()
        this.#event({ kind: 'client-closed', id, name: client.name, reason })
      },
      onEvent: (event) => this.#event(event),
    })
    this.#clients.set(id, client)
  }

  #info(id: number, socket: Socket, nonce: string): string {
    const info = { ...this.#context.info(), ...(this.#lameDuck ? { ldm: true as const } : {}) }
    return infoFor(info, { id, nonce, address: socket.remoteAddress ?? '' })
  }

  #check(): void {
    const nowMs = performance.now()
    for (const client of this.#clients.values()) client.check(nowMs)
    const { limits, outboxes } = this.#context
    while (outboxes.pendingBytes > limits.maxTotalPendingBytes) {
      let worst: ClientConnection | undefined
      for (const client of this.#clients.values()) {
        if (client.pendingBytes > (worst?.pendingBytes ?? 0)) worst = client
      }
      if (worst === undefined) return
      worst.cutAsSlow()
    }
  }

  #event(event: ListenerEvent): void {
    if (event.kind === 'slow-consumer') this.#slowConsumers++
    this.#context.onEvent(event)
  }
}

export type ListenerEvent =
  | ClientEvent
  | { readonly kind: 'listening'; readonly host: string; readonly port: number }
  | {
      readonly kind: 'client-closed'
      readonly id: number
      readonly name: string
      readonly reason: string
    }
  | { readonly kind: 'client-refused'; readonly reason: string }
  | { readonly kind: 'lame-duck'; readonly clients: number }

export interface LameDuckPace {
  readonly graceMs: number
  readonly durationMs: number
}

export interface ListenerContext extends ServerParts {
  readonly host: string
  /** 0 or -1 takes any free port. */
  readonly port: number
  /** How the user calls the port. */
  readonly portSetting: string
  readonly tls: NatsTls | undefined
  readonly info: () => ServerInfo
  readonly onEvent: (event: ListenerEvent) => void
}

/** Clients that have connected and not been accepted: a whole cluster may reconnect at once. */
const BACKLOG = 1024
/** A client that was refused may take so long to hang up. */
const LINGER_MS = 1000
/** As nats-server's. */
const NONCE_BYTES = 11

function elapsed(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, signal.aborted ? 0 : ms)
    signal.addEventListener('abort', done)
  })
}
