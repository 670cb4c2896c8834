/**
 * L1: when the faults have stopped, every partition has a leader, takes publishes and has all its
 * replicas in sync within 30 seconds. Afterwards everything is read once more, by clients and from
 * the disks.
 */
import { Violation, type FinalPartition, type FinalState } from '../checkers/checker.ts'
import type { Cluster } from '../cluster/cluster.ts'
import { readReplicaLog, type ReplicaLog } from '../cluster/replica-log.ts'
import { beginAttempt, publishUnary, subscribe } from '../workload/client.ts'
import type { Step } from '../workload/plan.ts'

const RECOVERY_MS = 30_000
/** The longest time that a step of a client takes without faults. */
const CLIENTS_MS = 200_000
/** Ids of the steps of this phase begin here. */
const FIRST_ID = 1_000_000

type GoOn = (untilMs: number, until?: () => boolean) => Promise<void>

export async function comeToRest(
  cluster: Cluster,
  goOn: GoOn,
  /** True when no client waits for an answer any more. */
  clientsAreDone: () => boolean,
): Promise<FinalState> {
  const { scheduler } = cluster
  const startMs = scheduler.nowUs / 1_000
  const deadlineMs = startMs + RECOVERY_MS
  const waiting = new Recovery(cluster)
  for (let nowMs = startMs; nowMs < deadlineMs; nowMs += 500) {
    waiting.look()
    await goOn(nowMs + 500)
    if (waiting.done) break
  }
  if (!waiting.done) throw new Violation('L1', `after ${RECOVERY_MS} ms: ${waiting.missing()}`)
  cluster.say(`--- recovered within ${Math.round(scheduler.nowUs / 1_000 - startMs)} ms`)
  await goOn(scheduler.nowUs / 1_000 + CLIENTS_MS, clientsAreDone)
  if (!clientsAreDone()) throw new Violation('L1', 'clients still wait, long after their deadlines')
  const finals = partitionsOf(cluster).map((one) => readPartition(cluster, one))
  const endMs = scheduler.nowUs / 1_000 + 10_000
  let partitions: readonly FinalPartition[] | undefined
  void Promise.all(finals).then((all) => {
    partitions = all
  })
  await goOn(endMs, () => partitions !== undefined)
  if (partitions === undefined) throw new Violation('L1', 'the final reads do not end')
  return { partitions }
}

type Partition = {
  readonly stream: string
  readonly partition: number
  readonly leader: string
  readonly isr: readonly string[]
  readonly replicas: readonly string[]
  readonly readonly: boolean
  readonly paused: boolean
}

/** What the server that has applied most knows. */
function partitionsOf(cluster: Cluster): Partition[] {
  const states = cluster.machines.flatMap((machine) => {
    const context = machine.serving ? machine.core?.context : undefined
    return context ? [context.metadata.state] : []
  })
  const [newest] = states.toSorted((a, b) => b.appliedIndex - a.appliedIndex)
  const streams = newest?.streams
  return [...(streams?.values() ?? [])].flatMap(({ name, partitions }) =>
    partitions.map(({ id, leader, isr, replicas, readonly, paused }) => ({
      stream: name,
      partition: id,
      leader,
      isr,
      replicas,
      readonly,
      paused,
    })),
  )
}

/** Asks every partition for a publish until all have taken one. */
class Recovery {
  readonly #cluster: Cluster
  readonly #published = new Set<string>()
  readonly #asking = new Set<string>()
  #nextId = FIRST_ID
  #lastError = ''

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  get done(): boolean {
    return this.missing() === ''
  }

  missing(): string {
    const down = this.#cluster.machines.filter(({ serving }) => !serving).map(({ name }) => name)
    if (down.length > 0) return `${down.join(', ')} do not serve`
    const applied = this.#cluster.machines.map(
      ({ core }) => core?.context?.metadata.state.appliedIndex,
    )
    if (new Set(applied).size > 1) return `metadata has been applied up to ${applied.join(', ')}`
    for (const one of partitionsOf(this.#cluster)) {
      const { stream, partition, readonly, paused, isr, replicas } = one
      const name = `${stream}/${partition}`
      // Nobody publishes to a readonly one, so nothing resumes it.
      if (readonly && paused) continue
      if (paused) return `${name} is paused`
      if (!readonly && !this.#published.has(name)) {
        return `${name} has taken no publish (${this.#lastError})`
      }
      if (isr.length < replicas.length) return `${name} has ISR ${isr.join()} of ${replicas.join()}`
    }
    return ''
  }

  look(): void {
    for (const { stream, partition, readonly, paused } of partitionsOf(this.#cluster)) {
      const name = `${stream}/${partition}`
      // A late pause: the next publish resumes it.
      if (paused) this.#published.delete(name)
      if (readonly || this.#published.has(name) || this.#asking.has(name)) continue
      this.#asking.add(name)
      void this.#publish(stream, partition).then((taken) => {
        this.#asking.delete(name)
        if (taken) this.#published.add(name)
      })
    }
  }

  async #publish(stream: string, partition: number): Promise<boolean> {
    const cluster = this.#cluster
    const id = this.#nextId++
    const via = id % cluster.machines.length
    const action = {
      kind: 'publish',
      stream,
      partition,
      count: 1,
      policy: 'all',
      way: 'unary',
      bytes: 16,
      expect: false,
    } as const
    const step: Step = { id, atMs: 0, via, toLeader: true, action }
    const attempt = beginAttempt(cluster, step, action, 0)
    await publishUnary(cluster, step, attempt)
    this.#lastError = attempt.error
    return attempt.outcome === 'acked'
  }
}

async function readPartition(cluster: Cluster, at: Partition): Promise<FinalPartition> {
  const { stream, partition, leader, isr, replicas } = at
  const machine = cluster.machines.find(({ name }) => name === leader)
  const action = {
    kind: 'subscribe',
    stream,
    partition,
    from: 'earliest',
    offset: 0,
    reverse: false,
    replica: false,
    forMs: 3_000,
  } as const
  const step: Step = { id: FIRST_ID - 1, atMs: 0, via: 0, toLeader: true, action }
  const read = machine ? await subscribe(cluster, step, action, machine) : undefined
  const logs = new Map<string, ReplicaLog>()
  for (const { name, disk } of cluster.machines) {
    if (cluster.damaged.has(name)) continue
    const log = readReplicaLog(disk, cluster.partitionDirectory(stream, partition))
    if (log && replicas.includes(name)) logs.set(name, log)
  }
  return { stream, partition, leader, isr, replicas, read: read?.received, logs }
}
