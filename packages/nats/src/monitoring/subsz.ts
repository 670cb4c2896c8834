import { ClientConnection } from '../clients/client-connection.ts'
import { covers, isLiteralSubject, toByteString } from '../routing/subject.ts'
import { BadQuery, describeSubscription, flagIn, pageOf, type MonitorSource } from './page.ts'

/**
 * How subjects are routed. `?subs=1` lists the subscriptions, `test=SUBJECT` those that a message
 * on the subject would reach; connections inside the process have the cid 0.
 */
export function subsz(source: MonitorSource, query: URLSearchParams): object {
  const { tree, counts } = source.router
  const { inserts, removes, walks } = tree.counts
  // Each message is one question; those of programs inside the process come on top of it.
  const matches = Math.max(counts.inMessages, walks)
  const fanouts = [...tree.cached()].map(({ plain, queues }) => plain.length + queues.length)
  const sum = fanouts.reduce((total, fanout) => total + fanout, 0)
  const summary = {
    server_id: source.info().server_id,
    now: new Date().toISOString(),
    num_subscriptions: tree.size,
    num_cache: fanouts.length,
    num_inserts: inserts,
    num_removes: removes,
    num_matches: matches,
    cache_hit_rate: matches === 0 ? 0 : 1 - walks / matches,
    max_fanout: fanouts.reduce((most, fanout) => Math.max(most, fanout), 0),
    avg_fanout: fanouts.length === 0 ? 0 : sum / fanouts.length,
  }
  const test = query.get('test') ?? ''
  if (!flagIn(query, 'subs') && test === '') return summary
  if (test !== '' && !isLiteralSubject(test)) {
    throw new BadQuery('invalid test subject, must not have wildcards')
  }
  const { offset, limit } = pageOf(query)
  const listed: object[] = []
  let total = 0
  for (const subscription of tree.values()) {
    if (test !== '' && !covers(subscription.subject, toByteString(test))) continue
    total++
    if (total <= offset || listed.length >= limit) continue
    const { owner } = subscription
    listed.push(
      describeSubscription(subscription, owner instanceof ClientConnection ? owner.id : 0),
    )
  }
  return { ...summary, total, offset, limit, subscriptions_list: listed }
}
