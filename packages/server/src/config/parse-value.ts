import { formatDuration, parseDuration } from './schema/duration.ts'
import type { KeySpec } from './schema/key-spec.ts'
import { formatSize, parseSize } from './schema/size.ts'
import type { Origin, Written } from './sources/setting.ts'

/** What the table's types parse into; `toConfig` gives them their exact types. */
export type ParsedValue = string | number | boolean | readonly string[]

export type ParseResult =
  | { readonly kind: 'ok'; readonly value: ParsedValue }
  /** A complete sentence: what is wrong with the value, and what to write instead. */
  | { readonly kind: 'bad'; readonly reason: string }

/** A value and where it came from; a later source has a higher `rank`. */
export interface Given {
  readonly value: ParsedValue
  readonly origin: Origin
  readonly rank: number
}

/** Longest list worth reading; the servers of a NATS cluster, the peers of a Raft group. */
const LIST_MAX_ITEMS = 256

/**
 * One token of a NATS subject and one name of a folder, whatever the file system [A3]. Dots are
 * left out because they would split the token.
 */
const TOKEN = /^[A-Za-z0-9_-]{1,128}$/

/** A name, an IPv4 address, or an IPv6 address with or without its brackets. */
const HOST =
  /^(?:[A-Za-z0-9_][A-Za-z0-9._-]{0,252}|\[?[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{1,45}(?:%\w{1,16})?\]?)$/

/** Reads a written value as the key's type says. Never throws. */
export function parseValue(spec: KeySpec, written: Written): ParseResult {
  if (written.kind === 'nothing') {
    return bad('has no value: give it one, or remove the line')
  }
  if (spec.type === 'list') return parseList(written)
  if (written.kind === 'list') return bad('takes one value, not a list')
  const { text } = written
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(text)) return bad('contains a control character')
  return parseText(spec, spec.type, text.trim())
}

function parseText(
  spec: KeySpec,
  type: Exclude<KeySpec['type'], 'list'>,
  text: string,
): ParseResult {
  switch (type) {
    case 'text':
    case 'path':
      return text === '' ? bad('is empty: give it a value, or remove it') : ok(text)
    case 'host':
      return HOST.test(text)
        ? ok(text.replace(/^\[(.*)\]$/, '$1'))
        : bad(`"${cut(text)}" is not a host name or address: write it without scheme and port`)
    case 'token':
      return TOKEN.test(text)
        ? ok(text)
        : bad(`"${cut(text)}" must be 1 to 128 letters, digits, "_" or "-"`)
    case 'boolean':
      return parseBoolean(text)
    case 'choice':
      return parseChoice(spec, text)
    case 'integer':
      return parseInteger(spec, text)
    case 'size':
      return parseSizeValue(spec, text)
    case 'duration':
      return parseDurationValue(spec, text)
  }
}

function parseList(written: Exclude<Written, { kind: 'nothing' }>): ParseResult {
  const items =
    written.kind === 'list' ? written.items : written.text.split(/[\s,]+/).filter(Boolean)
  if (items.length > LIST_MAX_ITEMS) return bad(`holds more than ${LIST_MAX_ITEMS} values`)
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (items.some((item) => item === '' || /[\s\u0000-\u001f\u007f]/.test(item))) {
    return bad('holds a value that is empty or contains white space')
  }
  return ok(items)
}

function parseBoolean(text: string): ParseResult {
  const lower = text.toLowerCase()
  if (['true', 'yes', 'on'].includes(lower)) return ok(true)
  if (['false', 'no', 'off'].includes(lower)) return ok(false)
  return bad(`"${cut(text)}" is neither true nor false`)
}

function parseChoice(spec: KeySpec, text: string): ParseResult {
  const choices = spec.choices ?? []
  const choice = choices.find((candidate) => candidate === text.toLowerCase())
  return choice === undefined
    ? bad(`"${cut(text)}" is not one of ${choices.join(', ')}`)
    : ok(choice)
}

function parseInteger(spec: KeySpec, text: string): ParseResult {
  if (!/^[+-]?\d{1,20}$/.test(text)) return bad(`"${cut(text)}" is not a whole number`)
  const value = Number(text) + 0
  if (!Number.isSafeInteger(value)) return bad(`${text} is too large`)
  return inRange(spec, value, { text, format: String })
}

function parseSizeValue(spec: KeySpec, text: string): ParseResult {
  const size = parseSize(text)
  if (size.kind === 'bad') return bad(`"${cut(text)}": ${size.reason}`)
  return inRange(spec, size.bytes, { text, format: formatSize })
}

function parseDurationValue(spec: KeySpec, text: string): ParseResult {
  const duration = parseDuration(text)
  if (duration.kind === 'bad') return bad(`"${cut(text)}": ${duration.reason}`)
  return inRange(spec, duration.ms, { text, format: formatDuration })
}

/** A key without a `min` of its own starts at 0: no size, count or time is negative by default. */
function inRange(
  spec: KeySpec,
  value: number,
  as: { text: string; format: (value: number) => string },
): ParseResult {
  const min = spec.min ?? 0
  if (value < min) return bad(`${cut(as.text)} is too small: the least is ${as.format(min)}`)
  if (spec.max !== undefined && value > spec.max) {
    return bad(`${cut(as.text)} is too large: the most is ${as.format(spec.max)}`)
  }
  return ok(value)
}

/** The offending value, short enough for a line of a terminal. */
function cut(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`
}

function ok(value: ParsedValue): ParseResult {
  return { kind: 'ok', value }
}

function bad(reason: string): ParseResult {
  return { kind: 'bad', reason }
}
