/** D6: one received message is stored at most once. */
import type { Cluster } from '../cluster/cluster.ts'
import { Violation, type Checker } from './checker.ts'

export function storedOnce(cluster: Cluster): Checker {
  return {
    atEnd({ partitions }) {
      const doubles = cluster.plan.steps.some(
        ({ action }) => action.kind === 'route' && action.duplication > 0,
      )
      // Then the servers received some messages twice.
      if (doubles) return
      for (const { stream, partition, logs } of partitions) {
        for (const [server, { records }] of logs) {
          const seen = new Map<string, number>()
          for (const { value, offset } of records) {
            const before = seen.get(value)
            if (before !== undefined) {
              const what = `${value.replace(/\.+$/, '')} is at offsets ${before} and ${offset}`
              throw new Violation('D6', `${what} of ${stream}/${partition} on ${server}`)
            }
            seen.set(value, offset)
          }
        }
      }
    },
  }
}
