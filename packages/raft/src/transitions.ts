import { newFollower } from './core.ts'
import type { Core, LeaderState } from './core.ts'
import { fail } from './effects.ts'
import { assert } from './invariant.ts'
import type { ServerId, Term } from './units.ts'

/** Adopts a later term; the vote of the former one counts no more. */
function adoptTerm(core: Core, term: Term): void {
  assert(term >= core.hardState.term, `term ${term} would go back`)
  if (term === core.hardState.term) return
  core.hardState = { term, votedFor: undefined }
  core.durability.setHardState(core.hardState)
}

/** Follows `leader`, or waits for one, in `term`, from whatever role. */
export function becomeFollower(core: Core, term: Term, leader: ServerId | undefined): void {
  const before = core.role
  const later = term > core.hardState.term
  adoptTerm(core, term)
  core.role = newFollower(core, leader)
  if (before.kind === 'leader') giveUp(core, before, later)
}

/** What was asked of a leader that is one no more. */
function giveUp(core: Core, leader: LeaderState, overtaken: boolean): void {
  for (const ticket of leader.waiting.values()) {
    fail(core, ticket, 'leadership-lost', { undecided: true })
  }
  for (const { ticket } of leader.changes) fail(core, ticket, 'leadership-lost')
  for (const { ticket } of leader.reads) fail(core, ticket, 'leadership-lost')
  const { transfer } = leader
  if (transfer === undefined) return
  if (overtaken) core.draft.answers.push({ kind: 'transferred', ticket: transfer.ticket })
  else fail(core, transfer.ticket, 'leadership-lost')
}

/**
 * The leader whose being alive is a reason to refuse a vote [Raft thesis 4.2.3]. Go remembers it
 * until its own timer fires; forgetting it after the shortest such time lets the first candidate
 * win, and a leader without contact has stepped down by then.
 */
export function liveLeader(core: Core): ServerId | undefined {
  const { role } = core
  if (role.kind === 'leader') return core.self
  if (role.kind === 'candidate' || role.lastContact === undefined) return undefined
  const silentMs = core.now - role.lastContact
  return silentMs < core.parameters.heartbeatTimeoutMs ? role.leader : undefined
}
