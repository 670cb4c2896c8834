import { newFollower } from './core.ts'
import type { Core, FollowerState } from './core.ts'
import { campaign, campaignAtRequest } from './election.ts'
import { appendToLog, commitThrough, refuse, respond } from './effects.ts'
import type { Asker } from './effects.ts'
import type { Entry } from './entry.ts'
import type { AppendEntriesRequest, HeartbeatRequest, InstallSnapshotRequest } from './messages.ts'
import { becomeFollower } from './transitions.ts'
import type { Index } from './units.ts'

/**
 * A request of whoever says to lead `term`. True when that is so: this server follows it then, and
 * its being alive is noted. The leader of the same term has no other beside it [Raft 5.2].
 */
export function heedLeader(
  core: Core,
  request: AppendEntriesRequest | HeartbeatRequest | InstallSnapshotRequest,
): boolean {
  const { term, leader } = request
  if (term < core.hardState.term || leader === core.self) return false
  if (core.role.kind === 'leader' && term === core.hardState.term) return false
  if (core.role.kind === 'follower' && term === core.hardState.term) {
    core.role = newFollower(core, leader)
  } else {
    becomeFollower(core, term, leader)
  }
  return true
}

export function answerHeartbeat(core: Core, asker: Asker, request: HeartbeatRequest): void {
  const success = heedLeader(core, request)
  const { lastIndex } = core.log
  // No success of a heartbeat speaks of entries, so it waits for the term alone.
  answer(core, asker, { success, lastIndex, noRetryBackoff: false })
}

/** [Raft 5.3], with the answers of Go's [LB 2.6]. */
export function answerAppend(core: Core, asker: Asker, request: AppendEntriesRequest): void {
  const { lastIndex } = core.log
  const heeded = heedLeader(core, request)
  if (!heeded || core.installing !== undefined) {
    answer(core, asker, { success: false, lastIndex, noRetryBackoff: false })
    return
  }
  if (!fitsAt(core, request.previousIndex, request.previousTerm)) {
    answer(core, asker, { success: false, lastIndex, noRetryBackoff: true })
    return
  }
  const unfit = whyUnfit(request) ?? takeEntries(core, request.entries)
  if (unfit !== undefined) {
    refuse(core, asker, unfit)
    return
  }
  // Only as far as this request vouches for: what lies beyond may be another leader's. Go commits
  // up to its own last index.
  commitThrough(core, Math.min(request.commitIndex, request.previousIndex + request.entries.length))
  answer(core, asker, { success: true, lastIndex, noRetryBackoff: false }, 'log')
}

interface Verdict {
  readonly success: boolean
  readonly lastIndex: Index
  readonly noRetryBackoff: boolean
}

function answer(
  core: Core,
  asker: Asker,
  verdict: Verdict,
  awaits: 'hard-state' | 'log' = 'hard-state',
): void {
  const { term } = core.hardState
  respond(core, asker, { kind: 'append-entries', term, ...verdict }, awaits)
}

/** What is compacted is committed, and a leader has everything that is committed [Raft 5.4]. */
function fitsAt(core: Core, index: Index, term: number): boolean {
  if (index === 0 || index < core.log.baseIndex) return true
  if (index > core.log.lastIndex) return false
  const own = core.log.termAt(index)
  return own === undefined || own === term
}

/** Entries no leader could have sent; they would break the log for good. */
function whyUnfit(request: AppendEntriesRequest): string | undefined {
  let { previousIndex: index, previousTerm: term } = request
  for (const entry of request.entries) {
    index += 1
    if (entry.index !== index) return `entry ${entry.index} stands where ${index} belongs`
    if (entry.term < term || entry.term > request.term) return `entry ${index} of a wrong term`
    term = entry.term
  }
  return undefined
}

/** Skips what is there, cuts off what contradicts, appends the rest. */
function takeEntries(core: Core, entries: readonly Entry[]): string | undefined {
  const { log } = core
  const start = entries.findIndex(
    ({ index, term }) =>
      index > log.baseIndex && (index > log.lastIndex || log.termAt(index) !== term),
  )
  const first = entries[start]
  if (first === undefined) return undefined
  if (first.index <= log.lastIndex) {
    if (first.index <= core.commitIndex) return `entry ${first.index} contradicts a committed one`
    log.truncateFrom(first.index)
    core.memberships.truncateFrom(first.index)
    core.durability.truncateFrom(first.index)
  }
  if (first.term < log.lastTerm) return `entry ${first.index} of a wrong term`
  appendToLog(core, entries.slice(start))
  return undefined
}

/** Only from the leader this server knows: a late one of a former leader would disturb. */
export function answerTimeoutNow(core: Core, asker: Asker): void {
  const { role } = core
  if (role.kind === 'follower' && (role.leader ?? asker.from) === asker.from)
    campaignAtRequest(core)
  respond(core, asker, { kind: 'timeout-now' }, 'hard-state')
}

export function settleFollower(core: Core, follower: FollowerState): void {
  if (core.now >= follower.electionAt) campaign(core)
}
