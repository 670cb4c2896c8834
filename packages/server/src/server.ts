/**
 * The composition root: a data directory, a listening port and NATS around a ServerCore. Starts the
 * parts in the order in which they need each other, and stops them in the opposite one.
 *
 * Start: data directory, port (health answers from here on), NATS (waited for as long as it
 * takes), core: metadata, partitions, API. Stop: others lead, no new calls, calls in flight end, partitions
 * finish what they accepted and sync it, metadata, NATS, data directory.
 */
import { GrpcServer, HealthService, ServingStatus, type GrpcLimits } from '@liftbridge/grpc'
import type { Disk } from '@liftbridge/log'
import type { NatsServer } from '@liftbridge/nats'
import { createNodeDisk } from './adapters/node-disk.ts'
import { createSystemClock } from './adapters/system-clock.ts'
import { createSystemRandom } from './adapters/system-random.ts'
import { API_SERVICE, apiMethods } from './api/methods.ts'
import type { Clock, Random } from './clock.ts'
import type { HostPort } from './config/addresses.ts'
import { formatHostPort } from './config/addresses.ts'
import type { Config } from './config/config.ts'
import { HANDSHAKE_MS, SHUTDOWN_DRAIN_MS } from './config/limits.ts'
import { startupLines } from './config/startup-lines.ts'
import { openDataDirectory, type DataDirectory } from './data-directory.ts'
import type { KillSwitch } from './in-process/killable.ts'
import { Port } from './listen/port.ts'
import { readTls } from './listen/port-tls.ts'
import { HealthPages, type ReadinessCheck } from './listen/readiness.ts'
import type { Logger } from './logging/logger.ts'
import { MetricsText } from './metrics/metrics-text.ts'
import { connectWithin, openNats, type NatsConnections } from './nats-connections.ts'
import { masterKeyProblem } from './partition/encryption.ts'
import { readinessChecks } from './readiness-checks.ts'
import { ServerCore } from './server-core.ts'

export type ServerOptions = {
  readonly config: Config
  readonly logger: Logger
  readonly version: string
  /** Bytes of LIFTBRIDGE_ENCRYPTION_KEY. */
  readonly masterKey?: Uint8Array | undefined
  /** Storage of the logs; the one of this machine when absent. */
  readonly disk?: Disk
  /** A NATS in this process that several servers share; `config.nats` is not used then. */
  readonly nats?: NatsServer
  /** Lets `kill` cut the server off; without it a server can only be stopped. */
  readonly killSwitch?: KillSwitch
  /** Another live server has this one's id: the process must end at once, without handing over. */
  readonly onIdLost?: (error: Error) => void
  /**
   * Only a restart helps: the process must end, or the embedding application stop this server and
   * start it again. What others can lead has been given up.
   */
  readonly onFailed?: (error: Error) => void
}

/** A running server; made by `startServer`. */
export interface LiftbridgeServer {
  readonly serverId: string
  readonly dataDir: string
  /** Where clients reach it; the port is the bound one. */
  readonly address: HostPort
  /** URL of the embedded NATS; undefined when NATS runs elsewhere. */
  readonly natsUrl: string | undefined
  /**
   * Takes over what can change while the server runs: batching, limits, retention and syncs.
   * `config` comes from `reloadedConfig`.
   */
  reload(config: Config): void
  /** Finishes what is in flight, makes it durable, and closes everything. Idempotent. */
  stop(): Promise<void>
  /** Ends everything at once, as kill -9 would; only with a kill switch. For tests and demos. */
  kill(): Promise<void>
}

/**
 * Starts a server and resolves when it serves. Rejects with an error whose text names what is
 * wrong and the way out; nothing is left running then. `signal` gives up waiting for NATS.
 */
export async function startServer(
  options: ServerOptions,
  signal: AbortSignal = new AbortController().signal,
): Promise<LiftbridgeServer> {
  const server = new Server(options)
  try {
    await server.start(signal)
  } catch (error) {
    await server.stop()
    throw error
  }
  return server
}

/** The parts that have to be stopped, in the order in which they are. */
const STOP_ORDER = ['api', 'core', 'nats', 'port', 'data directory'] as const
type Part = (typeof STOP_ORDER)[number]

class Server implements LiftbridgeServer {
  #config: Config
  readonly #logger: Logger
  readonly #options: ServerOptions
  readonly #clock: Clock
  readonly #random: Random = createSystemRandom()
  readonly #disk: Disk
  readonly #health = new HealthService()
  readonly #stopping = new AbortController()
  readonly #closers = new Map<Part, () => Promise<void> | void>()
  #nats: NatsConnections | undefined
  #grpc: GrpcServer | undefined
  #core: ServerCore | undefined
  #directory: DataDirectory | undefined
  #address: HostPort
  #stopped: Promise<void> | undefined

  constructor(options: ServerOptions) {
    this.#options = options
    this.#config = options.config
    const { killSwitch } = options
    const clock = createSystemClock()
    const disk = options.disk ?? createNodeDisk()
    this.#clock = killSwitch?.clock(clock) ?? clock
    this.#disk = killSwitch?.disk(disk) ?? disk
    this.#logger = killSwitch?.logger(options.logger) ?? options.logger
    this.#address = options.config.bind
  }

  get serverId(): string {
    return this.#directory?.serverId ?? ''
  }

  get dataDir(): string {
    return this.#directory?.path ?? this.#config.dataDir
  }

  get address(): HostPort {
    const { advertised } = this.#config
    return advertised.port === 0 ? { ...advertised, port: this.#address.port } : advertised
  }

  get natsUrl(): string | undefined {
    return this.#nats?.embeddedUrl
  }

  async start(signal: AbortSignal): Promise<void> {
    this.#checkEncryption()
    const directory = await openDataDirectory({
      path: this.#config.dataDir,
      configuredServerId: this.#config.clustering.serverId,
      random: this.#random,
    })
    this.#directory = directory
    this.#closers.set('data directory', () => directory.release())
    for (const line of startupLines(this.#config, this.serverId, this.#options.version)) {
      this.#logger.info(line)
    }
    await this.#listen()
    const nats = await this.#openNats(signal)
    await this.#startCore(directory, nats)
    if (!this.#core?.failure) this.#health.set(API_SERVICE, ServingStatus.SERVING)
  }

  reload(config: Config): void {
    this.#config = config
    this.#grpc?.setLimits(grpcLimits(config))
    this.#core?.reload(config)
  }

  /** Encryption for every stream without a key would fail every CreateStream: better now. */
  #checkEncryption(): void {
    if (!this.#config.streams.encryption) return
    const problem = masterKeyProblem(this.#options.masterKey)
    if (problem === undefined) return
    throw new Error(
      `streams.encryption is on, but the environment variable LIFTBRIDGE_ENCRYPTION_KEY cannot be used (${problem}): set it to 16 or 32 bytes`,
    )
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async kill(): Promise<void> {
    const { killSwitch } = this.#options
    if (!killSwitch) throw new Error('this server was started without a kill switch')
    this.#stopped ??= Promise.resolve()
    await killSwitch.kill()
    await this.#closers.get('port')?.()
    await this.#closers.get('data directory')?.()
  }

  async #stop(): Promise<void> {
    this.#health.setAll(ServingStatus.NOT_SERVING)
    this.#stopping.abort()
    await this.#core?.handOver()
    this.#core?.beginStop()
    for (const part of STOP_ORDER) {
      try {
        await this.#closers.get(part)?.()
      } catch (error) {
        // One part that cannot close must not keep the others from being made durable [D-57].
        this.#logger.error(`stopping: ${part} failed`, { error })
      }
    }
  }

  async #listen(): Promise<void> {
    const { bind, limits, tls } = this.#config
    const portTls = readTls(tls)
    const pages = new HealthPages({
      checks: () => this.#checks(),
      failure: () => this.#core?.failure,
      metrics: this.#metrics(() => port.connections),
    })
    const grpc = new GrpcServer({
      other: pages.onHttp2,
      methods: { ...apiMethods(() => this.#core?.context), ...this.#health.methods },
      limits: grpcLimits(this.#config),
      onError: (error, path) => this.#logger.error('api: a handler failed', { path, error }),
      onCut: (reason, address) =>
        this.#logger.limited('grpc-cut', 'debug', 'api: connection cut', { reason, address }),
    })
    this.#grpc = grpc
    const port = new Port({
      host: bind.host,
      port: bind.port,
      ...(portTls ? { tls: portTls } : {}),
      firstBytesTimeoutMs: HANDSHAKE_MS,
      maxConnections: limits.connectionsMax,
      onHttp2: (socket) => grpc.handleConnection(socket),
      onHttp1: pages.onHttp1,
    })
    this.#closers.set('port', () => port.destroy())
    this.#address = await port.listen()
    this.#health.set(API_SERVICE, ServingStatus.NOT_SERVING)
    this.#closers.set('api', () => {
      port.stopListening()
      return grpc.drain(SHUTDOWN_DRAIN_MS)
    })
    this.#logger.info(`Starting Liftbridge server on ${formatHostPort(this.#address)}...`)
  }

  #metrics(connections: () => number): MetricsText {
    const nothing = { metadata: undefined, reconciler: undefined, raft: undefined }
    return new MetricsText({
      version: this.#options.version,
      serverId: () => this.serverId,
      connections,
      metadata: () => this.#core?.measured ?? { ...nothing, isAlive: () => true },
      partitions: () => this.#core?.measured.partitions ?? [],
      buses: () => this.#nats?.buses,
      natsStats: () => this.#nats?.embeddedStats(),
    })
  }

  async #openNats(signal: AbortSignal): Promise<NatsConnections> {
    const name = `LIFT.${this.#config.clustering.namespace}.${this.serverId}`
    const { nats: shared, killSwitch } = this.#options
    const opened = shared
      ? connectWithin(shared, name)
      : await openNats({
          config: this.#config.nats,
          name,
          logger: this.#logger,
          verbose: this.#config.logging.nats,
          signal: AbortSignal.any([signal, this.#stopping.signal]),
        })
    const nats = killSwitch ? { ...opened, buses: killSwitch.buses(opened.buses) } : opened
    this.#nats = nats
    this.#closers.set('nats', () => nats.close())
    return nats
  }

  async #startCore(directory: DataDirectory, nats: NatsConnections): Promise<void> {
    const core = new ServerCore({
      config: this.#config,
      serverId: directory.serverId,
      dataDir: directory.path,
      disk: this.#disk,
      clock: this.#clock,
      random: this.#random,
      logger: this.#logger,
      buses: nats.buses,
      masterKey: this.#options.masterKey,
      advertised: () => this.address,
      ...(this.#options.onIdLost ? { onIdLost: this.#options.onIdLost } : {}),
      onFailed: (error) => {
        this.#health.set(API_SERVICE, ServingStatus.NOT_SERVING)
        this.#options.onFailed?.(error)
      },
    })
    this.#core = core
    this.#closers.set('core', () => core.stop())
    await core.start()
  }

  #checks(): readonly ReadinessCheck[] {
    if (this.#core) return this.#core.checks()
    return readinessChecks({
      metadata: undefined,
      buses: this.#nats?.buses,
      reconciler: undefined,
      partitions: undefined,
      isAlive: () => true,
      directoryProblem: '',
      catchingUp: 0,
      serving: false,
      stopping: this.#stopping.signal.aborted,
    })
  }
}

function grpcLimits({ limits }: Config): Partial<GrpcLimits> {
  return {
    maxMessageBytes: limits.messageMaxBytes,
    maxConnections: limits.connectionsMax,
    maxConcurrentStreams: limits.streamsPerConnection,
  }
}
