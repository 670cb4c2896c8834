import { spread } from './core.ts'
import type { Core } from './core.ts'
import type { Index, Moment, RequestId, ServerId } from './units.ts'

/**
 * What a leader knows of one peer.
 *
 * ```
 *            success                      needed entry compacted
 *   probe ───────────► pipeline     probe ──────────────────────► snapshot
 *     ▲ rejection, failure │          ▲  installed, failed            │
 *     └────────────────────┘          └───────────────────────────────┘
 * ```
 *
 * probe: one AppendEntries at a time, nextIndex is a guess. pipeline: several, nextIndex runs
 * ahead of what is acknowledged. snapshot: nothing but the snapshot.
 */
export interface Progress {
  readonly id: ServerId
  mode: 'probe' | 'pipeline' | 'snapshot'
  /** The next entry to send. */
  nextIndex: Index
  /** Everything up to here is durable on the peer and equal to ours. Never goes back. */
  matchIndex: Index
  /** The commit index the peer is known to know, as far as its log reached. */
  knownCommit: Index
  /** When it is to be told a later one, if nothing else tells it before. Infinity: no need. */
  commitDueAt: Moment
  /** When it is told the commit index even though it is known to know it. */
  commitRefreshAt: Moment
  /** AppendEntries or the snapshot not yet answered. */
  readonly inFlight: Map<RequestId, Flight>
  readonly heartbeats: Map<RequestId, number>
  heartbeatDueAt: Moment
  lastContact: Moment
  failures: number
  heartbeatFailures: number
  /** No AppendEntries and no snapshot before this. */
  pausedUntil: Moment
  /** The latest round of reads whose request the peer answered. */
  ackedRound: number
}

export interface Flight {
  /** The entry before those sent; of a snapshot 0. */
  readonly previousIndex: Index
  /** What success means is on the peer. */
  readonly lastIndex: Index
  readonly commitIndex: Index
  readonly round: number
}

export function newProgress(core: Core, id: ServerId): Progress {
  return {
    id,
    mode: 'probe',
    nextIndex: core.log.lastIndex + 1,
    matchIndex: 0,
    knownCommit: 0,
    commitDueAt: Infinity,
    commitRefreshAt: core.now,
    inFlight: new Map(),
    heartbeats: new Map(),
    heartbeatDueAt: core.now,
    lastContact: core.now,
    failures: 0,
    heartbeatFailures: 0,
    pausedUntil: core.now,
    ackedRound: 0,
  }
}

/** How long to leave a peer alone after `failures` in a row: doubling from the third one on. */
export function backoffMs(core: Core, failures: number): number {
  const { failureBackoffMs, failureBackoffRoundsMax } = core.parameters
  const doublings = Math.max(Math.min(failures, failureBackoffRoundsMax) - 2, 0)
  return failureBackoffMs * 2 ** doublings
}

export function succeeded(progress: Progress, flight: Flight): void {
  progress.mode = 'pipeline'
  progress.failures = 0
  progress.matchIndex = Math.max(progress.matchIndex, flight.lastIndex)
  progress.nextIndex = Math.max(progress.nextIndex, flight.lastIndex + 1)
  const told = Math.min(flight.commitIndex, flight.lastIndex)
  progress.knownCommit = Math.max(progress.knownCommit, told)
}

/** The peer's log does not reach or fit there: go back, at most to where it says that it ends. */
export function rejected(progress: Progress, flight: Flight, peerLastIndex: Index): void {
  progress.mode = 'probe'
  progress.inFlight.clear()
  progress.nextIndex = Math.max(Math.min(flight.previousIndex, peerLastIndex + 1), 1)
}

/** Nothing of what is in flight can be relied on: take it up again where it began. */
export function interrupted(core: Core, progress: Progress): void {
  const begins = [...progress.inFlight.values()].map(({ previousIndex }) => previousIndex + 1)
  if (progress.mode !== 'snapshot') progress.nextIndex = Math.min(progress.nextIndex, ...begins)
  progress.inFlight.clear()
  progress.mode = 'probe'
  // A peer that has started anew does not know what it was told.
  progress.knownCommit = 0
  progress.failures += 1
  progress.pausedUntil = core.now + backoffMs(core, progress.failures)
}

/** Sets the moment at which a peer that is behind on the commit index is told, if none is set. */
export function watchCommit(core: Core, progress: Progress): void {
  const { spreadCommitAtOnce, commitTimeoutMs } = core.parameters
  if (progress.knownCommit >= core.commitIndex) progress.commitDueAt = Infinity
  else if (progress.commitDueAt !== Infinity) return
  else if (spreadCommitAtOnce) progress.commitDueAt = core.now
  else progress.commitDueAt = core.now + spread(core, commitTimeoutMs)
}
