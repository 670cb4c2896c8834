/** From where and to where a subscription reads [LB data plane 5.5]. */
import type { CommitLog } from '@liftbridge/log'
import { api } from '@liftbridge/wire'
import { LiftbridgeError } from '../errors.ts'

/** What a look-up needs of a log. */
export type PositionedLog = Pick<
  CommitLog,
  'oldestOffset' | 'newestOffset' | 'highWatermark' | 'earliestOffsetFrom' | 'latestOffsetUntil'
>

export type Range = {
  readonly start: number
  /** Last offset to deliver, undefined to go on. */
  readonly stop: number | undefined
}

/**
 * Resolves the positions of a request. Offsets and timestamps count only when the position that
 * uses them is chosen: clients send garbage in the others [LB clients 2.0.6].
 */
export async function resolveRange(
  log: PositionedLog,
  request: api.SubscribeRequest,
  readonly: boolean,
): Promise<Range> {
  const start = Math.max(0, await startOf(log, request))
  const stop = await stopOf(log, request, readonly)
  const range = { start: capped(log, request, start), stop }
  if (stop === undefined) return range
  if (request.reverse) {
    // Reading goes down from what is committed; an original refuses every stop here [LB 7.D5].
    const from = Math.min(start, log.highWatermark)
    if (stop > from) throw new LiftbridgeError('subscribe.stop-after-start', { stop, start: from })
  } else if (stop < start) {
    throw new LiftbridgeError('subscribe.stop-before-start', { stop, start })
  }
  return range
}

/**
 * What is not committed yet counts as new. An offset that was named is kept: whoever resumes at a
 * new leader, whose high watermark may lag, would get messages twice [O4, LB data plane 5.5].
 */
function capped(log: PositionedLog, request: api.SubscribeRequest, start: number): number {
  const isNamed = request.startPosition === api.StartPosition.OFFSET
  return isNamed || request.reverse ? start : Math.min(start, log.highWatermark + 1)
}

async function startOf(log: PositionedLog, request: api.SubscribeRequest): Promise<number> {
  switch (request.startPosition) {
    case api.StartPosition.NEW_ONLY:
      return log.newestOffset + 1
    case api.StartPosition.OFFSET:
      return Math.max(toOffset(request.startOffset), log.oldestOffset)
    case api.StartPosition.EARLIEST:
      return log.oldestOffset
    case api.StartPosition.LATEST:
      return log.newestOffset
    case api.StartPosition.TIMESTAMP:
      return lookUp(log.earliestOffsetFrom(request.startTimestamp))
    default:
      throw new LiftbridgeError('subscribe.start-position', { value: request.startPosition })
  }
}

async function stopOf(
  log: PositionedLog,
  request: api.SubscribeRequest,
  readonly: boolean,
): Promise<number | undefined> {
  switch (request.stopPosition) {
    case api.StopPosition.STOP_ON_CANCEL:
      return readonly && !request.reverse && log.newestOffset >= 0 ? log.newestOffset : undefined
    case api.StopPosition.STOP_OFFSET: {
      const stop = toOffset(request.stopOffset)
      return stop === -1 ? undefined : stop
    }
    case api.StopPosition.STOP_LATEST:
      if (log.newestOffset < 0) throw new LiftbridgeError('subscribe.empty')
      return log.newestOffset
    case api.StopPosition.STOP_TIMESTAMP:
      return lookUp(log.latestOffsetUntil(request.stopTimestamp))
    default:
      throw new LiftbridgeError('subscribe.stop-position', { value: request.stopPosition })
  }
}

async function lookUp(offset: Promise<number>): Promise<number> {
  try {
    return await offset
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new LiftbridgeError('subscribe.timestamp', { reason }, { cause: error })
  }
}

/** No log reaches 2^53: what lies beyond is as good as the nearest safe integer. */
function toOffset(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) return Number.MAX_SAFE_INTEGER
  if (value < BigInt(Number.MIN_SAFE_INTEGER)) return Number.MIN_SAFE_INTEGER
  return Number(value)
}
