import { api, create, decodeMessage, internal, toBinary } from '@liftbridge/wire'
import {
  messageField,
  numberField,
  readMessages,
  readNumber,
  toIndex,
  withExtraFields,
} from './extra-fields.ts'
import { withMember } from './groups.ts'
import {
  MetadataState,
  NEVER,
  type Assignment,
  type EventTimestamps,
  type GroupState,
  type MemberState,
  type MetadataView,
  type PartitionState,
  type StreamState,
} from './state.ts'
import { compareUtf8 } from './text-order.ts'
import { decodeConfig, encodeConfig } from './wire-config.ts'

/**
 * Snapshots in the format of Go Liftbridge: four bytes of length, big-endian, then a
 * MetadataSnapshot; what Go forgets (the activity index, resumeAll, event times, assignments)
 * stands in extra fields, see extra-fields.ts [D-06, D-07, D-28, D-30]. Streams and groups are in
 * ascending order, so that equal states give equal bytes [M7].
 */
const LENGTH_BYTES = 4

/** Extra fields, by message. */
const SNAPSHOT = { appliedIndex: 100, lastPublishedActivityIndex: 101 }
const STREAM = { incarnation: 100, resumeAll: 101 }
const PARTITION = { pauseTimestamps: 100, readonlyTimestamps: 101 }
const CONSUMER = { assignments: 100 }

/** Writes the whole state down. */
export const encodeSnapshot = (state: MetadataView): Uint8Array<ArrayBuffer> => {
  const snapshot = create(internal.MetadataSnapshotSchema)
  for (const name of [...state.streams.keys()].toSorted(compareUtf8)) {
    const stream = state.streams.get(name)
    if (stream !== undefined) snapshot.streams.push(encodeStream(stream))
  }
  for (const id of [...state.groups.keys()].toSorted(compareUtf8)) {
    const group = state.groups.get(id)
    if (group !== undefined) snapshot.groups.push(encodeGroup(group))
  }
  withExtraFields(snapshot, [
    ...numberField(SNAPSHOT.appliedIndex, BigInt(state.appliedIndex)),
    ...numberField(SNAPSHOT.lastPublishedActivityIndex, BigInt(state.lastPublishedActivityIndex)),
  ])
  const body = toBinary(internal.MetadataSnapshotSchema, snapshot)
  const bytes = new Uint8Array(LENGTH_BYTES + body.length)
  new DataView(bytes.buffer).setUint32(0, body.length)
  bytes.set(body, LENGTH_BYTES)
  return bytes
}

export type DecodedSnapshot =
  | { readonly kind: 'state'; readonly state: MetadataState }
  /** Nothing may be done on the ground of these bytes, least of all deleting data [M9]. */
  | { readonly kind: 'malformed'; readonly reason: string }

/**
 * Reads a snapshot into a fresh state. Never throws. One of Go Liftbridge does not say up to where
 * it goes: `appliedIndex` is then the caller's to set.
 */
export const decodeSnapshot = (bytes: Uint8Array): DecodedSnapshot => {
  if (bytes.length < LENGTH_BYTES) return malformed('shorter than its length field')
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)
  if (length !== bytes.length - LENGTH_BYTES) return malformed('its length field does not fit')
  const decoded = decodeMessage(internal.MetadataSnapshotSchema, bytes.subarray(LENGTH_BYTES))
  if (decoded.kind === 'rejected') return malformed(decoded.reason)
  const snapshot = decoded.message
  const state = new MetadataState()
  const applied = toIndex(readNumber(snapshot, SNAPSHOT.appliedIndex))
  const published = toIndex(readNumber(snapshot, SNAPSHOT.lastPublishedActivityIndex))
  if (applied === undefined || published === undefined) return malformed(BAD_NUMBER)
  state.appliedIndex = applied
  state.lastPublishedActivityIndex = published
  for (const message of snapshot.streams) {
    const stream = decodeStream(message)
    if (typeof stream === 'string') return malformed(stream)
    if (state.streams.has(stream.name)) return malformed('a stream stands in it twice')
    state.putStream(stream)
  }
  for (const message of snapshot.groups) {
    const group = decodeGroup(state, message)
    if (typeof group === 'string') return malformed(group)
    if (state.groups.has(group.id)) return malformed('a consumer group stands in it twice')
    state.putGroup(group)
  }
  return { kind: 'state', state }
}

const BAD_NUMBER = 'a number is out of range'

const malformed = (reason: string): DecodedSnapshot => ({
  kind: 'malformed',
  reason: `unreadable metadata snapshot: ${reason}`,
})

const encodeStream = (stream: StreamState): internal.Stream => {
  const message = create(internal.StreamSchema, {
    name: stream.name,
    subject: stream.subject,
    config: encodeConfig(stream.config),
    creationTimestamp: stream.creationTimestampNs,
  })
  message.partitions = stream.partitions.map((partition) => encodePartition(stream, partition))
  return withExtraFields(message, [
    ...numberField(STREAM.incarnation, BigInt(stream.incarnation)),
    ...numberField(STREAM.resumeAll, stream.resumeAll ? 1n : 0n),
  ])
}

const encodePartition = (stream: StreamState, partition: PartitionState): internal.Partition => {
  const message = create(internal.PartitionSchema, {
    stream: stream.name,
    subject: stream.subject,
    group: stream.group,
    replicationFactor: stream.replicationFactor,
    id: partition.id,
    replicas: [...partition.replicas],
    isr: [...partition.isr],
    leader: partition.leader,
    leaderEpoch: BigInt(partition.leaderEpoch),
    epoch: BigInt(partition.epoch),
    paused: partition.paused,
    readonly: partition.readonly,
  })
  return withExtraFields(message, [
    ...timestampsField(PARTITION.pauseTimestamps, partition.pauseTimestamps),
    ...timestampsField(PARTITION.readonlyTimestamps, partition.readonlyTimestamps),
  ])
}

const timestampsField = (no: number, events: EventTimestamps) => {
  if (events.latestNs === 0n) return []
  const message = create(api.PartitionEventTimestampsSchema, {
    firstTimestamp: events.firstNs,
    latestTimestamp: events.latestNs,
  })
  return [messageField(no, toBinary(api.PartitionEventTimestampsSchema, message))]
}

const encodeGroup = (group: GroupState): internal.ConsumerGroup => {
  const message = create(internal.ConsumerGroupSchema, {
    id: group.id,
    coordinator: group.coordinator,
    epoch: BigInt(group.epoch),
  })
  message.members = group.members.map(({ id, streams, assignments }) =>
    withExtraFields(
      create(internal.ConsumerSchema, { id, streams: [...streams] }),
      assignments.map(({ stream, partitions }) => {
        const assignment = { stream, partitions: [...partitions] }
        const encoded = create(api.PartitionAssignmentSchema, assignment)
        return messageField(CONSUMER.assignments, toBinary(api.PartitionAssignmentSchema, encoded))
      }),
    ),
  )
  return message
}

const decodeStream = (message: internal.Stream): StreamState | string => {
  const [first] = message.partitions
  if (first === undefined) return `stream ${message.name} has no partitions`
  const incarnation = toIndex(readNumber(message, STREAM.incarnation))
  if (incarnation === undefined) return BAD_NUMBER
  const parsed = decodeConfig(message.config)
  if (parsed.kind === 'rejected') return parsed.text
  const partitions: PartitionState[] = []
  // Go writes them in random order.
  for (const partition of message.partitions.toSorted((a, b) => a.id - b.id)) {
    if (partition.id !== partitions.length) return `partitions of ${message.name} have gaps`
    const decoded = decodePartition(partition)
    if (typeof decoded === 'string') return decoded
    partitions.push(decoded)
  }
  return {
    name: message.name,
    incarnation,
    creationTimestampNs: message.creationTimestamp,
    subject: message.subject,
    group: first.group,
    replicationFactor: first.replicationFactor,
    partitions,
    config: parsed.config,
    resumeAll: readNumber(message, STREAM.resumeAll) !== 0n,
  }
}

const decodePartition = (message: internal.Partition): PartitionState | string => {
  const leaderEpoch = toIndex(message.leaderEpoch)
  const epoch = toIndex(message.epoch)
  const pauseTimestamps = decodeTimestamps(readMessages(message, PARTITION.pauseTimestamps))
  const readonlyTimestamps = decodeTimestamps(readMessages(message, PARTITION.readonlyTimestamps))
  if (leaderEpoch === undefined || epoch === undefined) return BAD_NUMBER
  if (pauseTimestamps === undefined || readonlyTimestamps === undefined) return 'event times'
  const { id, replicas, isr, leader, paused, readonly } = message
  const roles = { id, replicas, isr, leader, leaderEpoch, epoch }
  return { ...roles, paused, readonly, pauseTimestamps, readonlyTimestamps }
}

const decodeTimestamps = (messages: readonly Uint8Array[]): EventTimestamps | undefined => {
  const last = messages.at(-1)
  if (last === undefined) return NEVER
  const decoded = decodeMessage(api.PartitionEventTimestampsSchema, last)
  if (decoded.kind === 'rejected') return undefined
  const { firstTimestamp, latestTimestamp } = decoded.message
  return { firstNs: firstTimestamp, latestNs: latestTimestamp }
}

const decodeGroup = (state: MetadataView, message: internal.ConsumerGroup): GroupState | string => {
  const epoch = toIndex(message.epoch)
  if (epoch === undefined) return BAD_NUMBER
  const { id, coordinator } = message
  const assigned = message.members.map(
    (member) => [member, readMessages(member, CONSUMER.assignments)] as const,
  )
  let members: readonly MemberState[] = []
  if (assigned.every(([, assignments]) => assignments.length === 0)) {
    // As Go Liftbridge wrote it: all one can do is what it does, deal out anew in this order.
    for (const [member] of assigned) members = withMember(state, members, member)
    return { id, members, coordinator, epoch }
  }
  const decoded: MemberState[] = []
  for (const [member, encoded] of assigned) {
    const assignments = decodeAssignments(encoded)
    if (assignments === undefined) return 'assignments'
    decoded.push({ id: member.id, streams: member.streams, assignments })
  }
  return { id, members: decoded, coordinator, epoch }
}

const decodeAssignments = (encoded: readonly Uint8Array[]): Assignment[] | undefined => {
  const assignments: Assignment[] = []
  for (const bytes of encoded) {
    const decoded = decodeMessage(api.PartitionAssignmentSchema, bytes)
    if (decoded.kind === 'rejected') return undefined
    const { stream, partitions } = decoded.message
    assignments.push({ stream, partitions })
  }
  return assignments
}
