import { isVoter } from './configuration.ts'
import type { MembershipChange } from './configuration.ts'
import type { Core, LeaderState } from './core.ts'
import { appendAsLeader, fail } from './effects.ts'
import type { Entry } from './entry.ts'
import type { Failure } from './failure.ts'
import type { Proposal } from './input.ts'
import { entryBytes } from './raft-log.ts'
import type { Progress } from './progress.ts'
import type { ServerId, TicketId } from './units.ts'

export function propose(core: Core, proposals: readonly Proposal[]): void {
  const leader = leaderFor(core, ...proposals.map(({ ticket }) => ticket))
  if (leader === undefined) return
  const entries: Entry[] = []
  let bytes = leader.uncommittedBytes
  for (const { ticket, ...command } of proposals) {
    const index = core.log.lastIndex + entries.length + 1
    const { term } = core.hardState
    const entry: Entry = { kind: 'command', index, term, ...command }
    if (bytes > 0 && bytes + entryBytes(entry) > core.parameters.uncommittedMaxBytes) {
      fail(core, ticket, 'overloaded')
      continue
    }
    bytes += entryBytes(entry)
    entries.push(entry)
    leader.waiting.set(index, ticket)
  }
  appendAsLeader(core, leader, entries)
}

export function appendBarrier(core: Core, ticket: TicketId): void {
  const leader = leaderFor(core, ticket)
  if (leader === undefined) return
  const index = core.log.lastIndex + 1
  leader.waiting.set(index, ticket)
  appendAsLeader(core, leader, [{ kind: 'barrier', index, term: core.hardState.term }])
}

/**
 * What is committed now is known once an entry of this term is, and it is still this leader's to
 * say once a quorum has answered something sent from here on [Raft 8, thesis 6.4].
 */
export function readCommitIndex(core: Core, ticket: TicketId): void {
  const { role } = core
  if (role.kind !== 'leader') {
    fail(core, ticket, 'not-leader')
    return
  }
  role.round += 1
  const index = Math.max(core.commitIndex, role.firstIndexOfTerm)
  role.reads.push({ ticket, round: role.round, index })
}

export function queueChange(core: Core, ticket: TicketId, change: MembershipChange): void {
  const leader = leaderFor(core, ticket)
  if (leader === undefined) return
  if (leader.changes.length >= core.parameters.membershipQueueMax) fail(core, ticket, 'overloaded')
  else leader.changes.push({ ticket, change })
}

export function startTransfer(core: Core, ticket: TicketId, to: ServerId | undefined): void {
  const leader = leaderFor(core, ticket)
  if (leader === undefined) return
  const target = to ?? furthestVoter(core, leader)
  const eligible = target !== undefined && leader.peers.has(target)
  if (!eligible || !isVoter(core.memberships.configuration, target)) {
    fail(core, ticket, 'no-peer')
    return
  }
  const deadline = core.now + core.parameters.electionTimeoutMs
  leader.transfer = { ticket, to: target, deadline, requestId: undefined }
}

/** Of those heard of within the lease if any, the one with most of the log. */
function furthestVoter(core: Core, leader: LeaderState): ServerId | undefined {
  const { configuration } = core.memberships
  const { leaderLeaseTimeoutMs } = core.parameters
  const voters = [...leader.peers.values()].filter(({ id }) => isVoter(configuration, id))
  const rank = (peer: Progress) => {
    const alive = core.now - peer.lastContact < leaderLeaseTimeoutMs && peer.failures === 0
    return [alive ? 1 : 0, peer.matchIndex, peer.nextIndex] as const
  }
  return voters.sort((left, right) => compare(rank(right), rank(left)))[0]?.id
}

function compare(left: readonly number[], right: readonly number[]): number {
  const at = left.findIndex((number, place) => number !== right[place])
  return (left[at] ?? 0) - (right[at] ?? 0)
}

/** The leader that can take on something new; otherwise the tickets have failed. */
function leaderFor(core: Core, ...tickets: readonly TicketId[]): LeaderState | undefined {
  const { role } = core
  if (role.kind === 'leader' && role.transfer === undefined) return role
  const failure: Failure = role.kind === 'leader' ? 'transfer-in-progress' : 'not-leader'
  for (const ticket of tickets) fail(core, ticket, failure)
  return undefined
}
