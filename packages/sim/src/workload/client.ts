/** Clients of the cluster, as the actions of a plan make them. */
import { GrpcStatus, statusName } from '@liftbridge/grpc'
import { api, create, fromBinary, toBinary } from '@liftbridge/wire'
import type { CallResult, CallWorld } from '../cluster/calls.ts'
import { callBidi, callServerStream, callUnary } from '../cluster/calls.ts'
import type { Machine } from '../cluster/machine.ts'
import type { Attempt, History, MetadataCall, Subscription } from './history.ts'
import type { AckWish, ClientAction, Step } from './plan.ts'

export const DEADLINE_MS = 5_000

/** Statuses that say for certain that nothing was done. */
const REFUSALS: ReadonlySet<GrpcStatus> = new Set([
  GrpcStatus.NOT_FOUND,
  GrpcStatus.INVALID_ARGUMENT,
  GrpcStatus.FAILED_PRECONDITION,
  GrpcStatus.ALREADY_EXISTS,
  GrpcStatus.PERMISSION_DENIED,
  GrpcStatus.UNAUTHENTICATED,
  GrpcStatus.UNIMPLEMENTED,
])

export interface ClientWorld extends CallWorld {
  readonly history: History
  /** The machine that a step turns to. */
  targetOf(step: Step, stream?: string, partition?: number): Machine
  /** Next offset of a partition as far as clients know, for expected offsets. */
  nextOffset(stream: string, partition: number): number
  say(text: string): void
}

type Of<Kind extends ClientAction['kind']> = Extract<ClientAction, { kind: Kind }>

export async function runMetadataAction(
  world: ClientWorld,
  step: Step,
  action: Of<'create' | 'delete' | 'pause' | 'readonly'>,
): Promise<void> {
  const call: MetadataCall = {
    step: step.id,
    kind: action.kind,
    stream: action.stream,
    invokedUs: world.scheduler.nowUs,
    endedUs: -1,
    outcome: 'open',
    error: '',
  }
  world.history.metadataCalls.push(call)
  if (action.kind === 'delete') world.history.noteDeletion(action.stream)
  const { name, request } = metadataRequest(action)
  const target = world.targetOf(step)
  const result = await callUnary(world, target, request, { name, deadlineMs: 10_000 })
  call.endedUs = world.scheduler.nowUs
  call.outcome = outcomeOf(result)
  call.error = result.kind === 'ok' ? '' : `${statusName(result.code)}: ${result.text}`
  world.say(
    `#${step.id} ${action.kind} ${action.stream} at ${target.name}: ${call.outcome} ${call.error}`,
  )
}

function outcomeOf(result: CallResult<unknown>): 'ok' | 'refused' | 'unknown' {
  if (result.kind === 'ok') return 'ok'
  return REFUSALS.has(result.code) ? 'refused' : 'unknown'
}

function metadataRequest(action: Of<'create' | 'delete' | 'pause' | 'readonly'>): {
  readonly name: string
  readonly request: Uint8Array
} {
  const name = action.stream
  switch (action.kind) {
    case 'create': {
      const { partitions, replicas, minIsr, concurrency, retentionMessages } = action
      const init = {
        name,
        subject: name,
        partitions,
        replicationFactor: replicas,
        minIsr: { value: minIsr },
        ...(concurrency ? { optimisticConcurrencyControl: { value: true } } : {}),
        ...(retentionMessages > 0
          ? {
              retentionMaxMessages: { value: BigInt(retentionMessages) },
              cleanerInterval: { value: 2_000n },
            }
          : {}),
      }
      const request = create(api.CreateStreamRequestSchema, init)
      return { name: 'CreateStream', request: toBinary(api.CreateStreamRequestSchema, request) }
    }
    case 'delete': {
      const request = create(api.DeleteStreamRequestSchema, { name })
      return { name: 'DeleteStream', request: toBinary(api.DeleteStreamRequestSchema, request) }
    }
    case 'pause': {
      const { partitions, resumeAll } = action
      const request = create(api.PauseStreamRequestSchema, {
        name,
        partitions: [...partitions],
        resumeAll,
      })
      return { name: 'PauseStream', request: toBinary(api.PauseStreamRequestSchema, request) }
    }
    case 'readonly': {
      const { partitions, readonly } = action
      const init = { name, partitions: [...partitions], readonly }
      const request = create(api.SetStreamReadonlyRequestSchema, init)
      return {
        name: 'SetStreamReadonly',
        request: toBinary(api.SetStreamReadonlyRequestSchema, request),
      }
    }
    default:
      return action satisfies never
  }
}

const POLICIES: Readonly<Record<AckWish, api.AckPolicy>> = {
  leader: api.AckPolicy.LEADER,
  all: api.AckPolicy.ALL,
  none: api.AckPolicy.NONE,
}

/** Begins an attempt: its value says where it comes from and is never used twice. */
export function beginAttempt(
  world: ClientWorld,
  step: Step,
  action: Of<'publish'>,
  index: number,
): Attempt {
  const { stream, partition, policy, way, bytes } = action
  const value = `${stream}/${partition}#${step.id}.${index}`.padEnd(bytes, '.')
  const expected = action.expect ? world.nextOffset(stream, partition) + index : -1
  return world.history.begin({
    value,
    step: step.id,
    client: `c${step.id}`,
    stream,
    partition,
    policy,
    way,
    expected,
    invokedUs: world.scheduler.nowUs,
  })
}

export async function publishUnary(
  world: ClientWorld,
  step: Step,
  attempt: Attempt,
): Promise<void> {
  const target = world.targetOf(step, attempt.stream, attempt.partition)
  const options = { name: 'Publish', deadlineMs: DEADLINE_MS }
  const result = await callUnary(world, target, publishRequest(attempt), options)
  if (result.kind === 'error') {
    settle(
      world,
      attempt,
      REFUSALS.has(result.code) ? 'refused' : 'unknown',
      `${statusName(result.code)}: ${result.text}`,
    )
    return
  }
  const { ack } = fromBinary(api.PublishResponseSchema, result.value)
  // Without a policy that waits the answer is empty, and tells nothing.
  if (ack === undefined) settle(world, attempt, 'unknown', 'not waited for')
  else acked(world, attempt, ack)
}

/** A session of PublishAsync: all messages in a few chunks, answers by correlation id. */
export async function publishAsync(
  world: ClientWorld,
  step: Step,
  attempts: readonly Attempt[],
): Promise<void> {
  const [first] = attempts
  if (first === undefined) return
  const target = world.targetOf(step, first.stream, first.partition)
  const call = callBidi(world, target, {
    name: 'PublishAsync',
    deadlineMs: DEADLINE_MS,
    onMessage: (message) => {
      const { ack, asyncError, correlationId } = fromBinary(api.PublishResponseSchema, message)
      const attempt = world.history.byValue.get(correlationId)
      if (attempt === undefined || attempt.outcome !== 'open') return
      if (asyncError) {
        const refused = REFUSED_ASYNC.has(asyncError.code)
        settle(world, attempt, refused ? 'refused' : 'unknown', asyncError.message)
      } else if (ack) {
        acked(world, attempt, ack)
      }
    },
  })
  const size = Math.max(1, Math.ceil(attempts.length / 3))
  for (let at = 0; at < attempts.length; at += size) {
    call.send(attempts.slice(at, at + size).map(publishRequest))
  }
  call.end()
  await call.ended
  for (const attempt of attempts) {
    if (attempt.outcome === 'open') settle(world, attempt, 'unknown', 'no answer')
  }
}

const REFUSED_ASYNC: ReadonlySet<api.PublishAsyncError_Code> = new Set([
  api.PublishAsyncError_Code.BAD_REQUEST,
  api.PublishAsyncError_Code.NOT_FOUND,
  api.PublishAsyncError_Code.READONLY,
  api.PublishAsyncError_Code.INCORRECT_OFFSET,
  api.PublishAsyncError_Code.ENCRYPTION_FAILED,
])

function publishRequest(attempt: Attempt): Uint8Array {
  const request = create(api.PublishRequestSchema, {
    value: Buffer.from(attempt.value),
    stream: attempt.stream,
    partition: attempt.partition,
    correlationId: attempt.value,
    ackPolicy: POLICIES[attempt.policy],
    expectedOffset: BigInt(attempt.expected),
  })
  return toBinary(api.PublishRequestSchema, request)
}

export function acked(world: ClientWorld, attempt: Attempt, ack: api.Ack): void {
  if (attempt.outcome !== 'open') return
  if (ack.ackError === api.Ack_Error.OK) {
    attempt.offset = Number(ack.offset)
    settle(world, attempt, 'acked', '')
    return
  }
  // UNKNOWN promises nothing either way.
  const refused = ack.ackError !== api.Ack_Error.UNKNOWN
  settle(world, attempt, refused ? 'refused' : 'unknown', `ack error ${ack.ackError}`)
}

export function settle(
  world: ClientWorld,
  attempt: Attempt,
  outcome: Exclude<Attempt['outcome'], 'open'>,
  error: string,
): void {
  if (attempt.outcome !== 'open') return
  attempt.outcome = outcome
  attempt.error = error
  attempt.endedUs = world.scheduler.nowUs
}

/** Subscribes for a while; what comes is kept in the history. */
export async function subscribe(
  world: ClientWorld,
  step: Step,
  action: Of<'subscribe'>,
  machine?: Machine,
): Promise<Subscription> {
  const { stream, partition, from, offset, reverse, replica } = action
  const target = machine ?? world.targetOf(step, stream, partition)
  const subscription: Subscription = {
    step: step.id,
    stream,
    partition,
    reverse,
    startOffset: from === 'earliest' && !reverse ? 0 : from === 'offset' ? offset : undefined,
    deletionsBefore: world.history.deletionsOf(stream),
    server: target.name,
    invokedUs: world.scheduler.nowUs,
    confirmed: false,
    received: [],
    ended: '',
  }
  world.history.subscriptions.push(subscription)
  const request = create(api.SubscribeRequestSchema, {
    stream,
    partition,
    startPosition: START[from],
    startOffset: BigInt(offset),
    startTimestamp: 0n,
    reverse,
    readISRReplica: replica,
  })
  const call = callServerStream(world, target, toBinary(api.SubscribeRequestSchema, request), {
    name: 'Subscribe',
    deadlineMs: action.forMs,
    onMessage: (message) => {
      if (!subscription.confirmed && message.length === 0) {
        subscription.confirmed = true
        return
      }
      const got = fromBinary(api.MessageSchema, message)
      subscription.received.push({
        offset: Number(got.offset),
        timestampNs: got.timestamp,
        value: Buffer.from(got.value).toString(),
        atUs: world.scheduler.nowUs,
      })
    },
  })
  const result = await call.ended
  subscription.ended = result.kind === 'ok' ? 'OK' : `${statusName(result.code)}: ${result.text}`
  return subscription
}

const START: Readonly<Record<Of<'subscribe'>['from'], api.StartPosition>> = {
  earliest: api.StartPosition.EARLIEST,
  latest: api.StartPosition.LATEST,
  new: api.StartPosition.NEW_ONLY,
  offset: api.StartPosition.OFFSET,
  timestamp: api.StartPosition.TIMESTAMP,
}

/** What a server says of the streams; undefined when it says nothing. */
export async function fetchMetadata(
  world: CallWorld,
  target: Machine,
): Promise<api.FetchMetadataResponse | undefined> {
  const request = toBinary(
    api.FetchMetadataRequestSchema,
    create(api.FetchMetadataRequestSchema, {}),
  )
  const options = { name: 'FetchMetadata', deadlineMs: DEADLINE_MS }
  const result = await callUnary(world, target, request, options)
  return result.kind === 'ok'
    ? fromBinary(api.FetchMetadataResponseSchema, result.value)
    : undefined
}
