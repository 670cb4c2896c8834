/** What runs where at this moment, as the checkers that look during a run see it. */
import type { PartitionState, StreamState } from '@liftbridge/metadata'
import type { Cluster } from '../cluster/cluster.ts'
import type { Machine } from '../cluster/machine.ts'

type Context = NonNullable<NonNullable<Machine['core']>['context']>
type RunningPartition = NonNullable<ReturnType<Context['partitions']['at']>>

export interface ReplicaNow {
  readonly machine: Machine
  /** The server's own view of the metadata, which may be old. */
  readonly stream: StreamState
  readonly state: PartitionState
  readonly running: RunningPartition
  /** The same for all replicas of one incarnation of a partition. */
  readonly partition: string
}

type Look = { readonly events: number; readonly replicas: readonly ReplicaNow[] }

const latest = new WeakMap<Cluster, Look>()

/** Every partition that runs on any server, in whatever role. Several checkers look at the same moment. */
export function replicasNow(cluster: Cluster): readonly ReplicaNow[] {
  const events = cluster.scheduler.executed
  const before = latest.get(cluster)
  if (before?.events === events) return before.replicas
  const replicas = [...replicasIn(cluster)]
  latest.set(cluster, { events, replicas })
  return replicas
}

/** The same in the midst of an event, when things may change still. */
export function* replicasIn(cluster: Cluster): Generator<ReplicaNow> {
  for (const machine of cluster.machines) {
    const context = machine.core?.context
    if (context === undefined) continue
    for (const stream of context.metadata.state.streams.values()) {
      for (const state of stream.partitions) {
        const running = context.partitions.at(stream.name, state.id)
        if (running === undefined || running.incarnation !== stream.incarnation) continue
        const partition = `${stream.name}/${state.id} of incarnation ${stream.incarnation}`
        yield { machine, stream, state, running, partition }
      }
    }
  }
}
