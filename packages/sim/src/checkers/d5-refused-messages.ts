/** D5: what was refused for certain never becomes readable. */
import type { Cluster } from '../cluster/cluster.ts'
import { Violation, type Checker } from './checker.ts'

export function refusedMessages(cluster: Cluster): Checker {
  const check = (value: string, where: string): void => {
    const attempt = cluster.history.byValue.get(value)
    if (attempt?.outcome !== 'refused') return
    const text = `${value.replace(/\.+$/, '')} was refused (${attempt.error}) and is in ${where}`
    throw new Violation('D5', text)
  }
  return {
    atEnd({ partitions }) {
      for (const { stream, partition, logs } of partitions) {
        for (const [server, { records }] of logs) {
          for (const { value } of records) check(value, `${stream}/${partition} on ${server}`)
        }
      }
      for (const { received, stream, partition } of cluster.history.subscriptions) {
        for (const { value } of received)
          check(value, `what a subscriber of ${stream}/${partition} got`)
      }
    },
  }
}
