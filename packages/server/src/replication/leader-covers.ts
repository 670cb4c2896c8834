/** Whether the leader of a partition really serves, and has what this replica knows as committed. */
import type { CommitLog } from '@liftbridge/log'
import type { PartitionState } from '@liftbridge/metadata'
import { decodeLeaderEpochOffsetResponse, encodeLeaderEpochOffsetRequest } from '@liftbridge/wire'
import { BusError } from '../bus.ts'
import type { Replication } from './replication.ts'

/** A leader that serves answers within a round trip; a server that stops has little time to wait. */
const ANSWER_MS = 1_000

/**
 * Asks the leader where it ends the newest epoch of this log. Only who leads answers, so a yes says
 * that a replica which proved itself in this very epoch goes beyond this log's high watermark: a
 * damaged copy may give way to its records then, and not before [T2]. No answer is a no.
 */
export async function leaderCovers(
  { bus, subjects, serverId, timing, run }: Replication,
  at: { readonly stream: string; readonly partition: PartitionState; readonly log: CommitLog },
): Promise<boolean> {
  const { leader, leaderEpoch, id } = at.partition
  const payload = encodeLeaderEpochOffsetRequest({
    epoch: Math.max(0, at.log.leaderEpoch),
    replicaId: serverId,
    leaderEpoch,
    incarnation: run.nextIncarnation(),
  })
  try {
    const subject = subjects.leaderEpochOffset(at.stream, id)
    const timeoutMs = Math.min(timing().fetchTimeoutMs, ANSWER_MS)
    const { data } = await bus.request(subject, payload, timeoutMs)
    const decoded = decodeLeaderEpochOffsetResponse(data)
    if (decoded.kind !== 'message') return false
    const { endOffset, fence } = decoded.message
    // A Go server does not say under which leadership it answers.
    if (fence !== undefined && (fence.leaderId !== leader || fence.leaderEpoch !== leaderEpoch)) {
      return false
    }
    return endOffset > at.log.highWatermark
  } catch (error) {
    if (error instanceof BusError) return false
    throw error
  }
}
