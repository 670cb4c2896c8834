/** One server's partitions on virtual time; see cluster.suite.ts. */
import assert from 'node:assert/strict'
import { FileCache, TailCache, type CommitLog } from '@liftbridge/log'
import { applyOperation, MetadataState, type Operation } from '@liftbridge/metadata'
import type { ClusterSubjects } from '@liftbridge/wire'
import type { Clock } from '../clock.ts'
import type { Config } from '../config/config.ts'
import { streamDefaults } from '../config/stream-defaults.ts'
import type { Logger } from '../logging/logger.ts'
import { Reconciler } from '../metadata/reconciler.ts'
import { StreamDirectories } from '../metadata/stream-directories.ts'
import { NatsAcks } from '../partition/nats-acks.ts'
import { Partitions } from '../partition/partition-host.ts'
import type { Partition } from '../partition/partition.ts'
import { SubjectRouter } from '../partition/subject-router.ts'
import type { LocalBus, LocalNats } from './local-bus.suite.ts'
import type { MemoryDisk } from './memory-disk.suite.ts'
import type { PartitionRequest } from './replication.ts'
import { ReplicaSubjects } from './replica-subjects.ts'
import { ServerRun } from './server-run.ts'
import type { VirtualClock } from './virtual-time.suite.ts'

export const STREAM = 'orders'
const DATA = '/data'

/** What a process finds around itself. */
export type ProcessSurroundings = {
  readonly clock: VirtualClock
  readonly nats: LocalNats
  readonly subjects: ClusterSubjects
  /** The log of the metadata. */
  readonly operations: readonly Operation[]
  readonly config: Config
  readonly logger: Logger
  readonly tailBytes: number
  /** Why partitions were fenced, and what could not be opened. */
  readonly fences: string[]
  readonly failures: string[]
  diskOf(id: string): MemoryDisk
  submit(from: TestProcess, request: PartitionRequest): Promise<{ readonly kind: string }>
}

/** A process' time stands still for it once it is dead. */
function clockOf(clock: VirtualClock, isAlive: () => boolean): Clock {
  return {
    wallNs: () => clock.wallNs(),
    monotonicMs: () => clock.monotonicMs(),
    after: (ms, callback) => clock.after(ms, () => isAlive() && callback()),
  }
}

/** One run of one server. */
export class TestProcess {
  readonly id: string
  readonly state: MetadataState = new MetadataState()
  readonly buses: { readonly replication: LocalBus; readonly rest: LocalBus }
  readonly subjects: ReplicaSubjects
  alive = true
  readonly router: SubjectRouter
  #partitions: Partitions | undefined
  #reconciler: Reconciler | undefined
  readonly #cluster: ProcessSurroundings
  #run: ServerRun | undefined

  constructor(cluster: ProcessSurroundings, id: string) {
    this.#cluster = cluster
    this.id = id
    this.buses = { replication: cluster.nats.connect(id), rest: cluster.nats.connect(id) }
    const { rest } = this.buses
    const natsAcks = new NatsAcks({ bus: rest, namespace: 'lift', logger: cluster.logger })
    this.router = new SubjectRouter({ streams: rest, publishes: rest, natsAcks })
    this.subjects = new ReplicaSubjects({
      serverId: id,
      subjects: cluster.subjects,
      replication: this.buses.replication,
      raft: this.buses.rest,
      partitions: {
        at: (stream, partition) => this.partitions.at(stream, partition),
        notified: (stream, partition) => this.partitions.notified(stream, partition),
      },
      logger: cluster.logger,
    })
  }

  get partitions(): Partitions {
    assert.ok(this.#partitions)
    return this.#partitions
  }

  get reconciler(): Reconciler {
    assert.ok(this.#reconciler)
    return this.#reconciler
  }

  get partition(): Partition | undefined {
    return this.#partitions?.at(STREAM, 0)
  }

  get log(): CommitLog {
    assert.ok(this.partition, `${this.id} runs no partition`)
    return this.partition.log
  }

  async start(): Promise<void> {
    const cluster = this.#cluster
    const disk = cluster.diskOf(this.id).attach()
    const clock = clockOf(cluster.clock, () => this.alive)
    await disk.makeDirectory(DATA)
    this.#run = await ServerRun.begin({ disk, directory: DATA, serverId: this.id, clock })
    for (const [index, operation] of cluster.operations.entries()) {
      applyOperation(this.state, operation, index + 1)
    }
    await this.#run.noteCaughtUp(this.state.appliedIndex)
    const { replication, rest } = this.buses
    const partitions = new Partitions({
      config: () => cluster.config,
      defaults: () => streamDefaults(cluster.config),
      disk,
      files: new FileCache(disk, { maxOpen: 64 }),
      tails: new TailCache({ maxBytes: cluster.tailBytes }),
      router: this.router,
      clock,
      logger: cluster.logger,
      masterKey: undefined,
      natsMaxPayloadBytes: () => rest.maxPayloadBytes,
      onFenced: (stream, partition, reason) => {
        if (!this.alive) return
        cluster.fences.push(`${this.id}: ${reason}`)
        this.reconciler.fenced(stream, partition, reason)
      },
      replication: {
        serverId: this.id,
        bus: replication,
        answers: rest,
        subjects: cluster.subjects,
        timing: () => cluster.config.clustering.replica,
        submit: (request) => cluster.submit(this, request),
        run: this.#run,
      },
    })
    this.#partitions = partitions
    this.#reconciler = new Reconciler({
      serverId: this.id,
      state: this.state,
      host: partitions,
      directories: new StreamDirectories({
        disk,
        root: `${DATA}/streams`,
        report: () => undefined,
      }),
      clock,
      report: (report) => {
        if (report.kind === 'partition-failed') {
          cluster.failures.push(`${this.id}: ${String(report.error)}`)
        }
      },
    })
    this.subjects.start()
    await this.#reconciler.start([])
  }

  /** Applies an operation of the log; the next one, unless `deaf` has kept some back. */
  apply(operation: Operation, index: number): void {
    const outcome = applyOperation(this.state, operation, index)
    if (outcome.kind === 'applied') this.reconciler.applied(outcome)
  }

  async stop(): Promise<void> {
    await this.reconciler.stop()
    this.subjects.stop()
    await this.#run?.end()
    this.die()
  }

  die(): void {
    this.alive = false
    void this.buses.replication.close()
    void this.buses.rest.close()
  }
}
