import { Session, type Profiler } from 'node:inspector'

/** The code that ran between two reads: for each script, 1 for each character that did. */
export interface CoverageRead {
  readonly painted: ReadonlyMap<string, Uint8Array>
  /** Characters of code that never ran before. */
  readonly fresh: number
}

/**
 * Which code ran, as V8 counts it. Reading the counts costs a millisecond or so and resets them,
 * so the engine reads once for many inputs, and looks closer only when something new ran.
 *
 * V8 reports a block only where its count differs from that of the code around it. Blocks by
 * themselves can therefore not be compared between reads; the characters they cover can.
 *
 * Make it before the code under test is loaded, and only once: V8 counts blocks in what it compiles
 * while coverage is on, and functions in the rest.
 */
export class BlockCoverage {
  readonly #session = new Session()
  readonly #isWatched: (url: string) => boolean
  readonly #seen = new Map<string, Uint8Array>()

  /** `isWatched` picks the scripts that count, by URL. */
  constructor(isWatched: (url: string) => boolean) {
    this.#isWatched = isWatched
    this.#session.connect()
    this.#session.post('Profiler.enable')
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  }

  /** What ran since the last read. */
  read(): CoverageRead {
    const painted = new Map<string, Uint8Array>()
    let fresh = 0
    for (const script of this.#take()) {
      if (!this.#isWatched(script.url)) continue
      const characters = paint(script)
      painted.set(script.scriptId, characters)
      fresh += countFresh(characters, this.#seen.get(script.scriptId))
    }
    return { painted, fresh }
  }

  /** From now on the code in `read` is not fresh any more. */
  remember({ painted }: CoverageRead): void {
    for (const [scriptId, characters] of painted) {
      const seen = this.#seen.get(scriptId)
      if (seen === undefined || seen.length < characters.length) {
        if (seen !== undefined) merge(characters, seen)
        this.#seen.set(scriptId, characters)
      } else {
        merge(seen, characters)
      }
    }
  }

  /** Everything is fresh again: the next target begins. */
  forget(): void {
    this.#take()
    this.#seen.clear()
  }

  close(): void {
    this.#session.post('Profiler.stopPreciseCoverage')
    this.#session.disconnect()
  }

  #take(): readonly Profiler.ScriptCoverage[] {
    let result: readonly Profiler.ScriptCoverage[] = []
    // The session is on this very thread: it answers before `post` returns.
    this.#session.post('Profiler.takePreciseCoverage', (error, answer) => {
      if (error !== null) throw error
      result = answer.result
    })
    return result
  }
}

/** Ranges come outermost first, so that each one repaints what it differs in. */
function paint(script: Profiler.ScriptCoverage): Uint8Array {
  let length = 0
  for (const { ranges } of script.functions) {
    for (const { endOffset } of ranges) length = Math.max(length, endOffset)
  }
  const characters = new Uint8Array(length)
  for (const { ranges } of script.functions) {
    for (const { startOffset, endOffset, count } of ranges) {
      characters.fill(count > 0 ? 1 : 0, startOffset, endOffset)
    }
  }
  return characters
}

function countFresh(characters: Uint8Array, seen: Uint8Array | undefined): number {
  let fresh = 0
  for (let index = 0; index < characters.length; index++) {
    if (characters[index] === 1 && seen?.[index] !== 1) fresh++
  }
  return fresh
}

function merge(into: Uint8Array, from: Uint8Array): void {
  for (let index = 0; index < from.length; index++) if (from[index] === 1) into[index] = 1
}
