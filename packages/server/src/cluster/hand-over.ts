/** What a server does before it leaves on purpose: others lead before it stops answering. */
import type { Clock } from '../clock.ts'
import type { Logger } from '../logging/logger.ts'
import type { Metadata } from '../metadata/metadata.ts'
import type { Controller } from './controller.ts'
import { untilDone } from './until-done.ts'

export type HandOverOptions = {
  readonly metadata: Metadata
  readonly controller: Controller
  readonly serverId: string
  /** Takes no more messages for partitions with other replicas, and answers those it took. */
  readonly quiesce: (timeoutMs: number) => Promise<void>
  readonly clock: Clock
  readonly logger: Logger
}

/** Longer than this a shutdown does not wait for others to take over: they notice by themselves. */
const HAND_OVER_MS = 3_000

/** What was accepted is answered in a round trip or two, unless a replica is away. */
const QUIESCE_MS = 500

/**
 * Partitions first, then the metadata, whose leader has to agree to each of the former. Whoever is
 * the last in the ISR keeps its partition. Resolves after at most a few seconds, done or not.
 */
export async function handOver(options: HandOverOptions): Promise<void> {
  const { metadata, clock, serverId, logger } = options
  if (!metadata.members.some(({ id }) => id !== serverId)) return
  const moves = sharedPartitions(options)
  if (moves.length > 0) {
    logger.info('leaving partitions to other servers', { partitions: moves.length })
    await options.quiesce(QUIESCE_MS)
    const all = Promise.all(moves.map((move) => move()))
    const done = await untilDone(clock, HAND_OVER_MS, all)
    if (!done) logger.warn('some partitions could not be handed over in time')
  }
  await untilDone(clock, HAND_OVER_MS, metadata.handOver())
}

/** Those it leads get another leader; of the others it leaves the ISR. */
function sharedPartitions(options: HandOverOptions): (() => Promise<unknown>)[] {
  const { metadata, controller, serverId } = options
  const moves: (() => Promise<unknown>)[] = []
  for (const { name: stream, partitions } of metadata.state.streams.values()) {
    for (const { id: partition, leader, leaderEpoch, isr, paused } of partitions) {
      if (!isr.includes(serverId) || paused || isr.length < 2) continue
      const report = { stream, partition, replica: serverId, leader, leaderEpoch }
      moves.push(() =>
        controller.submit({ kind: 'report-leader', ...report, reason: 'leaving' }, HAND_OVER_MS),
      )
    }
  }
  return moves
}
