import { create, toBinary } from '@bufbuild/protobuf'
import type { MessageInitShape, MessageShape } from '@bufbuild/protobuf'
import { decodeEnvelopeOf, encodeEnvelope, EnvelopeType } from '../envelope.ts'
import * as internal from '../gen/internal_pb.ts'
import { decodeMessage } from '../protobuf.ts'
import type { Decoded } from '../wire-error.ts'

/**
 * The messages between servers whose payload is protobuf, by the name of their envelope's type.
 * ReplicationResponse is binary and has functions of its own, ReplicationRequest and
 * LeaderEpochOffset* have as well.
 */
type Schemas = {
  readonly RaftJoinRequest: typeof internal.RaftJoinRequestSchema
  readonly RaftJoinResponse: typeof internal.RaftJoinResponseSchema
  readonly LeaderEpochOffsetRequest: typeof internal.LeaderEpochOffsetRequestSchema
  readonly LeaderEpochOffsetResponse: typeof internal.LeaderEpochOffsetResponseSchema
  readonly PropagatedRequest: typeof internal.PropagatedRequestSchema
  readonly PropagatedResponse: typeof internal.PropagatedResponseSchema
  readonly ServerInfoRequest: typeof internal.ServerInfoRequestSchema
  readonly ServerInfoResponse: typeof internal.ServerInfoResponseSchema
  readonly PartitionStatusRequest: typeof internal.PartitionStatusRequestSchema
  readonly PartitionStatusResponse: typeof internal.PartitionStatusResponseSchema
  readonly PartitionNotification: typeof internal.PartitionNotificationSchema
}

const schemas: Schemas = {
  RaftJoinRequest: internal.RaftJoinRequestSchema,
  RaftJoinResponse: internal.RaftJoinResponseSchema,
  LeaderEpochOffsetRequest: internal.LeaderEpochOffsetRequestSchema,
  LeaderEpochOffsetResponse: internal.LeaderEpochOffsetResponseSchema,
  PropagatedRequest: internal.PropagatedRequestSchema,
  PropagatedResponse: internal.PropagatedResponseSchema,
  ServerInfoRequest: internal.ServerInfoRequestSchema,
  ServerInfoResponse: internal.ServerInfoResponseSchema,
  PartitionStatusRequest: internal.PartitionStatusRequestSchema,
  PartitionStatusResponse: internal.PartitionStatusResponseSchema,
  PartitionNotification: internal.PartitionNotificationSchema,
}

export type ClusterMessageName = keyof Schemas

/** A message as it is decoded. */
export type ClusterMessage<Name extends ClusterMessageName> = MessageShape<Schemas[Name]>

/** What a message is made from: fields may be left out. */
export type ClusterMessageInit<Name extends ClusterMessageName> = MessageInitShape<Schemas[Name]>

/** Every name, for tests that go through all of them. */
export const clusterMessageNames: readonly ClusterMessageName[] = Object.keys(
  schemas,
) as ClusterMessageName[]

/** Envelope and all. */
export function encodeClusterMessage<Name extends ClusterMessageName>(
  name: Name,
  message: ClusterMessageInit<Name>,
): Uint8Array<ArrayBuffer> {
  const schema: Schemas[Name] = schemas[name]
  return encodeEnvelope(EnvelopeType[name], toBinary(schema, create(schema, message)))
}

/**
 * Opens an envelope that must be of this type: on each subject only one is at home. Never throws; a
 * wrong type, a bad envelope and a malformed payload are rejections with their reason.
 */
export function decodeClusterMessage<Name extends ClusterMessageName>(
  name: Name,
  bytes: Uint8Array,
): Decoded<ClusterMessage<Name>> {
  const envelope = decodeEnvelopeOf(EnvelopeType[name], bytes)
  if (envelope.kind === 'rejected') return envelope
  const schema: Schemas[Name] = schemas[name]
  return decodeMessage(schema, bytes.subarray(envelope.payloadStart))
}
