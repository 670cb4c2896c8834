import type { Partition } from './partition.ts'

/** Partitions and segments named in one line; the log has them all. */
const LISTED = 10

/**
 * What `/readyz` tells of damaged segments, empty when there are none. The partitions go on: what
 * was damaged is missed, everything else is served and written.
 */
export function damageReport(partitions: Iterable<Partition>): string {
  const damaged: string[] = []
  for (const { stream, id, log } of partitions) {
    for (const { path, offset } of log.quarantined) {
      damaged.push(`${stream}/${id}: ${path} at offset ${offset}`)
    }
  }
  if (damaged.length === 0) return ''
  return `${damaged.length} damaged segments: ${damaged.slice(0, LISTED).join('; ')}`
}
