/**
 * Several servers' partitions on virtual time, one NATS in memory and a disk each. The metadata is
 * one log of operations, which every server applies by itself, some later than others.
 */
import assert from 'node:assert/strict'
import {
  applyOperation,
  Failover,
  MetadataState,
  type Operation,
  type PartitionState,
  type StreamConfig,
} from '@liftbridge/metadata'
import {
  api,
  ClusterSubjects,
  create,
  decodePublishRequest,
  PublishView,
  toBinary,
  type MessageInitShape,
} from '@liftbridge/wire'
import { configFrom, type Settings } from '../config/from-settings.ts'
import type { Config } from '../config/config.ts'
import { type Logger, silentLogger } from '../logging/logger.ts'
import { arrivalAt } from '../partition/arrival.ts'
import { Collector } from '../partition/partition-fixture.suite.ts'
import { LocalNats } from './local-bus.suite.ts'
import { MemoryDisk } from './memory-disk.suite.ts'
import type { PartitionRequest } from './replication.ts'
import { STREAM, TestProcess, type ProcessSurroundings } from './test-process.suite.ts'
import { VirtualClock } from './virtual-time.suite.ts'

export class TestCluster implements ProcessSurroundings {
  readonly clock: VirtualClock = new VirtualClock()
  readonly nats: LocalNats = new LocalNats(this.clock)
  readonly subjects: ClusterSubjects = new ClusterSubjects('lift')
  readonly operations: Operation[] = []
  readonly ids: readonly string[]
  readonly processes: Map<string, TestProcess> = new Map()
  /** Why partitions were fenced, and what could not be opened. */
  readonly fences: string[] = []
  readonly failures: string[] = []
  /** Requests that reached the metadata leader, with what came of them. */
  readonly requests: string[] = []
  /** Servers that hear nothing of the metadata, and are not heard there. */
  readonly deaf: Set<string> = new Set()
  config: Config
  logger: Logger = silentLogger
  tailBytes = 4 * 1024 * 1024
  readonly #disks = new Map<string, MemoryDisk>()
  readonly #state = new MetadataState()
  readonly #failover: Failover
  readonly #view = new PublishView()

  constructor(ids: readonly string[], settings: Settings = {}) {
    this.ids = ids
    this.config = configFrom({
      'clustering.namespace': 'lift',
      'clustering.replica.max.lag.time': '2s',
      'clustering.replica.max.leader.timeout': '2s',
      'clustering.replica.max.idle.wait': '1s',
      'clustering.replica.fetch.timeout': '1s',
      ...settings,
    })
    const { maxLeaderTimeoutMs } = this.config.clustering.replica
    this.#failover = new Failover({
      timeoutMs: maxLeaderTimeoutMs,
      alive: (id) => this.processes.get(id)?.alive === true && !this.deaf.has(id),
    })
  }

  /** Starts all servers and makes a stream of one partition that all of them hold. */
  static async start(
    options: {
      readonly ids?: readonly string[]
      readonly settings?: Settings
      readonly config?: StreamConfig
    } = {},
  ): Promise<TestCluster> {
    const cluster = new TestCluster(options.ids ?? ['a', 'b', 'c'], options.settings)
    for (const id of cluster.ids) await cluster.boot(id)
    await cluster.createStream({ minIsr: 2, ...options.config })
    return cluster
  }

  async createStream(config: StreamConfig): Promise<void> {
    const { ids } = this
    this.commit({
      kind: 'create-stream',
      stream: {
        name: STREAM,
        subject: STREAM,
        group: '',
        replicationFactor: ids.length,
        config,
        creationTimestampNs: 1n,
        partitions: [{ id: 0, replicas: ids, isr: ids, leader: ids[0] ?? '' }],
      },
    })
    await this.clock.pass(100)
  }

  diskOf(id: string): MemoryDisk {
    let disk = this.#disks.get(id)
    if (disk === undefined) this.#disks.set(id, (disk = new MemoryDisk()))
    return disk
  }

  async boot(id: string): Promise<TestProcess> {
    const process = new TestProcess(this, id)
    const started = process.start()
    await this.clock.pass(0)
    await started
    this.processes.set(id, process)
    return process
  }

  /** Kills it as kill -9 does; with `power` what was not synced is gone. */
  kill(id: string, how: 'process' | 'power' = 'process'): void {
    this.on(id).die()
    if (how === 'power') this.diskOf(id).cutPower()
    else this.diskOf(id).kill()
  }

  on(id: string): TestProcess {
    const process = this.processes.get(id)
    assert.ok(process, `no process ${id}`)
    return process
  }

  get meta(): PartitionState {
    const partition = this.#state.streams.get(STREAM)?.partitions[0]
    assert.ok(partition)
    return partition
  }

  /** Who leads now, by its own word and the metadata's. */
  get leader(): TestProcess {
    const process = this.on(this.meta.leader)
    assert.equal(process.partition?.role, 'leader', `${process.id} does not lead`)
    return process
  }

  get followers(): TestProcess[] {
    return this.ids.filter((id) => id !== this.meta.leader).map((id) => this.on(id))
  }

  /** Puts an operation into the log of the metadata; every server that hears it applies it. */
  commit(operation: Operation): boolean {
    const outcome = applyOperation(this.#state, operation, this.operations.length + 1)
    // What changes nothing has its place in the log all the same.
    this.operations.push(operation)
    for (const id of this.processes.keys()) this.catchUp(id)
    return outcome.kind === 'applied'
  }

  catchUp(id: string): void {
    const process = this.processes.get(id)
    if (!process?.alive || this.deaf.has(id)) return
    for (let at = process.state.appliedIndex; at < this.operations.length; at++) {
      const operation = this.operations[at]
      if (operation !== undefined) process.apply(operation, at + 1)
    }
  }

  hearAgain(id: string): void {
    this.deaf.delete(id)
    this.catchUp(id)
  }

  /** The metadata leader, one millisecond away. */
  async submit(from: TestProcess, request: PartitionRequest): Promise<{ readonly kind: string }> {
    if (this.deaf.has(from.id) || !from.alive) {
      await new Promise<void>((resolve) => this.clock.after(500, resolve))
      return { kind: 'rejected' }
    }
    await new Promise<void>((resolve) => this.clock.after(1, resolve))
    if (!from.alive) return { kind: 'rejected' }
    const done = this.#decide(request)
    this.requests.push(`${from.id} ${request.kind} ${request.replica} ${done}`)
    return { kind: done ? 'done' : 'rejected' }
  }

  changeLeader(leader: string): void {
    const partitionEpoch = this.meta.epoch
    assert.ok(
      this.commit({ kind: 'change-leader', stream: STREAM, partition: 0, leader, partitionEpoch }),
    )
  }

  #decide(request: PartitionRequest): boolean {
    if (request.kind !== 'report-leader') return this.commit(request)
    const decision = this.#failover.report(this.#state, request, this.clock.monotonicMs())
    if (decision.kind === 'elect' || decision.kind === 'shrink') {
      return this.commit(decision.operation)
    }
    return decision.kind === 'counted'
  }

  /** Publishes to a partition in process; answers come to the sink. */
  publish(
    to: TestProcess,
    request: MessageInitShape<typeof api.PublishRequestSchema>,
    sink: Collector = new Collector(),
  ): Collector {
    assert.ok(to.partition)
    const whole = create(api.PublishRequestSchema, { expectedOffset: -1n, ...request })
    const bytes = toBinary(api.PublishRequestSchema, whole)
    assert.ok(decodePublishRequest(this.#view, bytes))
    to.partition.accept(this.#view, arrivalAt(STREAM, ''), sink)
    to.partition.kick()
    return sink
  }

  /** Publishes with AckPolicy ALL to the leader and waits until it is acknowledged. */
  async write(...values: string[]): Promise<void> {
    for (const value of values) {
      const sink = this.publish(this.leader, { value: Buffer.from(value), ackPolicy: 1 })
      const done = await this.clock.until(() => sink.answers.length > 0, 30_000)
      assert.ok(done, `${value} was not answered`)
      assert.equal(sink.answers[0]?.error, 0, `${value} was refused`)
    }
  }

  /** Lets time pass until all replicas are in the ISR and have the same records. */
  async converge(withinMs = 30_000): Promise<void> {
    const holds = (): boolean => {
      const { isr, leader } = this.meta
      if (isr.length !== this.ids.length) return false
      if (this.on(leader).partition?.role !== 'leader') return false
      const { newestOffset } = this.on(leader).log
      return this.ids.every((id) => {
        const log = this.on(id).partition?.log
        return log?.newestOffset === newestOffset && log.highWatermark === newestOffset
      })
    }
    const done = await this.clock.until(holds, withinMs)
    assert.ok(done, `not converged: ${this.describe()}`)
  }

  describe(): string {
    const { leader, leaderEpoch, isr } = this.meta
    const logs = [...this.processes.values()].map(({ id, alive, partition }) => {
      const log = partition?.log
      return alive
        ? `${id}:${partition?.role} hw ${log?.highWatermark} newest ${log?.newestOffset}`
        : `${id}:dead`
    })
    const rest = [...this.fences, ...this.failures, ...this.requests.slice(-5)]
    return `${leader}@${leaderEpoch} isr ${isr.join()}; ${logs.join('; ')}; ${rest.join('; ')}`
  }
}
