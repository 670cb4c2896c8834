/** A leader under test. */
import type { FetchInput, LeaderOptions, LeaderOutput } from '../leader-types.ts'
import { PartitionLeader } from '../leader.ts'
import type { SyncPolicy } from '../units.ts'

type Start = {
  readonly minIsr?: number
  readonly policy?: SyncPolicy
  readonly newest?: number
  readonly highWatermark?: number
  readonly isr?: readonly string[]
  readonly deposed?: string
}

/** A leads B and C in leader epoch 5, partition epoch 7. */
export function lead({
  minIsr = 1,
  policy = 'always',
  newest = -1,
  highWatermark = -1,
  isr,
  deposed,
}: Start = {}) {
  const options: LeaderOptions = {
    syncPolicy: policy,
    minIsr,
    newestOffset: newest,
    syncedOffset: newest,
    highWatermark,
    replication: {
      serverId: 'A',
      replicas: ['A', 'B', 'C'],
      isr: isr ?? ['A', 'B', 'C'],
      leaderEpoch: 5,
      partitionEpoch: 7,
      ...(deposed === undefined ? {} : { deposed }),
      maxLagMs: 1000,
      proposalRetryMs: 100,
      isolatedAfterMs: 500,
      highWatermarkDelayMs: 10,
      now: 0,
    },
  }
  const leader = new PartitionLeader(options)
  let token = 0
  const fetch = (replicaId: string, offset: number, more: Partial<FetchInput> = {}): LeaderOutput =>
    leader.step({
      kind: 'fetch',
      token: ++token,
      replicaId,
      leaderEpoch: 5,
      offset,
      syncedOffset: offset,
      incarnation: 1,
      now: 0,
      ...more,
    })
  const write = (newestOffset: number): LeaderOutput =>
    leader.step({ kind: 'written', newestOffset, firstAllOffset: newestOffset })
  const sync = (offset: number): LeaderOutput => leader.step({ kind: 'synced', offset })
  const metadata = (partitionEpoch: number, members: readonly string[], now = 0): LeaderOutput =>
    leader.step({
      kind: 'metadata',
      leader: 'A',
      leaderEpoch: 5,
      partitionEpoch,
      isr: members,
      now,
    })
  return { leader, options, fetch, write, sync, metadata }
}
