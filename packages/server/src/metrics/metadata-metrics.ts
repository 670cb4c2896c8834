/** What the metadata says of all streams, and where Raft stands. */
import type { RaftStatus } from '@liftbridge/raft'
import type { Metadata } from '../metadata/metadata.ts'
import type { Reconciler } from '../metadata/reconciler.ts'
import { type Metric, single } from './metric.ts'

/** The parts of a server that know; undefined while they have not been started. */
export type MeasuredMetadata = {
  readonly metadata: Metadata | undefined
  readonly reconciler: Reconciler | undefined
  readonly raft: RaftStatus | undefined
  /** Whether a server has been heard of lately; only the metadata leader can tell. */
  readonly isAlive: (server: string) => boolean
}

export function metadataMetrics(measured: () => MeasuredMetadata): readonly Metric[] {
  return [
    single(
      'liftbridge_streams',
      'Streams of the cluster',
      () => measured().metadata?.state.streams.size,
    ),
    {
      name: 'liftbridge_cluster_partitions',
      help: 'Partitions of the cluster in a state that an operator may want to know of',
      labels: ['state'],
      read: () => {
        const { metadata, isAlive } = measured()
        if (metadata === undefined) return []
        const counts = { all: 0, paused: 0, under_replicated: 0, without_leader: 0 }
        for (const { partitions } of metadata.state.streams.values()) {
          for (const { paused, isr, replicas, leader } of partitions) {
            counts.all++
            if (paused) counts.paused++
            else if (!isAlive(leader)) counts.without_leader++
            if (isr.length < replicas.length) counts.under_replicated++
          }
        }
        return Object.entries(counts).map(([state, value]) => ({ labels: { state }, value }))
      },
    },
    single(
      'liftbridge_partitions_not_running',
      'Partitions that should run on this server and do not; /readyz names them',
      () => measured().reconciler?.problems().length,
    ),
    single('liftbridge_metadata_leader', 'Whether this server leads the metadata (1)', () => {
      const { metadata } = measured()
      return metadata && (metadata.leadership.kind === 'here' ? 1 : 0)
    }),
    single('liftbridge_metadata_leader_known', 'Whether anybody is known to lead it (1)', () => {
      const { metadata } = measured()
      return metadata && (metadata.leadership.kind === 'unknown' ? 0 : 1)
    }),
    single(
      'liftbridge_metadata_applied_index',
      'Index of the newest operation applied here',
      () => measured().metadata?.state.appliedIndex,
    ),
    single('liftbridge_raft_term', 'Term of Raft', () => measured().raft?.role.term),
    single('liftbridge_raft_commit_index', 'Commit index', () => measured().raft?.commitIndex),
    single('liftbridge_raft_last_index', 'Newest index here', () => measured().raft?.lastIndex),
    single(
      'liftbridge_raft_voters',
      'Servers that vote in the configuration in effect',
      () => measured().metadata?.members.filter(({ voter }) => voter).length,
    ),
  ]
}
