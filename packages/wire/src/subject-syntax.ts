import { encodeText } from './text.ts'

/**
 * NATS subjects: tokens joined by dots. `*` as a whole token stands for one token, `>` as the last
 * token for one or more. A `*` or `>` inside a longer token is an ordinary character, as in NATS.
 */

/** Longest subject, stream name or inbox that a client may choose, in bytes of UTF-8. */
export const SUBJECT_MAX_BYTES = 255

export type SubjectProblem =
  | 'empty'
  | 'longer than 255 bytes'
  | 'not well-formed Unicode'
  | 'white space or a control character'
  | 'an empty token'
  | 'a wildcard'
  | 'tokens after ">"'

/** What keeps `subject` from being a subject to subscribe to, wildcards allowed. */
export function subjectProblem(subject: string): SubjectProblem | undefined {
  const problem = textProblem(subject)
  if (problem !== undefined) return problem
  const tokens = subject.split('.')
  if (tokens.includes('')) return 'an empty token'
  const rest = tokens.indexOf('>')
  if (rest !== -1 && rest !== tokens.length - 1) return 'tokens after ">"'
  return undefined
}

/** What keeps `subject` from being a subject to publish to: one without wildcards. */
export function literalSubjectProblem(subject: string): SubjectProblem | undefined {
  const problem = subjectProblem(subject)
  if (problem !== undefined) return problem
  return hasWildcard(subject) ? 'a wildcard' : undefined
}

/** Whether one can subscribe to it. */
export function isSubject(subject: string): boolean {
  return subjectProblem(subject) === undefined
}

/** Whether one can publish to it. */
export function isLiteralSubject(subject: string): boolean {
  return literalSubjectProblem(subject) === undefined
}

/** Whether a valid subject has a wildcard token. */
export function hasWildcard(subject: string): boolean {
  return subject.split('.').some((token) => token === '*' || token === '>')
}

/** Whether the subscription `pattern` receives what is published to the literal `subject`. */
export function subjectMatches(pattern: string, subject: string): boolean {
  const [wanted, tokens] = [pattern.split('.'), subject.split('.')]
  for (let index = 0; index < wanted.length; index++) {
    if (index >= tokens.length) return false
    if (wanted[index] === '>') return true
    if (wanted[index] !== '*' && wanted[index] !== tokens[index]) return false
  }
  return wanted.length === tokens.length
}

/** Whether some literal subject matches both patterns [A4]. */
export function subjectsOverlap(left: string, right: string): boolean {
  const [a, b] = [left.split('.'), right.split('.')]
  const shared = Math.min(a.length, b.length)
  for (let index = 0; index < shared; index++) {
    if (a[index] === '>' || b[index] === '>') return true
    if (a[index] !== '*' && b[index] !== '*' && a[index] !== b[index]) return false
  }
  return a.length === b.length
}

function textProblem(subject: string): SubjectProblem | undefined {
  if (subject.length === 0) return 'empty'
  if (subject.length > SUBJECT_MAX_BYTES) return 'longer than 255 bytes'
  if (!subject.isWellFormed()) return 'not well-formed Unicode'
  if (encodeText(subject).length > SUBJECT_MAX_BYTES) return 'longer than 255 bytes'
  for (let index = 0; index < subject.length; index++) {
    const unit = subject.charCodeAt(index)
    if (unit <= 0x20 || unit === 0x7f) return 'white space or a control character'
  }
  return undefined
}
