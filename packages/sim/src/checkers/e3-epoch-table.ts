/** E3: the table of leader epochs says of every record what the record itself says. */
import type { Cluster } from '../cluster/cluster.ts'
import { readReplicaLog } from '../cluster/replica-log.ts'
import { Violation, type Checker } from './checker.ts'
import { replicasNow } from './replicas-now.ts'

/** Disks are read after so many looks. */
const LOOKS_BETWEEN = 160

export function epochTables(cluster: Cluster): Checker {
  let looks = 0
  const look = (): void => {
    for (const { machine, stream, state, running, partition } of replicasNow(cluster)) {
      const { log } = running
      if (log.state !== 'open' || cluster.damaged.has(machine.name)) continue
      const directory = cluster.partitionDirectory(stream.name, state.id)
      const stored = readReplicaLog(machine.disk, directory)?.records ?? []
      // What is being written, or cut off, is not in the log yet or any more.
      const held = stored.filter(({ offset }) => offset <= log.newestOffset)
      checkTable(`${partition} on ${machine.name}`, log.epochs, held)
    }
  }
  return {
    onStep() {
      if (++looks % LOOKS_BETWEEN === 0) look()
    },
    atEnd: look,
  }
}

/** Both ascending by offset. */
export function checkTable(
  where: string,
  table: readonly { readonly epoch: number; readonly start: number }[],
  records: readonly { readonly offset: number; readonly epoch: number }[],
): void {
  let at = 0
  for (const { offset, epoch } of records) {
    while ((table[at + 1]?.start ?? Infinity) <= offset) at++
    const told = table[at]
    if (told !== undefined && told.start <= offset && told.epoch === epoch) continue
    const text = `offset ${offset} of ${where} is of epoch ${epoch}`
    throw new Violation('E3', `${text}, the table says ${told?.epoch} from ${told?.start} on`)
  }
}
