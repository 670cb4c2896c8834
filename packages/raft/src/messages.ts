import type { Configuration } from './configuration.ts'
import type { Entry } from './entry.ts'
import type { Index, ServerId, Term } from './units.ts'

/**
 * The remote calls of Raft, as hashicorp/raft names them [LB 2.5]. Headers, codecs and the bytes
 * of a snapshot are the transport's. A number above 2^53 - 1 never gets here: the codec refuses it.
 */
export interface AppendEntriesRequest {
  readonly kind: 'append-entries'
  readonly term: Term
  readonly leader: ServerId
  /** Position of the entry before `entries`; 0 and 0 at the start of the log. */
  readonly previousIndex: Index
  readonly previousTerm: Term
  /** Consecutive, from `previousIndex + 1`. */
  readonly entries: readonly Entry[]
  readonly commitIndex: Index
}

/**
 * On the wire an AppendEntries request whose previous entry, commit index and entries are all zero
 * (nil entries). It travels apart from the other requests, so that a slow disk does not hold it up.
 */
export interface HeartbeatRequest {
  readonly kind: 'heartbeat'
  readonly term: Term
  readonly leader: ServerId
}

/** The candidate is the sender. */
export interface RequestVoteRequest {
  readonly kind: 'request-vote'
  readonly term: Term
  readonly lastIndex: Index
  readonly lastTerm: Term
  /** The leader asked for this election, so its being alive is no reason to refuse. */
  readonly leadershipTransfer: boolean
}

export interface RequestPreVoteRequest {
  readonly kind: 'request-pre-vote'
  /** The term the sender would campaign in: its own and one. */
  readonly term: Term
  readonly lastIndex: Index
  readonly lastTerm: Term
}

/** What the snapshot replaces. Its bytes follow the request on the wire; the core never sees them. */
export interface InstallSnapshotRequest {
  readonly kind: 'install-snapshot'
  readonly term: Term
  readonly leader: ServerId
  readonly snapshot: SnapshotPosition
}

/** Start an election now: the leader hands its place over. */
export interface TimeoutNowRequest {
  readonly kind: 'timeout-now'
}

export type Request =
  | AppendEntriesRequest
  | HeartbeatRequest
  | RequestVoteRequest
  | RequestPreVoteRequest
  | InstallSnapshotRequest
  | TimeoutNowRequest

/** Answers AppendEntries and heartbeat alike. */
export interface AppendEntriesResponse {
  readonly kind: 'append-entries'
  readonly term: Term
  /** The last index of the follower's log when the request arrived. */
  readonly lastIndex: Index
  readonly success: boolean
  /** The leader may try again at once: nothing but the position was wrong. */
  readonly noRetryBackoff: boolean
}

export interface RequestVoteResponse {
  readonly kind: 'request-vote'
  readonly term: Term
  readonly granted: boolean
}

export interface RequestPreVoteResponse {
  readonly kind: 'request-pre-vote'
  readonly term: Term
  readonly granted: boolean
}

export interface InstallSnapshotResponse {
  readonly kind: 'install-snapshot'
  readonly term: Term
  readonly success: boolean
}

export interface TimeoutNowResponse {
  readonly kind: 'timeout-now'
}

export type Response =
  | AppendEntriesResponse
  | RequestVoteResponse
  | RequestPreVoteResponse
  | InstallSnapshotResponse
  | TimeoutNowResponse

/** Everything up to and including `index` is in the snapshot, and who was a member then. */
export interface SnapshotPosition {
  readonly index: Index
  readonly term: Term
  readonly configuration: Configuration
  /** Index of the entry that brought `configuration`; 0 when there was none. */
  readonly configurationIndex: Index
}
