/** O2: an offset holds one message for ever: acks, subscribers and the final logs agree on it. */
import type { Cluster } from '../cluster/cluster.ts'
import { hasFault } from '../workload/plan.ts'
import { leaderLog, promiseStands, Violation, type Checker } from './checker.ts'

export function writeOnce(cluster: Cluster): Checker {
  return {
    atEnd({ partitions }) {
      const { history } = cluster
      const current = new Map(
        partitions.map((one) => [`${one.stream}/${one.partition}`, one.replicas.length]),
      )
      const known = new Map<string, { readonly value: string; readonly where: string }>()
      const note = (key: string, value: string, where: string): void => {
        const before = known.get(key)
        if (before === undefined) {
          known.set(key, { value, where })
        } else if (before.value !== value) {
          const [a, b] = [before.value, value].map((text) => text.replace(/\.+$/, ''))
          throw new Violation('O2', `${key} is ${a} (${before.where}) and ${b} (${where})`)
        }
      }
      for (const final of partitions) {
        const { stream, partition, leader } = final
        for (const { offset, value } of leaderLog(final)?.records ?? []) {
          note(`${stream}/${partition}@${offset}`, value, `log of ${leader}`)
        }
        for (const { offset, value } of final.read ?? []) {
          note(`${stream}/${partition}@${offset}`, value, 'final read')
        }
      }
      // What subscribers got was committed, whatever the policy of its publisher; with syncs left to
      // the system a power cut may take it back.
      if (!promiseStands(cluster.plan, 'all')) return
      // With 'interval' a lone replica shows its readers what is not synced yet.
      const mayRewind =
        cluster.plan.syncPolicy === 'interval' && hasFault(cluster.plan, 'power-cut', 'disk-error')
      for (const one of history.subscriptions) {
        const { stream, partition, received, step, deletionsBefore, invokedUs } = one
        const replicas = current.get(`${stream}/${partition}`)
        if (replicas === undefined || (replicas === 1 && mayRewind)) continue
        if (!history.isCurrent(stream, deletionsBefore, invokedUs)) continue
        for (const { offset, value } of received) {
          note(`${stream}/${partition}@${offset}`, value, `subscriber #${step}`)
        }
      }
    },
  }
}
