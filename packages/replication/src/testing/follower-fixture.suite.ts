/** A follower under test: B follows A in leader epoch 5. */
import { describeFollowerInput, describeFollowerOutput } from '../describe.ts'
import type { EpochStart } from '../epochs.ts'
import type { FollowerInput, FollowerOptions, FollowerOutput, LogView } from '../follower-types.ts'
import { PartitionFollower } from '../follower.ts'

export const NOTHING: LogView = {
  newestOffset: -1,
  syncedOffset: -1,
  highWatermark: -1,
  epochs: [],
}

export const log = (
  newestOffset: number,
  epochs: readonly EpochStart[],
  more: Partial<LogView> = {},
): LogView => ({ newestOffset, syncedOffset: newestOffset, highWatermark: -1, epochs, ...more })

export function follow(view: LogView, more: Partial<FollowerOptions> = {}) {
  const options: FollowerOptions = {
    serverId: 'B',
    leaderId: 'A',
    leaderEpoch: 5,
    incarnation: 1,
    syncPolicy: 'always',
    log: view,
    proven: true,
    gaps: false,
    requestTimeoutMs: 100,
    maxWaitMs: 300,
    idleWaitMs: 1000,
    retryMinMs: 10,
    retryMaxMs: 80,
    maxLeaderTimeoutMs: 2000,
    reportEveryMs: 500,
    now: 0,
    ...more,
  }
  const follower = new PartitionFollower(options)
  const transcript: string[] = []
  const step = (input: FollowerInput): FollowerOutput => {
    const output = follower.step(input)
    transcript.push(`${describeFollowerInput(input)}: ${describeFollowerOutput(output)}`)
    return output
  }
  const tick = (now: number): FollowerOutput => step({ kind: 'tick', now })
  let requestId = 1
  /** Answers the latest request. */
  const latest = (output: FollowerOutput): void => {
    requestId = output.ask?.requestId ?? output.fetch?.requestId ?? requestId
  }
  const answer = (epoch: number, endOffset: number, now = 0): FollowerOutput => {
    const from = { leaderId: 'A', leaderEpoch: more.leaderEpoch ?? 5 }
    const output = step({ kind: 'epoch-answer', requestId, ...from, epoch, endOffset, now })
    latest(output)
    return output
  }
  const fetched = (
    records: readonly [first: number, last: number, epoch: number] | undefined,
    highWatermark: number,
    more2: {
      readonly now?: number
      readonly oldestOffset?: number
      readonly newestOffset?: number
    } = {},
  ): FollowerOutput => {
    const [firstOffset, lastOffset, epoch] = records ?? [0, 0, 0]
    const output = step({
      kind: 'fetched',
      requestId,
      leaderEpoch: 5,
      highWatermark,
      records: records && { firstOffset, lastOffset, firstEpoch: epoch, lastEpoch: epoch },
      now: 0,
      ...more2,
    })
    latest(output)
    return output
  }
  const first = tick(0)
  latest(first)
  return { options, follower, step, tick, answer, fetched, latest, first, transcript }
}
