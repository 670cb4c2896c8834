/** One line of text for what goes into a core and what comes out: for transcripts and logs. */
import type { FollowerInput, FollowerOutput } from './follower-types.ts'
import type { LeaderInput, LeaderOutput } from './leader-types.ts'

export function describeLeaderInput(input: LeaderInput): string {
  switch (input.kind) {
    case 'written':
      return `written through ${input.newestOffset}`
    case 'synced':
      return `synced through ${input.offset}`
    case 'fetch':
      return (
        `${input.replicaId} fetches after ${input.offset}, durable through ` +
        `${input.syncedOffset ?? 'unknown'}, in epoch ${input.leaderEpoch}`
      )
    case 'metadata':
      return (
        `metadata ${input.partitionEpoch}: ${input.leader} leads epoch ${input.leaderEpoch}, ` +
        `ISR ${input.isr.join(' ')}`
      )
    case 'isr-answered':
      return `proposal on ${input.partitionEpoch} ${input.applied ? 'was applied' : 'failed'}`
    case 'tick':
      return `time is ${input.now}`
    default:
      return input satisfies never
  }
}

/** Empty when nothing came out. */
export function describeLeaderOutput(output: LeaderOutput): string {
  const { highWatermark, ackLeaderThrough, ackAllThrough, standing, propose } = output
  const parts: string[] = []
  if (highWatermark >= 0) parts.push(`high watermark ${highWatermark}`)
  if (ackLeaderThrough >= 0) parts.push(`ack LEADER through ${ackLeaderThrough}`)
  if (ackAllThrough >= 0) parts.push(`ack ALL through ${ackAllThrough}`)
  if (output.syncNow) parts.push('sync')
  if (standing !== undefined) {
    parts.push(standing.kind === 'fenced' ? `fenced: ${standing.reason}` : standing.kind)
  }
  for (const answer of output.answers) {
    const what =
      answer.kind === 'serve'
        ? `serve ${answer.replicaId} from ${answer.fromOffset}`
        : answer.kind === 'empty'
          ? `nothing for ${answer.replicaId}`
          : `refuse ${answer.replicaId}: ${answer.reason}`
    parts.push(what)
  }
  for (const replica of output.notify) parts.push(`notify ${replica}`)
  if (propose !== undefined) {
    parts.push(`propose to ${propose.kind} ${propose.replica} on ${propose.partitionEpoch}`)
  }
  return parts.join(', ')
}

export function describeFollowerInput(input: FollowerInput): string {
  switch (input.kind) {
    case 'tick':
      return `time is ${input.now}`
    case 'epoch-answer':
      return `leader's epoch ${input.epoch ?? 'unnamed'} ends at ${input.endOffset}`
    case 'fetched': {
      const { records, highWatermark } = input
      const what = records ? `records ${records.firstOffset} to ${records.lastOffset}` : 'nothing'
      return `fetched ${what}, high watermark ${highWatermark}`
    }
    case 'request-failed':
      return 'request failed'
    case 'truncated':
    case 'appended':
    case 'append-refused':
      return `${input.kind}, log ends with ${input.log.newestOffset}`
    case 'synced':
      return `synced through ${input.offset}`
    case 'notified':
      return 'notified'
    default:
      return input satisfies never
  }
}

/** Empty when nothing came out. */
export function describeFollowerOutput(output: FollowerOutput): string {
  const parts: string[] = []
  if (output.fault !== undefined) {
    const { truncateTo, highWatermark } = output.fault
    parts.push(`fault: the leader's log ends at ${truncateTo}, committed is ${highWatermark}`)
  }
  if (output.truncateTo >= 0) parts.push(`truncate to ${output.truncateTo}`)
  if (output.append !== undefined) parts.push(output.append.gaps ? 'append with gaps' : 'append')
  if (output.sync) parts.push('sync')
  if (output.highWatermark >= 0) parts.push(`high watermark ${output.highWatermark}`)
  if (output.ask !== undefined) parts.push(`ask for the end of epoch ${output.ask.epoch}`)
  if (output.fetch !== undefined) parts.push(`fetch after ${output.fetch.offset}`)
  if (output.reportLeader) parts.push('report the leader')
  return parts.join(', ')
}
