import { isVoter } from './configuration.ts'
import { spread } from './core.ts'
import type { Core, LeaderState } from './core.ts'
import { ask } from './effects.ts'
import { assert } from './invariant.ts'
import type { AppendEntriesResponse, InstallSnapshotResponse } from './messages.ts'
import { backoffMs, interrupted, rejected, succeeded } from './progress.ts'
import type { Flight, Progress } from './progress.ts'
import type { Moment, RequestId } from './units.ts'

/** Sends a peer what it lacks, as far as the bounds on what is in flight allow. */
export function replicate(core: Core, leader: LeaderState, progress: Progress): void {
  while (maySend(core, progress)) {
    const { nextIndex } = progress
    const previousTerm = core.log.termAt(nextIndex - 1)
    if (previousTerm === undefined) {
      if (progress.inFlight.size === 0) sendSnapshot(core, leader, progress)
      return
    }
    if (nextIndex > core.log.lastIndex && !owesCommit(core, progress)) return
    sendEntries(core, { leader, progress, previousTerm })
  }
}

function maySend(core: Core, progress: Progress): boolean {
  if (progress.pausedUntil > core.now) return false
  const limit = progress.mode === 'pipeline' ? core.parameters.pipelineMax : 1
  return progress.inFlight.size < limit
}

/** An empty AppendEntries only into an empty pipeline: else what is in flight is about to tell. */
function owesCommit(core: Core, progress: Progress): boolean {
  return commitTellAt(progress) <= core.now && progress.inFlight.size === 0
}

function commitTellAt({ commitDueAt, commitRefreshAt }: Progress): Moment {
  return Math.min(commitDueAt, commitRefreshAt)
}

interface Sending {
  readonly leader: LeaderState
  readonly progress: Progress
  readonly previousTerm: number
}

function sendEntries(core: Core, { leader, progress, previousTerm }: Sending): void {
  const { log, parameters, commitIndex } = core
  const previousIndex = progress.nextIndex - 1
  const entries = log.batch(
    progress.nextIndex,
    parameters.appendEntriesMax,
    parameters.appendMaxBytes,
  )
  const lastIndex = previousIndex + entries.length
  const id = ask(core, progress.id, {
    kind: 'append-entries',
    term: core.hardState.term,
    leader: core.self,
    previousIndex,
    previousTerm,
    entries,
    commitIndex,
  })
  progress.inFlight.set(id, { previousIndex, lastIndex, commitIndex, round: leader.round })
  progress.commitDueAt = Infinity
  progress.commitRefreshAt = core.now + parameters.commitRefreshMs
  if (progress.mode === 'pipeline') progress.nextIndex = lastIndex + 1
}

function sendSnapshot(core: Core, leader: LeaderState, progress: Progress): void {
  const { snapshot } = core
  assert(snapshot !== undefined, 'a compacted log without a snapshot')
  const id = ask(core, progress.id, {
    kind: 'install-snapshot',
    term: core.hardState.term,
    leader: core.self,
    snapshot,
  })
  progress.mode = 'snapshot'
  const { index: lastIndex } = snapshot
  progress.inFlight.set(id, { previousIndex: 0, lastIndex, commitIndex: 0, round: leader.round })
}

export function sendHeartbeats(core: Core, leader: LeaderState): void {
  for (const progress of leader.peers.values()) {
    if (heartbeatDueAt(core, leader, progress) <= core.now) sendHeartbeat(core, leader, progress)
  }
}

/** Earlier than its time when a read waits for this peer's word. */
function heartbeatDueAt(core: Core, leader: LeaderState, progress: Progress): Moment {
  if (progress.heartbeats.size >= core.parameters.heartbeatsInFlightMax) return Infinity
  if (progress.heartbeats.size > 0 || progress.heartbeatFailures > 0) return progress.heartbeatDueAt
  const readWaits = leader.reads.some(({ round }) => round > progress.ackedRound)
  const counts = isVoter(core.memberships.configuration, progress.id)
  return readWaits && counts ? core.now : progress.heartbeatDueAt
}

function sendHeartbeat(core: Core, leader: LeaderState, progress: Progress): void {
  const { self, hardState } = core
  const id = ask(core, progress.id, { kind: 'heartbeat', term: hardState.term, leader: self })
  progress.heartbeats.set(id, leader.round)
  progress.heartbeatDueAt = core.now + spread(core, core.parameters.heartbeatIntervalMs)
}

interface Answered<Kind> {
  readonly progress: Progress
  readonly id: RequestId
  readonly response: Kind
}

/** The term of `response` is known to be ours. */
export function onAppendResponse(core: Core, answered: Answered<AppendEntriesResponse>): void {
  const { progress, id, response } = answered
  const round = progress.heartbeats.get(id)
  if (round !== undefined) {
    progress.heartbeats.delete(id)
    heard(core, progress, round)
    // Whoever answers heartbeats again need not sit out a pause from when it was away.
    if (progress.heartbeatFailures > 0) {
      progress.pausedUntil = core.now
      // It may have been away for a restart, and has forgotten what is committed: heartbeats, all
      // that it gets when nothing new is proposed, do not tell.
      progress.knownCommit = 0
    }
    progress.heartbeatFailures = 0
    return
  }
  const flight = progress.inFlight.get(id)
  if (flight === undefined) return
  progress.inFlight.delete(id)
  heard(core, progress, flight.round)
  if (response.success) {
    succeeded(progress, flight)
    return
  }
  rejected(progress, flight, response.lastIndex)
  if (response.noRetryBackoff) progress.failures = 0
  else pause(core, progress)
}

export function onSnapshotResponse(core: Core, answered: Answered<InstallSnapshotResponse>): void {
  const { progress, id, response } = answered
  const flight = progress.inFlight.get(id)
  if (flight === undefined) return
  progress.inFlight.delete(id)
  heard(core, progress, flight.round)
  progress.mode = 'probe'
  if (response.success) installed(progress, flight)
  else pause(core, progress)
}

function installed(progress: Progress, flight: Flight): void {
  progress.failures = 0
  progress.matchIndex = Math.max(progress.matchIndex, flight.lastIndex)
  progress.nextIndex = flight.lastIndex + 1
  progress.knownCommit = Math.max(progress.knownCommit, flight.lastIndex)
}

export function onRequestFailed(core: Core, progress: Progress, id: RequestId): void {
  if (progress.heartbeats.delete(id)) {
    const { heartbeatBackoffMaxMs } = core.parameters
    progress.heartbeatFailures += 1
    const pauseMs = Math.min(backoffMs(core, progress.heartbeatFailures), heartbeatBackoffMaxMs)
    progress.heartbeatDueAt = core.now + pauseMs
  } else if (progress.inFlight.has(id)) {
    interrupted(core, progress)
  }
}

function heard(core: Core, progress: Progress, round: number): void {
  progress.lastContact = core.now
  progress.ackedRound = Math.max(progress.ackedRound, round)
}

function pause(core: Core, progress: Progress): void {
  progress.failures += 1
  progress.pausedUntil = core.now + backoffMs(core, progress.failures)
}

/** When something is owed to this peer if it stays silent. */
export function peerDeadline(core: Core, leader: LeaderState, progress: Progress): Moment {
  const heartbeat = heartbeatDueAt(core, leader, progress)
  if (progress.inFlight.size > 0) return heartbeat
  const behind = progress.nextIndex <= core.log.lastIndex
  const due = behind ? progress.pausedUntil : Math.max(commitTellAt(progress), progress.pausedUntil)
  return Math.min(heartbeat, due)
}
