/**
 * The composition root: makes the parts of a server, starts them in the order in which they need
 * each other, and stops them in the opposite one.
 *
 * Start: data directory, metadata log (replayed), port (health answers from here on), NATS (waited
 * for as long as it takes), partitions, API. Stop: no new calls, calls in flight end, partitions
 * finish what they accepted and sync it, metadata, NATS, data directory.
 */
import { GrpcServer, HealthService, ServingStatus, type GrpcLimits } from '@liftbridge/grpc'
import { FileCache, TailCache, type Disk } from '@liftbridge/log'
import type { StreamDefaults } from '@liftbridge/metadata'
import { ClusterSubjects } from '@liftbridge/wire'
import { createNodeDisk } from './adapters/node-disk.ts'
import { createSystemClock } from './adapters/system-clock.ts'
import { createSystemRandom } from './adapters/system-random.ts'
import type { ApiContext } from './api/context.ts'
import { API_SERVICE, apiMethods } from './api/methods.ts'
import type { Clock, Random } from './clock.ts'
import type { HostPort } from './config/addresses.ts'
import { formatHostPort } from './config/addresses.ts'
import type { Config } from './config/config.ts'
import {
  HANDSHAKE_MS,
  LOG_FILES_MAX,
  LOG_TAILS_MAX_BYTES,
  SHUTDOWN_DRAIN_MS,
} from './config/limits.ts'
import { startupLines } from './config/startup-lines.ts'
import { streamDefaults } from './config/stream-defaults.ts'
import { openDataDirectory, type DataDirectory } from './data-directory.ts'
import { Port } from './listen/port.ts'
import { readTls } from './listen/port-tls.ts'
import { HealthPages, type ReadinessCheck } from './listen/readiness.ts'
import type { Logger } from './logging/logger.ts'
import { Maintenance } from './maintenance.ts'
import { Metadata } from './metadata/metadata.ts'
import { assertOwnPartitions } from './metadata/own-partitions.ts'
import { CommitLogOperationLog } from './metadata/commit-log-operation-log.ts'
import { Reconciler } from './metadata/reconciler.ts'
import { logReconciler } from './metadata/reconciler-log.ts'
import { SingleServerConsensus } from './metadata/single-server-consensus.ts'
import { StreamDirectories } from './metadata/stream-directories.ts'
import { readinessChecks } from './readiness-checks.ts'
import { openNats, type NatsConnections } from './nats-connections.ts'
import { NatsAcks } from './partition/nats-acks.ts'
import { masterKeyProblem } from './partition/encryption.ts'
import { Partitions } from './partition/partition-host.ts'
import { SubjectRouter } from './partition/subject-router.ts'

export type ServerOptions = {
  readonly config: Config
  readonly logger: Logger
  readonly version: string
  /** Bytes of LIFTBRIDGE_ENCRYPTION_KEY. */
  readonly masterKey?: Uint8Array | undefined
  /** Storage of the logs; the one of this machine when absent. */
  readonly disk?: Disk
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
const STOP_ORDER = ['api', 'partitions', 'metadata', 'nats', 'port', 'data directory'] as const
type Part = (typeof STOP_ORDER)[number]

class Server implements LiftbridgeServer {
  #config: Config
  readonly #logger: Logger
  readonly #options: ServerOptions
  readonly #clock: Clock = createSystemClock()
  readonly #random: Random = createSystemRandom()
  readonly #disk: Disk
  readonly #health = new HealthService()
  readonly #stopping = new AbortController()
  readonly #closers = new Map<Part, () => Promise<void> | void>()
  #context: ApiContext | undefined
  #nats: NatsConnections | undefined
  #reconciler: Reconciler | undefined
  #partitions: Partitions | undefined
  #grpc: GrpcServer | undefined
  #metadata: Metadata | undefined
  #directory: DataDirectory | undefined
  #address: HostPort
  #stopped: Promise<void> | undefined

  constructor(options: ServerOptions) {
    this.#options = options
    this.#config = options.config
    this.#logger = options.logger
    this.#disk = options.disk ?? createNodeDisk()
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
    const { metadata, deleted } = await this.#openMetadata(directory)
    await this.#listen()
    const nats = await this.#openNats(signal)
    await this.#openPartitions({ metadata, deleted, nats, directory })
    this.#health.set(API_SERVICE, ServingStatus.SERVING)
  }

  reload(config: Config): void {
    this.#config = config
    this.#grpc?.setLimits(grpcLimits(config))
    this.#partitions?.reconfigure()
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

  async #stop(): Promise<void> {
    this.#health.setAll(ServingStatus.NOT_SERVING)
    this.#stopping.abort()
    for (const part of STOP_ORDER) {
      try {
        await this.#closers.get(part)?.()
      } catch (error) {
        // One part that cannot close must not keep the others from being made durable [D-57].
        this.#logger.error(`stopping: ${part} failed`, { error })
      }
    }
  }

  async #openMetadata(directory: DataDirectory): Promise<{
    readonly metadata: Metadata
    readonly deleted: Awaited<ReturnType<Metadata['start']>>
  }> {
    const log = await CommitLogOperationLog.open({
      disk: this.#disk,
      directory: `${directory.path}/metadata`,
      clock: this.#clock,
    })
    const metadata = new Metadata({
      consensus: new SingleServerConsensus(log),
      onInert: (index, { text }) => {
        this.#logger.warn('metadata: an operation changed nothing', { index, reason: text })
      },
    })
    this.#closers.set('metadata', () => metadata.close())
    const deleted = await metadata.start()
    assertOwnPartitions(metadata.state, directory)
    this.#metadata = metadata
    return { metadata, deleted }
  }

  async #listen(): Promise<void> {
    const { bind, limits, tls } = this.#config
    const portTls = readTls(tls)
    const pages = new HealthPages(() => this.#checks())
    const grpc = new GrpcServer({
      other: pages.onHttp2,
      methods: { ...apiMethods(() => this.#context), ...this.#health.methods },
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

  async #openNats(signal: AbortSignal): Promise<NatsConnections> {
    const nats = await openNats({
      config: this.#config.nats,
      name: `LIFT.${this.#config.clustering.namespace}.${this.serverId}`,
      logger: this.#logger,
      signal: AbortSignal.any([signal, this.#stopping.signal]),
    })
    this.#nats = nats
    this.#closers.set('nats', () => nats.close())
    return nats
  }

  async #openPartitions(parts: {
    readonly metadata: Metadata
    readonly deleted: Awaited<ReturnType<Metadata['start']>>
    readonly nats: NatsConnections
    readonly directory: DataDirectory
  }): Promise<void> {
    const { metadata, nats, directory } = parts
    const { namespace } = this.#config.clustering
    const natsAcks = new NatsAcks({ bus: nats.publishes, namespace, logger: this.#logger })
    const router = new SubjectRouter({ ...nats, natsAcks })
    const defaults = (): StreamDefaults => streamDefaults(this.#config)
    const partitions = new Partitions({
      config: () => this.#config,
      defaults,
      disk: this.#disk,
      files: new FileCache(this.#disk, { maxOpen: LOG_FILES_MAX }),
      tails: new TailCache({ maxBytes: LOG_TAILS_MAX_BYTES }),
      router,
      clock: this.#clock,
      logger: this.#logger,
      masterKey: this.#options.masterKey,
      natsMaxPayloadBytes: () => nats.streams.maxPayloadBytes,
      onFenced: (stream, partition, reason) => reconciler.fenced(stream, partition, reason),
    })
    const report = logReconciler(this.#logger)
    this.#partitions = partitions
    const reconciler = new Reconciler({
      serverId: this.serverId,
      state: metadata.state,
      host: partitions,
      directories: new StreamDirectories({
        disk: this.#disk,
        root: `${directory.path}/streams`,
        report,
      }),
      clock: this.#clock,
      report,
    })
    this.#reconciler = reconciler
    metadata.onApplied((outcome) => reconciler.applied(outcome))
    const maintenance = new Maintenance({
      config: () => this.#config,
      partitions,
      pause: (stream, partition) => this.#autoPause(metadata, stream, partition),
      clock: this.#clock,
      logger: this.#logger,
    })
    this.#closers.set('partitions', async () => {
      maintenance.stop()
      await reconciler.stop()
    })
    await reconciler.start(parts.deleted)
    maintenance.start()
    this.#logger.info('Server became metadata leader, performing leader promotion actions')
    this.#context = this.#makeContext({ metadata, nats, router, partitions, natsAcks, defaults })
  }

  /** A refusal means that the stream has just gone, or that the metadata tells why itself. */
  #autoPause(metadata: Metadata, stream: string, partition: number): void {
    const timestampNs = this.#clock.wallNs()
    const partitions = [partition]
    void metadata
      .propose({ kind: 'pause-stream', stream, partitions, resumeAll: false, timestampNs })
      .then((outcome) => {
        if (outcome.kind === 'rejected') return
        this.#logger.info('partition paused: it was idle', { stream, partition })
      })
  }

  #makeContext(parts: {
    readonly metadata: Metadata
    readonly nats: NatsConnections
    readonly router: SubjectRouter
    readonly partitions: Partitions
    readonly natsAcks: NatsAcks
    readonly defaults: () => StreamDefaults
  }): ApiContext {
    return {
      serverId: this.serverId,
      clock: this.#clock,
      random: this.#random,
      logger: this.#logger,
      metadata: parts.metadata,
      streamDefaults: parts.defaults,
      partitions: parts.partitions,
      router: parts.router,
      publishes: parts.nats.publishes,
      subjects: new ClusterSubjects(this.#config.clustering.namespace),
      natsAcks: parts.natsAcks,
      masterKey: this.#options.masterKey,
      advertised: () => this.address,
      settled: (stream, partition, timeoutMs) => this.#settled(stream, partition, timeoutMs),
      stopping: this.#stopping.signal,
    }
  }

  #settled(stream: string, partition: number, timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(timeoutMs, () => resolve(false))
      void this.#reconciler?.settled(stream, partition).then((settlement) => {
        timer.cancel()
        resolve(settlement.kind === 'running')
      })
    })
  }

  #checks(): readonly ReadinessCheck[] {
    return readinessChecks({
      metadata: this.#metadata,
      nats: this.#nats,
      reconciler: this.#reconciler,
      partitions: this.#partitions,
      serving: this.#context !== undefined,
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
