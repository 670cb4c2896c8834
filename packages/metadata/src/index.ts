export type {
  Effect,
  IsrChange,
  NewMember,
  NewPartition,
  NewStream,
  Operation,
  OperationFields,
  OperationKind,
  Outcome,
  PartitionRef,
} from './operation.ts'
export { applyEntry } from './apply-entry.ts'
export { applyOperation, checkOperation, failureTextOf } from './operations/table.ts'
export { decodeOperation, encodeOperation, type DecodedOperation } from './operations/codec.ts'
export {
  MetadataState,
  partitionsToResume,
  type Assignment,
  type EventTimestamps,
  type GroupState,
  type MemberState,
  type MetadataView,
  type PartitionState,
  type ServerLoad,
  type StreamState,
} from './state.ts'
export { rejected, type Check, type Rejection, type StatusName } from './rejection.ts'
export {
  ACTIVITY_STREAM,
  CURSORS_STREAM,
  checkConsumerId,
  checkQueueGroup,
  checkStreamName,
  isReservedStreamName,
} from './names.ts'
export {
  effectiveConfig,
  parseStreamConfig,
  pinAgreedSettings,
  type EffectiveConfig,
  type ParsedStreamConfig,
  type StreamConfig,
  type StreamDefaults,
  type WireStreamConfig,
} from './stream-config.ts'
export type { LogIndex, ServerId, StreamIdentity, TimestampNs } from './units.ts'
export {
  placeCoordinator,
  placePartitions,
  type Placement,
  type PlacementRequest,
  type PlacementServer,
} from './placement.ts'
export {
  checkDeleteStream,
  parseCreateStream,
  planCreateStream,
  selectPartitions,
  type CreateStreamLimits,
  type ParsedStreamRequest,
  type PlannedStream,
  type SelectedPartitions,
  type StreamPlanContext,
  type StreamRequest,
  type WireCreateStream,
} from './stream-requests.ts'
export {
  decodeDirectoryName,
  encodeDirectoryName,
  type DecodedDirectoryName,
} from './directory-name.ts'
export { Failover, type FailoverDecision, type FailoverOptions } from './failover.ts'
export {
  decodeAnswer,
  decodeRequest,
  encodeAnswer,
  encodeRequest,
  type DecodedRequest,
  type MetadataAnswer,
} from './request-codec.ts'
export type {
  ForwardedOperation,
  LeaderReport,
  LogTail,
  MetadataRequest,
  ReportReason,
} from './requests.ts'
export { decodeSnapshot, encodeSnapshot, type DecodedSnapshot } from './snapshot.ts'
export { digest } from './digest.ts'
