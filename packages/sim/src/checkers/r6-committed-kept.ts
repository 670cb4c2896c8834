/**
 * R6: a replica never gives up what it knows to be committed, neither while its server runs nor by
 * a restart. Only a power cut, a disk that fails or a new one may take it.
 */
import type { Cluster } from '../cluster/cluster.ts'
import { hasFault } from '../workload/plan.ts'
import { Violation, type Checker } from './checker.ts'
import { replicasNow } from './replicas-now.ts'

export function committedKept(cluster: Cluster): Checker {
  if (hasFault(cluster.plan, 'disk-error', 'damage')) return {}
  const kept = new CommittedKept()
  cluster.watchers.push({
    onDown(machine, how) {
      if (how !== 'kill') kept.forget(machine.name)
    },
  })
  return {
    onStep() {
      for (const { machine, running, partition } of replicasNow(cluster)) {
        if (running.log.state === 'open') kept.see(machine.name, partition, running.log)
      }
    },
  }
}

type Ends = { readonly highWatermark: number; readonly newestOffset: number }

export class CommittedKept {
  readonly #committed = new Map<string, Map<string, number>>()

  see(server: string, partition: string, { highWatermark, newestOffset }: Ends): void {
    const own = this.#committed.get(server) ?? new Map<string, number>()
    this.#committed.set(server, own)
    const before = own.get(partition) ?? -1
    if (newestOffset < before) {
      const text = `${server} had ${partition} committed to ${before}`
      throw new Violation('R6', `${text}, and its log ends at ${newestOffset}`)
    }
    if (highWatermark > before) own.set(partition, highWatermark)
  }

  /** The server's disk has lost what was not synced, or all. */
  forget(server: string): void {
    this.#committed.delete(server)
  }
}
