import { randomBytes } from 'node:crypto'
import { Authenticator, type NatsAuth } from './auth/authenticator.ts'
import { ClientListener, type LameDuckPace, type ListenerEvent } from './clients/client-listener.ts'
import {
  DeliveryBudget,
  InProcessConnection,
  type InProcessOptions,
} from './clients/in-process-connection.ts'
import { OutboxShared } from './clients/outbox.ts'
import type { NatsTls } from './clients/tls.ts'
import { NatsServerError } from './errors.ts'
import { DEFAULT_LAME_DUCK, DEFAULT_LIMITS, type NatsLimits } from './limits.ts'
import { Monitor, type MonitorEvent, type MonitorOptions } from './monitoring/monitor.ts'
import { PortsFile } from './monitoring/ports-file.ts'
import { PROTOCOL_VERSION, type ServerInfo } from './protocol/server-info.ts'
import { Router } from './routing/router.ts'

/** Everything has a default: `new NatsServer()` serves everybody on 127.0.0.1:4222. */
export interface NatsServerOptions {
  /** Shown in INFO; by default the server id. */
  readonly name?: string
  /** Only this machine by default; '0.0.0.0' has to be asked for. */
  readonly host?: string
  /** 0 or -1 takes any free port. */
  readonly port?: number
  /** Host and port that INFO tells clients, where they differ from what is listened on. */
  readonly advertise?: { readonly host: string; readonly port: number }
  /** How the user calls the port, for the text when it is taken. */
  readonly portSetting?: string
  readonly limits?: Partial<NatsLimits>
  readonly auth?: NatsAuth
  readonly tls?: NatsTls
  /** Pages over HTTP for tools; none by default. */
  readonly monitor?: MonitorOptions
  /** A directory to put `nats-server_<pid>.ports` into, which names the ports bound. */
  readonly portsFileDir?: string
  readonly lameDuck?: LameDuckPace
  readonly onEvent?: (event: NatsServerEvent) => void
}

export type NatsServerEvent = ListenerEvent | MonitorEvent

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
  readonly #locals = new Set<InProcessConnection>()
  readonly #authenticator: Authenticator
  readonly #listener: ClientListener
  readonly #monitor: Monitor | undefined
  #portsFile: PortsFile | undefined
  #closed = false

  /** Throws what Node says about a certificate or key it cannot use. */
  constructor(options: NatsServerOptions = {}) {
    this.#options = options
    this.limits = { ...DEFAULT_LIMITS, ...options.limits }
    this.#authenticator = new Authenticator(options.auth ?? {})
    const { onEvent = () => undefined } = options
    this.#listener = new ClientListener({
      host: options.host ?? DEFAULT_HOST,
      port: options.port ?? DEFAULT_PORT,
      portSetting: options.portSetting ?? 'port',
      limits: this.limits,
      tls: options.tls,
      authenticator: this.#authenticator,
      router: this.#router,
      outboxes: this.#outboxes,
      info: () => this.#info(),
      onEvent,
    })
    this.#monitor =
      options.monitor &&
      new Monitor(options.monitor, {
        info: () => this.#info(),
        stats: () => this.stats,
        clients: () => this.#listener.clients,
        router: this.#router,
        limits: this.limits,
        settings: { authTimeoutMs: this.#authenticator.timeoutMs, tls: options.tls },
        onEvent,
      })
  }

  /**
   * Accepts clients over TCP, and monitoring tools. Rejects with NatsServerError 'address-in-use'
   * or 'address-refused'; nothing listens then.
   */
  async listen(): Promise<void> {
    if (this.#closed) throw new NatsServerError('closed', 'the NATS server is closed')
    await this.#listener.listen()
    try {
      await this.#monitor?.listen()
      const { portsFileDir } = this.#options
      if (portsFileDir !== undefined) {
        const urls = { nats: this.url, monitoring: this.monitorUrl }
        this.#portsFile = await PortsFile.write(portsFileDir, urls)
      }
    } catch (error) {
      await this.close()
      throw error
    }
  }

  /** The port clients connect to; 0 while not listening. */
  get port(): number {
    return this.#listener.port
  }

  /** The address clients connect to, as a URL (`nats:` or `tls:`); '' while not listening. */
  get url(): string {
    return this.#listener.url
  }

  /** Where the monitoring pages are; '' where there are none. */
  get monitorUrl(): string {
    return this.#monitor?.url ?? ''
  }

  /** A connection without a socket, which may do everything. Throws NatsServerError 'closed'. */
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
    const { connections, slowConsumers } = this.#listener.totals
    return {
      connections: this.#listener.clients.size,
      totalConnections: connections,
      slowConsumers,
      subscriptions: this.#router.tree.size,
      pendingBytes: this.#outboxes.pendingBytes + this.#budget.queuedBytes,
      ...this.#router.counts,
    }
  }

  /**
   * Lame duck mode: no new clients; those that stand are told, and are closed one by one after the
   * grace period. Resolves when all are gone, at once where there are none; connections in this
   * process stay until `close`.
   */
  retire(pace: LameDuckPace = this.#options.lameDuck ?? DEFAULT_LAME_DUCK): Promise<void> {
    return this.#listener.retire(pace)
  }

  /** Stops listening, sends every client what waits for it, and closes all connections. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.all([...this.#locals].map((connection) => connection.close()))
    await Promise.all([
      this.#listener.close(),
      this.#monitor?.close(),
      this.#portsFile?.remove(),
      this.#authenticator.close(),
    ])
  }

  #info(): ServerInfo {
    const { name, host = DEFAULT_HOST, advertise, tls } = this.#options
    const optional = tls?.allowNonTls === true
    return {
      server_id: this.id,
      server_name: name ?? this.id,
      version: PROTOCOL_VERSION,
      proto: 1,
      host: advertise?.host ?? host,
      port: advertise?.port ?? this.port,
      headers: true,
      max_payload: this.limits.maxPayloadBytes,
      ...(this.#authenticator.required ? { auth_required: true } : {}),
      ...(tls !== undefined && !optional ? { tls_required: true } : {}),
      ...(optional ? { tls_available: true } : {}),
      ...(tls?.verify === true || tls?.verifyAndMap === true ? { tls_verify: true } : {}),
    }
  }
}

/** Counts since the start, and what stands now. Messages within this process count too. */
export interface NatsServerStats {
  /** Clients over TCP now, and accepted since the start. */
  readonly connections: number
  readonly totalConnections: number
  /** Clients cut because they read too slowly. */
  readonly slowConsumers: number
  readonly subscriptions: number
  /** Bytes waiting to be sent or handed out. */
  readonly pendingBytes: number
  readonly inMessages: number
  /** Headers and payloads. */
  readonly inBytes: number
  readonly outMessages: number
  readonly outBytes: number
}

const DEFAULT_HOST = '127.0.0.1'
const DEFAULT_PORT = 4222
