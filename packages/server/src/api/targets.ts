/** Where a publish goes: the checks that come before it, and what is constant about the way. */
import type { PartitionState, StreamState } from '@liftbridge/metadata'
import { partitionsToResume } from '@liftbridge/metadata'
import { partitionSubject, PublishEnvelopeWriter } from '@liftbridge/wire'
import { LiftbridgeError } from '../errors.ts'
import { POLICY_NONE } from '../partition/ack.ts'
import type { Partition } from '../partition/partition.ts'
import type { Route } from '../partition/subject-router.ts'
import type { ApiContext } from './context.ts'

/** Valid as long as neither the metadata nor the routes have changed. */
export type Target = {
  readonly stream: StreamState
  readonly partition: PartitionState
  readonly route: Route
  readonly envelopes: PublishEnvelopeWriter
  /** The partition, when it is led here. */
  readonly local: Partition | undefined
  readonly metadataIndex: number
  readonly routerVersion: number
}

/** True when a remembered target may be used again. */
export function isCurrent(context: ApiContext, target: Target): boolean {
  return (
    target.metadataIndex === context.metadata.state.appliedIndex &&
    target.routerVersion === context.router.version
  )
}

/** Finds the partition. Throws LiftbridgeError in the order of checks of [LB data plane 5.8]. */
export function findTarget(context: ApiContext, streamName: string, partitionId: number): Target {
  const { metadata, router } = context
  const stream = metadata.state.streams.get(streamName)
  if (!stream) throw new LiftbridgeError('stream.unknown', { stream: streamName })
  const partition = stream.partitions[partitionId]
  if (!partition) throw new LiftbridgeError('partition.unknown', { partition: partitionId })
  const subject = partitionSubject(stream.subject, partitionId)
  return {
    stream,
    partition,
    route: router.routeOf(subject),
    envelopes: new PublishEnvelopeWriter(stream.name, subject),
    local: ledPartition(context, stream, partitionId),
    metadataIndex: metadata.state.appliedIndex,
    routerVersion: router.version,
  }
}

/**
 * The partition as it runs here; undefined when it does not. What still runs of a deleted stream
 * of the same name is another one: what it stores goes with it.
 */
export function runningPartition(
  context: ApiContext,
  stream: StreamState,
  partitionId: number,
): Partition | undefined {
  const running = context.partitions.at(stream.name, partitionId)
  return running?.incarnation === stream.incarnation ? running : undefined
}

/** The partition, when this server leads it and takes its messages. */
export function ledPartition(
  context: ApiContext,
  stream: StreamState,
  partitionId: number,
): Partition | undefined {
  const led = context.partitions.get(stream.name, partitionId)
  return led?.incarnation === stream.incarnation ? led : undefined
}

/** Throws when the partition takes no publishes, or none with this ack policy. */
export function checkPublishable(target: Target, policy: number): void {
  if (target.partition.readonly) {
    throw new LiftbridgeError('partition.readonly', { partition: target.partition.id })
  }
  if (policy === POLICY_NONE && target.stream.config.optimisticConcurrencyControl === true) {
    throw new LiftbridgeError('publish.policy-required')
  }
}

/** True when the partition is paused: a publish resumes it, with others when it was paused so. */
export function needsResume(target: Target): boolean {
  return target.partition.paused
}

/** Resumes what a publish or a subscription to this partition resumes. */
export async function resume(
  context: ApiContext,
  stream: string,
  partition: number,
): Promise<void> {
  const state = context.metadata.state.streams.get(stream)
  if (!state) throw new LiftbridgeError('stream.unknown', { stream })
  const partitions = partitionsToResume(state, partition)
  if (partitions.length === 0) return
  const outcome = await context.controller.submit({
    kind: 'resume-stream',
    stream,
    partitions,
    timestampNs: context.clock.wallNs(),
  })
  if (outcome.kind === 'rejected') {
    throw new LiftbridgeError('resume.failed', { reason: outcome.text })
  }
  await Promise.all(partitions.map((id) => context.leaders.led(stream, id, RESUME_MS)))
}

/** A resumed log opens in milliseconds; the caller's own deadline is usually shorter. */
const RESUME_MS = 5_000

/** True when this server leads the partition but does not run it (opening, or fenced). */
export function isDown(context: ApiContext, target: Target): boolean {
  return target.local === undefined && target.partition.leader === context.serverId
}
