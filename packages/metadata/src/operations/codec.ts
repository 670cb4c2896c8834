import { create, decodeMessage, internal, toBinary } from '@liftbridge/wire'
import {
  numberField,
  readNumber,
  toIndex,
  withExtraFields,
  type WithExtraFields,
} from '../extra-fields.ts'
import type { IsrChange, NewPartition, NewStream, Operation, OperationKind } from '../operation.ts'
import { decodeConfig, encodeConfig } from '../wire-config.ts'

/**
 * Operations to and from entries of the log, the RaftLog messages of Go Liftbridge. Bytes may be
 * anything: a message without its payload kills a Go server [D-04], here it is malformed.
 */
export type DecodedOperation =
  | { readonly kind: 'operation'; readonly operation: Operation }
  | { readonly kind: 'malformed'; readonly reason: string }

const { Op } = internal

/** An operation's own part of the entry, in both directions; decoding says what is wrong in words. */
interface Codec<Kind extends OperationKind> {
  readonly op: internal.Op
  encode(operation: Operation<Kind>): Partial<internal.RaftLog>
  decode(entry: internal.RaftLog): Operation<Kind> | string
}

const NO_PAYLOAD = 'the operation has no payload'
const BAD_NUMBER = 'a number is out of range'

/** The number of the extra field that carries an operation's time or epoch; see extra-fields.ts. */
const EXTRA = 100

/** The entry of the log for an operation. */
export const encodeOperation = <Kind extends OperationKind>(
  operation: Operation<Kind>,
): Uint8Array<ArrayBuffer> => {
  return toBinary(
    internal.RaftLogSchema,
    Object.assign(create(internal.RaftLogSchema), encodePayload(operation)),
  )
}

/** The fields of the entry: its operation's number, and the one payload. */
export const encodePayload = <Kind extends OperationKind>(
  operation: Operation<Kind>,
): Partial<internal.RaftLog> => {
  const codec: Codec<Kind> = codecs[operation.kind]
  return { op: codec.op, ...codec.encode(operation) }
}

/** Reads an entry of the log. Never throws. */
export const decodeOperation = (bytes: Uint8Array): DecodedOperation => {
  const decoded = decodeMessage(internal.RaftLogSchema, bytes)
  if (decoded.kind === 'rejected') return { kind: 'malformed', reason: decoded.reason }
  const operation = decodePayload(decoded.message)
  return typeof operation === 'string'
    ? { kind: 'malformed', reason: operation }
    : { kind: 'operation', operation }
}

/** The operation of an entry, or in words what is wrong with it. */
export const decodePayload = (entry: internal.RaftLog): Operation | string => {
  const codec = Object.values(codecs).find(({ op }) => op === entry.op)
  return codec === undefined ? `unknown operation ${entry.op}` : codec.decode(entry)
}

const createStream: Codec<'create-stream'> = {
  op: Op.CREATE_STREAM,
  encode: ({ stream }) => ({
    createStreamOp: create(internal.CreateStreamOpSchema, { stream: encodeNewStream(stream) }),
  }),
  decode: ({ createStreamOp: payload }) => {
    if (payload?.stream === undefined) return NO_PAYLOAD
    const stream = decodeNewStream(payload.stream)
    return typeof stream === 'string' ? stream : { kind: 'create-stream', stream }
  },
}

const shrinkIsr: Codec<'shrink-isr'> = {
  op: Op.SHRINK_ISR,
  encode: (change) => ({
    shrinkISROp: withNumber(
      create(internal.ShrinkISROpSchema, {
        ...isrFields(change),
        replicaToRemove: change.replica,
      }),
      BigInt(change.partitionEpoch),
    ),
  }),
  decode: ({ shrinkISROp: payload }) => {
    if (payload === undefined) return NO_PAYLOAD
    const change = decodeIsrChange(payload, payload.replicaToRemove)
    return change === undefined ? BAD_NUMBER : { kind: 'shrink-isr', ...change }
  },
}

const expandIsr: Codec<'expand-isr'> = {
  op: Op.EXPAND_ISR,
  encode: (change) => ({
    expandISROp: withNumber(
      create(internal.ExpandISROpSchema, { ...isrFields(change), replicaToAdd: change.replica }),
      BigInt(change.partitionEpoch),
    ),
  }),
  decode: ({ expandISROp: payload }) => {
    if (payload === undefined) return NO_PAYLOAD
    const change = decodeIsrChange(payload, payload.replicaToAdd)
    return change === undefined ? BAD_NUMBER : { kind: 'expand-isr', ...change }
  },
}

const changeLeader: Codec<'change-leader'> = {
  op: Op.CHANGE_LEADER,
  encode: ({ stream, partition, leader, partitionEpoch }) => ({
    changeLeaderOp: withNumber(
      create(internal.ChangeLeaderOpSchema, { stream, partition, leader }),
      BigInt(partitionEpoch),
    ),
  }),
  decode: ({ changeLeaderOp: payload }) => {
    if (payload === undefined) return NO_PAYLOAD
    const partitionEpoch = toIndex(readNumber(payload, EXTRA))
    if (partitionEpoch === undefined) return BAD_NUMBER
    const { stream, partition, leader } = payload
    return { kind: 'change-leader', stream, partition, leader, partitionEpoch }
  },
}

const deleteStream: Codec<'delete-stream'> = {
  op: Op.DELETE_STREAM,
  encode: ({ stream }) => ({ deleteStreamOp: create(internal.DeleteStreamOpSchema, { stream }) }),
  decode: ({ deleteStreamOp: payload }) =>
    payload === undefined ? NO_PAYLOAD : { kind: 'delete-stream', stream: payload.stream },
}

const pauseStream: Codec<'pause-stream'> = {
  op: Op.PAUSE_STREAM,
  encode: ({ stream, partitions, resumeAll, timestampNs }) => ({
    pauseStreamOp: withNumber(
      create(internal.PauseStreamOpSchema, { stream, partitions: [...partitions], resumeAll }),
      timestampNs,
    ),
  }),
  decode: ({ pauseStreamOp: payload }) => {
    if (payload === undefined) return NO_PAYLOAD
    const { stream, partitions, resumeAll } = payload
    const timestampNs = decodeTimestamp(payload)
    return { kind: 'pause-stream', stream, partitions, resumeAll, timestampNs }
  },
}

const resumeStream: Codec<'resume-stream'> = {
  op: Op.RESUME_STREAM,
  encode: ({ stream, partitions, timestampNs }) => ({
    resumeStreamOp: withNumber(
      create(internal.ResumeStreamOpSchema, { stream, partitions: [...partitions] }),
      timestampNs,
    ),
  }),
  decode: ({ resumeStreamOp: payload }) => {
    if (payload === undefined) return NO_PAYLOAD
    const { stream, partitions } = payload
    return { kind: 'resume-stream', stream, partitions, timestampNs: decodeTimestamp(payload) }
  },
}

const publishActivity: Codec<'publish-activity'> = {
  op: Op.PUBLISH_ACTIVITY,
  encode: ({ activityIndex }) => ({
    publishActivityOp: create(internal.PublishActivityOpSchema, {
      raftIndex: BigInt(activityIndex),
    }),
  }),
  decode: ({ publishActivityOp: payload }) => {
    if (payload === undefined) return NO_PAYLOAD
    const activityIndex = toIndex(payload.raftIndex)
    return activityIndex === undefined ? BAD_NUMBER : { kind: 'publish-activity', activityIndex }
  },
}

const setStreamReadonly: Codec<'set-stream-readonly'> = {
  op: Op.SET_STREAM_READONLY,
  encode: ({ stream, partitions, readonly, timestampNs }) => ({
    setStreamReadonlyOp: withNumber(
      create(internal.SetStreamReadonlyOpSchema, { stream, partitions: [...partitions], readonly }),
      timestampNs,
    ),
  }),
  decode: ({ setStreamReadonlyOp: payload }) => {
    if (payload === undefined) return NO_PAYLOAD
    const { stream, partitions, readonly } = payload
    const timestampNs = decodeTimestamp(payload)
    return { kind: 'set-stream-readonly', stream, partitions, readonly, timestampNs }
  },
}

const createConsumerGroup: Codec<'create-consumer-group'> = {
  op: Op.CREATE_CONSUMER_GROUP,
  encode: ({ group }) => ({
    createConsumerGroupOp: create(internal.CreateConsumerGroupOpSchema, {
      consumerGroup: {
        id: group.id,
        members: group.members.map(({ id, streams }) => ({ id, streams: [...streams] })),
        coordinator: group.coordinator,
        epoch: BigInt(group.epoch),
      },
    }),
  }),
  decode: ({ createConsumerGroupOp: payload }) => {
    const group = payload?.consumerGroup
    if (group === undefined) return NO_PAYLOAD
    const epoch = toIndex(group.epoch)
    if (epoch === undefined) return BAD_NUMBER
    const members = group.members.map(({ id, streams }) => ({ id, streams }))
    const { id, coordinator } = group
    return { kind: 'create-consumer-group', group: { id, members, coordinator, epoch } }
  },
}

const joinConsumerGroup: Codec<'join-consumer-group'> = {
  op: Op.JOIN_CONSUMER_GROUP,
  encode: ({ groupId, consumerId, streams }) => ({
    joinConsumerGroupOp: create(internal.JoinConsumerGroupOpSchema, {
      groupId,
      consumerId,
      streams: [...streams],
    }),
  }),
  decode: ({ joinConsumerGroupOp: payload }) => {
    if (payload === undefined) return NO_PAYLOAD
    const { groupId, consumerId, streams } = payload
    return { kind: 'join-consumer-group', groupId, consumerId, streams }
  },
}

const leaveConsumerGroup: Codec<'leave-consumer-group'> = {
  op: Op.LEAVE_CONSUMER_GROUP,
  encode: ({ groupId, consumerId, expired }) => ({
    leaveConsumerGroupOp: create(internal.LeaveConsumerGroupOpSchema, {
      groupId,
      consumerId,
      expired,
    }),
  }),
  decode: ({ leaveConsumerGroupOp: payload }) => {
    if (payload === undefined) return NO_PAYLOAD
    const { groupId, consumerId, expired } = payload
    return { kind: 'leave-consumer-group', groupId, consumerId, expired }
  },
}

const changeCoordinator: Codec<'change-consumer-group-coordinator'> = {
  op: Op.CHANGE_CONSUMER_GROUP_COORDINATOR,
  encode: ({ groupId, coordinator, groupEpoch }) => ({
    changeConsumerGroupCoordinatorOp: withNumber(
      create(internal.ChangeConsumerGroupCoordinatorOpSchema, { groupId, coordinator }),
      BigInt(groupEpoch),
    ),
  }),
  decode: ({ changeConsumerGroupCoordinatorOp: payload }) => {
    if (payload === undefined) return NO_PAYLOAD
    const groupEpoch = toIndex(readNumber(payload, EXTRA))
    if (groupEpoch === undefined) return BAD_NUMBER
    const { groupId, coordinator } = payload
    return { kind: 'change-consumer-group-coordinator', groupId, coordinator, groupEpoch }
  },
}

const codecs: { readonly [Kind in OperationKind]: Codec<Kind> } = {
  'create-stream': createStream,
  'shrink-isr': shrinkIsr,
  'expand-isr': expandIsr,
  'change-leader': changeLeader,
  'delete-stream': deleteStream,
  'pause-stream': pauseStream,
  'resume-stream': resumeStream,
  'publish-activity': publishActivity,
  'set-stream-readonly': setStreamReadonly,
  'create-consumer-group': createConsumerGroup,
  'join-consumer-group': joinConsumerGroup,
  'leave-consumer-group': leaveConsumerGroup,
  'change-consumer-group-coordinator': changeCoordinator,
}

const withNumber = <Message extends WithExtraFields>(message: Message, value: bigint): Message =>
  withExtraFields(message, numberField(EXTRA, value))

/** Times travel as int64, like all times of the wire. */
const decodeTimestamp = (payload: WithExtraFields): bigint =>
  BigInt.asIntN(64, readNumber(payload, EXTRA))

const isrFields = ({ stream, partition, leader, leaderEpoch }: IsrChange) => ({
  stream,
  partition,
  leader,
  leaderEpoch: BigInt(leaderEpoch),
})

const decodeIsrChange = (
  payload: internal.ShrinkISROp | internal.ExpandISROp,
  replica: string,
): IsrChange | undefined => {
  const leaderEpoch = toIndex(payload.leaderEpoch)
  const partitionEpoch = toIndex(readNumber(payload, EXTRA))
  if (leaderEpoch === undefined || partitionEpoch === undefined) return undefined
  const { stream, partition, leader } = payload
  return { stream, partition, replica, leader, leaderEpoch, partitionEpoch }
}

/** The wire repeats the stream's name, subject, group and replication factor in each partition. */
const encodeNewStream = (stream: NewStream): internal.Stream =>
  create(internal.StreamSchema, {
    name: stream.name,
    subject: stream.subject,
    creationTimestamp: stream.creationTimestampNs,
    config: encodeConfig(stream.config),
    partitions: stream.partitions.map(({ id, replicas, isr, leader }) => ({
      id,
      stream: stream.name,
      subject: stream.subject,
      group: stream.group,
      replicationFactor: stream.replicationFactor,
      replicas: [...replicas],
      isr: [...isr],
      leader,
    })),
  })

const decodeNewStream = (stream: internal.Stream): NewStream | string => {
  const [first] = stream.partitions
  if (first === undefined) return 'the stream has no partitions'
  const { group, replicationFactor } = first
  const partitions: NewPartition[] = []
  for (const partition of stream.partitions) {
    const same =
      partition.stream === stream.name &&
      partition.subject === stream.subject &&
      partition.group === group &&
      partition.replicationFactor === replicationFactor
    if (!same) return 'a partition disagrees with its stream'
    const { id, replicas, isr, leader } = partition
    partitions.push({ id, replicas, isr, leader })
  }
  const parsed = decodeConfig(stream.config)
  if (parsed.kind === 'rejected') return parsed.text
  return {
    name: stream.name,
    subject: stream.subject,
    group,
    replicationFactor,
    partitions,
    config: parsed.config,
    creationTimestampNs: stream.creationTimestamp,
  }
}
