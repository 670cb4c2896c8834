/** R1: one offset and epoch, one record. R2: replicas agree on everything committed. */
import type { Cluster } from '../cluster/cluster.ts'
import { readReplicaLog } from '../cluster/replica-log.ts'
import { committedMayBeLost, leaderLog, Violation, type Checker } from './checker.ts'
import { replicasNow, type ReplicaNow } from './replicas-now.ts'

/** Disks are compared after so many looks. */
const LOOKS_BETWEEN = 80

export function logMatching(cluster: Cluster): Checker {
  let looks = 0
  const mayBeLost = committedMayBeLost(cluster)
  return {
    onStep() {
      // A replica that has not found its leader yet has what it had; at the end all agree.
      if (++looks % LOOKS_BETWEEN === 0 && !mayBeLost()) compareCommitted(cluster)
    },
    atEnd({ partitions }) {
      for (const final of partitions) {
        const { stream, partition, leader, logs, isr } = final
        const leading = new Map((leaderLog(final)?.records ?? []).map((one) => [one.offset, one]))
        for (const [server, { records }] of logs) {
          if (server === leader) continue
          for (const record of records) {
            const other = leading.get(record.offset)
            const where = `offset ${record.offset} of ${stream}/${partition}`
            if (other && other.epoch === record.epoch && other.print !== record.print) {
              throw new Violation(
                'R1',
                `${where} differs on ${leader} and ${server} in epoch ${record.epoch}`,
              )
            }
            if (!isr.includes(server)) continue
            if (other && other.print !== record.print) {
              throw new Violation(
                'R2',
                `${where} differs on ${leader} (${other.print}) and ${server} (${record.print})`,
              )
            }
          }
        }
      }
    },
  }
}

/** What two servers call committed now is the same on their disks. */
function compareCommitted(cluster: Cluster): void {
  const byPartition = new Map<string, ReplicaNow[]>()
  for (const replica of replicasNow(cluster)) {
    if (cluster.damaged.has(replica.machine.name)) continue
    const sharing = byPartition.get(replica.partition) ?? []
    sharing.push(replica)
    byPartition.set(replica.partition, sharing)
  }
  for (const [partition, [first, ...others]] of byPartition) {
    if (first === undefined || others.length === 0) continue
    const own = committedPrints(cluster, first)
    for (const other of others) {
      for (const [offset, print] of committedPrints(cluster, other)) {
        const known = own.get(offset)
        if (known === undefined || known === print) continue
        const names = `${first.machine.name} (${known}) and ${other.machine.name} (${print})`
        throw new Violation('R2', `committed offset ${offset} of ${partition} differs on ${names}`)
      }
    }
  }
}

function committedPrints(
  cluster: Cluster,
  { machine, stream, state, running }: ReplicaNow,
): Map<number, string> {
  const directory = cluster.partitionDirectory(stream.name, state.id)
  const { highWatermark } = running.log
  const records = readReplicaLog(machine.disk, directory)?.records ?? []
  return new Map(
    records
      .filter(({ offset }) => offset <= highWatermark)
      .map(({ offset, print }) => [offset, print]),
  )
}
