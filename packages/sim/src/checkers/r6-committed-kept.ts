/**
 * R6: a replica never gives up what it knows to be committed, neither while its server runs nor by
 * a restart. Only a power cut (where nothing is synced also that of others), a disk that fails or a new one may take it, and retention: a replica
 * begins anew where its leader's log does when that begins behind the end of its own.
 */
import type { Cluster } from '../cluster/cluster.ts'
import { hasFault } from '../workload/plan.ts'
import { committedMayBeLost, Violation, type Checker } from './checker.ts'
import { beganAnew, type BeganAnew, tellsOfBeginningAnew } from './begins-anew.ts'
import { replicasNow } from './replicas-now.ts'

export function committedKept(cluster: Cluster): Checker {
  if (hasFault(cluster.plan, 'disk-error', 'damage')) return {}
  const kept = new CommittedKept()
  const mayBeLost = committedMayBeLost(cluster)
  cluster.watchers.push({
    // Between two looks what was cut off may have been copied again.
    onLog(machine, message, fields) {
      if (tellsOfBeginningAnew(message)) kept.beginAnew(beganAnew(cluster, machine, fields))
      if (fields === undefined) return
      if (message.includes(GONE)) kept.forgetStream(machine, String(fields.stream))
      if (!message.includes(CUT)) return
      kept.cut({ ...beganAnew(cluster, machine, fields), from: Number(fields.from) })
    },
    onDown(machine, how) {
      if (how !== 'kill') kept.forget(machine.name)
    },
  })
  return {
    onStep() {
      if (mayBeLost()) return
      kept.checkCuts()
      for (const { machine, running, partition } of replicasNow(cluster)) {
        if (running.log.state === 'open') kept.see(machine.name, partition, running.log)
      }
    },
  }
}

/** How a server tells that it has removed the data of a stream. */
const GONE = 'the data of a deleted stream was removed'
/** How a server tells of a truncation. */
const CUT = 'records that the leader does not have were removed'

type Ends = { readonly highWatermark: number; readonly newestOffset: number }

export class CommittedKept {
  readonly #committed = new Map<string, Map<string, number>>()
  /** Replicas, by server and partition, that are about to give up all that they have. */
  readonly #anew = new Set<string>()
  #broken: Violation | undefined

  see(server: string, partition: string, { highWatermark, newestOffset }: Ends): void {
    const own = this.#committed.get(server) ?? new Map<string, number>()
    this.#committed.set(server, own)
    const before = own.get(partition) ?? -1
    if (newestOffset < before && this.#anew.delete(`${server} ${partition}`)) {
      own.set(partition, highWatermark)
      return
    }
    if (newestOffset < before) {
      const text = `${server} had ${partition} committed to ${before}`
      throw new Violation('R6', `${text}, and its log ends at ${newestOffset}`)
    }
    own.set(partition, Math.max(highWatermark, before))
  }

  /** The log gives up what it has, up to `to`, for its leader's, which begins at `leaderOldest`. */
  beginAnew({ server, partition, to, leaderOldest }: BeganAnew): void {
    if (leaderOldest > to) {
      this.#anew.add(`${server} ${partition}`)
      return
    }
    const text = `${server} gave up ${partition} up to ${to}`
    this.#broken ??= new Violation(
      'R6',
      `${text}, and its leader has what is from ${leaderOldest} on`,
    )
  }

  /**
   * Everything from `from` up to `to` was cut off. What retention has removed from the leader's log
   * cannot be compared: a replica gives up what it does not know to be committed of it, which after
   * a restart is less than it once knew, and then begins anew.
   */
  cut({ server, partition, from, to, leaderOldest }: BeganAnew & { readonly from: number }): void {
    const own = [...(this.#committed.get(server) ?? [])]
    // The newest incarnation of that name.
    const known = own.findLast(([name]) => name === partition || name.startsWith(`${partition} `))
    if (known === undefined || from > known[1]) return
    if (leaderOldest > to && Number.isFinite(leaderOldest)) {
      this.#anew.add(`${server} ${known[0]}`)
      return
    }
    const text = `${server} had ${known[0]} committed to ${known[1]}`
    this.#broken ??= new Violation('R6', `${text}, and cut off what is from ${from} on`)
  }

  /** What the server had of a stream went with it; the next one of that name is another. */
  forgetStream(server: string, stream: string): void {
    const own = this.#committed.get(server)
    for (const partition of own?.keys() ?? []) {
      if (partition.startsWith(`${stream}/`)) own?.delete(partition)
    }
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
