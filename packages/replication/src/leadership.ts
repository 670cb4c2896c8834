/**
 * May a replica that the metadata names as leader begin to lead? Asked once per leadership. After
 * `lead` the log is made durable, then the epoch is noted in it durably, then the leader begins: in
 * another order a crash could take the note of the epoch along with an unsynced tail, and the epoch
 * would be led twice [E1].
 */
import type { LeaderEpoch, ServerId } from './units.ts'

export type LeadershipQuestion = {
  readonly serverId: ServerId
  readonly replicas: readonly ServerId[]
  readonly isr: readonly ServerId[]
  readonly leaderEpoch: LeaderEpoch
  /** Newest epoch that the log knows of, 0 or -1 when none. */
  readonly latestEpoch: LeaderEpoch
  /**
   * Newest Raft index in this server's store when the process began: an epoch up to there may have
   * been led by an earlier run, even when the log has forgotten it since (a later leader's
   * truncation removes the note of an epoch without records). Absent: only the log is asked, which
   * is not enough where metadata is replayed from an older state.
   */
  readonly knownAtStart?: LeaderEpoch
  /**
   * True when this very process led this very epoch before and closed the log in order, as for a
   * pause: nothing can be missing then.
   */
  readonly continues: boolean
  /** As in `FollowerOptions.proven`, kept up to date by `PartitionFollower.proven`. */
  readonly proven: boolean
}

/**
 * `not-in-isr`: a leader outside of the ISR would commit what the ISR does not have [#354].
 * `unproven`: records that this replica was counted for may be missing [R8, KIP-966].
 * `epoch-in-use`: this epoch was led before, by a run whose unsynced tail may be lost, and replicas
 * may hold that tail: lead in a new one only (propose this server as the leader again) [LB 7.A3].
 * `stale-metadata`: the log already knows a newer leader; newer metadata will come.
 */
export type LeadershipDecision =
  | 'lead'
  | 'not-in-isr'
  | 'unproven'
  | 'epoch-in-use'
  | 'stale-metadata'

export function decideLeadership(question: LeadershipQuestion): LeadershipDecision {
  const { serverId, isr, replicas, leaderEpoch, latestEpoch, continues, proven } = question
  const knownAtStart = question.knownAtStart ?? -1
  if (!isr.includes(serverId)) return 'not-in-isr'
  // Nobody else can hold, or lack, anything, also in a log of Go Liftbridge with epochs beyond ours.
  if (replicas.length === 1) return 'lead'
  if (latestEpoch > leaderEpoch) return 'stale-metadata'
  if (!proven) return 'unproven'
  if (continues) return 'lead'
  return latestEpoch === leaderEpoch || leaderEpoch <= knownAtStart ? 'epoch-in-use' : 'lead'
}
