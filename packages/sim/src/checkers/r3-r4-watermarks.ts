/**
 * R3: the high watermark never passes the end of its log, and the one on disk never what is
 * durable there. R4: it never falls while its server runs, unless the replica begins anew.
 */
import type { Cluster } from '../cluster/cluster.ts'
import type { Machine } from '../cluster/machine.ts'
import { readReplicaLog } from '../cluster/replica-log.ts'
import { hasFault } from '../workload/plan.ts'
import { committedMayBeLost, Violation, type Checker } from './checker.ts'
import { beganAnew, tellsOfBeginningAnew } from './begins-anew.ts'
import { replicasIn, replicasNow } from './replicas-now.ts'

export function watermarks(cluster: Cluster): Checker {
  const seen = new Map<string, { readonly log: object; readonly highWatermark: number }>()
  const anew = new Set<string>()
  const mayBeLost = committedMayBeLost(cluster)
  cluster.watchers.push({
    onDown(machine, how) {
      if (how === 'power-cut') checkCheckpoints(cluster, machine)
    },
    onLog(machine, message, fields) {
      // Whether it may is R6's to say.
      if (tellsOfBeginningAnew(message))
        anew.add(`${beganAnew(cluster, machine, fields).partition} on ${machine}`)
    },
  })
  return {
    onStep() {
      for (const { machine, running, partition } of replicasNow(cluster)) {
        const { log } = running
        const where = `${partition} on ${machine.name}`
        const { highWatermark, newestOffset } = log
        if (highWatermark > newestOffset) {
          const text = `high watermark ${highWatermark} of ${where} is beyond ${newestOffset}`
          throw new Violation('R3', text)
        }
        const before = seen.get(where)
        const fell = before?.log === log && before.highWatermark > highWatermark
        if (fell && !anew.delete(where) && !mayBeLost()) {
          const text = `high watermark of ${where} fell from ${before.highWatermark} to ${highWatermark}`
          throw new Violation('R4', text)
        }
        seen.set(where, { log, highWatermark })
      }
    },
    atEnd() {
      for (const machine of cluster.machines) checkCheckpoints(cluster, machine)
    },
  }
}

function checkCheckpoints(cluster: Cluster, machine: Machine): void {
  const { plan, damaged } = cluster
  // Without syncs there is nothing durable; a disk that lies is caught in that later.
  if (plan.syncPolicy === 'never' || hasFault(plan, 'disk-error')) return
  if (damaged.has(machine.name)) return
  for (const replica of replicasIn(cluster)) {
    if (replica.machine !== machine) continue
    const directory = cluster.partitionDirectory(replica.stream.name, replica.state.id)
    const durable = readReplicaLog(machine.disk, directory, 'durable')
    if (durable === undefined) continue
    const end = durable.records.at(-1)?.offset ?? -1
    checkCheckpoint(`${replica.partition} on ${machine.name}`, durable.checkpoint, end)
  }
}

/** `end` is the offset of the last durable record. */
export function checkCheckpoint(where: string, checkpoint: number, end: number): void {
  if (checkpoint <= end) return
  throw new Violation('R3', `${where}: checkpoint ${checkpoint} is beyond what is durable, ${end}`)
}
