import type { Rejection } from './rejection.ts'
import type { StreamConfig } from './stream-config.ts'
import type { LogIndex, ServerId, StreamIdentity, TimestampNs } from './units.ts'

/** A partition as CREATE_STREAM carries it; its epochs are the operation's index. */
export interface NewPartition {
  readonly id: number
  readonly replicas: readonly ServerId[]
  readonly isr: readonly ServerId[]
  readonly leader: ServerId
}

export interface NewStream {
  readonly name: string
  readonly subject: string
  readonly group: string
  readonly replicationFactor: number
  readonly partitions: readonly NewPartition[]
  readonly config: StreamConfig
  readonly creationTimestampNs: TimestampNs
}

/** Names one partition. */
export interface PartitionRef {
  readonly stream: string
  readonly partition: number
}

/**
 * The fence of an ISR change: it holds only under the leadership, and for the partition epoch,
 * under which it was decided [R7, D-24]. `partitionEpoch` is 0 when the proposer (Go Liftbridge)
 * does not say.
 */
export interface IsrChange extends PartitionRef {
  readonly replica: ServerId
  readonly leader: ServerId
  readonly leaderEpoch: LogIndex
  readonly partitionEpoch: LogIndex
}

export interface NewMember {
  readonly id: string
  readonly streams: readonly string[]
}

/** Every operation and what it carries, by kind. */
export interface OperationFields {
  'create-stream': { readonly stream: NewStream }
  'shrink-isr': IsrChange
  'expand-isr': IsrChange
  /** `partitionEpoch` as in IsrChange. */
  'change-leader': PartitionRef & {
    readonly leader: ServerId
    readonly partitionEpoch: LogIndex
  }
  'delete-stream': { readonly stream: string }
  /** No partitions means all of them. */
  'pause-stream': {
    readonly stream: string
    readonly partitions: readonly number[]
    readonly resumeAll: boolean
    readonly timestampNs: TimestampNs
  }
  /** No partitions means none. */
  'resume-stream': {
    readonly stream: string
    readonly partitions: readonly number[]
    readonly timestampNs: TimestampNs
  }
  /** The event of the operation at `activityIndex` is in the activity stream. */
  'publish-activity': { readonly activityIndex: LogIndex }
  /** No partitions means all of them. */
  'set-stream-readonly': {
    readonly stream: string
    readonly partitions: readonly number[]
    readonly readonly: boolean
    readonly timestampNs: TimestampNs
  }
  'create-consumer-group': {
    readonly group: {
      readonly id: string
      readonly members: readonly NewMember[]
      readonly coordinator: ServerId
      readonly epoch: LogIndex
    }
  }
  'join-consumer-group': {
    readonly groupId: string
    readonly consumerId: string
    readonly streams: readonly string[]
  }
  /** `expired`: the coordinator gave the member up. */
  'leave-consumer-group': {
    readonly groupId: string
    readonly consumerId: string
    readonly expired: boolean
  }
  /** `groupEpoch` is the epoch under which the change was decided; 0 when not said. */
  'change-consumer-group-coordinator': {
    readonly groupId: string
    readonly coordinator: ServerId
    readonly groupEpoch: LogIndex
  }
}

export type OperationKind = keyof OperationFields

/** One operation; without a parameter, any. */
export type Operation<Kind extends OperationKind = OperationKind> = {
  [K in Kind]: { readonly kind: K } & OperationFields[K]
}[Kind]

/** What an applied operation changed. */
export interface Effect {
  /** Streams created, changed or removed. */
  readonly streams: readonly string[]
  /** Of the one stream that was changed, the only partitions that were; absent: any may be. */
  readonly partitions?: readonly number[]
  /** Streams removed: the only reason there is to delete their data [M9]. */
  readonly deleted?: readonly StreamIdentity[]
  /** Answer to a join or the creation of a group. */
  readonly group?: { readonly coordinator: ServerId; readonly epoch: LogIndex }
}

/** What became of an operation of the log: it took effect, or it could not and changed nothing. */
export type Outcome =
  | ({ readonly kind: 'applied'; readonly index: LogIndex } & Effect)
  | { readonly kind: 'inert'; readonly index: LogIndex; readonly rejection: Rejection }
