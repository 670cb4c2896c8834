/**
 * R5: the leader is in the ISR, the ISR is a part of the replicas and never empty; nothing is
 * committed while it is smaller than its minimum. R4: what is committed is held by all of it.
 */
import type { Cluster } from '../cluster/cluster.ts'
import { hasFault } from '../workload/plan.ts'
import { Violation, type Checker } from './checker.ts'
import { replicasNow, type ReplicaNow } from './replicas-now.ts'

type Seen = {
  readonly run: string
  readonly partitionEpoch: number
  readonly highWatermark: number
}

export function isrRules(cluster: Cluster): Checker {
  const seen = new Map<string, Seen>()
  const losesRecords =
    hasFault(cluster.plan, 'wipe', 'disk-error') || cluster.plan.syncPolicy === 'never'
  return {
    onStep() {
      checkSets(cluster)
      const replicas = replicasNow(cluster)
      for (const leader of replicas) {
        if (!leader.running.leads) continue
        checkMinimum(leader, seen)
        if (!losesRecords) checkHeld(leader, replicas)
      }
    },
  }
}

function checkSets(cluster: Cluster): void {
  for (const machine of cluster.machines) {
    for (const { name, partitions } of machine.core?.context?.metadata.state.streams.values() ??
      []) {
      for (const { id, isr, leader, replicas } of partitions) {
        const fits = isr.includes(leader) && isr.every((one) => replicas.includes(one))
        if (fits && new Set(isr).size === isr.length) continue
        const text = `${name}/${id} on ${machine.name}: leader ${leader}, ISR ${isr.join()}`
        throw new Violation('R5', `${text}, replicas ${replicas.join()}`)
      }
    }
  }
}

function checkMinimum(
  { machine, stream, state, running, partition }: ReplicaNow,
  seen: Map<string, Seen>,
): void {
  const run = `${machine.process.name} ${running.leaderEpoch}`
  const { highWatermark } = running.log
  const before = seen.get(partition)
  const now = { run, partitionEpoch: state.epoch, highWatermark }
  seen.set(partition, now)
  const minIsr = stream.config.minIsr ?? 1
  if (before?.run !== run || before.partitionEpoch !== state.epoch || state.isr.length >= minIsr)
    return
  if (highWatermark <= before.highWatermark) return
  const text = `${partition}: ${before.highWatermark} to ${highWatermark} committed on ${machine.name}`
  throw new Violation('R5', `${text} with ISR ${state.isr.join()}, minimum ${minIsr}`)
}

/** Of members that run the partition now; who is down is looked at when it comes back. */
function checkHeld(leader: ReplicaNow, replicas: readonly ReplicaNow[]): void {
  const { highWatermark } = leader.running.log
  for (const member of replicas) {
    if (member.partition !== leader.partition || member === leader) continue
    if (!leader.state.isr.includes(member.machine.name)) continue
    const { syncedOffset } = member.running.log
    if (syncedOffset >= highWatermark || member.running.log.state !== 'open') continue
    const where = `${leader.partition} is committed to ${highWatermark} on ${leader.machine.name}`
    throw new Violation('R4', `${where}, but ${member.machine.name} of its ISR has ${syncedOffset}`)
  }
}
