/** CreateStream, DeleteStream, PauseStream and SetStreamReadonly. */
import { GrpcError, GrpcStatus, type ServerCall } from '@liftbridge/grpc'
import {
  checkDeleteStream,
  parseCreateStream,
  selectPartitions,
  type Rejection,
} from '@liftbridge/metadata'
import { api, fromBinary, type DescMessage, type MessageShape } from '@liftbridge/wire'
import { LIMITS } from '../cluster/controller.ts'
import { LiftbridgeError } from '../errors.ts'
import { masterKeyProblem } from '../partition/encryption.ts'
import type { ApiContext } from './context.ts'

const EMPTY_RESPONSE = new Uint8Array(0)
/** Opening a partition takes milliseconds; a CreateStream that waits longer answers all the same. */
const SETTLE_MS = 5_000

export async function createStream(
  context: ApiContext,
  bytes: Uint8Array,
  { signal }: ServerCall,
): Promise<Uint8Array> {
  const request = decodeRequest(api.CreateStreamRequestSchema, bytes)
  const { namespace } = context.subjects
  const parsed = parseCreateStream(request, { namespace, limits: LIMITS })
  if (parsed.kind === 'rejected') throw rejection(parsed)
  const { stream } = parsed
  if (stream.config.encryption ?? context.streamDefaults().encryption) {
    const reason = masterKeyProblem(context.masterKey)
    if (reason !== undefined) throw new LiftbridgeError('encryption.precondition', { reason })
  }
  const answer = await context.controller.submit(
    { kind: 'create-stream', stream },
    undefined,
    signal,
  )
  if (answer.kind === 'rejected') throw rejection(answer)
  // Whoever creates a stream may publish and subscribe at once [LB clients 2.0.13].
  const ids = Array.from({ length: stream.partitions }, (_, id) => id)
  await Promise.all(ids.map((id) => assertLed(context, stream.name, id)))
  return EMPTY_RESPONSE
}

export async function deleteStream(
  context: ApiContext,
  bytes: Uint8Array,
  { signal }: ServerCall,
): Promise<Uint8Array> {
  const { name } = decodeRequest(api.DeleteStreamRequestSchema, bytes)
  const check = checkDeleteStream(name)
  if (check.kind === 'rejected') throw rejection(check)
  const partitions = context.metadata.state.streams.get(name)?.partitions ?? []
  const outcome = await context.controller.submit(
    { kind: 'delete-stream', stream: name },
    undefined,
    signal,
  )
  if (outcome.kind === 'rejected') throw rejection(outcome)
  // Nothing is stored and acknowledged here any more that would go with the stream.
  const ids = partitions.map(({ id }) => id)
  return whenSettled(context, name, ids)
}

export async function pauseStream(context: ApiContext, bytes: Uint8Array): Promise<Uint8Array> {
  const request = decodeRequest(api.PauseStreamRequestSchema, bytes)
  const partitions = select(context, request.name, request.partitions)
  const outcome = await context.controller.submit({
    kind: 'pause-stream',
    stream: request.name,
    partitions,
    resumeAll: request.resumeAll,
    timestampNs: context.clock.wallNs(),
  })
  if (outcome.kind === 'rejected') throw rejection(outcome)
  return whenSettled(context, request.name, partitions)
}

export async function setStreamReadonly(
  context: ApiContext,
  bytes: Uint8Array,
): Promise<Uint8Array> {
  const request = decodeRequest(api.SetStreamReadonlyRequestSchema, bytes)
  const partitions = select(context, request.name, request.partitions)
  const outcome = await context.controller.submit({
    kind: 'set-stream-readonly',
    stream: request.name,
    partitions,
    readonly: request.readonly,
    timestampNs: context.clock.wallNs(),
  })
  if (outcome.kind === 'rejected') throw rejection(outcome)
  return whenSettled(context, request.name, partitions)
}

/**
 * The stream stands in the metadata, and its opening is tried again: taking it back could delete
 * what others have published to its other partitions meanwhile. So the caller is told.
 */
async function assertLed(context: ApiContext, stream: string, partition: number): Promise<void> {
  const led = await context.leaders.led(stream, partition, SETTLE_MS)
  if (led.kind !== 'failed') return
  const { reason } = led
  throw new LiftbridgeError('stream.not-opened', { stream, partition, reason })
}

/** Reads a request; what is no protobuf is told in the words of gRPC for Go. */
export function decodeRequest<Desc extends DescMessage>(
  schema: Desc,
  bytes: Uint8Array,
): MessageShape<Desc> {
  try {
    return fromBinary(schema, bytes)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new LiftbridgeError('request.malformed', { reason }, { cause: error })
  }
}

/** The answer to a change, once it is done here. */
async function whenSettled(
  context: ApiContext,
  stream: string,
  partitions: readonly number[],
): Promise<Uint8Array> {
  const { leaders } = context
  await Promise.all(partitions.map((id) => leaders.settled(stream, id, SETTLE_MS)))
  return EMPTY_RESPONSE
}

function select(context: ApiContext, stream: string, listed: readonly number[]): readonly number[] {
  const selected = selectPartitions(context.metadata.state, stream, listed)
  if (selected.kind === 'rejected') throw rejection(selected)
  return selected.partitions
}

function rejection({ status, text }: Rejection): GrpcError {
  return new GrpcError(GrpcStatus[status], text)
}
