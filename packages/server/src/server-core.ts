/**
 * A server without its sockets: metadata, partitions and the context of the API, on ports alone.
 * `Server` puts a data directory, a listening port and NATS connections around it; the simulator
 * puts virtual ones.
 */
import { FileCache, TailCache } from '@liftbridge/log'
import type { Outcome, StreamDefaults } from '@liftbridge/metadata'
import type { RaftStatus } from '@liftbridge/raft'
import { ClusterSubjects } from '@liftbridge/wire'
import type { ApiContext } from './api/context.ts'
import { autoPause } from './cluster/auto-pause.ts'
import { Brokers } from './cluster/brokers.ts'
import { indexToCatchUpWith } from './cluster/catch-up.ts'
import { CatchingUp } from './cluster/catching-up.ts'
import { Controller } from './cluster/controller.ts'
import { handOver } from './cluster/hand-over.ts'
import { PartitionLeaders } from './cluster/partition-leaders.ts'
import { ServerClaim } from './cluster/server-claim.ts'
import type { Config } from './config/config.ts'
import { LOG_FILES_MAX, LOG_TAILS_MAX_BYTES } from './config/limits.ts'
import { streamDefaults } from './config/stream-defaults.ts'
import type { CoreOptions } from './core-options.ts'
import { DataDirectoryWatch } from './data-directory-watch.ts'
import type { ReadinessCheck } from './listen/readiness.ts'
import { loudOnly } from './logging/loud-only.ts'
import type { Logger } from './logging/logger.ts'
import { Maintenance } from './maintenance.ts'
import type { Metadata } from './metadata/metadata.ts'
import { openMetadata } from './metadata/open-metadata.ts'
import { Reconciler } from './metadata/reconciler.ts'
import { logReconciler } from './metadata/reconciler-log.ts'
import { StreamDirectories } from './metadata/stream-directories.ts'
import type { MeasuredMetadata } from './metrics/metadata-metrics.ts'
import { NatsAcks } from './partition/nats-acks.ts'
import type { Partition } from './partition/partition.ts'
import { Partitions } from './partition/partition-host.ts'
import { SubjectRouter } from './partition/subject-router.ts'
import type { RaftConsensus } from './raft/raft-consensus.ts'
import { ReplicaSubjects } from './replication/replica-subjects.ts'
import type { Replication } from './replication/replication.ts'
import { ServerRun } from './replication/server-run.ts'
import { readinessChecks } from './readiness-checks.ts'

/** The parts that have to be stopped, in the order in which they are. */
const STOP_ORDER = ['cluster', 'partitions', 'metadata', 'claim'] as const
type Part = (typeof STOP_ORDER)[number]

export class ServerCore {
  #config: Config
  readonly #options: CoreOptions
  readonly #logger: Logger
  readonly #subjects: ClusterSubjects
  readonly #stopping = new AbortController()
  readonly #closers = new Map<Part, () => Promise<void> | void>()
  #context: ApiContext | undefined
  #metadata: Metadata | undefined
  #raft: RaftConsensus<Outcome> | undefined
  #controller: Controller | undefined
  #partitions: Partitions | undefined
  #reconciler: Reconciler | undefined
  readonly #catchingUp: CatchingUp
  readonly #directory: DataDirectoryWatch
  #handedOver: Promise<void> | undefined
  #stopped: Promise<void> | undefined
  #failure: Error | undefined

  constructor(options: CoreOptions) {
    this.#options = options
    this.#config = options.config
    this.#logger = options.logger
    this.#subjects = new ClusterSubjects(options.config.clustering.namespace)
    this.#catchingUp = new CatchingUp(options.serverId, options.clock)
    this.#directory = new DataDirectoryWatch(options.disk, options.dataDir, options.logger)
  }

  /** What the handlers of the API work with; undefined until everything has started. */
  get context(): ApiContext | undefined {
    return this.#context
  }

  /** Why only a restart can help; undefined while the server can go on. */
  get failure(): string | undefined {
    return this.#failure?.message
  }

  /** What Raft holds; undefined until it has begun. For those who watch a server from outside. */
  get raftStatus(): RaftStatus | undefined {
    return this.#raft?.status
  }

  /** Resolves when the server can serve. Rejects with an error whose text names the way out. */
  async start(): Promise<void> {
    await this.#claimId()
    const { metadata, deleted } = await this.#openMetadata()
    const cluster = this.#openCluster(metadata)
    await this.#openPartitions({ metadata, deleted, ...cluster })
  }

  reload(config: Config): void {
    this.#config = config
    this.#partitions?.reconfigure()
  }

  /**
   * Lets other servers lead what this one leads, while it still answers. Resolves after at most a
   * few seconds. Idempotent.
   */
  handOver(): Promise<void> {
    this.#handedOver ??= this.#handOver()
    return this.#handedOver
  }

  /** Calls in flight are told that the server stops; new ones are refused. */
  beginStop(): void {
    this.#stopping.abort()
  }

  /** Finishes what was accepted, makes it durable, and closes everything. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  /** What `/metrics` tells of these parts. */
  get measured(): MeasuredMetadata & { readonly partitions: Iterable<Partition> } {
    return {
      metadata: this.#metadata,
      reconciler: this.#reconciler,
      raft: this.raftStatus,
      isAlive: (server) => this.#controller?.isAlive(server) ?? true,
      partitions: this.#partitions?.all() ?? [],
    }
  }

  /** What `/readyz` tells of these parts. */
  checks(): readonly ReadinessCheck[] {
    return readinessChecks({
      metadata: this.#metadata,
      buses: this.#options.buses,
      reconciler: this.#reconciler,
      partitions: this.#partitions,
      isAlive: (server) => this.#controller?.isAlive(server) ?? true,
      directoryProblem: this.#directory.problem,
      catchingUp: this.#catchingUp.behind(this.#metadata?.state, this.#context !== undefined),
      serving: this.#context !== undefined,
      stopping: this.#stopping.signal.aborted,
    })
  }

  async #stop(): Promise<void> {
    await this.handOver()
    this.beginStop()
    for (const part of STOP_ORDER) {
      try {
        await this.#closers.get(part)?.()
      } catch (error) {
        // One part that cannot close must not keep the others from being made durable [D-57].
        this.#logger.error(`stopping: ${part} failed`, { error })
      }
    }
  }

  async #handOver(): Promise<void> {
    const metadata = this.#metadata
    const controller = this.#controller
    // A server that failed cannot ask for anything, and leads nothing that others could.
    if (!metadata || !controller || this.#failure) return
    const { serverId, clock } = this.#options
    const quiesce = async (timeoutMs: number): Promise<void> => this.#partitions?.quiesce(timeoutMs)
    const isCovered = async (stream: string, partition: number): Promise<boolean> =>
      (await this.#partitions?.isCovered(stream, partition)) ?? false
    const logger = this.#logger
    await handOver({ metadata, controller, serverId, quiesce, isCovered, clock, logger })
  }

  /** Before anything is stored or sent under this id. */
  async #claimId(): Promise<void> {
    const bus = this.#options.buses.raft
    const claim = new ServerClaim({ ...this.#options, bus, subjects: this.#subjects })
    this.#closers.set('claim', () => claim.stop())
    await claim.take()
  }

  async #openMetadata(): Promise<{
    readonly metadata: Metadata
    readonly deleted: Awaited<ReturnType<Metadata['start']>>
  }> {
    const { disk, clock, random, dataDir, serverId, buses, raftParameters } = this.#options
    const { raft } = this.#config.clustering
    const logger = this.#config.logging.raft ? this.#logger : loudOnly(this.#logger)
    const opened = await openMetadata(
      {
        disk,
        clock,
        random,
        serverId,
        logger,
        directory: `${dataDir}/raft`,
        bus: buses.raft,
        subjects: this.#subjects,
        settings: { ...raft, bootstrapSeed: raft.bootstrapSeed || this.#isAlone() },
        ...(raftParameters === undefined ? {} : { parameters: raftParameters }),
        onFailed: (error) => this.#failed(error),
      },
      this.#logger,
    )
    const { metadata } = opened
    this.#raft = opened.consensus
    this.#metadata = metadata
    this.#closers.set('metadata', () => metadata.close())
    return { metadata, deleted: await metadata.start() }
  }

  /**
   * It hears of no change of a leader, an ISR or a stream any more, so nobody could depose it: it
   * gives its offices up itself, and others take over [E2, D7].
   */
  #failed(error: Error): void {
    this.#failure = error
    this.#reconciler?.giveUpShared()
    this.#logger.error(
      'this server can go on only after a restart, which reads its metadata again; look at the ' +
        'disk first. Partitions with other replicas are led by others meanwhile',
      { error, directory: `${this.#options.dataDir}/raft` },
    )
    this.#options.onFailed?.(error)
  }

  /** Nobody else can reach a NATS that only this process knows: there is no cluster to join. */
  #isAlone(): boolean {
    const { nats, clustering } = this.#config
    return nats.embedded !== undefined && clustering.raft.bootstrapPeers.length === 0
  }

  /** Resolves when everything that is committed now is here. */
  async #catchUp(metadata: Metadata, controller: Controller): Promise<void> {
    const index = await indexToCatchUpWith({
      submit: (request) => controller.submit(request),
      obstacle: () => this.checks().find(({ name }) => name === 'metadata')?.detail ?? '',
      ended: () =>
        this.failure ?? (this.#stopping.signal.aborted ? 'the server was stopped' : undefined),
      clock: this.#options.clock,
      logger: this.#logger,
    })
    return metadata.whenApplied(index)
  }

  #replication(controller: Controller, run: ServerRun): Replication {
    const { serverId, buses } = this.#options
    return {
      serverId,
      bus: buses.replication,
      answers: buses.streams,
      subjects: this.#subjects,
      timing: () => this.#config.clustering.replica,
      submit: (request) => controller.submit(request),
      run,
    }
  }

  /** What servers ask each other, and how the metadata is changed from here. */
  #openCluster(metadata: Metadata): { readonly controller: Controller; readonly brokers: Brokers } {
    const { buses, clock, random, serverId, advertised } = this.#options
    const shared = {
      bus: buses.raft,
      subjects: this.#subjects,
      clock,
      random,
      serverId,
      logger: this.#logger,
    }
    const controller = new Controller({
      ...shared,
      metadata,
      streamDefaults: () => streamDefaults(this.#config),
      reportTimeoutMs: this.#config.clustering.replica.maxLeaderTimeoutMs,
    })
    const brokers = new Brokers({
      ...shared,
      advertised,
      members: () => metadata.members,
      cacheMaxAgeMs: () => this.#config.metadataCacheMaxAgeMs,
    })
    this.#controller = controller
    controller.start()
    brokers.start()
    this.#closers.set('cluster', () => {
      controller.stop()
      brokers.stop()
    })
    return { controller, brokers }
  }

  async #openPartitions(parts: {
    readonly metadata: Metadata
    readonly deleted: Awaited<ReturnType<Metadata['start']>>
    readonly controller: Controller
    readonly brokers: Brokers
  }): Promise<void> {
    const { metadata, controller, deleted } = parts
    const { buses, clock, dataDir, disk, serverId } = this.#options
    const run = await ServerRun.begin({ disk, directory: dataDir, serverId, clock })
    const { namespace } = this.#config.clustering
    const natsAcks = new NatsAcks({ bus: buses.publishes, namespace, logger: this.#logger })
    const router = new SubjectRouter({ ...buses, natsAcks })
    const defaults = (): StreamDefaults => streamDefaults(this.#config)
    const partitions = new Partitions({
      config: () => this.#config,
      defaults,
      disk,
      files: new FileCache(disk, { maxOpen: LOG_FILES_MAX }),
      tails: new TailCache({ maxBytes: LOG_TAILS_MAX_BYTES }),
      router,
      clock,
      logger: this.#logger,
      masterKey: this.#options.masterKey,
      natsMaxPayloadBytes: () => buses.streams.maxPayloadBytes,
      onFenced: (stream, partition, reason) => reconciler.fenced(stream, partition, reason),
      replication: this.#replication(controller, run),
    })
    const replicaSubjects = new ReplicaSubjects({
      ...buses,
      serverId,
      subjects: this.#subjects,
      partitions,
      logger: this.#logger,
    })
    const report = logReconciler(this.#logger)
    this.#partitions = partitions
    const reconciler = new Reconciler({
      serverId,
      state: metadata.state,
      host: partitions,
      directories: new StreamDirectories({ disk, root: `${dataDir}/streams`, report }),
      clock,
      report,
    })
    this.#reconciler = reconciler
    if (this.#failure) reconciler.giveUpShared()
    metadata.onApplied((outcome) => reconciler.applied(outcome))
    metadata.onRestored(() => reconciler.compareAll())
    const maintenance = new Maintenance({
      directory: this.#directory,
      config: () => this.#config,
      partitions,
      pause: (stream, partition) =>
        autoPause({ controller, clock, logger: this.#logger }, stream, partition),
      clock,
      logger: this.#logger,
    })
    this.#closers.set('partitions', async () => {
      maintenance.stop()
      await reconciler.stop()
      replicaSubjects.stop()
      await run.end()
    })
    await this.#catchUp(metadata, controller)
    await run.noteCaughtUp(metadata.state.appliedIndex)
    replicaSubjects.start()
    await reconciler.start(deleted)
    maintenance.start()
    this.#context = this.#makeContext({ ...parts, router, partitions, natsAcks, defaults })
  }

  #makeContext(parts: {
    readonly metadata: Metadata
    readonly controller: Controller
    readonly brokers: Brokers
    readonly router: SubjectRouter
    readonly partitions: Partitions
    readonly natsAcks: NatsAcks
    readonly defaults: () => StreamDefaults
  }): ApiContext {
    const { serverId, clock, random, masterKey, advertised, buses } = this.#options
    const leaders = new PartitionLeaders({
      bus: buses.raft,
      subjects: this.#subjects,
      clock,
      serverId,
      leaderOf: (stream, id) => parts.metadata.state.streams.get(stream)?.partitions[id]?.leader,
      settled: (stream, id) => this.#reconciler?.settled(stream, id),
    })
    return {
      serverId,
      clock,
      random,
      logger: this.#logger,
      metadata: parts.metadata,
      controller: parts.controller,
      brokers: parts.brokers,
      streamDefaults: parts.defaults,
      partitions: parts.partitions,
      router: parts.router,
      publishes: buses.publishes,
      subjects: this.#subjects,
      natsAcks: parts.natsAcks,
      masterKey,
      advertised,
      leaders,
      stopping: this.#stopping.signal,
    }
  }
}
