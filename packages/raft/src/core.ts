import type { MembershipChange } from './configuration.ts'
import { Durability } from './durability.ts'
import type { Entry } from './entry.ts'
import { assert } from './invariant.ts'
import { MembershipHistory } from './membership-history.ts'
import type { SnapshotPosition } from './messages.ts'
import { DEFAULT_PARAMETERS } from './options.ts'
import type { RaftOptions, RaftParameters } from './options.ts'
import type { Answer, Outgoing, Role, SnapshotInstall } from './output.ts'
import type { Progress } from './progress.ts'
import { RaftLog } from './raft-log.ts'
import type { HardState, StoredState } from './stored-state.ts'
import type { Index, Moment, RequestId, ServerId, Term, TicketId } from './units.ts'

/**
 * Everything a core knows. The modules beside this one are functions over it, one file a role or a
 * concern; `Raft` is the only door.
 *
 * ```
 *              timer, TimeoutNow              majority
 *   follower ────────────────────► candidate ──────────► leader
 *      ▲                            │   ▲ │ timer           │
 *      │     leader of this term,   │   └─┘                 │
 *      └───── later term ───────────┘                       │
 *      └───────── later term, lease ran out, removed ───────┘
 * ```
 *
 * Invariants: appliedIndex <= commitIndex <= log.lastIndex; log.baseIndex <= snapshot index;
 * hardState.term >= log.lastTerm; what is committed is never truncated.
 */
export interface Core {
  readonly self: ServerId
  readonly random: () => number
  readonly parameters: RaftParameters
  readonly log: RaftLog
  readonly memberships: MembershipHistory
  readonly durability: Durability
  now: Moment
  hardState: HardState
  role: RoleState
  commitIndex: Index
  /** What outputs have handed to the state machine. */
  appliedIndex: Index
  /** Bytes applied since the last snapshot. */
  appliedBytes: number
  snapshot: SnapshotPosition | undefined
  snapshotting: Snapshotting
  /** A received snapshot is being put in place; the log stands still meanwhile. */
  installing: Installing | undefined
  nextRequestId: RequestId
  stopped: boolean
  toldRole: Role | undefined
  draft: Draft
}

type RoleState = FollowerState | CandidateState | LeaderState

export interface FollowerState {
  readonly kind: 'follower'
  leader: ServerId | undefined
  lastContact: Moment | undefined
  electionAt: Moment
}

export interface CandidateState {
  readonly kind: 'candidate'
  readonly phase: 'pre-vote' | 'vote'
  /** The term campaigned in: the next one while it is a pre-vote. */
  readonly term: Term
  readonly granted: Set<ServerId>
  readonly asked: Map<RequestId, ServerId>
  readonly electionAt: Moment
}

export interface LeaderState {
  readonly kind: 'leader'
  /** Its Noop. Only from here on does a majority mean committed [Raft 5.4.2]. */
  readonly firstIndexOfTerm: Index
  readonly peers: Map<ServerId, Progress>
  /** Who waits for the entry at an index. */
  readonly waiting: Map<Index, TicketId>
  uncommittedBytes: number
  readonly changes: { readonly ticket: TicketId; readonly change: MembershipChange }[]
  reads: PendingRead[]
  /** Counts reads; a peer's answer to a request sent in a round confirms all reads up to it. */
  round: number
  transfer: Transfer | undefined
}

interface PendingRead {
  readonly ticket: TicketId
  readonly round: number
  readonly index: Index
}

interface Transfer {
  readonly ticket: TicketId
  readonly to: ServerId
  readonly deadline: Moment
  /** TimeoutNow once it is sent. */
  requestId: RequestId | undefined
}

interface Snapshotting {
  dueAt: Moment
  /** One was asked for and has not been reported yet. */
  underWay: boolean
  requested: boolean
  /** After a failure: not before this, however much was applied. */
  pausedUntil: Moment
}

interface Installing {
  readonly from: ServerId
  readonly id: RequestId
  readonly snapshot: SnapshotPosition
}

/** The output of the step under way, but for what is computed at its end. */
export interface Draft {
  send: Outgoing[]
  install: SnapshotInstall | undefined
  apply: Entry[]
  takeSnapshot: SnapshotPosition | undefined
  answers: Answer[]
}

export function emptyDraft(): Draft {
  return { send: [], install: undefined, apply: [], takeSnapshot: undefined, answers: [] }
}

export function createCore(options: RaftOptions, stored: StoredState, now: Moment): Core {
  const parameters = { ...DEFAULT_PARAMETERS, ...options.parameters }
  const { snapshot, hardState } = stored
  const loaded = loadLog(stored)
  const { log } = loaded
  assert(hardState.term >= log.lastTerm, `stored term ${hardState.term} behind its log`)
  const entries = log.lastIndex > log.baseIndex ? log.range(log.firstIndex, log.lastIndex) : []
  const durability = new Durability(log.lastIndex)
  if (loaded.replaced) durability.resetTo(log.baseIndex, log.lastTerm)
  const core: Core = {
    self: options.self,
    random: options.random,
    parameters,
    log,
    memberships: new MembershipHistory(snapshot, entries),
    durability,
    now,
    hardState,
    role: { kind: 'follower', leader: undefined, lastContact: undefined, electionAt: now },
    commitIndex: snapshot?.index ?? 0,
    appliedIndex: snapshot?.index ?? 0,
    appliedBytes: 0,
    snapshot,
    snapshotting: { dueAt: now, underWay: false, requested: false, pausedUntil: now },
    installing: undefined,
    nextRequestId: 1,
    stopped: false,
    toldRole: undefined,
    draft: emptyDraft(),
  }
  core.role = newFollower(core, undefined)
  core.snapshotting.dueAt = now + spread(core, parameters.snapshotIntervalMs)
  return core
}

/** The stored log, or the snapshot in its place where the two do not fit together. */
function loadLog(stored: StoredState): { readonly log: RaftLog; readonly replaced: boolean } {
  const { snapshot, entries } = stored
  const first = entries[0]
  if (snapshot === undefined) {
    assert(first === undefined || first.index === 1, 'stored log without its start')
    return { log: new RaftLog(0, 0, entries), replaced: false }
  }
  const { index, term } = snapshot
  // An empty store may still expect entry 1; it is told where the log goes on.
  if (first === undefined) return { log: new RaftLog(index, term), replaced: true }
  assert(first.index <= index + 1, `stored log starts behind the snapshot at ${index}`)
  const baseTerm = first.index === index + 1 ? term : undefined
  const log = new RaftLog(first.index - 1, baseTerm, entries)
  const fits = log.lastIndex >= index && (first.index === index + 1 || log.termAt(index) === term)
  return fits ? { log, replaced: false } : { log: new RaftLog(index, term), replaced: true }
}

/** A time drawn from once to twice `baseMs`. */
export function spread(core: Core, baseMs: number): number {
  return baseMs * (1 + core.random())
}

export function newFollower(core: Core, leader: ServerId | undefined): FollowerState {
  return {
    kind: 'follower',
    leader,
    lastContact: leader === undefined ? undefined : core.now,
    electionAt: core.now + spread(core, core.parameters.heartbeatTimeoutMs),
  }
}
