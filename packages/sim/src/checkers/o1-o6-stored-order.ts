/**
 * O1: offsets of a log are dense and ascending. O6: its timestamps never run backwards. E3: nor do
 * its leader epochs. O5: it holds nothing that nobody sent to it.
 */
import type { Cluster } from '../cluster/cluster.ts'
import type { StoredRecord } from '../cluster/replica-log.ts'
import { isRetained } from '../workload/plan.ts'
import { Violation, type Checker } from './checker.ts'

export function storedOrder(cluster: Cluster): Checker {
  return {
    atEnd({ partitions }) {
      for (const { stream, partition, logs } of partitions) {
        const retained = isRetained(cluster.plan, stream)
        for (const [server, { records }] of logs) {
          const where = `${stream}/${partition} on ${server}`
          let before: StoredRecord | undefined
          for (const record of records) {
            if (before) checkNeighbours(before, record, { where, retained })
            checkSent(cluster, record, { stream, partition, where })
            before = record
          }
        }
      }
    },
  }
}

function checkNeighbours(
  before: StoredRecord,
  record: StoredRecord,
  { where, retained }: { readonly where: string; readonly retained: boolean },
): void {
  // A replica that was away goes on where its leader's log begins now.
  const fits = retained ? record.offset > before.offset : record.offset === before.offset + 1
  if (!fits) {
    throw new Violation('O1', `offset ${record.offset} follows ${before.offset} in ${where}`)
  }
  if (record.timestampNs < before.timestampNs) {
    throw new Violation('O6', `time runs backwards at offset ${record.offset} of ${where}`)
  }
  if (record.epoch < before.epoch) {
    const text = `epoch ${record.epoch} follows ${before.epoch} at offset ${record.offset} of ${where}`
    throw new Violation('E3', text)
  }
}

function checkSent(
  cluster: Cluster,
  record: StoredRecord,
  at: { readonly stream: string; readonly partition: number; readonly where: string },
): void {
  const attempt = cluster.history.byValue.get(record.value)
  if (attempt?.stream === at.stream && attempt.partition === at.partition) return
  const what = record.value.slice(0, 60)
  throw new Violation(
    'O5',
    `${what} at offset ${record.offset} of ${at.where} was never sent there`,
  )
}
