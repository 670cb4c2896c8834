/** FetchMetadata and FetchPartitionMetadata [LB data plane 5.6, 5.7]. */
import type { EventTimestamps, PartitionState, StreamState } from '@liftbridge/metadata'
import { api, create, toBinary, type MessageInitShape } from '@liftbridge/wire'
import { METADATA_NAMES_MAX } from '../config/limits.ts'
import { LiftbridgeError } from '../errors.ts'
import type { ApiContext } from './context.ts'
import { decodeRequest } from './streams.ts'
import { ledPartition, runningPartition } from './targets.ts'

type PartitionInit = MessageInitShape<typeof api.PartitionMetadataSchema>
type StreamInit = MessageInitShape<typeof api.StreamMetadataSchema>

export async function fetchMetadata(context: ApiContext, bytes: Uint8Array): Promise<Uint8Array> {
  const request = decodeRequest(api.FetchMetadataRequestSchema, bytes)
  if (request.streams.length + request.groups.length > METADATA_NAMES_MAX) {
    throw new LiftbridgeError('metadata.too-many-names', { max: METADATA_NAMES_MAX })
  }
  const { state } = context.metadata
  const streamMetadata =
    request.streams.length === 0
      ? [...state.streams.values()].map((stream) => streamOf(context, stream))
      : [...new Set(request.streams)].map((name): StreamInit => {
          const stream = state.streams.get(name)
          return stream
            ? streamOf(context, stream)
            : { name, error: api.StreamMetadata_Error.UNKNOWN_STREAM }
        })
  const groupMetadata = request.groups.map((groupId) => {
    const group = state.groups.get(groupId)
    return group
      ? { groupId, coordinator: group.coordinator, epoch: BigInt(group.epoch) }
      : { groupId, error: api.ConsumerGroupMetadata_Error.UNKNOWN_GROUP }
  })
  const brokers = (await context.brokers.list()).map(({ id, host, port }) => {
    const load = state.loadOf(id)
    return { id, host, port, partitionCount: load.partitions, leaderCount: load.leaders }
  })
  const response = create(api.FetchMetadataResponseSchema, {
    brokers,
    streamMetadata,
    groupMetadata,
  })
  return toBinary(api.FetchMetadataResponseSchema, response)
}

export async function fetchPartitionMetadata(
  context: ApiContext,
  bytes: Uint8Array,
): Promise<Uint8Array> {
  const request = decodeRequest(api.FetchPartitionMetadataRequestSchema, bytes)
  const stream = context.metadata.state.streams.get(request.stream)
  const partition = stream?.partitions[request.partition]
  if (!stream || !partition) throw new LiftbridgeError('partition-metadata.unknown')
  if (!ledPartition(context, stream, partition.id)) {
    throw new LiftbridgeError('partition-metadata.not-leader')
  }
  const response = create(api.FetchPartitionMetadataResponseSchema, {
    metadata: partitionOf(context, stream, partition),
  })
  return toBinary(api.FetchPartitionMetadataResponseSchema, response)
}

function streamOf(context: ApiContext, stream: StreamState): StreamInit {
  const partitions: Record<number, PartitionInit> = {}
  for (const partition of stream.partitions) {
    partitions[partition.id] = partitionOf(context, stream, partition)
  }
  return {
    name: stream.name,
    subject: stream.subject,
    creationTimestamp: stream.creationTimestampNs,
    partitions,
  }
}

function partitionOf(
  context: ApiContext,
  stream: StreamState,
  state: PartitionState,
): PartitionInit {
  const running = runningPartition(context, stream, state.id)
  return {
    id: state.id,
    leader: state.leader,
    replicas: [...state.replicas],
    isr: [...state.isr],
    highWatermark: BigInt(running?.log.highWatermark ?? -1),
    newestOffset: BigInt(running?.log.newestOffset ?? -1),
    paused: state.paused,
    readonly: state.readonly,
    messagesReceivedTimestamps: {
      firstTimestamp: running?.firstReceivedNs ?? 0n,
      latestTimestamp: running?.latestReceivedNs ?? 0n,
    },
    pauseTimestamps: timestamps(state.pauseTimestamps),
    readonlyTimestamps: timestamps(state.readonlyTimestamps),
  }
}

function timestamps({ firstNs, latestNs }: EventTimestamps): {
  firstTimestamp: bigint
  latestTimestamp: bigint
} {
  return { firstTimestamp: firstNs, latestTimestamp: latestNs }
}
