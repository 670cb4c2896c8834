/** E1: an epoch of a partition with several replicas is led by one run of one server. */
import type { Cluster } from '../cluster/cluster.ts'
import { Violation, type Checker } from './checker.ts'
import { replicasNow } from './replicas-now.ts'

export function oneLeader(cluster: Cluster): Checker {
  const leaders = new Map<string, string>()
  return {
    onStep() {
      for (const { machine, state, running, partition } of replicasNow(cluster)) {
        if (!running.leads || state.replicas.length === 1) continue
        const epoch = `${partition} epoch ${running.leaderEpoch}`
        const run = machine.process.name
        const before = leaders.get(epoch)
        if (before === undefined) leaders.set(epoch, run)
        else if (before !== run)
          throw new Violation('E1', `${epoch} was led by ${before} and by ${run}`)
      }
    },
  }
}
