/**
 * What a leader knows of the other replicas, all of it learned in this leadership: nothing carries
 * over from an earlier one [LB 7.A5].
 */
import type { FetchAnswer, FetchInput, FetchRefusal } from './leader-types.ts'
import { NO_OFFSET, type Incarnation, type Offset, type ServerId } from './units.ts'

export type Replica = {
  readonly id: ServerId
  /** Of the latest opening of its log that fetched here; undefined before, and for Go servers. */
  incarnation: Incarnation | undefined
  /** Newest offset it may be counted for; -1 until it has fetched in this leadership. */
  held: Offset
  /** True once it has fetched in this leadership and incarnation. */
  known: boolean
  /** When it was last heard of, and the leader's newest offset then. */
  fetchedAtMs: number
  newestAtFetch: Offset
  /** When it last had everything, by the rule of `noteProgress`; at first when the clock started. */
  caughtUpAtMs: number
  /** True once that happened in this leadership and incarnation. */
  caughtUp: boolean
  /** The high watermark of the latest answer. */
  toldHighWatermark: Offset
  /** A fetch held back for want of records. */
  waiting: HeldFetch | undefined
  /** It asked for records when there were none, and is to be notified [LB 4.5]. */
  notify: boolean
}

type HeldFetch = {
  readonly token: number
  readonly offset: Offset
  readonly untilMs: number
}

export function newReplica(id: ServerId, now: number): Replica {
  return {
    id,
    incarnation: undefined,
    held: NO_OFFSET,
    known: false,
    fetchedAtMs: now,
    newestAtFetch: NO_OFFSET,
    caughtUpAtMs: now,
    caughtUp: false,
    toldHighWatermark: NO_OFFSET,
    waiting: undefined,
    notify: false,
  }
}

/** What keeps a fetch of a known replica from being counted, if anything. */
export function fetchProblem(
  replica: Replica,
  fetch: FetchInput,
  limits: { readonly newestOffset: Offset; readonly maxLagMs: number },
): FetchRefusal | undefined {
  // The leader's log is the measure: whoever has more holds other records [LB 7.A3].
  if (fetch.offset > limits.newestOffset) return 'ahead'
  const { incarnation } = replica
  if (incarnation === undefined || fetch.incarnation === undefined) return undefined
  if (fetch.incarnation >= incarnation) return undefined
  // A clock that was set back must not shut the replica out for ever.
  return fetch.now - replica.fetchedAtMs > limits.maxLagMs ? undefined : 'old-incarnation'
}

/**
 * Takes over what a fetch tells. The replica is caught up at the time of this fetch when it has
 * everything the leader has now, and at the time of its previous one when it has everything the
 * leader had then: under a constant stream of records equality would never be seen [LB 7.A10].
 */
export function noteProgress(replica: Replica, fetch: FetchInput, newestOffset: Offset): void {
  if (!replica.known || fetch.incarnation !== replica.incarnation) {
    replica.incarnation = fetch.incarnation
    replica.held = NO_OFFSET
    replica.known = true
    replica.caughtUp = false
    replica.newestAtFetch = newestOffset
    replica.fetchedAtMs = fetch.now
  }
  const told = Math.min(fetch.offset, fetch.syncedOffset ?? fetch.offset)
  // One opening of a log never holds less than it held before, so less is an old request. From a
  // Go server the opening is not known, and less may mean that records were lost.
  const held = fetch.incarnation === undefined ? told : Math.max(told, replica.held)
  if (held >= newestOffset) noteCaughtUp(replica, fetch.now)
  else if (held >= replica.newestAtFetch) noteCaughtUp(replica, replica.fetchedAtMs)
  replica.held = held
  replica.newestAtFetch = newestOffset
  replica.fetchedAtMs = fetch.now
}

function noteCaughtUp(replica: Replica, at: number): void {
  replica.caughtUpAtMs = replica.caughtUp ? Math.max(replica.caughtUpAtMs, at) : at
  replica.caughtUp = true
}

/** Ends a held fetch, if there is one. */
export function release(
  replica: Replica,
  highWatermark: Offset,
  how: 'serve' | 'empty' | FetchRefusal,
): FetchAnswer[] {
  const { waiting, id: replicaId } = replica
  if (waiting === undefined) return []
  replica.waiting = undefined
  replica.toldHighWatermark = highWatermark
  const answer = { token: waiting.token, replicaId, highWatermark }
  if (how === 'serve') return [{ ...answer, kind: 'serve', fromOffset: waiting.offset + 1 }]
  if (how === 'empty') return [{ ...answer, kind: 'empty' }]
  return [{ ...answer, kind: 'refuse', reason: how }]
}
