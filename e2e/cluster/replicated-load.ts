/** A cluster with one replicated stream, load on all its partitions, and all that is known of it. */
import { type Anomaly, PartitionHistory } from '../history.ts'
import { until } from '../child.ts'
import { type LoadCounts, noCounts, type Target } from '../load.ts'
import { RawConnection } from '../raw-grpc.ts'
import { encodeCreateStream } from '../raw-messages.ts'
import { readBack } from '../read-back.ts'
import { thousands } from '../report.ts'
import { type ClusterOptions, ClusterProcess, type Member } from './cluster-process.ts'
import { LeaderLoad } from './leader-load.ts'
import { WatermarkWatch } from './watermark-watch.ts'

export type ReplicatedLoadOptions = ClusterOptions & {
  /** Over all partitions. */
  readonly ratePerSecond: number
  readonly minIsr?: number
  readonly partitions?: number
}

export type Verified = {
  readonly messages: number
  readonly anomalies: readonly Anomaly[]
  readonly figures: string
}

const REPLICAS = 3
const MIN_ISR = 2
const PARTITIONS = 3
const STREAM = 'replicated'
const SUBJECT = 'replicated.subject'
const IN_SYNC_WITHIN_MS = 30_000
const FIRST_ACK_WITHIN_MS = 20_000

export class ReplicatedLoad {
  readonly cluster: ClusterProcess
  readonly targets: readonly Target[]
  readonly replicas = REPLICAS
  readonly #loads: readonly LeaderLoad[]
  readonly #counts: LoadCounts = noCounts()
  readonly #watch: WatermarkWatch
  /** From each hit of a partition's leader to its next ack, in the order of their ends. */
  readonly outagesMs: number[] = []

  private constructor(cluster: ClusterProcess, options: ReplicatedLoadOptions) {
    const { ratePerSecond, partitions = PARTITIONS } = options
    this.cluster = cluster
    this.targets = Array.from({ length: partitions }, (_, partition) => {
      return { stream: STREAM, partition, history: new PartitionHistory(`${STREAM} ${partition}`) }
    })
    const share = ratePerSecond / partitions
    const counts = this.#counts
    const onOutage = (ms: number): unknown => this.outagesMs.push(ms)
    this.#loads = this.targets.map(
      (target) => new LeaderLoad({ cluster, target, counts, ratePerSecond: share, onOutage }),
    )
    this.#watch = new WatermarkWatch(cluster)
  }

  static async start(options: ReplicatedLoadOptions): Promise<ReplicatedLoad> {
    const cluster = await ClusterProcess.start(options)
    try {
      const [first] = cluster.members
      if (first === undefined) throw new Error('a cluster of none')
      const connection = await RawConnection.open(first.server.address)
      const replicas = { factor: REPLICAS, minIsr: options.minIsr ?? MIN_ISR }
      const partitions = options.partitions ?? PARTITIONS
      const request = encodeCreateStream(STREAM, SUBJECT, partitions, replicas)
      await connection.unary('CreateStream', request)
      connection.close()
      if (!(await cluster.healed(REPLICAS, IN_SYNC_WITHIN_MS))) throw new Error('not in sync')
      return new ReplicatedLoad(cluster, options)
    } catch (error) {
      const { output } = cluster
      await cluster.remove()
      throw new Error(`${String(error)}\n${output}`, { cause: error })
    }
  }

  /** Messages acknowledged by ALL. */
  get acked(): number {
    return this.#counts.acked.ALL
  }

  /** How often a server told how far a replica can be read. */
  get watermarks(): number {
    return this.#watch.notes
  }

  begin(): void {
    for (const load of this.#loads) load.start()
  }

  /** Until something is acknowledged that was not when it was called; rejects when nothing is. */
  async firstAck(): Promise<void> {
    const before = this.acked
    if (await until(() => this.acked > before, FIRST_ACK_WITHIN_MS)) return
    throw new Error(`no ack within ${FIRST_ACK_WITHIN_MS} ms\n${this.cluster.output}`)
  }

  /** Stops publishing; rejects when a server sent what no server may send. */
  async end(): Promise<void> {
    await Promise.all(this.#loads.map((load) => load.stop()))
    for (const { fault } of this.#loads) if (fault !== undefined) throw fault
  }

  /** Reads from the leaders, then from each replica: all must agree with what was acknowledged. */
  async verify(): Promise<Verified> {
    const anomalies: Anomaly[] = []
    let messages = 0
    const view = (await this.cluster.view()) ?? []
    for (const target of this.targets) {
      const state = view.find(({ partition }) => partition === target.partition)
      if (state === undefined) throw new Error(`partition ${target.partition} is not known`)
      for (const id of [state.leader, ...state.isr.filter((it) => it !== state.leader)]) {
        const { address } = this.cluster.member(id).server
        const from = id === state.leader ? 'leader' : 'replica'
        const read = await readBack(address, [target], from)
        messages += read.messages
        anomalies.push(
          ...read.anomalies.map(({ kind, detail }) => ({ kind, detail: `${id}: ${detail}` })),
          ...this.#watch.check(target.stream, target.partition, target.history.length),
        )
      }
    }
    const failed = [...this.#counts.failed]
      .map(([text, count]) => `, ${count} × "${text}"`)
      .join('')
    const figures =
      `${thousands(messages)} messages read on all replicas, ${thousands(this.acked)} acknowledged ` +
      `by ALL, ${thousands(this.watermarks)} high watermarks told${failed}`
    return { messages, anomalies, figures }
  }

  /** The leader of a partition, as far as is known. */
  leaderOf(partition: number): Member {
    const id = this.#loads[partition]?.leader ?? ''
    return this.cluster.member(id === '' ? 's1' : id)
  }

  /** Told at the moment at which a server cannot answer any more. */
  hit(member: Member): void {
    for (const load of this.#loads) if (load.leader === member.id) load.hit()
  }

  async remove(): Promise<void> {
    await this.cluster.remove()
    await this.#watch.stop()
  }
}
