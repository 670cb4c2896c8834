/** D7: after a sync has failed nothing more is called durable in that log; it is opened anew first. */
import type { Cluster } from '../cluster/cluster.ts'
import { Violation, type Checker } from './checker.ts'
import { replicasIn, type ReplicaNow } from './replicas-now.ts'

type Log = Pick<ReplicaNow['running']['log'], 'syncedOffset'>

export function failedSyncs(cluster: Cluster): Checker {
  const failed = new FailedSyncs()
  cluster.watchers.push({
    onSyncFailure(machine, path) {
      // Files beside the log are hints.
      if (!/\/\d{20}\.log$/.test(path)) return
      for (const { stream, state, partition, running, machine: owner } of replicasIn(cluster)) {
        const directory = cluster.partitionDirectory(stream.name, state.id)
        if (owner !== machine || !path.startsWith(`${directory}/`)) continue
        failed.fail(`${partition} on ${machine.name}`, running.log)
      }
    },
  })
  return {
    onStep: () => failed.look(),
  }
}

export class FailedSyncs {
  readonly #failed = new Map<Log, { readonly where: string; readonly syncedOffset: number }>()

  fail(where: string, log: Log): void {
    if (this.#failed.has(log)) return
    this.#failed.set(log, { where, syncedOffset: log.syncedOffset })
  }

  look(): void {
    for (const [log, { where, syncedOffset }] of this.#failed) {
      if (log.syncedOffset <= syncedOffset) continue
      const text = `a sync of ${where} failed at ${syncedOffset}`
      throw new Violation('D7', `${text}, and the log calls ${log.syncedOffset} durable`)
    }
  }
}
