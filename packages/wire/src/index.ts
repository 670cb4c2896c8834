export * as api from './messages.ts'
export * as internal from './internal-messages.ts'
export {
  create,
  decodeMessage,
  equals,
  fromBinary,
  fromJson,
  toBinary,
  toJson,
} from './protobuf.ts'
export type {
  DecodedMessage,
  DescMessage,
  DescService,
  MessageInitShape,
  MessageShape,
} from './protobuf.ts'
export {
  decodeEnvelope,
  decodeEnvelopeOf,
  encodeCheckedEnvelope,
  encodeEnvelope,
  ENVELOPE_HEADER_BYTES,
  EnvelopeType,
  payloadStartOf,
  writeEnvelopeHeader,
} from './envelope.ts'
export type { DecodedEnvelope, EnvelopeProblem } from './envelope.ts'
export { crc32c } from './crc32c.ts'
export { crc32Ieee } from './crc32-ieee.ts'
export { decodeText, encodeText, isUtf8 } from './text.ts'
export {
  ClusterSubjects,
  DEFAULT_NAMESPACE,
  overlapsReserved,
  partitionSubject,
  streamSubjectProblem,
  targetSubjectProblem,
} from './subjects.ts'
export type { ChosenSubjectProblem } from './subjects.ts'
export {
  hasWildcard,
  isLiteralSubject,
  isSubject,
  literalSubjectProblem,
  SUBJECT_MAX_BYTES,
  subjectMatches,
  subjectProblem,
  subjectsOverlap,
} from './subject-syntax.ts'
export type { SubjectProblem } from './subject-syntax.ts'
export { AckFields } from './ack-writer.ts'
export { AckEnvelopeWriter } from './ack-envelope.ts'
export { GRPC_PREFIX_BYTES, writeGrpcPrefix } from './grpc-prefix.ts'
export { HeaderList } from './header-list.ts'
export { DOES_NOT_FIT, MALFORMED_RECORD, MessageWriter } from './message.ts'
export type { StoredRecord } from './message.ts'
export { decodePublishEnvelope, decodePublishMessage } from './publish-envelope.ts'
export { PublishEnvelopeWriter } from './publish-envelope.ts'
export { decodePublishRequest, decodePublishToSubject } from './publish-request.ts'
export { PublishResponseWriter } from './publish-response.ts'
export { PublishView } from './publish-view.ts'
export { decodedBy, WireError } from './wire-error.ts'
export type { Decoded, WireErrorCode } from './wire-error.ts'
export { MsgpackReader } from './msgpack/reader.ts'
export { MsgpackScanner } from './msgpack/scanner.ts'
export { MsgpackWriter } from './msgpack/writer.ts'
export {
  decodeConfiguration,
  decodeLogEntry,
  encodeConfiguration,
  encodeLogEntry,
} from './raft/log-entry.ts'
export {
  encodeRaftReply,
  encodeRaftRequest,
  RAFT_REQUEST_MAX_BYTES,
  RaftReplyReader,
  RaftRequestReader,
} from './raft/rpc-frames.ts'
export type { RaftReply, RaftReplyEvent, RaftRequestEvent } from './raft/rpc-frames.ts'
export {
  isHeartbeat,
  LogType,
  RAFT_PROTOCOL_VERSION,
  speaksOurProtocol,
  Suffrage,
  UNSUPPORTED_PROTOCOL,
} from './raft/rpc.ts'
export type {
  AppendEntriesRequest,
  AppendEntriesResponse,
  InstallSnapshotRequest,
  InstallSnapshotResponse,
  LogEntry,
  RaftConfiguration,
  RaftHeader,
  RaftMember,
  RaftRequest,
  RaftResponse,
  RaftRpcKind,
  RequestPreVoteRequest,
  RequestPreVoteResponse,
  RequestVoteRequest,
  RequestVoteResponse,
  ResponseTo,
  TimeoutNowRequest,
  TimeoutNowResponse,
} from './raft/rpc.ts'
export {
  clusterMessageNames,
  decodeClusterMessage,
  encodeClusterMessage,
} from './cluster/cluster-messages.ts'
export type {
  ClusterMessage,
  ClusterMessageInit,
  ClusterMessageName,
} from './cluster/cluster-messages.ts'
export {
  decodeReplicationRequest,
  encodeReplicationRequest,
} from './cluster/replication-request.ts'
export type { ReplicationRequest } from './cluster/replication-request.ts'
export {
  decodeReplicationResponse,
  encodeReplicationResponse,
  REPLICATION_HEADER_BYTES,
  REPLICATION_HEADER_WITH_BOUNDS_BYTES,
  replicationHeaderBytes,
  writeReplicationHeader,
} from './cluster/replication-response.ts'
export type {
  LogBounds,
  RecordRange,
  ReplicationResponse,
  ReplicationResponseHeader,
} from './cluster/replication-response.ts'
export {
  decodeLeaderEpochOffsetRequest,
  decodeLeaderEpochOffsetResponse,
  encodeLeaderEpochOffsetRequest,
  encodeLeaderEpochOffsetResponse,
} from './cluster/leader-epoch-offset.ts'
export type {
  LeaderEpochOffsetRequest,
  LeaderEpochOffsetResponse,
} from './cluster/leader-epoch-offset.ts'
