import type { ServerId } from './units.ts'

/**
 * Parameters of the algorithm; the defaults are those of Go Liftbridge [LB 2.3] unless said
 * otherwise. All times are milliseconds.
 */
export interface RaftParameters {
  /** A follower campaigns after a time without contact drawn from once to twice this. */
  readonly heartbeatTimeoutMs: number
  /** A round of an election lasts a time drawn from once to twice this. */
  readonly electionTimeoutMs: number
  /** Between two heartbeats to a peer lies a time drawn from once to twice this. */
  readonly heartbeatIntervalMs: number
  /**
   * An idle leader tells a peer of a new commit index after a time drawn from once to twice this.
   * Go's leader sends an empty AppendEntries at this pace for ever; ours only while the peer has
   * not acknowledged the commit index, and then at the pace of `commitRefreshMs`.
   */
  readonly commitTimeoutMs: number
  /**
   * Tell an idle peer of a new commit index at once instead of after `commitTimeoutMs`. Not in Go.
   * It costs one small request for each burst of proposals and spares a follower up to 100 ms.
   */
  readonly spreadCommitAtOnce: boolean
  /**
   * A peer that got nothing else for this long gets an empty AppendEntries: it may have restarted
   * unnoticed, and heartbeats do not tell the commit index that it has forgotten. Not in Go.
   */
  readonly commitRefreshMs: number
  /** A leader that a quorum has not answered for this long steps down. */
  readonly leaderLeaseTimeoutMs: number
  readonly appendEntriesMax: number
  /** Data bytes in one AppendEntries; a single entry may be larger. */
  readonly appendMaxBytes: number
  /** AppendEntries in flight to one peer once it is known where its log ends. */
  readonly pipelineMax: number
  /** Heartbeats in flight to one peer; a second one is sent only when the first one is late. */
  readonly heartbeatsInFlightMax: number
  /** Entries kept behind a snapshot, so that a peer a little late needs no snapshot. */
  readonly trailingEntries: number
  /** The same in bytes of data: together they bound what the core holds in memory. */
  readonly trailingMaxBytes: number
  /** A snapshot is considered at intervals drawn from once to twice this. */
  readonly snapshotIntervalMs: number
  /** Applied entries since the last snapshot that make one due at such a moment. */
  readonly snapshotThreshold: number
  /** Applied bytes since the last snapshot that make one due at once. */
  readonly snapshotThresholdBytes: number
  /** Bytes of data proposed and not yet committed; beyond them proposals fail as 'overloaded'. */
  readonly uncommittedMaxBytes: number
  /** Membership changes that may wait for their turn; beyond them they fail as 'overloaded'. */
  readonly membershipQueueMax: number
  /** First pause after a failed request; it doubles from the third failure on. */
  readonly failureBackoffMs: number
  readonly failureBackoffRoundsMax: number
  readonly heartbeatBackoffMaxMs: number
  readonly preVote: boolean
}

export const DEFAULT_PARAMETERS: RaftParameters = {
  heartbeatTimeoutMs: 1000,
  electionTimeoutMs: 1000,
  heartbeatIntervalMs: 100,
  commitTimeoutMs: 50,
  spreadCommitAtOnce: true,
  commitRefreshMs: 1000,
  leaderLeaseTimeoutMs: 500,
  appendEntriesMax: 64,
  appendMaxBytes: 512 * 1024,
  pipelineMax: 2,
  heartbeatsInFlightMax: 3,
  trailingEntries: 10_240,
  trailingMaxBytes: 32 * 1024 * 1024,
  snapshotIntervalMs: 120_000,
  snapshotThreshold: 8192,
  snapshotThresholdBytes: 32 * 1024 * 1024,
  uncommittedMaxBytes: 32 * 1024 * 1024,
  membershipQueueMax: 64,
  failureBackoffMs: 10,
  failureBackoffRoundsMax: 12,
  heartbeatBackoffMaxMs: 500,
  preVote: true,
}

export interface RaftOptions {
  readonly self: ServerId
  /** Uniform in [0, 1). The only source of chance. */
  readonly random: () => number
  readonly parameters?: Partial<RaftParameters>
}
