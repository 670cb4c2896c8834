import { suggestion } from './suggestion.ts'
import type { ConfEntry, ConfMap, ConfValue, NatsConfigProblem, Place } from './conf-value.ts'

/**
 * Reads the settings of one block, by any of their names and without regard to case. What is wrong
 * is written down and reading goes on, so that all mistakes are told at once.
 */
export class Section {
  readonly name: string
  readonly #entries = new Map<string, ConfEntry>()
  readonly #known = new Set<string>()
  readonly problems: NatsConfigProblem[]

  /** `name` is for texts: '' at the top of the file. */
  constructor(name: string, map: ConfMap, problems: NatsConfigProblem[]) {
    this.name = name
    this.problems = problems
    for (const entry of map.values()) this.#entries.set(entry.key.toLowerCase(), entry)
  }

  /** The last of `names` that is set. */
  entry(...names: readonly string[]): ConfEntry | undefined {
    let found: ConfEntry | undefined
    for (const name of names) {
      this.#known.add(name)
      found = this.#entries.get(name) ?? found
    }
    return found
  }

  text(...names: readonly string[]): string | undefined {
    const entry = this.entry(...names)
    if (entry === undefined) return undefined
    const { value } = entry
    if (value.kind === 'text') return value.value
    // `password: 1234` is a text that looks like a number.
    if (value.kind === 'number' && value.whole) return String(value.value)
    return this.#wrong(entry, 'a text')
  }

  boolean(...names: readonly string[]): boolean | undefined {
    const entry = this.entry(...names)
    if (entry === undefined) return undefined
    return entry.value.kind === 'boolean' ? entry.value.value : this.#wrong(entry, 'true or false')
  }

  /** A whole number from `min` to `max`. */
  integer(range: { min: number; max: number }, ...names: readonly string[]): number | undefined {
    const entry = this.entry(...names)
    if (entry === undefined) return undefined
    const { value } = entry
    const fits = value.kind === 'number' && value.whole
    if (fits && value.value >= range.min && value.value <= range.max) return value.value
    return this.#wrong(entry, `a whole number from ${range.min} to ${range.max}`)
  }

  /** Milliseconds from a text like `2m30s` or `500ms`, or from a number of seconds. */
  durationMs(...names: readonly string[]): number | undefined {
    const entry = this.entry(...names)
    if (entry === undefined) return undefined
    const { value } = entry
    const ms =
      value.kind === 'number'
        ? value.value * 1000
        : value.kind === 'text'
          ? parseDurationMs(value.value)
          : undefined
    // The longest that a timer of Node takes.
    if (ms !== undefined && ms >= 0 && ms < 2 ** 31) return ms
    return this.#wrong(entry, 'a duration like "2s", "1m30s" or "500ms"')
  }

  section(...names: readonly string[]): { section: Section; place: Place } | undefined {
    const entry = this.entry(...names)
    if (entry === undefined) return undefined
    if (entry.value.kind !== 'map') return this.#wrong(entry, 'a block { … }')
    const name = this.name === '' ? entry.key : `${this.name}.${entry.key}`
    const section = new Section(name, entry.value.value, this.problems)
    return { section, place: entry.place }
  }

  problem(place: Place, text: string): undefined {
    this.problems.push({ file: place.file, line: place.line, text })
    return undefined
  }

  /** Tells what nobody asked for. To be called last; `others` are offered as suggestions too. */
  finish(others: readonly string[] = []): void {
    for (const [lower, { key, place, usedAsVariable }] of this.#entries) {
      if (this.#known.has(lower) || usedAsVariable) continue
      const near = suggestion(lower, [...this.#known, ...others])
      const where = this.name === '' ? '' : ` in ${this.name}`
      const hint = near === undefined ? '' : `; did you mean ${near}?`
      this.problem(place, `unknown setting ${JSON.stringify(key)}${where}${hint}`)
    }
  }

  #wrong({ key, value }: ConfEntry, expected: string): undefined {
    return this.problem(
      value,
      `${this.name === '' ? '' : `${this.name}.`}${key} must be ${expected}`,
    )
  }
}

/** Without the fields that are undefined: what is not set is left to its default. */
export function given<T extends object>(fields: T): Given<T>
export function given(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

type Given<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> }

/** What a list of texts, or one text, holds; undefined and a problem when it is anything else. */
export function textList(section: Section, value: ConfValue, what: string): readonly string[] {
  if (value.kind === 'text') return [value.value]
  if (value.kind !== 'list') {
    section.problem(value, `${what} must be a text or a list of texts`)
    return []
  }
  return value.value.flatMap((item) => {
    if (item.kind === 'text') return [item.value]
    section.problem(item, `${what} must hold texts`)
    return []
  })
}

/** As Go writes durations; undefined when it is none. */
function parseDurationMs(text: string): number | undefined {
  const match = /^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/.exec(text)
  if (match === null) return undefined
  let ms = 0
  for (const [, count, unit = ''] of text.matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h)/g)) {
    ms += Number(count) * (UNIT_MS[unit] ?? 0)
  }
  return ms
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}
