/**
 * The client API as a JavaScript client sees it through @grpc/proto-loader: enums by name, 64-bit
 * integers as decimal strings, bytes as Buffer. Only what the suites use is named.
 */
export type AckPolicyName = 'LEADER' | 'ALL' | 'NONE'

export type Ack = {
  readonly stream: string
  readonly partitionSubject: string
  readonly msgSubject: string
  readonly offset: string
  readonly ackInbox: string
  readonly correlationId: string
  readonly ackPolicy: AckPolicyName
  readonly receptionTimestamp: string
  readonly commitTimestamp: string
  readonly ackError: 'OK' | 'UNKNOWN' | 'INCORRECT_OFFSET' | 'TOO_LARGE' | 'ENCRYPTION'
}

export type Message = {
  readonly offset: string
  readonly key: Buffer
  readonly value: Buffer
  readonly timestamp: string
  readonly stream: string
  readonly partition: number
  readonly subject: string
  readonly replySubject: string
  readonly headers: Readonly<Record<string, Buffer>>
  readonly ackInbox: string
  readonly correlationId: string
  readonly ackPolicy: AckPolicyName
}

export type PublishRequest = {
  readonly key?: Uint8Array
  readonly value?: Uint8Array
  readonly stream?: string
  readonly partition?: number
  readonly headers?: Readonly<Record<string, Uint8Array>>
  readonly ackInbox?: string
  readonly correlationId?: string
  readonly ackPolicy?: AckPolicyName
  readonly expectedOffset?: string | number
}

export type PublishResponse = {
  readonly ack: Ack | null
  readonly asyncError: { readonly code: string; readonly message: string } | null
  readonly correlationId: string
}

export type Nullable<T> = { readonly value: T }

export type CreateStreamRequest = {
  readonly subject?: string
  readonly name?: string
  readonly group?: string
  readonly replicationFactor?: number
  readonly partitions?: number
  readonly retentionMaxBytes?: Nullable<number>
  readonly retentionMaxMessages?: Nullable<number>
  readonly retentionMaxAge?: Nullable<number>
  readonly cleanerInterval?: Nullable<number>
  readonly segmentMaxBytes?: Nullable<number>
  readonly segmentMaxAge?: Nullable<number>
  readonly compactMaxGoroutines?: Nullable<number>
  readonly compactEnabled?: Nullable<boolean>
  readonly minIsr?: Nullable<number>
  readonly optimisticConcurrencyControl?: Nullable<boolean>
  readonly encryption?: Nullable<boolean>
}

export type SubscribeRequest = {
  readonly stream?: string
  readonly partition?: number
  /** A name, or a number to send one that no enum knows. */
  readonly startPosition?: string | number
  readonly startOffset?: string | number
  readonly startTimestamp?: string | number
  readonly readISRReplica?: boolean
  readonly resume?: boolean
  readonly stopPosition?: string | number
  readonly stopOffset?: string | number
  readonly stopTimestamp?: string | number
  readonly consumer?: {
    readonly groupId?: string
    readonly groupEpoch?: number
    readonly consumerId?: string
  }
  readonly reverse?: boolean
}

export type EventTimestamps = { readonly firstTimestamp: string; readonly latestTimestamp: string }

export type PartitionMetadata = {
  readonly id: number
  readonly leader: string
  readonly replicas: readonly string[]
  readonly isr: readonly string[]
  readonly highWatermark: string
  readonly newestOffset: string
  readonly paused: boolean
  readonly readonly: boolean
  readonly messagesReceivedTimestamps: EventTimestamps | null
}

export type FetchMetadataResponse = {
  readonly brokers: readonly {
    readonly id: string
    readonly host: string
    readonly port: number
    readonly partitionCount: number
    readonly leaderCount: number
  }[]
  readonly streamMetadata: readonly {
    readonly name: string
    readonly subject: string
    readonly error: 'OK' | 'UNKNOWN_STREAM'
    readonly partitions: Readonly<Record<string, PartitionMetadata>>
    readonly creationTimestamp: string
  }[]
  readonly groupMetadata: readonly { readonly groupId: string; readonly error: string }[]
}

/** Request and response of each unary method that the suites call. */
export type UnaryMethods = {
  readonly CreateStream: [CreateStreamRequest, Record<string, never>]
  readonly DeleteStream: [{ readonly name?: string }, Record<string, never>]
  readonly PauseStream: [
    { readonly name?: string; readonly partitions?: readonly number[]; resumeAll?: boolean },
    Record<string, never>,
  ]
  readonly SetStreamReadonly: [
    { readonly name?: string; readonly partitions?: readonly number[]; readonly?: boolean },
    Record<string, never>,
  ]
  readonly FetchMetadata: [
    { readonly streams?: readonly string[]; readonly groups?: readonly string[] },
    FetchMetadataResponse,
  ]
  readonly FetchPartitionMetadata: [
    { readonly stream?: string; readonly partition?: number },
    { readonly metadata: PartitionMetadata | null },
  ]
  readonly Publish: [PublishRequest, PublishResponse]
  readonly PublishToSubject: [
    Omit<PublishRequest, 'stream' | 'partition' | 'expectedOffset'> & { readonly subject?: string },
    { readonly ack: Ack | null },
  ]
  readonly SetCursor: [
    { stream?: string; partition?: number; cursorId?: string; offset?: number },
    Record<string, never>,
  ]
  readonly FetchCursor: [
    { stream?: string; partition?: number; cursorId?: string },
    { readonly offset: string },
  ]
  readonly JoinConsumerGroup: [
    { groupId?: string; consumerId?: string; streams?: readonly string[] },
    { readonly coordinator: string; readonly epoch: string; readonly consumerTimeout: string },
  ]
}
