/** What the partitions that run on this server are, and what they hold. */
import type { Partition } from '../partition/partition.ts'
import { type Metric, type Sample, single } from './metric.ts'

/**
 * So many partitions have values of their own, in the order in which they were opened: a server
 * with more would answer each scrape with megabytes. The sums are of all.
 */
const LISTED_MAX = 1000

const ROLES = ['leader', 'follower', 'candidate', 'none'] as const

export function partitionMetrics(all: () => Iterable<Partition>): readonly Metric[] {
  const each = (name: string, help: string, value: (partition: Partition) => number): Metric => ({
    name: `liftbridge_partition_${name}`,
    help,
    labels: ['stream', 'partition'],
    read: () => listed(all(), value),
  })
  const count = (wanted: (partition: Partition) => boolean): number => {
    let found = 0
    for (const partition of all()) if (wanted(partition)) found++
    return found
  }
  const sum = (value: (partition: Partition) => number): number => {
    let total = 0
    for (const partition of all()) total += value(partition)
    return total
  }
  return [
    {
      name: 'liftbridge_partitions',
      help: 'Partitions that run on this server, by what it does for them',
      labels: ['role'],
      read: () =>
        ROLES.map((role) => ({
          labels: { role },
          value: count((partition) => partition.role === role),
        })),
    },
    single('liftbridge_partitions_fenced', 'Partitions whose log has failed', () =>
      count(({ fenced }) => fenced),
    ),
    single('liftbridge_damaged_segments', 'Segments set aside because they are damaged', () =>
      sum(({ log }) => log.quarantined.length),
    ),
    single('liftbridge_log_size_bytes', 'All log files', () => sum(({ log }) => log.sizeBytes)),
    single('liftbridge_subscriptions', 'Open Subscribe calls', () =>
      sum(({ subscribers }) => subscribers),
    ),
    single('liftbridge_partitions_unlisted', 'Partitions without values of their own here', () =>
      Math.max(0, count(() => true) - LISTED_MAX),
    ),
    each(
      'newest_offset',
      'Offset of the newest message, -1 for none',
      ({ log }) => log.newestOffset,
    ),
    each(
      'oldest_offset',
      'Offset of the oldest message, -1 for none',
      ({ log }) => log.oldestOffset,
    ),
    each(
      'high_watermark',
      'Offset up to which messages are on all replicas in sync, -1 for none',
      ({ log }) => log.highWatermark,
    ),
    each('isr_size', 'Replicas in sync', ({ isr }) => isr.length),
    each('size_bytes', 'Log files of the partition', ({ log }) => log.sizeBytes),
    each('leader', 'Whether this server leads the partition (1)', ({ leads }) => (leads ? 1 : 0)),
  ]
}

function* listed(
  partitions: Iterable<Partition>,
  value: (partition: Partition) => number,
): Generator<Sample> {
  let left = LISTED_MAX
  for (const partition of partitions) {
    if (left-- === 0) return
    const { stream, id } = partition
    yield { labels: { stream, partition: String(id) }, value: value(partition) }
  }
}
