import { isVoter, memberOf } from './configuration.ts'
import { spread } from './core.ts'
import type { Core } from './core.ts'
import { respond } from './effects.ts'
import type { Asker } from './effects.ts'
import type { RequestPreVoteRequest, RequestVoteRequest } from './messages.ts'
import { becomeFollower, liveLeader } from './transitions.ts'
import type { ServerId } from './units.ts'

/** Checks in the order of Go's: a stranger, or a live leader, leaves no trace in the term. */
export function answerVote(core: Core, asker: Asker, request: RequestVoteRequest): void {
  const granted = decideVote(core, asker.from, request)
  if (granted) recordVote(core, asker.from)
  const { term } = core.hardState
  respond(core, asker, { kind: 'request-vote', term, granted }, 'hard-state')
}

function decideVote(core: Core, candidate: ServerId, request: RequestVoteRequest): boolean {
  if (isStranger(core, candidate, request)) return false
  if (!request.leadershipTransfer && followsOther(core, candidate)) return false
  if (request.term < core.hardState.term) return false
  if (request.term > core.hardState.term) becomeFollower(core, request.term, undefined)
  if (!mayLead(core, candidate, request)) return false
  const { votedFor } = core.hardState
  if (votedFor !== undefined) return votedFor === candidate
  return core.log.isBehindOrEqual(request.lastIndex, request.lastTerm)
}

function recordVote(core: Core, candidate: ServerId): void {
  if (core.hardState.votedFor !== candidate) {
    core.hardState = { term: core.hardState.term, votedFor: candidate }
    core.durability.setHardState(core.hardState)
  }
  if (core.role.kind !== 'follower') return
  core.role.electionAt = core.now + spread(core, core.parameters.heartbeatTimeoutMs)
}

type VoteRequest = RequestVoteRequest | RequestPreVoteRequest

/** The same question without a trace: nothing is voted, no term is adopted [Raft thesis 9.6]. */
export function answerPreVote(core: Core, asker: Asker, request: RequestPreVoteRequest): void {
  const granted = decidePreVote(core, asker.from, request)
  const turnedAway = isStranger(core, asker.from, request) || followsOther(core, asker.from)
  const { term: own } = core.hardState
  const term = turnedAway ? own : Math.max(request.term, own)
  respond(core, asker, { kind: 'request-pre-vote', term, granted }, 'hard-state')
}

function decidePreVote(core: Core, candidate: ServerId, request: RequestPreVoteRequest): boolean {
  if (isStranger(core, candidate, request) || followsOther(core, candidate)) return false
  if (request.term < core.hardState.term || !mayLead(core, candidate, request)) return false
  return core.log.isBehindOrEqual(request.lastIndex, request.lastTerm)
}

/** Nobody votes for a nameless one, nor for one that is not a member, as far as is known here. */
function isStranger(core: Core, candidate: ServerId, request: VoteRequest): boolean {
  if (candidate === '') return true
  const { configuration } = core.memberships
  return memberOf(configuration, candidate) === undefined && !mayKnowBetter(core, request)
}

function mayLead(core: Core, candidate: ServerId, request: VoteRequest): boolean {
  return isVoter(core.memberships.configuration, candidate) || mayKnowBetter(core, request)
}

/**
 * Without a configuration everybody may. And a log that is ahead of this one may hold a later
 * configuration, which alone decides: a cluster of a and b that took in c, and lost a before b was
 * told, has no other candidate than c. Go refuses there, and stays without a leader.
 */
function mayKnowBetter(core: Core, { lastIndex, lastTerm }: VoteRequest): boolean {
  const { servers } = core.memberships.configuration
  return servers.length === 0 || core.log.isBehind(lastIndex, lastTerm)
}

function followsOther(core: Core, candidate: ServerId): boolean {
  const leader = liveLeader(core)
  return leader !== undefined && leader !== candidate
}
