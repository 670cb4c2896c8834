import type { Configuration, Suffrage } from './configuration.ts'
import type { Entry } from './entry.ts'
import type { Request, Response, SnapshotPosition } from './messages.ts'
import type { Answer, Outgoing, Output, Persist, Role } from './output.ts'

/** An output in plain words, a line for each thing owed; for transcripts and scripts. */
export function describeOutput(output: Output): readonly string[] {
  const { persist, send, install, apply, takeSnapshot, answers, role } = output
  const lines: string[] = []
  if (persist !== undefined) lines.push(`persist ${describePersist(persist)}`)
  for (const outgoing of send) lines.push(describeOutgoing(outgoing))
  if (install !== undefined) lines.push(`install ${describePosition(install.snapshot)}`)
  if (apply.length > 0) lines.push(`apply ${describeEntries(apply)}`)
  if (takeSnapshot !== undefined) lines.push(`take snapshot ${describePosition(takeSnapshot)}`)
  for (const answer of answers) lines.push(`answer ${describeAnswer(answer)}`)
  if (role !== undefined) lines.push(`now ${describeRole(role)}`)
  return lines
}

function describePersist(persist: Persist): string {
  const { sequence, hardState, resetTo, truncateFrom, append, compactThrough } = persist
  const parts = [`#${sequence}`]
  if (hardState !== undefined) {
    parts.push(`term ${hardState.term} vote ${hardState.votedFor ?? 'nobody'}`)
  }
  if (resetTo !== undefined) parts.push(`reset to ${resetTo.index}/${resetTo.term}`)
  if (truncateFrom !== undefined) parts.push(`truncate from ${truncateFrom}`)
  if (append.length > 0) parts.push(`append ${describeEntries(append)}`)
  if (compactThrough !== undefined) parts.push(`compact through ${compactThrough}`)
  return parts.join(', ')
}

function describeOutgoing(outgoing: Outgoing): string {
  const { kind, to, id } = outgoing
  if (kind === 'request') return `ask ${to} #${id} ${describeRequest(outgoing.request)}`
  if (kind === 'refusal') return `refuse ${to} #${id} "${outgoing.text}"`
  return `answer ${to} #${id} ${describeResponse(outgoing.response)}`
}

export function describeRequest(request: Request): string {
  switch (request.kind) {
    case 'append-entries': {
      const { term, previousIndex, previousTerm, entries, commitIndex } = request
      const text = entries.length === 0 ? 'nothing' : describeEntries(entries)
      return `append in ${term} behind ${previousIndex}/${previousTerm}: ${text}; commit ${commitIndex}`
    }
    case 'heartbeat':
      return `heartbeat in ${request.term}`
    case 'request-vote':
    case 'request-pre-vote': {
      const { kind, term, lastIndex, lastTerm } = request
      const transfer = kind === 'request-vote' && request.leadershipTransfer ? ' by transfer' : ''
      return `${kind} in ${term} last ${lastIndex}/${lastTerm}${transfer}`
    }
    case 'install-snapshot':
      return `install-snapshot in ${request.term} ${describePosition(request.snapshot)}`
    case 'timeout-now':
      return 'timeout-now'
    default:
      return request satisfies never
  }
}

export function describeResponse(response: Response): string {
  switch (response.kind) {
    case 'append-entries': {
      const { success, term, lastIndex, noRetryBackoff } = response
      const retry = noRetryBackoff ? ', retry at once' : ''
      return `${success ? 'success' : 'no success'} in ${term}, last was ${lastIndex}${retry}`
    }
    case 'request-vote':
    case 'request-pre-vote':
      return `${response.kind} ${response.granted ? 'granted' : 'refused'} in ${response.term}`
    case 'install-snapshot':
      return `install-snapshot ${response.success ? 'done' : 'not done'} in ${response.term}`
    case 'timeout-now':
      return 'timeout-now'
    default:
      return response satisfies never
  }
}

function describeAnswer(answer: Answer): string {
  const { kind, ticket } = answer
  if (kind === 'transferred') return `${ticket} transferred`
  if (kind !== 'failed') return `${ticket} ${kind} at ${answer.index}`
  return `${ticket} failed "${answer.text}"${answer.undecided ? ', undecided' : ''}`
}

function describeRole(role: Role): string {
  if (role.kind !== 'follower') return `${role.kind} of ${role.term}`
  return `follower of ${role.leader ?? 'nobody'} in ${role.term}`
}

/** Runs of commands are shortened: the first, the last, and how many. */
export function describeEntries(entries: readonly Entry[]): string {
  const texts = entries.map(describeEntry)
  if (texts.length <= 6) return texts.join(' ')
  return `${texts[0]} … ${texts.at(-1)} (${texts.length} entries)`
}

function describeEntry(entry: Entry): string {
  const { kind, index, term } = entry
  if (kind === 'command') return `${index}/${term}`
  if (kind !== 'configuration') return `${index}/${term}:${kind}`
  return `${index}/${term}:${describeConfiguration(entry.configuration)}`
}

const SUFFRAGE_MARKS: Record<Suffrage, string> = { voter: '', 'non-voter': '?', staging: '~' }

export function describeConfiguration({ servers }: Configuration): string {
  return `(${servers.map(({ id, suffrage }) => id + SUFFRAGE_MARKS[suffrage]).join(' ')})`
}

function describePosition({ index, term, configuration }: SnapshotPosition): string {
  return `${index}/${term} of ${describeConfiguration(configuration)}`
}
