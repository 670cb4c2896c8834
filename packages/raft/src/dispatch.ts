import type { Core } from './core.ts'
import { fail, refuse } from './effects.ts'
import type { Asker } from './effects.ts'
import { onVoteRequestFailed, onVoteResponse } from './election.ts'
import { answerAppend, answerHeartbeat, answerTimeoutNow } from './follower.ts'
import type { InputEvent } from './input.ts'
import type { Request, Response } from './messages.ts'
import { appendBarrier, propose, queueChange, readCommitIndex, startTransfer } from './proposals.ts'
import { onAppendResponse, onRequestFailed, onSnapshotResponse } from './replication.ts'
import {
  answerInstall,
  onInstallFailed,
  onSnapshotFailed,
  onSnapshotInstalled,
  onSnapshotTaken,
} from './snapshots.ts'
import { stop } from './stop.ts'
import { becomeFollower } from './transitions.ts'
import type { Term } from './units.ts'
import { answerPreVote, answerVote } from './votes.ts'

/**
 * Terms that a peer may be ahead of a member: an election a second for more than a century. Without
 * a bound one message with the last of all numbers would leave no term for any election to come,
 * and that for good, since terms are stored.
 */
export const TERM_LEAP_MAX: Term = 2 ** 32

/** Takes note of one input; what follows from it is settled afterwards. */
export function dispatch(core: Core, input: InputEvent): void {
  switch (input.kind) {
    case 'tick':
      return
    case 'request':
      return onRequest(core, input, input.request)
    case 'response':
      return onResponse(core, input, input.response)
    case 'request-failed':
      return onFailure(core, input, input.text)
    case 'persisted':
      core.draft.send.push(...core.durability.confirm(input.sequence))
      return
    case 'propose':
      return propose(core, input.proposals)
    case 'barrier':
      return appendBarrier(core, input.ticket)
    case 'read':
      return readCommitIndex(core, input.ticket)
    case 'change-membership':
      return queueChange(core, input.ticket, input.change)
    case 'transfer-leadership':
      return startTransfer(core, input.ticket, input.to)
    case 'request-snapshot':
      core.snapshotting.requested = true
      return
    case 'snapshot-taken':
      return onSnapshotTaken(core, input.snapshot)
    case 'snapshot-failed':
      return onSnapshotFailed(core)
    case 'snapshot-installed':
      return onSnapshotInstalled(core)
    case 'install-failed':
      return onInstallFailed(core)
    case 'stop':
      return stop(core)
    default:
      input satisfies never
  }
}

/** A term nobody can have reached. A server that knows of no cluster yet takes any. */
function isLeap(core: Core, message: Request | Response): boolean {
  if (!('term' in message) || core.memberships.configuration.servers.length === 0) return false
  return message.term - core.hardState.term > TERM_LEAP_MAX
}

function onRequest(core: Core, asker: Asker, request: Request): void {
  if (isLeap(core, request)) return refuse(core, asker, 'a term out of reach')
  switch (request.kind) {
    case 'append-entries':
      return answerAppend(core, asker, request)
    case 'heartbeat':
      return answerHeartbeat(core, asker, request)
    case 'request-vote':
      return answerVote(core, asker, request)
    case 'request-pre-vote':
      return answerPreVote(core, asker, request)
    case 'install-snapshot':
      return answerInstall(core, asker, request)
    case 'timeout-now':
      return answerTimeoutNow(core, asker)
    default:
      request satisfies never
  }
}

function onResponse(core: Core, { from, id }: Asker, response: Response): void {
  if (response.kind === 'timeout-now') return
  if (isLeap(core, response)) return onFailure(core, { from, id }, 'a term out of reach')
  if (response.kind === 'request-vote' || response.kind === 'request-pre-vote') {
    return onVoteResponse(core, id, response)
  }
  if (response.term > core.hardState.term) return becomeFollower(core, response.term, undefined)
  if (core.role.kind !== 'leader') return
  const progress = core.role.peers.get(from)
  if (progress === undefined) return
  if (response.kind === 'append-entries') onAppendResponse(core, { progress, id, response })
  else onSnapshotResponse(core, { progress, id, response })
}

function onFailure(core: Core, { from, id }: Asker, text: string): void {
  const { role } = core
  if (role.kind === 'candidate') return onVoteRequestFailed(role, id, text)
  if (role.kind !== 'leader') return
  const progress = role.peers.get(from)
  if (progress !== undefined) onRequestFailed(core, progress, id)
  if (role.transfer === undefined || role.transfer.requestId !== id) return
  fail(core, role.transfer.ticket, 'no-peer', { text })
  role.transfer = undefined
}
