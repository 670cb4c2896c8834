/** What watches a run. A checker is a file that names the invariants it stands for. */
import type { Cluster } from '../cluster/cluster.ts'
import type { ReplicaLog } from '../cluster/replica-log.ts'
import type { Received } from '../workload/history.ts'
import { hasFault, type AckWish, type Plan } from '../workload/plan.ts'

/** The promise that was broken, and how. */
export class Violation extends Error {
  readonly invariant: string

  constructor(invariant: string, text: string) {
    super(`${invariant}: ${text}`)
    this.name = 'Violation'
    this.invariant = invariant
  }
}

/** A partition after the run has come to rest: what clients read of it, and what disks hold. */
export interface FinalPartition {
  readonly stream: string
  readonly partition: number
  readonly leader: string
  readonly isr: readonly string[]
  readonly replicas: readonly string[]
  /** Read through Subscribe from the earliest on; undefined when it could not be read. */
  readonly read: readonly Received[] | undefined
  /** By server: the log as it lies on the disk. */
  readonly logs: ReadonlyMap<string, ReplicaLog>
}

export interface FinalState {
  readonly partitions: readonly FinalPartition[]
}

export interface Checker {
  /** Looks now and then during the run. Throws a Violation. */
  onStep?(): void
  /** Looks at the end, after everything has come to rest. Throws a Violation. */
  atEnd?(final: FinalState): void
}

export type CheckerMaker = (cluster: Cluster) => Checker

/**
 * The records of the leader's log: what the cluster says its partition holds. A paused partition's
 * leader may have nothing; what another replica has counts then.
 */
export function leaderLog({ leader, logs }: FinalPartition): ReplicaLog | undefined {
  const [longest] = [...logs.values()].toSorted((a, b) => b.records.length - a.records.length)
  return logs.get(leader) ?? longest
}

/**
 * Tells whether power was lost where nothing is ever synced. From then on every member of an ISR may
 * have lost what was committed; one leads with what it has, and the others follow it [L1].
 */
export function committedMayBeLost(cluster: Cluster): () => boolean {
  let isLost = false
  cluster.watchers.push({
    onDown(_machine, how) {
      isLost ||= how === 'power-cut' && cluster.plan.syncPolicy === 'never'
    },
  })
  return () => isLost
}

/** Whether the faults of this run leave the promise of an ack policy standing. */
export function promiseStands(plan: Plan, policy: AckWish): boolean {
  const losesUnsynced = hasFault(plan, 'power-cut', 'disk-error')
  if (policy === 'all') return plan.syncPolicy !== 'never' || !losesUnsynced
  // The promise of LEADER ends with a change of the leader.
  if (policy === 'none' || plan.servers > 1) return false
  return plan.syncPolicy === 'always' || !losesUnsynced
}
