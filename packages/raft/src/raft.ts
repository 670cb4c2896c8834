import { createCore, emptyDraft } from './core.ts'
import type { Core } from './core.ts'
import { dispatch } from './dispatch.ts'
import { settleCandidate } from './election.ts'
import { settleFollower } from './follower.ts'
import type { Input } from './input.ts'
import { assert } from './invariant.ts'
import { leaderDeadline, settleLeader } from './leader.ts'
import type { RaftOptions } from './options.ts'
import type { Output, Role } from './output.ts'
import { settleSnapshot, snapshotDeadline } from './snapshots.ts'
import { statusOf } from './status.ts'
import type { RaftStatus } from './status.ts'
import { turnAway } from './stop.ts'
import type { StoredState } from './stored-state.ts'
import type { Moment } from './units.ts'

/**
 * The Raft consensus algorithm with the behaviour of hashicorp/raft towards its peers [LB 2.6], as
 * a state machine: it knows no clock, no disk, no network, and keeps no promise. One driver owns
 * it, calls `step` for one thing after the other, and carries out each output before the next step
 * (writing to the disk excepted: steps go on while a persist is under way).
 *
 * A step never throws for what a peer sent. It throws when its own invariants are broken, or the
 * driver broke the contract; the core must not be used after that.
 */
export class Raft {
  readonly #core: Core

  /** `now` is the first moment; the timers start from it. Throws on stored state with a gap. */
  constructor(options: RaftOptions, stored: StoredState, now: Moment) {
    this.#core = createCore(options, stored, now)
  }

  step(input: Input): Output {
    const core = this.#core
    assert(input.now >= core.now, `time went back from ${core.now} to ${input.now}`)
    core.now = input.now
    if (core.stopped) {
      turnAway(core, input)
    } else {
      dispatch(core, input)
      if (!core.stopped) settle(core)
    }
    return finish(core)
  }

  status(): RaftStatus {
    return statusOf(this.#core, roleOf(this.#core))
  }
}

/** Until the role stays: a lone voter may go through all of them in one step. */
function settle(core: Core): void {
  for (let before: Core['role'] | undefined; before !== core.role;) {
    before = core.role
    if (before.kind === 'leader') settleLeader(core, before)
    else if (before.kind === 'candidate') settleCandidate(core, before)
    else settleFollower(core, before)
  }
  settleSnapshot(core)
}

function finish(core: Core): Output {
  const { draft } = core
  core.draft = emptyDraft()
  const role = roleOf(core)
  const told = core.toldRole !== undefined && sameRole(core.toldRole, role)
  core.toldRole = role
  return {
    persist: core.durability.take(),
    send: draft.send,
    install: draft.install,
    apply: draft.apply,
    takeSnapshot: draft.takeSnapshot,
    answers: draft.answers,
    role: told ? undefined : role,
    deadline: core.stopped ? Infinity : Math.min(roleDeadline(core), snapshotDeadline(core)),
  }
}

function roleOf({ role, hardState: { term } }: Core): Role {
  if (role.kind === 'follower') return { kind: 'follower', term, leader: role.leader }
  return { kind: role.kind, term }
}

function sameRole(left: Role, right: Role): boolean {
  if (left.kind !== right.kind || left.term !== right.term) return false
  return left.kind !== 'follower' || right.kind !== 'follower' || left.leader === right.leader
}

function roleDeadline(core: Core): Moment {
  const { role } = core
  return role.kind === 'leader' ? leaderDeadline(core, role) : role.electionAt
}
