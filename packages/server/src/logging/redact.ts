import type { LogFields } from './logger.ts'

/** `nats://user:password@host`, and what else may stand before an `@`. */
const USER_PART = /\b([a-z][a-z0-9+.-]{0,15}:\/\/)[^\s/@"']{1,512}@/gi

const SECRET_NAME = /password|passwd|secret|token|credential|private.?key|authorization/i

const MASK = '***'

/** Masks the user part of every URL in a text [A6]. */
export function redactText(text: string): string {
  return text.includes('@') ? text.replace(USER_PART, `$1${MASK}@`) : text
}

/** Fields as plain printable values: secrets masked, errors as their text, bigints as digits. */
export function plainFields(fields: LogFields): Record<string, unknown> {
  const plain: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue
    plain[fieldName(name)] = SECRET_NAME.test(name) ? MASK : plainValue(value)
  }
  return plain
}

/** A name that cannot break the line it stands in. */
function fieldName(name: string): string {
  return name.replaceAll(/[^\w.-]/g, '_').slice(0, 100)
}

const DEPTH_MAX = 4
const ITEMS_MAX = 50

/** Longer texts are cut: a log line is read by people, and a peer chooses some of them. */
const TEXT_MAX_CHARS = 4096

function plainValue(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return cut(redactText(value))
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value
  if (value instanceof Error) return cut(redactText(describeError(value)))
  if (value instanceof Uint8Array) return `${value.length} bytes`
  if (depth >= DEPTH_MAX || typeof value !== 'object') return `(${typeof value})`
  if (Array.isArray(value)) {
    return value.slice(0, ITEMS_MAX).map((item) => plainValue(item, depth + 1))
  }
  const entries = Object.entries(value).slice(0, ITEMS_MAX)
  return Object.fromEntries(
    entries.map(([name, item]) => [
      name,
      SECRET_NAME.test(name) ? MASK : plainValue(item, depth + 1),
    ]),
  )
}

/** An error's text with those of its causes: `write failed: ENOSPC: no space left`. */
function describeError(error: unknown): string {
  const texts: string[] = []
  let current = error
  for (let depth = 0; depth < 5 && current instanceof Error; depth++) {
    const text = current.message === '' ? current.name : current.message
    if (!texts.some((earlier) => earlier.includes(text))) texts.push(text)
    current = current.cause
  }
  return texts.length === 0 ? String(error) : texts.join(': ')
}

function cut(text: string): string {
  return text.length <= TEXT_MAX_CHARS ? text : `${text.slice(0, TEXT_MAX_CHARS - 3)}...`
}
