/** What a server does before it leaves on purpose: others lead before it stops answering. */
import type { MetadataRequest } from '@liftbridge/metadata'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logging/logger.ts'
import type { Metadata } from '../metadata/metadata.ts'
import type { Controller } from './controller.ts'
import { untilDone } from './until-done.ts'

export type HandOverOptions = {
  readonly metadata: Pick<Metadata, 'members' | 'state' | 'handOver'>
  readonly controller: Pick<Controller, 'submit'>
  readonly serverId: string
  /** Takes no more messages for partitions with other replicas, and answers those it took. */
  readonly quiesce: (timeoutMs: number) => Promise<void>
  /** Whether the leader of a partition leads now, and has what is committed. Never rejects. */
  readonly isCovered: (stream: string, partition: number) => Promise<boolean>
  readonly clock: Clock
  readonly logger: Logger
}

/** Longer than this a shutdown does not wait for others to take over: they notice by themselves. */
const HAND_OVER_MS = 3_000

/** What was accepted is answered in a round trip or two, unless a replica is away. */
const QUIESCE_MS = 500

/** Requests at a time; the metadata leader refuses more than four times as many, from all servers. */
const AT_A_TIME = 256

/** Before the metadata leader is asked again that has too much to do. */
const AGAIN_MS = 20

type Move = Extract<MetadataRequest, { kind: 'report-leader' }>

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
    const left = await moveAll(options, moves)
    if (left > 0) {
      const fields = { partitions: left, of: moves.length }
      logger.warn('some partitions could not be handed over in time', fields)
    }
  }
  await untilDone(clock, HAND_OVER_MS, metadata.handOver())
}

/** Resolves with how many the metadata leader has not agreed to, after HAND_OVER_MS at the latest. */
async function moveAll(options: HandOverOptions, moves: readonly Move[]): Promise<number> {
  const { controller, clock, serverId, isCovered } = options
  const deadlineMs = clock.monotonicMs() + HAND_OVER_MS
  const waiting = moves.values()
  let done = 0
  const leave = async (move: Move): Promise<void> => {
    if (move.leader !== serverId && !(await isCovered(move.stream, move.partition))) return
    for (;;) {
      const leftMs = deadlineMs - clock.monotonicMs()
      if (leftMs <= 0) return
      const answer = await controller.submit(move, leftMs)
      if (answer.kind === 'done') done++
      if (answer.kind === 'done' || answer.status !== 'RESOURCE_EXHAUSTED') return
      await new Promise<void>((resolve) => clock.after(AGAIN_MS, resolve))
    }
  }
  // All take from one iterator, so that each move is made once.
  const worker = async (): Promise<void> => {
    for (const move of waiting) await leave(move)
  }
  const workers = Array.from({ length: Math.min(AT_A_TIME, moves.length) }, worker)
  await untilDone(clock, HAND_OVER_MS, Promise.all(workers))
  return moves.length - done
}

/**
 * Those it leads get another leader, and come first, since they serve nobody meanwhile; of the
 * others it leaves the ISR, if their leader is really there: of one that is gone with its disk this
 * server may be the last that could take its place [R8].
 */
function sharedPartitions({ metadata, serverId }: HandOverOptions): readonly Move[] {
  const led: Move[] = []
  const followed: Move[] = []
  for (const { name: stream, partitions } of metadata.state.streams.values()) {
    for (const { id: partition, leader, leaderEpoch, isr, paused } of partitions) {
      if (!isr.includes(serverId) || paused || isr.length < 2) continue
      const report = { stream, partition, replica: serverId, leader, leaderEpoch }
      const moves = leader === serverId ? led : followed
      moves.push({ kind: 'report-leader', ...report, reason: 'leaving' })
    }
  }
  return [...led, ...followed]
}
