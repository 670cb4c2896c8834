import type { LeaderEpochOffsetResponse as WireResponse } from '../gen/internal_pb.ts'
import type { Decoded } from '../wire-error.ts'
import { decodeClusterMessage, encodeClusterMessage } from './cluster-messages.ts'

/**
 * Where the leader's log ends an epoch: what a follower truncates by [LB 4.4, KIP-279, R6].
 *
 * On the wire `endOffset` is the epoch's last offset, in ours the offset after it, which is the
 * epoch table's own meaning; they are converted here and nowhere else.
 */
export type LeaderEpochOffsetRequest = {
  /** The epoch asked about: the newest in the follower's log, 0 when it has none. */
  readonly epoch: number
  /** Who asks, and in which epoch it follows; empty and 0 from a Go Liftbridge server. */
  readonly replicaId: string
  readonly leaderEpoch: number
  /** Which run of the replica's process asks; 0 from a Go Liftbridge server. */
  readonly incarnation: number
}

export type LeaderEpochOffsetResponse = {
  /** The offset after the last record of `epoch`. */
  readonly endOffset: number
  /** Absent from a Go Liftbridge leader. */
  readonly fence?: {
    /** Who answers, and in which epoch it leads: anybody else's answer truncates nothing [R6]. */
    readonly leaderId: string
    readonly leaderEpoch: number
    /** The largest epoch of the leader's log not above the one asked for, -1 for none. */
    readonly epoch: number
  }
}

export function encodeLeaderEpochOffsetRequest(
  request: LeaderEpochOffsetRequest,
): Uint8Array<ArrayBuffer> {
  return encodeClusterMessage('LeaderEpochOffsetRequest', {
    leaderEpoch: BigInt(request.epoch),
    replicaID: request.replicaId,
    currentLeaderEpoch: BigInt(request.leaderEpoch),
    incarnation: BigInt(request.incarnation),
  })
}

/** Never throws. */
export function decodeLeaderEpochOffsetRequest(
  bytes: Uint8Array,
): Decoded<LeaderEpochOffsetRequest> {
  const decoded = decodeClusterMessage('LeaderEpochOffsetRequest', bytes)
  if (decoded.kind === 'rejected') return decoded
  const { leaderEpoch, replicaID, currentLeaderEpoch, incarnation } = decoded.message
  const message = {
    epoch: Number(leaderEpoch),
    replicaId: replicaID,
    leaderEpoch: Number(currentLeaderEpoch),
    incarnation: Number(incarnation),
  }
  const numbers = [message.epoch, message.leaderEpoch, message.incarnation]
  return numbers.every(Number.isSafeInteger) ? { kind: 'message', message } : BEYOND
}

export function encodeLeaderEpochOffsetResponse(
  response: LeaderEpochOffsetResponse,
): Uint8Array<ArrayBuffer> {
  const { endOffset, fence } = response
  return encodeClusterMessage('LeaderEpochOffsetResponse', {
    endOffset: BigInt(endOffset - 1),
    ...(fence
      ? {
          leaderID: fence.leaderId,
          currentLeaderEpoch: BigInt(fence.leaderEpoch),
          epoch: BigInt(fence.epoch),
        }
      : {}),
  })
}

/** Never throws. */
export function decodeLeaderEpochOffsetResponse(
  bytes: Uint8Array,
): Decoded<LeaderEpochOffsetResponse> {
  const decoded = decodeClusterMessage('LeaderEpochOffsetResponse', bytes)
  if (decoded.kind === 'rejected') return decoded
  const endOffset = Number(decoded.message.endOffset) + 1
  if (!Number.isSafeInteger(endOffset) || endOffset < 0) return BEYOND
  const fence = fenceOf(decoded.message)
  if (fence === undefined) return { kind: 'message', message: { endOffset } }
  const { leaderEpoch, epoch } = fence
  if (!Number.isSafeInteger(leaderEpoch) || !Number.isSafeInteger(epoch) || epoch < -1) {
    return BEYOND
  }
  return { kind: 'message', message: { endOffset, fence } }
}

function fenceOf(message: WireResponse): LeaderEpochOffsetResponse['fence'] {
  const { leaderID, currentLeaderEpoch, epoch } = message
  if (leaderID === '' || epoch === undefined) return undefined
  return { leaderId: leaderID, leaderEpoch: Number(currentLeaderEpoch), epoch: Number(epoch) }
}

const BEYOND = { kind: 'rejected', reason: 'a number outside of its range' } as const
