export { Raft } from './raft.ts'
export { DEFAULT_PARAMETERS } from './options.ts'
export type { RaftOptions, RaftParameters } from './options.ts'
export { bootstrapState, EMPTY_STATE } from './stored-state.ts'
export type { HardState, StoredState } from './stored-state.ts'
export type { Input, InputEvent, Proposal } from './input.ts'
export type { Answer, Outgoing, Output, Persist, Role, SnapshotInstall } from './output.ts'
export type {
  AppendEntriesRequest,
  AppendEntriesResponse,
  HeartbeatRequest,
  InstallSnapshotRequest,
  InstallSnapshotResponse,
  Request,
  RequestPreVoteRequest,
  RequestPreVoteResponse,
  RequestVoteRequest,
  RequestVoteResponse,
  Response,
  SnapshotPosition,
  TimeoutNowRequest,
  TimeoutNowResponse,
} from './messages.ts'
export type { BarrierEntry, CommandEntry, ConfigurationEntry, Entry, NoopEntry } from './entry.ts'
export type { Configuration, Member, MembershipChange, Suffrage } from './configuration.ts'
export { FAILURE_TEXTS } from './failure.ts'
export type { Failure } from './failure.ts'
export { describeOutput, describeRequest, describeResponse } from './describe.ts'
export type { PeerStatus, RaftStatus } from './status.ts'
export type { Index, Moment, RequestId, ServerId, Term, TicketId } from './units.ts'
