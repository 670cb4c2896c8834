/**
 * The leaderships of a partition, one after the other, by their epochs. R8: whoever begins to lead
 * holds everything that was committed before, whatever became of its server or its disk meanwhile.
 * E2: once an epoch has begun at an offset, none before it commits there.
 */
import type { Cluster } from '../cluster/cluster.ts'
import { hasFault } from '../workload/plan.ts'
import { Violation, type Checker } from './checker.ts'
import { replicasNow } from './replicas-now.ts'

export function leaderships(cluster: Cluster): Checker {
  // What is lost by the user's choice, or by a disk that lies, is committed again.
  const losesRecords =
    cluster.plan.syncPolicy === 'never' || hasFault(cluster.plan, 'disk-error', 'damage')
  if (losesRecords) return {}
  const seen = new Leaderships()
  return {
    onStep() {
      for (const { machine, state, running, partition } of replicasNow(cluster)) {
        if (!running.leads || state.replicas.length === 1) continue
        const { leaderEpoch: epoch, log } = running
        const start = log.epochs.findLast((one) => one.epoch === epoch)?.start
        if (start === undefined) continue
        const { highWatermark } = log
        seen.see(partition, { epoch, leader: machine.name, start, highWatermark })
      }
    },
  }
}

export interface LeadershipNow {
  readonly epoch: number
  readonly leader: string
  /** First offset that is this leadership's own. */
  readonly start: number
  readonly highWatermark: number
}

export class Leaderships {
  readonly #byPartition = new Map<string, Map<number, LeadershipNow>>()

  see(partition: string, now: LeadershipNow): void {
    const epochs = this.#byPartition.get(partition) ?? new Map<number, LeadershipNow>()
    this.#byPartition.set(partition, epochs)
    const before = epochs.get(now.epoch)
    if (before?.highWatermark === now.highWatermark) return
    epochs.set(now.epoch, now)
    for (const other of epochs.values()) {
      if (other.epoch < now.epoch && before === undefined) checkHolds(partition, now, other)
      if (other.epoch > now.epoch) checkFenced(partition, now, other)
    }
  }
}

function checkHolds(partition: string, now: LeadershipNow, earlier: LeadershipNow): void {
  if (now.start > earlier.highWatermark) return
  const text = `${now.leader} begins to lead ${partition} in epoch ${now.epoch} at ${now.start}`
  const committed = `${earlier.leader} had committed to ${earlier.highWatermark} in ${earlier.epoch}`
  throw new Violation('R8', `${text}, but ${committed}`)
}

function checkFenced(partition: string, now: LeadershipNow, later: LeadershipNow): void {
  if (now.highWatermark < later.start) return
  const text = `${now.leader} commits ${now.highWatermark} of ${partition} in epoch ${now.epoch}`
  throw new Violation('E2', `${text}, though epoch ${later.epoch} began at ${later.start}`)
}
