/** What goes into a follower of a partition, and what comes out: plain data. */
import type { EpochStart } from './epochs.ts'
import type { Incarnation, LeaderEpoch, Offset, ServerId, SyncPolicy } from './units.ts'

/** The follower's own log, as it is at the moment of an input. */
export type LogView = {
  readonly newestOffset: Offset
  readonly syncedOffset: Offset
  readonly highWatermark: Offset
  readonly epochs: readonly EpochStart[]
}

export type FollowerInput =
  /** Time passed; due at `PartitionFollower.wakeAt`, and once to begin. */
  | { readonly kind: 'tick'; readonly now: number }
  | EpochAnswerInput
  | FetchedInput
  /** The request could not be sent, or nobody was there to answer it. Times out by itself too. */
  | { readonly kind: 'request-failed'; readonly requestId: number; readonly now: number }
  | { readonly kind: 'truncated'; readonly log: LogView; readonly now: number }
  | { readonly kind: 'appended'; readonly log: LogView; readonly now: number }
  /** The log did not take the records: they do not verify, or there is no room. It is as before. */
  | { readonly kind: 'append-refused'; readonly log: LogView; readonly now: number }
  | { readonly kind: 'synced'; readonly offset: Offset; readonly now: number }
  /** The leader says that there is something to fetch [LB 4.5]. */
  | { readonly kind: 'notified'; readonly now: number }

/** The leader's answer to `EpochRequest`. */
export type EpochAnswerInput = {
  readonly kind: 'epoch-answer'
  readonly requestId: number
  /** Who answered, and in which epoch it leads. Absent from a Go Liftbridge leader [R6]. */
  readonly leaderId?: ServerId
  readonly leaderEpoch?: LeaderEpoch
  /** The largest epoch of the leader's log not above the one asked for, -1 for none; absent from Go. */
  readonly epoch?: LeaderEpoch
  /** The offset after that epoch's last record: what the wire says [LB 4.4], plus one. */
  readonly endOffset: Offset
  readonly now: number
}

/** The leader's answer to `FetchRequest`. The driver keeps the records at hand for `append`. */
export type FetchedInput = {
  readonly kind: 'fetched'
  readonly requestId: number
  readonly leaderEpoch: LeaderEpoch
  readonly highWatermark: Offset
  readonly records: FetchedRecords | undefined
  /** The leader's oldest and newest offset; absent from a Go Liftbridge leader. */
  readonly oldestOffset?: Offset
  readonly newestOffset?: Offset
  readonly now: number
}

export type FetchedRecords = {
  readonly firstOffset: Offset
  readonly lastOffset: Offset
  readonly firstEpoch: LeaderEpoch
  readonly lastEpoch: LeaderEpoch
}

/** Where does the leader's log end an epoch? */
export type EpochRequest = {
  readonly requestId: number
  readonly leaderEpoch: LeaderEpoch
  /** The epoch asked about. */
  readonly epoch: LeaderEpoch
}

export type FetchRequest = {
  readonly requestId: number
  readonly replicaId: ServerId
  readonly leaderEpoch: LeaderEpoch
  /**
   * Newest offset of the log. It is durable, except with sync policy `never`: a Go Liftbridge
   * leader counts it at once.
   */
  readonly offset: Offset
  /** Newest offset to be counted for: durable, or with sync policy `never` written. */
  readonly syncedOffset: Offset
  readonly incarnation: Incarnation
  /** How long the leader may hold the answer back. */
  readonly maxWaitMs: number
}

/** One step's result; carried out in the order of its fields. */
export type FollowerOutput = {
  /** The replica must stop: its log contradicts its leader's. Reported, repaired by an operator. */
  readonly fault: FollowerFault | undefined
  /** First offset to remove, -1 for none. Answered by `truncated`. */
  readonly truncateTo: Offset
  /**
   * Append the records of this `fetched` input. Answered by `appended` or `append-refused`. With
   * `restart` they take the place of all that the log has: it is older than what its leader kept.
   */
  readonly append: { readonly gaps: boolean; readonly restart?: true } | undefined
  /** Make the log durable. Answered by `synced`. */
  readonly sync: boolean
  /** The follower's new high watermark, -1 when it did not move. */
  readonly highWatermark: Offset
  readonly ask: EpochRequest | undefined
  readonly fetch: FetchRequest | undefined
  /** The leader of `FollowerOptions.leaderEpoch` is silent: tell the metadata leader. */
  readonly reportLeader: boolean
}

/** Following the leader would remove committed records: never done [R6]. */
export type FollowerFault = {
  readonly kind: 'truncation-below-high-watermark'
  readonly truncateTo: Offset
  readonly highWatermark: Offset
}

export type FollowerOptions = {
  readonly serverId: ServerId
  readonly leaderId: ServerId
  readonly leaderEpoch: LeaderEpoch
  readonly incarnation: Incarnation
  readonly syncPolicy: SyncPolicy
  readonly log: LogView
  /**
   * False when the log may lack what this replica was counted for: after an unclean end with sync
   * policy `never`, or in a data directory younger than the partition. See `decideLeadership` [R8].
   */
  readonly proven: boolean
  /** Offsets may be missing: the stream is compacted, or led by a Go Liftbridge server. */
  readonly gaps: boolean
  /** A request not answered for so long has failed; the hold of a fetch comes on top. */
  readonly requestTimeoutMs: number
  /** What is asked for as the hold of a fetch. */
  readonly maxWaitMs: number
  /** `replica.max.idle.wait`: pause after an empty answer that was not held. */
  readonly idleWaitMs: number
  /** Pauses between attempts that failed: the first, and the longest; they double. */
  readonly retryMinMs: number
  readonly retryMaxMs: number
  /** `replica.max.leader.timeout`: a leader silent for longer is reported, again and again. */
  readonly maxLeaderTimeoutMs: number
  readonly reportEveryMs: number
  readonly now: number
}
