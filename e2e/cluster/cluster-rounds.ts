/** Faults under load, and after every few of them a look at everything that was acknowledged. */
import { setTimeout as sleep } from 'node:timers/promises'
import { PartitionHistory, type Anomaly } from '../history.ts'
import { noCounts, type LoadCounts, type Target } from '../load.ts'
import type { Random } from '../random.ts'
import { RawConnection } from '../raw-grpc.ts'
import { encodeCreateStream } from '../raw-messages.ts'
import { readBack } from '../read-back.ts'
import { expectNone, type Report, thousands } from '../report.ts'
import { FAULTS, type Fault } from './cluster-faults.ts'
import { ClusterProcess, type Member } from './cluster-process.ts'
import { LeaderLoad } from './leader-load.ts'

export type ClusterRoundsOptions = {
  readonly servers: number
  readonly faults: number
  readonly ratePerSecond: number
  readonly random: Random
}

const REPLICAS = 3
const MIN_ISR = 2
const PARTITIONS = 3
const STREAM = 'replicated'
/** Load before each fault. */
const CALM_MS = { least: 500, most: 2_000 }
const HEALED_WITHIN_MS = 30_000
/** From a kill to the next ack, by the 99th percentile. */
const OUTAGE_P99_MS = 5_000
/** Everything is read back after so many faults. */
const FAULTS_PER_READ = 10

export async function clusterRounds(report: Report, options: ClusterRoundsOptions): Promise<void> {
  const name = `${options.servers} servers`
  let rounds: ClusterRounds | undefined
  await report.test(`${name}: start, and create a stream with ${REPLICAS} replicas`, async () => {
    rounds = await ClusterRounds.start(options)
    return `${PARTITIONS} partitions in sync`
  })
  if (rounds === undefined) return
  try {
    for (let fault = 0; fault < options.faults; fault += 1) {
      const chosen = FAULTS[fault % FAULTS.length]
      if (chosen === undefined) break
      const { current } = { current: rounds }
      await report.test(`${name}, fault ${fault + 1}: ${chosen.name}`, () =>
        current.hitWith(chosen),
      )
      if ((fault + 1) % FAULTS_PER_READ === 0 || fault + 1 === options.faults) {
        await report.test(`${name}: everything acknowledged, on every replica`, () =>
          current.verify(),
        )
      }
    }
    const { current } = { current: rounds }
    await report.test(`${name}: time from a kill to the first ack`, () => current.outages())
  } finally {
    await rounds.remove()
  }
}

class ClusterRounds {
  readonly #cluster: ClusterProcess
  readonly #options: ClusterRoundsOptions
  readonly #targets: readonly Target[]
  readonly #loads: readonly LeaderLoad[]
  readonly #counts: LoadCounts
  /** Milliseconds from a kill to the first ack of a partition whose leader was killed. */
  readonly #afterKills: number[] = []
  #loadedMs = 0

  private constructor(cluster: ClusterProcess, options: ClusterRoundsOptions) {
    this.#cluster = cluster
    this.#options = options
    this.#counts = noCounts()
    this.#targets = Array.from({ length: PARTITIONS }, (_, partition) => {
      return { stream: STREAM, partition, history: new PartitionHistory(`${STREAM} ${partition}`) }
    })
    this.#loads = this.#targets.map((target) => {
      const ratePerSecond = options.ratePerSecond / PARTITIONS
      return new LeaderLoad({ cluster, target, counts: this.#counts, ratePerSecond })
    })
  }

  static async start(options: ClusterRoundsOptions): Promise<ClusterRounds> {
    const cluster = await ClusterProcess.start(options.servers)
    try {
      const [first] = cluster.members
      if (first === undefined) throw new Error('a cluster of none')
      const connection = await RawConnection.open(first.server.address)
      const replicas = { factor: REPLICAS, minIsr: MIN_ISR }
      const request = encodeCreateStream(STREAM, 'replicated.subject', PARTITIONS, replicas)
      await connection.unary('CreateStream', request)
      connection.close()
      if (!(await cluster.healed(REPLICAS, HEALED_WITHIN_MS))) throw new Error('not in sync')
      return new ClusterRounds(cluster, options)
    } catch (error) {
      const output = cluster.output
      await cluster.remove()
      throw new Error(`${String(error)}\n${output}`, { cause: error })
    }
  }

  async hitWith(fault: Fault): Promise<string> {
    const { random } = this.#options
    const cluster = this.#cluster
    const before = this.#counts.acked.ALL
    const began = performance.now()
    for (const load of this.#loads) load.start()
    await sleep(random.between(CALM_MS.least, CALM_MS.most))
    const outagesBefore = this.#outageTimes().length
    await fault.run({
      cluster,
      random,
      leader: () => this.#leader(),
      hit: (member) => this.#hit(member),
    })
    const mended = performance.now()
    const healed = await cluster.healed(REPLICAS, HEALED_WITHIN_MS)
    const healedMs = performance.now() - mended
    // An outage that has not ended by now would not be counted.
    await sleep(CALM_MS.least)
    for (const load of this.#loads) {
      await load.stop()
      if (load.fault !== undefined) throw load.fault
    }
    const seconds = (performance.now() - began) / 1_000
    this.#loadedMs += seconds * 1_000
    const acked = this.#counts.acked.ALL - before
    const outages = this.#outageTimes().slice(outagesBefore)
    if (fault.isKill) this.#afterKills.push(...outages)
    const longest = outages.length === 0 ? 'none' : `${thousands(Math.max(...outages))} ms`
    const figures =
      `${thousands(acked)} acked, ${thousands(acked / seconds)}/s; longest outage ${longest}; ` +
      `all in sync ${thousands(healedMs)} ms after the end of it`
    if (!healed) throw new Error(`${figures}: not healed\n${cluster.output}`)
    return figures
  }

  /** Reads from the leaders, then from each replica: all must agree with what was acknowledged. */
  async verify(): Promise<string> {
    const anomalies: Anomaly[] = []
    let messages = 0
    const view = (await this.#cluster.view()) ?? []
    for (const target of this.#targets) {
      const state = view.find(({ partition }) => partition === target.partition)
      if (state === undefined) throw new Error(`partition ${target.partition} is not known`)
      for (const id of [state.leader, ...state.isr.filter((it) => it !== state.leader)]) {
        const { address } = this.#cluster.member(id).server
        const from = id === state.leader ? 'leader' : 'replica'
        const read = await readBack(address, [target], from)
        messages += read.messages
        anomalies.push(
          ...read.anomalies.map(({ kind, detail }) => ({ kind, detail: `${id}: ${detail}` })),
        )
      }
    }
    const failed = [...this.#counts.failed]
      .map(([text, count]) => `, ${count} × "${text}"`)
      .join('')
    const rate = (this.#counts.acked.ALL / this.#loadedMs) * 1_000
    const figures =
      `${thousands(messages)} messages read on all replicas, ` +
      `${thousands(this.#counts.acked.ALL)} acknowledged by ALL at ${thousands(rate)}/s${failed}`
    expectNone(anomalies, `${figures}\n${this.#cluster.output}`)
    return figures
  }

  async outages(): Promise<string> {
    const times = this.#afterKills.toSorted((a, b) => a - b)
    if (times.length === 0) return 'no leader was killed'
    const at = (share: number): number => times[Math.ceil(times.length * share) - 1] ?? 0
    const figures =
      `${times.length} partitions lost their leader: p50 ${thousands(at(0.5))} ms, p99 ${thousands(at(0.99))} ms, ` +
      `longest ${thousands(at(1))} ms`
    if (at(0.99) > OUTAGE_P99_MS) throw new Error(figures)
    return figures
  }

  remove(): Promise<void> {
    return this.#cluster.remove()
  }

  #outageTimes(): readonly number[] {
    return this.#loads.flatMap(({ outages }) => outages)
  }

  #leader(): Member {
    const load = this.#loads[this.#options.random.between(0, this.#loads.length)]
    const id = load?.leader ?? ''
    return id === '' ? this.#first() : this.#cluster.member(id)
  }

  #first(): Member {
    const [first] = this.#cluster.members
    if (first === undefined) throw new Error('a cluster of none')
    return first
  }

  #hit(member: Member): void {
    for (const load of this.#loads) if (load.leader === member.id) load.hit()
  }
}
