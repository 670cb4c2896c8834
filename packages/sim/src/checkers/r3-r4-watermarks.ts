/**
 * R3: the high watermark never passes the end of its log, and the one on disk never what is
 * durable there. R4: it never falls while its server runs.
 */
import type { Cluster } from '../cluster/cluster.ts'
import { readReplicaLog } from '../cluster/replica-log.ts'
import { Violation, type Checker } from './checker.ts'
import { replicasNow } from './replicas-now.ts'

export function watermarks(cluster: Cluster): Checker {
  const seen = new Map<string, { readonly log: object; readonly highWatermark: number }>()
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
        if (before?.log === log && before.highWatermark > highWatermark) {
          const text = `high watermark of ${where} fell from ${before.highWatermark} to ${highWatermark}`
          throw new Violation('R4', text)
        }
        seen.set(where, { log, highWatermark })
      }
    },
    atEnd({ partitions }) {
      if (cluster.plan.syncPolicy === 'never') return
      for (const { stream, partition, replicas } of partitions) {
        for (const machine of cluster.machines.filter(({ name }) => replicas.includes(name))) {
          const directory = cluster.partitionDirectory(stream, partition)
          const durable = readReplicaLog(machine.disk, directory, 'durable')
          if (durable === undefined) continue
          const end = durable.records.at(-1)?.offset ?? -1
          if (durable.checkpoint <= end) continue
          const text = `${stream}/${partition} on ${machine.name}: checkpoint ${durable.checkpoint}`
          throw new Violation('R3', `${text} is beyond what is durable, ${end}`)
        }
      }
    },
  }
}
