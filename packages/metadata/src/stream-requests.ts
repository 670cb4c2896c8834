import { streamSubjectProblem } from '@liftbridge/wire'
import { checkQueueGroup, checkStreamName, isReservedStreamName } from './names.ts'
import type { Operation } from './operation.ts'
import { findStream } from './operations/rules.ts'
import { placePartitions, type PlacementServer } from './placement.ts'
import { OK, PARTITION_DOES_NOT_EXIST, rejected, type Check, type Rejection } from './rejection.ts'
import type { MetadataView } from './state.ts'
import {
  parseStreamConfig,
  pinAgreedSettings,
  type StreamConfig,
  type StreamDefaults,
  type WireStreamConfig,
} from './stream-config.ts'
import type { TimestampNs } from './units.ts'

/** A CreateStreamRequest as it comes from a client. */
export interface WireCreateStream extends WireStreamConfig {
  readonly subject: string
  readonly name: string
  readonly group: string
  readonly replicationFactor: number
  readonly partitions: number
}

/** A stream to create: everything checked that can be checked without the cluster's state. */
export interface StreamRequest {
  readonly name: string
  readonly subject: string
  readonly group: string
  readonly partitions: number
  readonly replicationFactor: number
  readonly config: StreamConfig
}

export interface CreateStreamLimits {
  readonly maxPartitionsPerStream: number
  /** Over all streams; memory and descriptors of every server grow with it. */
  readonly maxPartitions: number
}

export type ParsedStreamRequest =
  | { readonly kind: 'ok'; readonly stream: StreamRequest }
  | Rejection

const RESERVED = rejected('INVALID_ARGUMENT', 'Stream is reserved')

/**
 * Reads a client's CreateStreamRequest. Refusals come in the order in which Go Liftbridge checks:
 * empty name, subject, reserved name; then what it does not check and should [D-03, D-14, A4].
 */
export const parseCreateStream = (
  request: WireCreateStream,
  context: { readonly namespace: string; readonly limits: CreateStreamLimits },
): ParsedStreamRequest => {
  const { name, subject, group } = request
  if (name === '') return rejected('INVALID_ARGUMENT', 'Name cannot be empty')
  const partitions = request.partitions === 0 ? 1 : request.partitions
  // With few partitions first: whether the subject is one at all does not depend on their number.
  const { maxPartitionsPerStream } = context.limits
  const counted = Math.min(Math.max(partitions, 1), maxPartitionsPerStream)
  if (streamSubjectProblem(context.namespace, subject, counted) !== undefined) {
    return rejected('INVALID_ARGUMENT', 'Subject is invalid')
  }
  if (isReservedStreamName(name)) return RESERVED
  for (const check of [checkStreamName(name), checkQueueGroup(group)]) {
    if (check.kind === 'rejected') return check
  }
  if (partitions < 0) return rejected('INVALID_ARGUMENT', `Invalid partitions ${partitions}`)
  if (partitions > maxPartitionsPerStream) {
    return rejected(
      'INVALID_ARGUMENT',
      `Invalid partitions ${partitions}, at most ${maxPartitionsPerStream} are allowed`,
    )
  }
  const parsed = parseStreamConfig(request)
  if (parsed.kind === 'rejected') return parsed
  const replicationFactor = request.replicationFactor === 0 ? 1 : request.replicationFactor
  const { config } = parsed
  return { kind: 'ok', stream: { name, subject, group, partitions, replicationFactor, config } }
}

/** What the metadata leader knows when it plans a stream. */
export interface StreamPlanContext {
  readonly servers: readonly PlacementServer[]
  readonly defaults: StreamDefaults
  readonly limits: CreateStreamLimits
  readonly nowNs: TimestampNs
}

export type PlannedStream =
  | { readonly kind: 'ok'; readonly operation: Operation<'create-stream'> }
  | Rejection

/** Chooses replicas and leaders for a stream and writes the operation that creates it. */
export const planCreateStream = (
  state: MetadataView,
  stream: StreamRequest,
  context: StreamPlanContext,
): PlannedStream => {
  const { name, subject, group, replicationFactor } = stream
  const placement = placePartitions(state, {
    partitions: stream.partitions,
    replicationFactor,
    servers: context.servers,
  })
  if (placement.kind === 'rejected') return placement
  const total = state.partitionCount + stream.partitions
  if (total > context.limits.maxPartitions && !state.streams.has(name)) {
    return rejected(
      'RESOURCE_EXHAUSTED',
      `too many partitions: the cluster would have ${total}, ` +
        `at most ${context.limits.maxPartitions} are allowed`,
    )
  }
  const operation: Operation<'create-stream'> = {
    kind: 'create-stream',
    stream: {
      name,
      subject,
      group,
      replicationFactor,
      partitions: placement.partitions,
      config: pinAgreedSettings(stream.config, context.defaults),
      creationTimestampNs: context.nowNs,
    },
  }
  return { kind: 'ok', operation }
}

/** Whether a client may ask for this stream's deletion; whether it exists is the operation's check. */
export const checkDeleteStream = (name: string): Check =>
  isReservedStreamName(name) ? RESERVED : OK

export type SelectedPartitions =
  | { readonly kind: 'ok'; readonly partitions: readonly number[] }
  | Rejection

/**
 * The partitions that a PauseStream or SetStreamReadonly request means: those it lists, or all.
 * The text for an unknown stream differs between the two cases, and clients have seen both.
 */
export const selectPartitions = (
  state: MetadataView,
  name: string,
  listed: readonly number[],
): SelectedPartitions => {
  const found = findStream(state, name)
  if (found.kind === 'rejected') {
    return listed.length === 0 ? rejected('NOT_FOUND', 'stream not found') : found
  }
  const { partitions } = found.stream
  if (listed.length === 0) return { kind: 'ok', partitions: partitions.map(({ id }) => id) }
  const unique = [...new Set(listed)]
  return unique.every((id) => partitions[id] !== undefined)
    ? { kind: 'ok', partitions: unique }
    : PARTITION_DOES_NOT_EXIST
}
