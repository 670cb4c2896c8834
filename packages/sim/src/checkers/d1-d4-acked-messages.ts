/**
 * D1 to D4: what was acknowledged is there at its offset, as long as the promise of its policy
 * stands.
 */
import type { Cluster } from '../cluster/cluster.ts'
import type { Attempt } from '../workload/history.ts'
import { isRetained } from '../workload/plan.ts'
import {
  leaderLog,
  promiseStands,
  Violation,
  type Checker,
  type FinalPartition,
} from './checker.ts'

export function ackedMessages(cluster: Cluster): Checker {
  return {
    atEnd({ partitions }) {
      const byName = new Map(partitions.map((one) => [`${one.stream}/${one.partition}`, one]))
      for (const attempt of cluster.history.attempts) {
        if (attempt.outcome !== 'acked' || attempt.policy === 'none') continue
        const { stream, deletionsBefore, invokedUs } = attempt
        if (!cluster.history.isCurrent(stream, deletionsBefore, invokedUs)) continue
        if (!promiseStands(cluster.plan, attempt.policy)) continue
        checkKept(cluster, attempt, byName.get(`${stream}/${attempt.partition}`))
      }
    },
  }
}

function checkKept(cluster: Cluster, attempt: Attempt, final: FinalPartition | undefined): void {
  const { value, offset, policy } = attempt
  const what = `${policy} ack of offset ${offset} for ${value.replace(/\.+$/, '')}`
  if (final === undefined) throw new Violation('D1', `${what}: its partition is gone`)
  const log = leaderLog(final)
  if (log === undefined) throw new Violation('D1', `${what}: leader ${final.leader} has no log`)
  const first = log.records[0]?.offset ?? 0
  if (offset < first && isRetained(cluster.plan, attempt.stream)) return
  const stored = log.records.find((record) => record.offset === offset)
  if (stored?.value === value) return
  const found = stored === undefined ? 'nothing' : stored.value.replace(/\.+$/, '')
  const end = log.records.at(-1)?.offset ?? -1
  throw new Violation(
    'D1',
    `${what}, but there is ${found} (log of ${final.leader}: ${first}..${end})`,
  )
}
