/**
 * Rules of NATS subjects. Inside the server a subject is a *byte string*: one character per byte
 * (Latin-1), so that whatever bytes a client sent are compared and sent on unchanged.
 */

/** Tokens are not empty and hold no whitespace; `*` and `>` are wildcards only as whole tokens. */
export function isValidSubject(subject: string): boolean {
  if (subject.length === 0) return false
  let tokenStart = 0
  for (let i = 0; i <= subject.length; i++) {
    const c = i === subject.length ? DOT : subject.charCodeAt(i)
    if (c === DOT) {
      if (i === tokenStart) return false
      if (i !== subject.length && isFullWildcard(subject, tokenStart, i)) return false
      tokenStart = i + 1
    } else if (isSpace(c)) {
      return false
    }
  }
  return true
}

/** A valid subject without wildcards: what a message may be published to. */
export function isLiteralSubject(subject: string): boolean {
  return isValidSubject(subject) && !hasWildcard(subject)
}

/** True when a whole token is `*`, or the last one is `>`. */
export function hasWildcard(subject: string): boolean {
  for (let i = 0; i < subject.length; i++) {
    const c = subject.charCodeAt(i)
    if (c !== STAR && c !== GREATER) continue
    const startsToken = i === 0 || subject.charCodeAt(i - 1) === DOT
    const endsToken = i === subject.length - 1 || subject.charCodeAt(i + 1) === DOT
    if (startsToken && endsToken && (c === STAR || i === subject.length - 1)) return true
  }
  return false
}

const DOT = 0x2e
const STAR = 0x2a
const GREATER = 0x3e

function isFullWildcard(subject: string, start: number, end: number): boolean {
  return end - start === 1 && subject.charCodeAt(start) === GREATER
}

function isSpace(c: number): boolean {
  return c === 0x20 || (c >= 0x09 && c <= 0x0d)
}

/** UTF-16 text, as programs use it, to the byte string used inside; the same object when ASCII. */
export function toByteString(text: string): string {
  return isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1')
}

/** The inverse of `toByteString`; bytes that are not UTF-8 become replacement characters. */
export function fromByteString(bytes: string): string {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString('utf8')
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false
  return true
}

/** Whether every subject that `subject` stands for (it may have wildcards) is matched by `pattern`. */
export function covers(pattern: string, subject: string): boolean {
  if (pattern === '>' || pattern === subject) return true
  const wanted = pattern.split('.')
  const given = subject.split('.')
  for (let i = 0; i < wanted.length; i++) {
    const token = given[i]
    if (token === undefined) return false
    if (wanted[i] === '>') return true
    if (token === '>' || (wanted[i] !== '*' && wanted[i] !== token)) return false
  }
  return wanted.length === given.length
}

/** Whether some subject is matched by both. */
export function overlap(one: string, other: string): boolean {
  const left = one.split('.')
  const right = other.split('.')
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const [a, b] = [left[i], right[i]]
    if (a === '>' || b === '>') return true
    if (a !== '*' && b !== '*' && a !== b) return false
  }
  return left.length === right.length
}
