/** Where a setting was written, for messages. Lines and columns count from 1. */
export type Origin =
  | { readonly kind: 'file'; readonly file: string; readonly line: number; readonly column: number }
  | { readonly kind: 'environment'; readonly variable: string }
  | { readonly kind: 'flag'; readonly flag: string }

export type Written =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'list'; readonly items: readonly string[] }
  /** A key with nothing after it. */
  | { readonly kind: 'nothing' }

/** One setting as it was written, before anything is known of its key. */
export interface Setting {
  /** Dotted and lower case; sections are already joined in front. */
  readonly name: string
  readonly written: Written
  readonly origin: Origin
}

export function describeOrigin(origin: Origin): string {
  switch (origin.kind) {
    case 'file':
      return `${origin.file}:${origin.line}:${origin.column}`
    case 'environment':
      return `environment variable ${origin.variable}`
    case 'flag':
      return `flag ${origin.flag}`
  }
}

/**
 * Gathers the settings of one file, and what is wrong with them. It refuses a name given twice, however it was spelt or nested:
 * with two values, one of them is not what its author believes is in force.
 */
export class SettingCollector {
  readonly settings: Setting[] = []
  readonly problems: string[] = []
  /** Where the file breaks off for its reader: what is missing behind may well stand there. */
  isCutShort = false
  readonly #seen = new Map<string, Origin>()

  add(name: string, written: Written, origin: Origin): void {
    const lower = name.toLowerCase()
    if (this.#refuseTwice(lower, origin)) return
    this.settings.push({ name: lower, written, origin })
  }

  /** Notes that a section was opened; the same section twice in one place is a mistake as well. */
  section(name: string, origin: Origin): void {
    this.#refuseTwice(`${name.toLowerCase()} {`, origin)
  }

  problem(origin: Origin, text: string): void {
    this.problems.push(`${describeOrigin(origin)}: ${text}`)
  }

  /** The last problem that is found, since what follows can no longer be told apart. */
  endAt(origin: Origin, text: string): void {
    this.problem(origin, text)
    this.isCutShort = true
  }

  #refuseTwice(name: string, origin: Origin): boolean {
    const earlier = this.#seen.get(name)
    if (earlier === undefined) {
      this.#seen.set(name, origin)
      return false
    }
    const shown = name.endsWith(' {') ? `section ${name.slice(0, -2)}` : name
    this.problem(origin, `${shown} is given twice, first at ${describeOrigin(earlier)}: keep one`)
    return true
  }
}
