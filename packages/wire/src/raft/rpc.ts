/**
 * The remote procedure calls of hashicorp/raft, as values. Terms, indexes and sizes are safe
 * integers: MessagePack with a larger one is refused [LB control plane 2.5].
 */

/** Stands in every request, and in every response but two. */
export type RaftHeader = {
  /** Ours is RAFT_PROTOCOL_VERSION. */
  readonly protocolVersion: number
  /** Raft's server id of the sender, which is Liftbridge's; empty in a response without header. */
  readonly id: string
  /** Address of the sender, the same as `id` in Liftbridge. */
  readonly address: string
}

export const RAFT_PROTOCOL_VERSION = 3

/** Numbers of `LogEntry.type`. */
export const LogType = {
  Command: 0,
  Noop: 1,
  /** Deprecated, never written by us. */
  AddPeer: 2,
  /** Deprecated, never written by us. */
  RemovePeer: 3,
  Barrier: 4,
  Configuration: 5,
} as const

/** An entry of the Raft log. */
export type LogEntry = {
  readonly index: number
  readonly term: number
  /** One of `LogType`; a decoded entry may have any other small number. */
  readonly type: number
  /** Empty in Noop and Barrier; a Configuration in MessagePack; a RaftLog protobuf in a Command. */
  readonly data: Uint8Array
  /** Of middleware; empty in Liftbridge. */
  readonly extensions: Uint8Array
  /** When its leader appended it, nanoseconds since the Unix epoch; undefined is Go's zero time. */
  readonly appendedAtNs: bigint | undefined
}

export const Suffrage = { Voter: 0, Nonvoter: 1, Staging: 2 } as const

export type RaftMember = {
  /** One of `Suffrage`. */
  readonly suffrage: number
  readonly id: string
  readonly address: string
}

/** Members of the cluster, in the order in which they were written. */
export type RaftConfiguration = { readonly servers: readonly RaftMember[] }

export type AppendEntriesRequest = {
  readonly kind: 'append-entries'
  readonly term: number
  readonly prevLogIndex: number
  readonly prevLogTerm: number
  readonly entries: readonly LogEntry[]
  readonly leaderCommitIndex: number
}

export type RequestVoteRequest = {
  readonly kind: 'request-vote'
  readonly term: number
  readonly lastLogIndex: number
  readonly lastLogTerm: number
  readonly leadershipTransfer: boolean
}

/** `term` is the sender's plus one; nobody adopts it. */
export type RequestPreVoteRequest = {
  readonly kind: 'request-pre-vote'
  readonly term: number
  readonly lastLogIndex: number
  readonly lastLogTerm: number
}

/** On the stream, `size` bytes of the snapshot follow the request. */
export type InstallSnapshotRequest = {
  readonly kind: 'install-snapshot'
  /** 1; in version 0 the configuration comes from a list of peers, which are all voters. */
  readonly snapshotVersion: number
  readonly term: number
  /** Last entry that the snapshot covers. */
  readonly lastLogIndex: number
  readonly lastLogTerm: number
  readonly configuration: RaftConfiguration
  /** Index of the entry that holds `configuration`. */
  readonly configurationIndex: number
  readonly size: number
}

export type TimeoutNowRequest = { readonly kind: 'timeout-now' }

export type RaftRequest =
  | AppendEntriesRequest
  | RequestVoteRequest
  | RequestPreVoteRequest
  | InstallSnapshotRequest
  | TimeoutNowRequest

export type AppendEntriesResponse = {
  readonly kind: 'append-entries'
  readonly term: number
  /** Last index of the receiver when the request arrived. */
  readonly lastLogIndex: number
  readonly success: boolean
  /** The leader may try again at once, with an earlier entry. */
  readonly noRetryBackoff: boolean
}

export type RequestVoteResponse = {
  readonly kind: 'request-vote'
  readonly term: number
  readonly granted: boolean
}

export type RequestPreVoteResponse = {
  readonly kind: 'request-pre-vote'
  readonly term: number
  readonly granted: boolean
}

export type InstallSnapshotResponse = {
  readonly kind: 'install-snapshot'
  readonly term: number
  readonly success: boolean
}

export type TimeoutNowResponse = { readonly kind: 'timeout-now' }

export type RaftResponse =
  | AppendEntriesResponse
  | RequestVoteResponse
  | RequestPreVoteResponse
  | InstallSnapshotResponse
  | TimeoutNowResponse

export type RaftRpcKind = RaftRequest['kind']

/** The response that a request of type `Request` gets. */
export type ResponseTo<Request extends RaftRequest> = Extract<
  RaftResponse,
  { readonly kind: Request['kind'] }
>

/**
 * Whether an AppendEntries is a heartbeat: it has nothing but a term and a sender. A server answers
 * it without its log, and whatever protocol version it carries [LB control plane 2.5].
 */
export function isHeartbeat(request: RaftRequest, header: RaftHeader): boolean {
  return (
    request.kind === 'append-entries' &&
    request.term !== 0 &&
    header.address !== '' &&
    request.prevLogIndex === 0 &&
    request.prevLogTerm === 0 &&
    request.leaderCommitIndex === 0 &&
    request.entries.length === 0
  )
}

/** The error that a request of a version we do not speak is answered with. */
export const UNSUPPORTED_PROTOCOL = 'operation not supported with current protocol version'

/** Whether a request may be handled: there is no negotiation, versions 2 and 3 understand each other. */
export function speaksOurProtocol(request: RaftRequest, header: RaftHeader): boolean {
  const { protocolVersion } = header
  return (
    (protocolVersion >= RAFT_PROTOCOL_VERSION - 1 && protocolVersion <= RAFT_PROTOCOL_VERSION) ||
    isHeartbeat(request, header)
  )
}
