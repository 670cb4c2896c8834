import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { randomBytes } from 'node:crypto'
import { ClientConnection } from './clients/client-connection.ts'
import { ErrorText, NatsServerError } from './errors.ts'
import {
  DeliveryBudget,
  InProcessConnection,
  type InProcessOptions,
} from './clients/in-process-connection.ts'
import { DEFAULT_LIMITS, type NatsLimits } from './limits.ts'
import { OutboxShared } from './clients/outbox.ts'
import { Router } from './routing/router.ts'

export interface NatsServerOptions {
  /** Shown in INFO; by default the server id. */
  readonly name?: string
  /** Only this machine by default; '0.0.0.0' has to be asked for. */
  readonly host?: string
  /** 0 or -1 takes any free port. */
  readonly port?: number
  /** How the user calls the port, for the text when it is taken. */
  readonly portSetting?: string
  readonly limits?: Partial<NatsLimits>
  readonly onEvent?: (event: NatsServerEvent) => void
}

export type NatsServerEvent =
  | { readonly kind: 'listening'; readonly host: string; readonly port: number }
  | {
      readonly kind: 'client-closed'
      readonly id: number
      readonly name: string
      readonly reason: string
    }
  | { readonly kind: 'client-refused'; readonly reason: string }

/**
 * A core NATS server inside this process, for clients over TCP and for connections without a
 * socket. It works without listening too.
 *
 *   const server = new NatsServer({ port: -1 })
 *   await server.listen()
 *   const connection = server.connect({ name: 'mine' })
 *   …
 *   await server.close()
 */
export class NatsServer {
  readonly id: string = randomBytes(16).toString('hex').toUpperCase()
  readonly limits: NatsLimits
  readonly #options: NatsServerOptions
  readonly #router = new Router()
  readonly #outboxes = new OutboxShared()
  readonly #budget = new DeliveryBudget()
  readonly #clients = new Set<ClientConnection>()
  readonly #locals = new Set<InProcessConnection>()
  #listener: Server | undefined
  #sweep: NodeJS.Timeout | undefined
  #nextClientId = 1
  #closed = false

  constructor(options: NatsServerOptions = {}) {
    this.#options = options
    this.limits = { ...DEFAULT_LIMITS, ...options.limits }
  }

  /** Accepts clients over TCP. Rejects with NatsServerError 'address-in-use' or 'address-refused'. */
  async listen(): Promise<void> {
    if (this.#closed) throw new NatsServerError('closed', 'the NATS server is closed')
    const { host = '127.0.0.1', port = DEFAULT_PORT } = this.#options
    const listener = createServer((socket) => this.#accept(socket))
    await new Promise<void>((resolve, reject) => {
      listener.once('error', (error) => reject(this.#listenError(error, host, port)))
      listener.listen({ host, port: Math.max(0, port) }, resolve)
    })
    listener.removeAllListeners('error')
    // Accepting can fail later (no descriptors left); the connections that stand go on.
    listener.on('error', (error) => this.#event({ kind: 'client-refused', reason: error.message }))
    this.#listener = listener
    const { pingIntervalMs, writeDeadlineMs } = this.limits
    const sweepMs = Math.max(5, Math.min(1000, pingIntervalMs / 4, writeDeadlineMs / 4))
    this.#sweep = setInterval(() => this.#check(), sweepMs)
    this.#sweep.unref()
    this.#event({ kind: 'listening', host, port: this.port })
  }

  /** The port clients connect to; 0 while not listening. */
  get port(): number {
    return boundAddress(this.#listener)?.port ?? 0
  }

  /** The address clients connect to, as a NATS URL; '' while not listening. */
  get url(): string {
    const address = boundAddress(this.#listener)
    if (address === undefined) return ''
    const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
    return `nats://${host}:${address.port}`
  }

  /** A connection without a socket. Throws NatsServerError 'closed'. */
  connect(options: InProcessOptions = {}): InProcessConnection {
    if (this.#closed) throw new NatsServerError('closed', 'the NATS server is closed')
    const connection = new InProcessConnection(options, {
      router: this.#router,
      limits: this.limits,
      budget: this.#budget,
      onEnd: (ended) => this.#locals.delete(ended),
    })
    this.#locals.add(connection)
    return connection
  }

  get stats(): NatsServerStats {
    return {
      connections: this.#clients.size,
      subscriptions: this.#router.tree.size,
      pendingBytes: this.#outboxes.pendingBytes + this.#budget.queuedBytes,
      ...this.#router.counts,
    }
  }

  /** Stops listening, sends every client what waits for it, and closes all connections. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearInterval(this.#sweep)
    await Promise.all([...this.#locals].map((connection) => connection.close()))
    const listener = this.#listener
    this.#listener = undefined
    const stopped = new Promise<void>((resolve) => {
      if (listener === undefined) resolve()
      else listener.close(() => resolve())
    })
    for (const client of this.#clients) client.closeAfterFlush('server closed')
    await stopped
  }

  #accept(socket: Socket): void {
    if (this.#clients.size >= this.limits.maxConnections || this.#closed) {
      this.#event({ kind: 'client-refused', reason: ErrorText.maxConnections })
      socket.on('error', () => socket.destroy())
      socket.end(`-ERR '${ErrorText.maxConnections}'\r\n`)
      return
    }
    const id = this.#nextClientId++
    const client = new ClientConnection(socket, {
      id,
      info: this.#info(id, socket),
      router: this.#router,
      limits: this.limits,
      outboxes: this.#outboxes,
      onEnd: (ended, reason) => {
        this.#clients.delete(ended)
        this.#event({ kind: 'client-closed', id, name: ended.name, reason })
      },
    })
    this.#clients.add(client)
  }

  #info(id: number, socket: Socket): string {
    return JSON.stringify({
      server_id: this.id,
      server_name: this.#options.name ?? this.id,
      version: PROTOCOL_VERSION,
      proto: 1,
      host: this.#options.host ?? '127.0.0.1',
      port: this.port,
      headers: true,
      max_payload: this.limits.maxPayloadBytes,
      client_id: id,
      client_ip: socket.remoteAddress ?? '',
    })
  }

  #check(): void {
    const nowMs = performance.now()
    for (const client of this.#clients) client.check(nowMs)
    while (this.#outboxes.pendingBytes > this.limits.maxTotalPendingBytes) {
      let worst: ClientConnection | undefined
      for (const client of this.#clients) {
        if (client.pendingBytes > (worst?.pendingBytes ?? 0)) worst = client
      }
      if (worst === undefined) return
      worst.cutAsSlow()
    }
  }

  #listenError(error: NodeJS.ErrnoException, host: string, port: number): NatsServerError {
    const setting = this.#options.portSetting ?? 'port'
    if (error.code === 'EADDRINUSE') {
      return new NatsServerError(
        'address-in-use',
        `cannot listen for NATS clients on ${host}:${port}: another program uses this port; ` +
          `choose another with ${setting} (-1 takes any free one)`,
        { cause: error },
      )
    }
    return new NatsServerError(
      'address-refused',
      `cannot listen for NATS clients on ${host}:${port}: ${error.message}`,
      { cause: error },
    )
  }

  #event(event: NatsServerEvent): void {
    this.#options.onEvent?.(event)
  }
}

export interface NatsServerStats {
  /** Clients over TCP. */
  readonly connections: number
  readonly subscriptions: number
  /** Bytes waiting to be sent or handed out. */
  readonly pendingBytes: number
  readonly inMessages: number
  readonly inBytes: number
  readonly outMessages: number
}

const DEFAULT_PORT = 4222

/**
 * Clients read this field as "which features of nats-server may I use": it names the release whose
 * core protocol this server speaks (headers, no responders), not a release of ours.
 */
const PROTOCOL_VERSION = '2.10.0'

function boundAddress(listener: Server | undefined): AddressInfo | undefined {
  const address = listener?.address()
  return typeof address === 'object' && address !== null ? address : undefined
}
