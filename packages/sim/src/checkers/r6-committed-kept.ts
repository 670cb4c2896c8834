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
    // Between two looks what was cut off may have been copied again.
    onLog(machine, message, fields) {
      if (!message.includes(CUT) || fields === undefined) return
      kept.cut(machine, `${String(fields.stream)}/${String(fields.partition)}`, Number(fields.from))
    },
    onDown(machine, how) {
      if (how !== 'kill') kept.forget(machine.name)
    },
  })
  return {
    onStep() {
      kept.checkCuts()
      for (const { machine, running, partition } of replicasNow(cluster)) {
        if (running.log.state === 'open') kept.see(machine.name, partition, running.log)
      }
    },
  }
}

/** How a server tells of a truncation. */
const CUT = 'records that the leader does not have were removed'

type Ends = { readonly highWatermark: number; readonly newestOffset: number }

export class CommittedKept {
  readonly #committed = new Map<string, Map<string, number>>()
  #broken: Violation | undefined

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

  /** Everything from that offset on was cut off. */
  cut(server: string, partition: string, from: number): void {
    const own = [...(this.#committed.get(server) ?? [])]
    // The newest incarnation of that name.
    const known = own.findLast(([name]) => name === partition || name.startsWith(`${partition} `))
    if (known === undefined || from > known[1]) return
    const text = `${server} had ${known[0]} committed to ${known[1]}`
    this.#broken ??= new Violation('R6', `${text}, and cut off what is from ${from} on`)
  }

  /** Throws what `cut` found. */
  checkCuts(): void {
    if (this.#broken) throw this.#broken
  }

  /** The server's disk has lost what was not synced, or all. */
  forget(server: string): void {
    this.#committed.delete(server)
  }
}
