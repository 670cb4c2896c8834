/** D5: what was refused for certain never becomes readable. */
import type { Cluster } from '../cluster/cluster.ts'
import { Violation, type Checker } from './checker.ts'

/** AckError INCORRECT_OFFSET, as the ways of publishing tell it. */
const WRONG_OFFSET = /^ack error 2$|incorrect expected offset/i

export function refusedMessages(cluster: Cluster): Checker {
  // Of two copies that NATS made of one message, the second is refused for the offset that the
  // first one took [D6]: two messages to the server, one to the client.
  const isOfCopy = (error: string): boolean =>
    (cluster.marks.counts['nats.duplicated'] ?? 0) > 0 && WRONG_OFFSET.test(error)
  const check = (value: string, where: string): void => {
    const attempt = cluster.history.byValue.get(value)
    if (attempt?.outcome !== 'refused' || isOfCopy(attempt.error)) return
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
