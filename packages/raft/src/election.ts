import { isVoter, votersOf } from './configuration.ts'
import { spread } from './core.ts'
import type { CandidateState, Core } from './core.ts'
import { ask, askWhenDurable } from './effects.ts'
import { becomeLeader } from './leader.ts'
import type { RequestPreVoteResponse, RequestVoteResponse } from './messages.ts'
import { majority } from './quorum.ts'
import { becomeFollower } from './transitions.ts'
import type { RequestId, ServerId } from './units.ts'

/** The timer ran out: who may, asks whether it would be elected. */
export function campaign(core: Core): void {
  if (!mayCampaign(core)) {
    // Waits for another time: a non-voter or stranger for a change of configuration, a server
    // whose state machine is being replaced for its end.
    becomeFollower(core, core.hardState.term, undefined)
  } else if (core.parameters.preVote && !isAlone(core)) {
    startPreVote(core)
  } else {
    startVote(core, false)
  }
}

/** The leader handed its place over: no pre-vote, and its being alive is no obstacle. */
export function campaignAtRequest(core: Core): void {
  if (mayCampaign(core)) startVote(core, true)
}

/**
 * A voter, or one whose removal is not known to be committed: until then its log may be the only
 * one that can win [Raft thesis 4.2.2].
 */
function mayCampaign(core: Core): boolean {
  const { installing, memberships, self, commitIndex } = core
  if (installing !== undefined) return false
  if (isVoter(memberships.configuration, self)) return true
  const { configuration: before } = memberships.at(memberships.index - 1)
  return memberships.index > commitIndex && isVoter(before, self)
}

function isAlone(core: Core): boolean {
  const { configuration } = core.memberships
  return votersOf(configuration).length === 1 && isVoter(configuration, core.self)
}

function startPreVote(core: Core): void {
  const term = core.hardState.term + 1
  const candidate = newCandidate(core, 'pre-vote')
  candidate.granted.add(core.self)
  const { lastIndex, lastTerm } = core.log
  for (const to of others(core)) {
    const id = ask(core, to, { kind: 'request-pre-vote', term, lastIndex, lastTerm })
    candidate.asked.set(id, to)
  }
  core.role = candidate
}

/** The own vote counts when it is durable, and nobody is asked before that [Raft 5.2]. */
function startVote(core: Core, leadershipTransfer: boolean): void {
  const candidate = newCandidate(core, 'vote')
  const { term } = candidate
  core.hardState = { term, votedFor: core.self }
  core.durability.setHardState(core.hardState)
  const { lastIndex, lastTerm } = core.log
  for (const to of others(core)) {
    const id = askWhenDurable(core, to, {
      kind: 'request-vote',
      term,
      lastIndex,
      lastTerm,
      leadershipTransfer,
    })
    candidate.asked.set(id, to)
  }
  core.role = candidate
}

function newCandidate(core: Core, phase: CandidateState['phase']): CandidateState {
  return {
    kind: 'candidate',
    phase,
    term: core.hardState.term + 1,
    granted: new Set(),
    asked: new Map(),
    electionAt: core.now + spread(core, core.parameters.electionTimeoutMs),
  }
}

function others(core: Core): readonly ServerId[] {
  return votersOf(core.memberships.configuration).filter((id) => id !== core.self)
}

export function onVoteResponse(
  core: Core,
  id: RequestId,
  response: RequestVoteResponse | RequestPreVoteResponse,
): void {
  const { role } = core
  if (hasOvertaken(core, response)) {
    becomeFollower(core, response.term, undefined)
    return
  }
  if (role.kind !== 'candidate') return
  const voter = role.asked.get(id)
  if (voter === undefined) return
  role.asked.delete(id)
  if (response.granted) role.granted.add(voter)
}

/** The answer to a pre-vote may repeat the term that was asked about, which nobody is in yet. */
function hasOvertaken(core: Core, response: RequestVoteResponse | RequestPreVoteResponse): boolean {
  if (response.kind === 'request-vote') return response.term > core.hardState.term
  return core.role.kind === 'candidate' && response.term > core.role.term
}

/** A peer that does not know pre-votes is asked for nothing it would refuse. */
export function onVoteRequestFailed(candidate: CandidateState, id: RequestId, text: string): void {
  const voter = candidate.asked.get(id)
  if (voter === undefined) return
  candidate.asked.delete(id)
  if (candidate.phase === 'pre-vote' && text.includes('unexpected command')) {
    candidate.granted.add(voter)
  }
}

/** Goes on to the next phase once a majority has granted this one, or starts over in time. */
export function settleCandidate(core: Core, candidate: CandidateState): void {
  if (candidate.phase === 'vote' && core.durability.hardStateDurable) {
    candidate.granted.add(core.self)
  }
  const voters = votersOf(core.memberships.configuration)
  const granted = voters.filter((id) => candidate.granted.has(id)).length
  if (granted >= majority(voters.length)) {
    if (candidate.phase === 'vote') becomeLeader(core)
    else startVote(core, false)
  } else if (core.now >= candidate.electionAt) {
    campaign(core)
  }
}
