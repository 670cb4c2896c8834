/** O4: subscribers get every offset, in order, from where they asked on. O5: and nothing else. */
import type { Cluster } from '../cluster/cluster.ts'
import type { Subscription } from '../workload/history.ts'
import { isRetained } from '../workload/plan.ts'
import { promiseStands, Violation, type Checker } from './checker.ts'

export function subscriptions(cluster: Cluster): Checker {
  return {
    atEnd() {
      for (const subscription of cluster.history.subscriptions) check(cluster, subscription)
    },
  }
}

function check(cluster: Cluster, subscription: Subscription): void {
  const { received, reverse, stream, partition, step, confirmed } = subscription
  const who = `subscriber #${step} of ${stream}/${partition} at ${subscription.server}`
  if (received.length > 0 && !confirmed) {
    throw new Violation('O5', `${who} got a message before the empty one`)
  }
  const retained = isRetained(cluster.plan, stream)
  if (!retained && !reverse) checkStart(cluster, subscription, who)
  for (let index = 1; index < received.length; index++) {
    const [before, now] = [received[index - 1]?.offset ?? 0, received[index]?.offset ?? 0]
    const wanted = reverse ? before - 1 : before + 1
    if (now === wanted) continue
    if (retained && !reverse && now > before) continue
    throw new Violation('O4', `${who} got offset ${now} after ${before}`)
  }
  for (const { value, offset } of received) {
    const attempt = cluster.history.byValue.get(value)
    if (attempt?.stream === stream && attempt.partition === partition) continue
    throw new Violation(
      'O5',
      `${who} got ${value.slice(0, 60)} at ${offset}, which nobody sent there`,
    )
  }
}

/**
 * It begins where it was asked to. What lies beyond the high watermark begins with the next message
 * that is committed [LB data plane 5.5].
 */
function checkStart(cluster: Cluster, subscription: Subscription, who: string): void {
  const { startOffset, stream, partition, invokedUs, deletionsBefore } = subscription
  const [first] = subscription.received
  if (!first || startOffset === undefined || first.offset === startOffset) return
  if (!promiseStands(cluster.plan, 'all')) return
  if (!cluster.history.isCurrent(stream, deletionsBefore, invokedUs)) return
  const wasCommitted = cluster.history.attempts.some(
    (one) =>
      one.stream === stream &&
      one.partition === partition &&
      one.outcome === 'acked' &&
      one.policy === 'all' &&
      one.deletionsBefore === deletionsBefore &&
      one.offset >= startOffset &&
      one.endedUs < invokedUs,
  )
  // A replica hears of the high watermark later than its leader.
  if (first.offset < startOffset && !wasCommitted) return
  if (first.offset < startOffset && subscription.server !== 'leader' && cluster.plan.servers > 1)
    return
  throw new Violation('O4', `${who} asked for ${startOffset} and got ${first.offset}`)
}
