/**
 * R9: no record gets into a log that is of a newer epoch than the one its replica leads or follows
 * in. (That records start where the log ends, that their checksums are right and that their epochs
 * do not fall is looked at in the final logs: O1, R1, E3.)
 */
import type { Cluster } from '../cluster/cluster.ts'
import { Violation, type Checker } from './checker.ts'
import { replicasNow } from './replicas-now.ts'

export function epochBound(cluster: Cluster): Checker {
  const bound = new EpochBound()
  return {
    onStep() {
      for (const { machine, state, running, partition } of replicasNow(cluster)) {
        if (state.replicas.length === 1) continue
        const { leaderEpoch, log } = running
        bound.see(`${partition} on ${machine.name}`, leaderEpoch, log)
      }
    },
  }
}

type Log = {
  readonly newestOffset: number
  /** Newest epoch of its records. */
  readonly leaderEpoch: number
}

export class EpochBound {
  readonly #ends = new Map<string, { readonly log: Log; readonly end: number }>()

  see(where: string, leaderEpoch: number, log: Log): void {
    const before = this.#ends.get(where)
    const { newestOffset: end } = log
    if (before?.log === log && before.end === end) return
    this.#ends.set(where, { log, end })
    // Metadata may be older than the log; nothing is appended then.
    if (before?.log !== log || end <= before.end || log.leaderEpoch <= leaderEpoch) return
    const text = `${where} took records up to epoch ${log.leaderEpoch}`
    throw new Violation('R9', `${text} in epoch ${leaderEpoch}`)
  }
}
