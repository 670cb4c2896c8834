/** What a log holds, for tests. */
import { RecordView, recordSize, type CommitLog } from '@liftbridge/log'

/** All records of a log as they are stored. */
export async function recordsOf(
  log: CommitLog,
  until: 'committed' | 'written' = 'written',
): Promise<Buffer[]> {
  const records: Buffer[] = []
  const reader = log.reader({ from: 0, until })
  for (;;) {
    const block = await reader.poll()
    if (block === undefined || block.kind === 'end') break
    for (let at = block.start; at < block.end;) {
      const size = recordSize(block.bytes, at)
      records.push(Buffer.from(block.bytes.subarray(at, at + size)))
      at += size
    }
  }
  reader.close()
  return records
}

export async function valuesOf(
  log: CommitLog,
  until: 'committed' | 'written' = 'written',
): Promise<string[]> {
  const view = new RecordView()
  return (await recordsOf(log, until)).map((record) => {
    view.load(record, 0)
    return record.toString('utf8', view.valueStart, view.valueEnd)
  })
}
