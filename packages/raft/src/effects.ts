import type { Core, LeaderState } from './core.ts'
import type { Awaits } from './durability.ts'
import type { Entry } from './entry.ts'
import { FAILURE_TEXTS } from './failure.ts'
import type { Failure } from './failure.ts'
import { assert } from './invariant.ts'
import type { Request, Response } from './messages.ts'
import type { Outgoing } from './output.ts'
import { entryBytes } from './raft-log.ts'
import type { Index, RequestId, ServerId, TicketId } from './units.ts'

/** The one who asked, and what a response must carry to reach it. */
export interface Asker {
  readonly from: ServerId
  readonly id: RequestId
}

export function ask(core: Core, to: ServerId, request: Request): RequestId {
  const id = core.nextRequestId
  core.nextRequestId += 1
  core.draft.send.push({ kind: 'request', to, id, request })
  return id
}

/** Like `ask`, but not before term and vote are durable. */
export function askWhenDurable(core: Core, to: ServerId, request: Request): RequestId {
  const id = core.nextRequestId
  core.nextRequestId += 1
  sendAfter(core, { kind: 'request', to, id, request }, 'hard-state')
  return id
}

/** No answer tells of a term or a vote that a crash could take back; a success, of no entry. */
export function respond(core: Core, asker: Asker, response: Response, awaits: Awaits): void {
  sendAfter(core, { kind: 'response', to: asker.from, id: asker.id, response }, awaits)
}

export function refuse(core: Core, asker: Asker, text: string): void {
  core.draft.send.push({ kind: 'refusal', to: asker.from, id: asker.id, text })
}

function sendAfter(core: Core, outgoing: Outgoing, awaits: Awaits): void {
  const free = core.durability.hold(outgoing, awaits)
  if (free !== undefined) core.draft.send.push(free)
}

export function fail(
  core: Core,
  ticket: TicketId,
  failure: Failure,
  more: { readonly undecided?: boolean; readonly text?: string } = {},
): void {
  const text = more.text ?? FAILURE_TEXTS[failure]
  const undecided = more.undecided ?? false
  core.draft.answers.push({ kind: 'failed', ticket, failure, text, undecided })
}

export function appendToLog(core: Core, entries: readonly Entry[]): void {
  core.log.append(entries)
  core.memberships.append(entries)
  core.durability.append(entries)
}

export function appendAsLeader(core: Core, leader: LeaderState, entries: readonly Entry[]): void {
  appendToLog(core, entries)
  for (const entry of entries) leader.uncommittedBytes += entryBytes(entry)
}

/** Moves the commit index forward and hands what is new to the state machine. */
export function commitThrough(core: Core, index: Index): void {
  if (index <= core.commitIndex) return
  assert(index <= core.log.lastIndex, `commit ${index} beyond the log`)
  core.commitIndex = index
  for (const entry of core.log.range(core.appliedIndex + 1, index)) {
    core.draft.apply.push(entry)
    core.appliedBytes += entryBytes(entry)
  }
  core.appliedIndex = index
}
