import type { Effect, Operation, OperationKind, PartitionRef } from '../operation.ts'
import {
  OK,
  PARTITION_DOES_NOT_EXIST,
  STREAM_DOES_NOT_EXIST,
  type Accepted,
  type Check,
  type Rejection,
} from '../rejection.ts'
import type { MetadataState, MetadataView, PartitionState, StreamState } from '../state.ts'
import type { LogIndex } from '../units.ts'

/**
 * What there is to know about one operation. `check` says whether it can take effect on a state;
 * `apply` is called only when `check` has just passed on this very state, and cannot fail then.
 */
export interface Rules<Kind extends OperationKind> {
  check(state: MetadataView, operation: Operation<Kind>): Check
  apply(state: MetadataState, operation: Operation<Kind>, index: LogIndex): Effect
  /** Begins the text of INTERNAL when the operation could not be put into the log. */
  readonly failure: string
}

export interface FoundStream extends Accepted {
  readonly stream: StreamState
}

export interface FoundPartition extends FoundStream {
  readonly partition: PartitionState
}

export const findStream = (state: MetadataView, name: string): FoundStream | Rejection => {
  const stream = state.streams.get(name)
  return stream === undefined ? STREAM_DOES_NOT_EXIST : { kind: 'ok', stream }
}

export const findPartition = (
  state: MetadataView,
  ref: PartitionRef,
): FoundPartition | Rejection => {
  const stream = state.streams.get(ref.stream)
  if (stream === undefined) return STREAM_DOES_NOT_EXIST
  const partition = stream.partitions[ref.partition]
  return partition === undefined ? PARTITION_DOES_NOT_EXIST : { kind: 'ok', stream, partition }
}

/** The stream and every partition named in it exist. */
export const checkPartitions = (
  state: MetadataView,
  name: string,
  partitions: readonly number[],
): Check => {
  const stream = state.streams.get(name)
  if (stream === undefined) return STREAM_DOES_NOT_EXIST
  const all = partitions.every((id) => stream.partitions[id] !== undefined)
  return all ? OK : PARTITION_DOES_NOT_EXIST
}

/** Changes the partitions of `ids`, or all of them when `ids` is undefined. */
export const changePartitions = (
  stream: StreamState,
  ids: readonly number[] | undefined,
  change: (partition: PartitionState) => PartitionState,
): StreamState => {
  const chosen = ids === undefined ? undefined : new Set(ids)
  return {
    ...stream,
    partitions: stream.partitions.map((partition) =>
      chosen === undefined || chosen.has(partition.id) ? change(partition) : partition,
    ),
  }
}

/** Replaces a stream that is known to exist and names it as changed. */
export const changeStream = (
  state: MetadataState,
  name: string,
  change: (stream: StreamState) => StreamState,
): Effect => {
  const stream = state.streams.get(name)
  if (stream === undefined) return { streams: [] }
  state.putStream(change(stream))
  return { streams: [name] }
}
