import { isVoter, votersOf } from './configuration.ts'
import type { Core, LeaderState } from './core.ts'
import { appendAsLeader, ask, commitThrough, fail } from './effects.ts'
import type { Entry } from './entry.ts'
import { appendNextChange } from './membership.ts'
import { newProgress, watchCommit } from './progress.ts'
import { reachedByMajority } from './quorum.ts'
import { entryBytes } from './raft-log.ts'
import { peerDeadline, replicate, sendHeartbeats } from './replication.ts'
import { becomeFollower } from './transitions.ts'
import type { Moment, ServerId } from './units.ts'

/** Every peer is told at once, and a Noop brings the entries of earlier terms to commit. */
export function becomeLeader(core: Core): void {
  const leader: LeaderState = {
    kind: 'leader',
    firstIndexOfTerm: core.log.lastIndex + 1,
    peers: new Map(),
    waiting: new Map(),
    uncommittedBytes: 0,
    changes: [],
    reads: [],
    round: 0,
    transfer: undefined,
  }
  core.role = leader
  for (const { id } of core.memberships.configuration.servers) {
    if (id !== core.self) leader.peers.set(id, newProgress(core, id))
  }
  const { term } = core.hardState
  appendAsLeader(core, leader, [{ kind: 'noop', index: leader.firstIndexOfTerm, term }])
}

/**
 * Brings everything that follows from the state up to date, whatever the input was: what is
 * committed, who is to be told what, which change is next. Costs a pass over the peers.
 */
export function settleLeader(core: Core, leader: LeaderState): void {
  advanceCommit(core, leader)
  if (isRemoved(core) || core.now >= leaseEnd(core, leader)) {
    becomeFollower(core, core.hardState.term, undefined)
    return
  }
  appendNextChange(core, leader)
  // A change may make this server's own copy a majority.
  advanceCommit(core, leader)
  advanceTransfer(core, leader)
  answerReads(core, leader)
  for (const progress of leader.peers.values()) {
    watchCommit(core, progress)
    replicate(core, leader, progress)
  }
  sendHeartbeats(core, leader)
}

/** What each voter has reached; `own` is this server's number. */
function reached(core: Core, own: number, of: (id: ServerId) => number | undefined): number {
  const voters = votersOf(core.memberships.configuration)
  const numbers = voters.map((id) => (id === core.self ? own : (of(id) ?? 0)))
  return reachedByMajority(numbers)
}

/** [Raft 5.3, 5.4.2]: a majority of voters has it durable, and it is of this term or before such. */
function advanceCommit(core: Core, leader: LeaderState): void {
  const { durableIndex } = core.durability
  const index = reached(core, durableIndex, (id) => leader.peers.get(id)?.matchIndex)
  if (index < leader.firstIndexOfTerm || index <= core.commitIndex) return
  const before = core.commitIndex
  commitThrough(core, index)
  for (const entry of core.log.range(before + 1, index)) settleEntry(core, leader, entry)
}

function settleEntry(core: Core, leader: LeaderState, entry: Entry): void {
  if (entry.index >= leader.firstIndexOfTerm) leader.uncommittedBytes -= entryBytes(entry)
  const ticket = leader.waiting.get(entry.index)
  if (ticket === undefined) return
  leader.waiting.delete(entry.index)
  core.draft.answers.push({ kind: 'committed', ticket, index: entry.index })
}

/** A leader that is no voter any more goes on until its removal is committed [Raft 6]. */
function isRemoved(core: Core): boolean {
  const { configuration, index } = core.memberships
  return index <= core.commitIndex && !isVoter(configuration, core.self)
}

/** Counted from when a majority of voters, this server among them, was last in contact. */
function leaseEnd(core: Core, leader: LeaderState): Moment {
  const contact = reached(core, Infinity, (id) => leader.peers.get(id)?.lastContact)
  return contact + core.parameters.leaderLeaseTimeoutMs
}

function answerReads(core: Core, leader: LeaderState): void {
  if (leader.reads.length === 0) return
  const round = reached(core, leader.round, (id) => leader.peers.get(id)?.ackedRound)
  const waiting = leader.reads.filter((read) => read.round > round || read.index > core.commitIndex)
  for (const read of leader.reads) {
    if (waiting.includes(read)) continue
    core.draft.answers.push({ kind: 'read', ticket: read.ticket, index: core.commitIndex })
  }
  leader.reads = waiting
}

function advanceTransfer(core: Core, leader: LeaderState): void {
  const { transfer } = leader
  if (transfer === undefined) return
  if (transfer.deadline <= core.now) {
    leader.transfer = undefined
    fail(core, transfer.ticket, 'transfer-timeout')
    return
  }
  const progress = leader.peers.get(transfer.to)
  if (progress === undefined || !isVoter(core.memberships.configuration, transfer.to)) {
    leader.transfer = undefined
    fail(core, transfer.ticket, 'no-peer')
  } else if (transfer.requestId === undefined && progress.matchIndex === core.log.lastIndex) {
    transfer.requestId = ask(core, transfer.to, { kind: 'timeout-now' })
  }
}

export function leaderDeadline(core: Core, leader: LeaderState): Moment {
  let deadline = leaseEnd(core, leader)
  if (leader.transfer !== undefined) deadline = Math.min(deadline, leader.transfer.deadline)
  for (const progress of leader.peers.values()) {
    deadline = Math.min(deadline, peerDeadline(core, leader, progress))
  }
  return deadline
}
