/** A whole cluster in one process: machines, NATS, clients, and all that may go wrong with them. */
import { configFrom, type Config, type LogFields, type LogLevel } from '@liftbridge/server'
import { createSimRandom, type SimRandom } from '../random.ts'
import type { SimBus } from '../world/bus.ts'
import { Network } from '../world/network.ts'
import { SimNats } from '../world/nats.ts'
import { SimProcess } from '../world/sim-process.ts'
import { Scheduler } from '../world/scheduler.ts'
import { Trace, type TraceOptions } from '../world/trace.ts'
import { History } from '../workload/history.ts'
import { ROLES, type Plan, type Step } from '../workload/plan.ts'
import { DATA_DIR, Machine } from './machine.ts'
import { markOfLog, Marks } from './marks.ts'
import { fieldsText } from './sim-logger.ts'

/** How a server is about to go down. */
export type Down = 'kill' | 'power-cut' | 'wipe'

/** Who watches is told of these as they happen, before their effect. May throw a Violation. */
export interface Watcher {
  onDown?(machine: Machine, how: Down): void
  /** The sync of a file of a stream is about to fail. */
  onSyncFailure?(machine: Machine, path: string): void
  /** What a server's log says. Must not throw. */
  onLog?(machine: string, message: string, fields: LogFields | undefined): void
  /** No server knows anything of the metadata any more. */
  onMetadataLost?(): void
}

export class Cluster {
  /** Told of faults; checkers add themselves. */
  readonly watchers: Watcher[] = []
  readonly plan: Plan
  readonly trace: Trace
  readonly scheduler: Scheduler
  readonly random: SimRandom
  readonly network: Network
  readonly nats: SimNats
  readonly machines: readonly Machine[]
  readonly history: History = new History()
  readonly marks: Marks = new Marks()
  /** What servers could not survive; the first ends the run. */
  readonly deaths: string[] = []
  /** Machines with damage at rest: their disks prove nothing, what they serve does. */
  readonly damaged: Set<string> = new Set()
  readonly #clientProcess: SimProcess
  readonly #nextOffsets = new Map<string, number>()
  #clientBus: SimBus | undefined
  #latest: Machine | undefined

  constructor(plan: Plan, options: TraceOptions = {}) {
    this.plan = plan
    this.trace = new Trace(options)
    this.scheduler = new Scheduler(this.trace)
    this.random = createSimRandom(plan.seed)
    this.network = new Network(this.random.of('network'))
    this.network.meanDelayUs = plan.meanDelayUs
    const { scheduler, random, network } = this
    this.nats = new SimNats({
      scheduler,
      random: random.of('nats'),
      network,
      onEvent: (event) => this.marks.hit(`nats.${event.kind}`),
    })
    this.#clientProcess = new SimProcess('clients', scheduler)
    const ids = Array.from({ length: plan.servers }, (_, index) => `s${index}`)
    this.machines = ids.map((id) => this.#makeMachine(id, ids))
  }

  /** Between a client and a server, which have no NATS in between. */
  hopUs(): number {
    return this.network.hopUs()
  }

  /** By its number, or by the role it has now (see ROLES). */
  machine(index: number): Machine {
    const machine = this.#find(index)
    if (index !== ROLES.latest) this.#latest = machine
    return machine
  }

  #find(index: number): Machine {
    const machine = index < 0 ? this.#byRole(index) : this.machines[index % this.machines.length]
    if (machine === undefined) throw new Error('a cluster has machines')
    return machine
  }

  /** Roles are those in partition 0 of the first stream, as the newest metadata has them. */
  #byRole(role: number): Machine | undefined {
    if (role === ROLES.latest) return this.#latest ?? this.machines[0]
    if (role === ROLES.metadataLeader) {
      const { machines } = this
      return (
        machines.find(({ core }) => core?.context?.metadata.leadership.kind === 'here') ??
        machines[0]
      )
    }
    const contexts = this.machines.flatMap(({ core }) => (core?.context ? [core.context] : []))
    const [newest] = contexts.toSorted(
      (a, b) => b.metadata.state.appliedIndex - a.metadata.state.appliedIndex,
    )
    const partition = newest?.metadata.state.streams.get('st0')?.partitions[0]
    const followers = partition?.replicas.filter((id) => id !== partition.leader) ?? []
    const id =
      role === ROLES.leader ? partition?.leader : followers[role === ROLES.follower ? 0 : 1]
    return this.machines.find(({ name }) => name === id) ?? this.machines[0]
  }

  say(text: string): void {
    this.trace.line(this.scheduler.nowUs, text)
  }

  /** The connection of clients that publish to NATS themselves. */
  async clientBus(): Promise<SimBus> {
    this.#clientBus ??= await this.nats.connect({
      process: this.#clientProcess,
      host: 'clients',
      name: 'clients',
      echo: true,
    })
    return this.#clientBus
  }

  /** The machine a step turns to: the leader its server knows of, or that server itself. */
  targetOf(step: Step, stream?: string, partition = 0): Machine {
    // Whom a client turns to is not whom the script meant last.
    const machine = this.#find(step.via)
    if (!step.toLeader || stream === undefined) return machine
    const known = machine.core?.context?.metadata.state.streams.get(stream)
    const leader = known?.partitions[partition]?.leader
    return this.machines.find(({ name }) => name === leader) ?? machine
  }

  nextOffset(stream: string, partition: number): number {
    return this.#nextOffsets.get(`${stream}/${partition}`) ?? 0
  }

  /** Clients have seen an ack: they know more of the log's end. */
  noteOffset(stream: string, partition: number, offset: number): void {
    const key = `${stream}/${partition}`
    this.#nextOffsets.set(key, Math.max(this.nextOffset(stream, partition), offset + 1))
  }

  /** The directory of a partition on any machine. */
  partitionDirectory(stream: string, partition: number): string {
    return `${DATA_DIR}/streams/${stream}/${partition}`
  }

  #makeMachine(id: string, ids: readonly string[]): Machine {
    const machine = new Machine({
      id,
      scheduler: this.scheduler,
      random: this.random.of(id),
      nats: this.nats,
      config: serverConfig(this.plan, id, ids),
      snapshotsOften: this.plan.snapshotsOften ?? false,
      onLog: (name, level, message, fields) => this.#onLog(name, level, message, fields),
      onFailed: (failed) => this.#onFailed(failed),
      onFatal: (name, error) => {
        const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
        this.deaths.push(`${name} did not start: ${text}`)
        this.say(`${name} DID NOT START ${text}`)
      },
    })
    machine.timing.syncUs = this.plan.syncUs
    return machine
  }

  /** The process ends by itself, and the machine's supervisor starts another. */
  #onFailed(machine: Machine): void {
    this.marks.hit('server.failed')
    this.say(`${machine.name} ends: its metadata failed`)
    for (const watcher of this.watchers) watcher.onDown?.(machine, 'kill')
    machine.kill()
    this.scheduler.after(SUPERVISOR_PAUSE_US, 'supervisor', () => machine.start())
  }

  #onLog(name: string, level: LogLevel, message: string, fields: LogFields | undefined): void {
    const mark = markOfLog(message)
    if (mark !== undefined) this.marks.hit(mark)
    for (const watcher of this.watchers) watcher.onLog?.(name, message, fields)
    if (level === 'debug') return
    if (this.trace.isReadable) this.say(`${name} ${level}: ${message}${fieldsText(fields)}`)
  }
}

const SUPERVISOR_PAUSE_US = 1_000_000

function serverConfig(plan: Plan, id: string, ids: readonly string[]): Config {
  return configFrom({
    listen: '127.0.0.1:0',
    'data.dir': DATA_DIR,
    'streams.sync.policy': plan.syncPolicy,
    'streams.segment.max.bytes': plan.segmentBytes,
    'clustering.server.id': id,
    'clustering.namespace': 'sim',
    'clustering.raft.snapshot.threshold': 64,
    'clustering.replica.max.lag.time': '4s',
    'clustering.replica.max.leader.timeout': '2s',
    'clustering.replica.max.idle.wait': '1s',
    'clustering.replica.fetch.timeout': '500ms',
    ...(ids.length > 1
      ? { 'clustering.raft.bootstrap.peers': ids.filter((one) => one !== id) }
      : { 'clustering.raft.bootstrap.seed': true }),
  })
}
