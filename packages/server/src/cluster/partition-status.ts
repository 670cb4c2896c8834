/** Waits until a partition has a leader that runs, wherever it is [LB control plane 4.4]. */
import {
  create,
  decodeEnvelopeOf,
  decodeMessage,
  encodeEnvelope,
  EnvelopeType,
  internal,
  toBinary,
  type ClusterSubjects,
} from '@liftbridge/wire'
import type { Bus } from '../bus.ts'
import type { Clock } from '../clock.ts'

export type StatusOptions = {
  readonly bus: Bus
  readonly subjects: ClusterSubjects
  readonly clock: Clock
  /** Who leads the partition as far as is known here; undefined when it does not exist. */
  readonly leaderOf: (stream: string, partition: number) => string | undefined
}

/** Between two questions, and how long one may take. */
const PAUSE_MS = 50
const QUESTION_MS = 1_000

/** True when the leader says that it leads; false when it has not within the time. */
export async function untilLed(
  options: StatusOptions,
  partition: { readonly stream: string; readonly id: number },
  timeoutMs: number,
): Promise<boolean> {
  const { clock, leaderOf } = options
  const deadlineMs = clock.monotonicMs() + timeoutMs
  for (;;) {
    const leader = leaderOf(partition.stream, partition.id)
    const left = deadlineMs - clock.monotonicMs()
    if (leader === undefined || left <= 0) return false
    if (await isLed(options, { ...partition, leader }, Math.min(QUESTION_MS, left))) return true
    await new Promise<void>((resolve) => clock.after(PAUSE_MS, resolve))
  }
}

async function isLed(
  { bus, subjects }: StatusOptions,
  partition: { readonly stream: string; readonly id: number; readonly leader: string },
  timeoutMs: number,
): Promise<boolean> {
  const request = create(internal.PartitionStatusRequestSchema, {
    stream: partition.stream,
    partition: partition.id,
  })
  const payload = toBinary(internal.PartitionStatusRequestSchema, request)
  try {
    const { data } = await bus.request(
      subjects.partitionStatus(partition.leader),
      encodeEnvelope(EnvelopeType.PartitionStatusRequest, payload),
      timeoutMs,
    )
    const opened = decodeEnvelopeOf(EnvelopeType.PartitionStatusResponse, data)
    if (opened.kind === 'rejected') return false
    const decoded = decodeMessage(
      internal.PartitionStatusResponseSchema,
      data.subarray(opened.payloadStart),
    )
    return decoded.kind !== 'rejected' && decoded.message.exists && decoded.message.isLeader
  } catch {
    // No answer is no leader yet; asked again until the time is up.
    return false
  }
}
