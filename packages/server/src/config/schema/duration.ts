/**
 * Durations in Go's notation, as Liftbridge files have them: `1h30m`, `10ms`, `1.5h`, `500us`.
 *
 *     duration = sign? ( number unit )+ | "0"
 *     number   = digits ( "." digits? )? | "." digits
 *     unit     = "ns" | "us" | "µs" | "ms" | "s" | "m" | "h"
 *
 * Go Liftbridge took a bare number for nanoseconds and anything malformed for zero, so that
 * `groups.consumer.timeout: 15` expelled every consumer at once [D-62]; here both are errors.
 */
export type DurationResult =
  | { readonly kind: 'ok'; readonly ms: number }
  | { readonly kind: 'bad'; readonly reason: string }

const MS_PER_UNIT: ReadonlyMap<string, number> = new Map([
  ['ns', 1e-6],
  ['us', 1e-3],
  ['\u00b5s', 1e-3],
  ['\u03bcs', 1e-3],
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
])

/** The range of Go's time.Duration: 2^63 - 1 nanoseconds, about 292 years. */
const DURATION_MAX_MS = 9_223_372_036_854

/** The longest text worth reading; every duration a person writes is far shorter. */
const TEXT_MAX_CHARS = 64

const UNITS = 'units: ns, us, ms, s, m, h'

/** Reads a duration into milliseconds; fractions of a millisecond are kept. Never throws. */
export function parseDuration(text: string): DurationResult {
  const trimmed = text.trim()
  if (trimmed.length > TEXT_MAX_CHARS) return bad(`too long to be a duration (${UNITS})`)
  if (/^[+-]?0+(?:\.0*)?$/.test(trimmed)) return { kind: 'ok', ms: 0 }
  if (/^[+-]?(?:\d+\.?\d*|\.\d+)$/.test(trimmed)) {
    return bad(`a duration needs a unit: write ${trimmed}s for seconds (${UNITS})`)
  }
  const sign = trimmed.startsWith('-') ? -1 : 1
  const body = /^[+-]/.test(trimmed) ? trimmed.slice(1) : trimmed
  if (body === '') return bad(`not a duration: write for example 30s or 1h30m (${UNITS})`)
  const part = /(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/y
  let ms = 0
  while (part.lastIndex < body.length) {
    const match = part.exec(body)
    if (match === null) return bad(`not a duration: write for example 30s or 1h30m (${UNITS})`)
    ms += Number(match[1]) * (MS_PER_UNIT.get(match[2] ?? '') ?? 0)
  }
  if (ms > DURATION_MAX_MS) return bad('longer than 292 years')
  // Adding zero makes a plain zero of a negative one.
  return { kind: 'ok', ms: sign * ms + 0 }
}

function bad(reason: string): DurationResult {
  return { kind: 'bad', reason }
}

const FORMAT_UNITS: readonly (readonly [unit: string, ms: number])[] = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
]

/** The shortest text that `parseDuration` reads back as `ms`, to a nanosecond: `168h`, `1m30s`. */
export function formatDuration(ms: number): string {
  if (ms < 0) return `-${formatDuration(-ms)}`
  let rest = ms
  let text = ''
  for (const [unit, unitMs] of FORMAT_UNITS) {
    const count = Math.floor(rest / unitMs)
    if (count === 0) continue
    text += `${count}${unit}`
    rest -= count * unitMs
  }
  const restNs = Math.round(rest * 1e6)
  if (restNs > 0) text += restNs % 1000 === 0 ? `${restNs / 1000}us` : `${restNs}ns`
  return text === '' ? '0' : text
}
