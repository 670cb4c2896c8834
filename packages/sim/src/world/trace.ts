/** What happened in a run: a rolling hash that proves two runs equal, and lines a person can read. */
export interface TraceOptions {
  /** Latest lines that are kept; 0 keeps none. */
  readonly keepLines?: number
  /** Told of each line as it comes. */
  readonly onLine?: (line: string) => void
}

const HASH_PRIME = 0x01000193

export class Trace {
  readonly #keepLines: number
  readonly #onLine: ((line: string) => void) | undefined
  readonly #lines: string[] = []
  readonly #labels = new Map<string, number>()
  #low = 0x811c9dc5
  #high = 0x9e3779b9

  constructor(options: TraceOptions = {}) {
    this.#keepLines = options.keepLines ?? 0
    this.#onLine = options.onLine
  }

  /** True when lines are wanted: whoever builds a costly text asks before. */
  get isReadable(): boolean {
    return this.#keepLines > 0 || this.#onLine !== undefined
  }

  /** Goes into the hash, not into the lines: one event, by its label. */
  event(timeUs: number, label: string): void {
    let known = this.#labels.get(label)
    if (known === undefined) {
      known = hashText(label)
      this.#labels.set(label, known)
    }
    this.#mix(timeUs | 0)
    this.#mix(known)
  }

  /** Goes into the hash and the lines. */
  line(timeUs: number, text: string): void {
    this.#mix(timeUs | 0)
    this.#mix(hashText(text))
    if (!this.isReadable) return
    const line = `${(timeUs / 1e6).toFixed(6).padStart(12)}  ${text}`
    this.#onLine?.(line)
    if (this.#keepLines === 0) return
    this.#lines.push(line)
    if (this.#lines.length > this.#keepLines * 2) {
      this.#lines.splice(0, this.#lines.length - this.#keepLines)
    }
  }

  /** The latest lines. */
  get lines(): readonly string[] {
    return this.#lines.slice(-this.#keepLines || this.#lines.length)
  }

  /** Equal for runs in which the same happened at the same times. */
  get hash(): string {
    return hex(this.#high) + hex(this.#low)
  }

  #mix(word: number): void {
    this.#low = Math.imul(this.#low ^ word, HASH_PRIME)
    this.#high = Math.imul(this.#high ^ (this.#low >>> 15) ^ word, 0x85ebca6b)
  }
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0')
}

function hashText(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), HASH_PRIME)
  }
  return hash
}
