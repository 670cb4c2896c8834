/** O3: a client that sends after it got an ack, or on one call, gets ascending offsets. */
import type { Cluster } from '../cluster/cluster.ts'
import type { Attempt } from '../workload/history.ts'
import { Violation, type Checker } from './checker.ts'

export function publishOrder(cluster: Cluster): Checker {
  return {
    atEnd() {
      const routes = cluster.plan.steps.flatMap(({ action }) =>
        action.kind === 'route' ? [action] : [],
      )
      // Where copies are made and acks get lost, the first ack to come may be that of the copy.
      const copies = routes.some(({ duplication }) => duplication > 0)
      const losses = routes.some(({ loss }) => loss > 0)
      const byClient = new Map<string, Attempt[]>()
      for (const attempt of cluster.history.attempts) {
        if (attempt.outcome !== 'acked' || attempt.policy !== 'all') continue
        if (attempt.way !== 'serial' && attempt.way !== 'async') continue
        if (attempt.way === 'async' && copies && losses) continue
        const own = byClient.get(attempt.client) ?? []
        own.push(attempt)
        byClient.set(attempt.client, own)
      }
      for (const [client, attempts] of byClient) {
        let before: Attempt | undefined
        for (const attempt of attempts) {
          if (
            before &&
            !cluster.history.isCurrent(attempt.stream, before.deletionsBefore, before.invokedUs)
          )
            break
          if (before && attempt.offset <= before.offset) {
            const text = `${client}: ${attempt.value.replace(/\.+$/, '')} got offset ${attempt.offset}`
            throw new Violation('O3', `${text} after ${before.offset}`)
          }
          before = attempt
        }
      }
    },
  }
}
