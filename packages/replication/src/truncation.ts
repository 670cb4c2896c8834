/**
 * Where a follower's log and its leader's part. The follower asks for the end of the newest epoch
 * it knows; the answer names the largest epoch of the leader's log that is not newer, and where it
 * ends [KIP-101, KIP-279]:
 *
 * - the follower knows that epoch: both logs have it from the same leader, so they agree up to
 *   where it ends first, here or there;
 * - it does not: what it has of newer epochs is not the leader's; it asks again for its own largest
 *   epoch below the answered one. The epochs asked for strictly fall, so this ends, however sparse
 *   the tables are and whether or not the epochs have records [KAFKA-7897, KAFKA-20961];
 * - the leader knows no epoch as old: what it ever had of it was removed by retention, and cannot
 *   be compared. What is committed here stays, the rest goes.
 *
 * The high watermark never decides how much is kept for want of an answer [R6, G2], and nothing at
 * or below it is given up: a leader that wants that has lost committed records itself. Only where
 * nothing is ever synced (`never`) a leader may rightly have done so, when power was lost: it leads
 * as the last resort, and what it has is what there is [L1].
 */
import { endOfEpoch } from './epochs.ts'
import type { EpochAnswerInput, FollowerFault, LogView } from './follower-types.ts'
import type { LeaderEpoch, Offset, SyncPolicy } from './units.ts'

/** A search under way: `limit` is the smallest next offset that the answers so far leave. */
export type Search = { readonly epoch: LeaderEpoch; readonly limit: Offset }

export type SearchStep =
  | { readonly kind: 'ask'; readonly search: Search }
  /** The logs agree below `end`; the follower has nothing, or something else, from there on. */
  | { readonly kind: 'agreed'; readonly end: Offset }
  | { readonly kind: 'fault'; readonly fault: FollowerFault }
  /** The answer contradicts the question. */
  | { readonly kind: 'senseless' }

export function continueSearch(
  log: LogView,
  search: Search,
  answer: EpochAnswerInput,
  syncPolicy: SyncPolicy,
): SearchStep {
  const step = nextStep(log, search, answer)
  if (step.kind !== 'agreed' || syncPolicy === 'never') return step
  const { end } = step
  const { newestOffset, highWatermark } = log
  if (end > newestOffset || end > highWatermark) return step
  const fault = { kind: 'truncation-below-high-watermark', truncateTo: end, highWatermark } as const
  return { kind: 'fault', fault }
}

function nextStep(log: LogView, search: Search, answer: EpochAnswerInput): SearchStep {
  const { epoch: answered, endOffset } = answer
  if (answered === undefined) return agreeWithGo(log, endOffset)
  if (answered > search.epoch || answered < -1 || endOffset < 0) return { kind: 'senseless' }
  if (answered === -1) {
    const keep = Math.max(log.highWatermark + 1, 0)
    // Where the leader's log begins later, what is committed here is merely old.
    return agreed(Math.min(search.limit, endOffset, keep))
  }
  const own = endOfEpoch(log.epochs, answered, log.newestOffset + 1)
  if (own.epoch === answered) {
    return agreed(Math.min(search.limit, endOffset, own.endOffset))
  }
  const limit = Math.min(search.limit, own.endOffset)
  if (own.epoch === -1) return agreed(limit)
  return { kind: 'ask', search: { epoch: own.epoch, limit } }
}

/**
 * A Go server's answer is the last offset to keep, or one too much when it learned of the next
 * epoch as a follower [LB 7.A2]: beyond what is committed, the doubtful record is fetched again.
 */
function agreeWithGo(log: LogView, endOffset: Offset): SearchStep {
  const next = log.newestOffset + 1
  if (endOffset <= log.highWatermark) return agreed(endOffset)
  return agreed(Math.max(log.highWatermark + 1, Math.min(next, endOffset - 1)))
}

const agreed = (end: Offset): SearchStep => ({ kind: 'agreed', end })
