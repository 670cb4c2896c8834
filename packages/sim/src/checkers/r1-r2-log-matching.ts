/** R1: one offset and epoch, one record. R2: replicas agree on everything committed. */
import type { Cluster } from '../cluster/cluster.ts'
import { leaderLog, Violation, type Checker } from './checker.ts'

export function logMatching(_cluster: Cluster): Checker {
  return {
    atEnd({ partitions }) {
      for (const final of partitions) {
        const { stream, partition, leader, logs, isr } = final
        const leading = new Map((leaderLog(final)?.records ?? []).map((one) => [one.offset, one]))
        for (const [server, { records }] of logs) {
          if (server === leader) continue
          for (const record of records) {
            const other = leading.get(record.offset)
            const where = `offset ${record.offset} of ${stream}/${partition}`
            if (other && other.epoch === record.epoch && other.print !== record.print) {
              throw new Violation(
                'R1',
                `${where} differs on ${leader} and ${server} in epoch ${record.epoch}`,
              )
            }
            if (!isr.includes(server)) continue
            if (other && other.print !== record.print) {
              throw new Violation(
                'R2',
                `${where} differs on ${leader} (${other.print}) and ${server} (${record.print})`,
              )
            }
          }
        }
      }
    },
  }
}
