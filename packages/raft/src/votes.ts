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
  if (!isKnown(core, candidate)) return false
  if (!request.leadershipTransfer && followsOther(core, candidate)) return false
  if (request.term < core.hardState.term) return false
  if (request.term > core.hardState.term) becomeFollower(core, request.term, undefined)
  if (!mayLead(core, candidate)) return false
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

/** The same question without a trace: nothing is voted, no term is adopted [Raft thesis 9.6]. */
export function answerPreVote(core: Core, asker: Asker, request: RequestPreVoteRequest): void {
  const granted = decidePreVote(core, asker.from, request)
  const told = isKnown(core, asker.from) && !followsOther(core, asker.from)
  const term = told ? Math.max(request.term, core.hardState.term) : core.hardState.term
  respond(core, asker, { kind: 'request-pre-vote', term, granted }, 'hard-state')
}

function decidePreVote(core: Core, candidate: ServerId, request: RequestPreVoteRequest): boolean {
  if (!isKnown(core, candidate) || followsOther(core, candidate)) return false
  if (request.term < core.hardState.term || !mayLead(core, candidate)) return false
  return core.log.isBehindOrEqual(request.lastIndex, request.lastTerm)
}

/** A server that knows no members knows no strangers either. Nobody votes for a nameless one. */
function isKnown(core: Core, candidate: ServerId): boolean {
  const { configuration } = core.memberships
  if (candidate === '') return false
  if (configuration.servers.length === 0) return true
  return memberOf(configuration, candidate) !== undefined
}

function mayLead(core: Core, candidate: ServerId): boolean {
  const { configuration } = core.memberships
  return configuration.servers.length === 0 || isVoter(configuration, candidate)
}

function followsOther(core: Core, candidate: ServerId): boolean {
  const leader = liveLeader(core)
  return leader !== undefined && leader !== candidate
}
