import type { BlockCoverage } from './coverage.ts'
import { mutate } from './mutate.ts'
import { SeededRandom, hashOf } from './random.ts'
import { shrink } from './shrink.ts'
import type { FuzzTarget } from './target.ts'

const INPUT_MAX_BYTES = 4096
/**
 * Inputs between two reads of the coverage: few while new code is found, twice as many after each
 * batch that found none.
 */
const BATCH_MIN = 256
const BATCH_MAX = 8192
/** A target that fails in so many ways is not fuzzed any further. */
const FAILURES_MAX = 8
const CORPUS_MAX = 4096

export interface FuzzOptions {
  readonly executions: number
  /** Begins nothing new after so many milliseconds; without it only `executions` ends the run. */
  readonly budgetMs?: number
  readonly seed: number
  readonly coverage: BlockCoverage
  /** Called with each input before it runs. */
  readonly note?: (input: Uint8Array) => void
}

export interface FuzzFailure {
  /** The first that failed in this way, and the smallest found since. */
  readonly input: Uint8Array
  readonly smallest: Uint8Array
  readonly error: unknown
}

export interface FuzzOutcome {
  readonly executions: number
  /** Inputs kept because each made code run that none before it did, seeds included. */
  readonly corpus: number
  readonly elapsedMs: number
  readonly failures: readonly FuzzFailure[]
}

/** Runs one target with inputs grown from its seeds, guided by what code they make run. */
export async function fuzz(target: FuzzTarget, options: FuzzOptions): Promise<FuzzOutcome> {
  return new Campaign(target, options).run()
}

class Campaign {
  readonly #target: FuzzTarget
  readonly #options: FuzzOptions
  readonly #random: SeededRandom
  readonly #corpus: Uint8Array[] = []
  readonly #failures = new Map<string, { input: Uint8Array; error: unknown }>()
  #executions = 0
  #batch = BATCH_MIN

  constructor(target: FuzzTarget, options: FuzzOptions) {
    this.#target = target
    this.#options = options
    this.#random = new SeededRandom(options.seed ^ hashOf(target.name))
  }

  async run(): Promise<FuzzOutcome> {
    const begun = performance.now()
    if (this.#target.seeds.length === 0) throw new Error(`${this.#target.name} has no seeds`)
    this.#options.coverage.forget()
    // Copies that are no Buffers: `slice` of a Buffer is no copy, and mutation would change the seed.
    const seeds = this.#target.seeds.map((seed) => Uint8Array.from(seed))
    this.#corpus.push(...seeds)
    await this.#explore([new Uint8Array(), ...seeds])
    const { executions, budgetMs = Infinity } = this.#options
    while (this.#executions < executions && this.#failures.size < FAILURES_MAX) {
      if (performance.now() - begun >= budgetMs) break
      const left = executions - this.#executions
      const known = this.#corpus.length
      await this.#explore(this.#mutants(Math.min(this.#batch, left)))
      const found = this.#corpus.length > known
      this.#batch = found ? BATCH_MIN : Math.min(this.#batch * 2, BATCH_MAX)
    }
    return {
      executions: this.#executions,
      corpus: this.#corpus.length,
      elapsedMs: performance.now() - begun,
      failures: await this.#shrunkFailures(),
    }
  }

  #mutants(count: number): Uint8Array[] {
    const source = {
      random: this.#random,
      corpus: this.#corpus,
      dictionary: this.#target.dictionary ?? [],
      inputMaxBytes: this.#target.inputMaxBytes ?? INPUT_MAX_BYTES,
    }
    const batch: Uint8Array[] = []
    for (let index = 0; index < count; index++) {
      batch.push(mutate(this.#parent(), source))
    }
    return batch
  }

  /** Half of the time one of the newest: what just led to new code may lead on. */
  #parent(): Uint8Array {
    const newest = this.#random.below(2) === 0
    return this.#random.pick(newest ? this.#corpus.slice(-4) : this.#corpus)
  }

  /** Runs a batch; if new code ran, finds by halving which of its inputs did it, and keeps them. */
  async #explore(batch: readonly Uint8Array[]): Promise<void> {
    this.#executions += batch.length
    await this.#executeAll(batch)
    await this.#keepFresh(batch)
  }

  async #keepFresh(batch: readonly Uint8Array[]): Promise<void> {
    const { coverage } = this.#options
    const read = coverage.read()
    if (read.fresh === 0) return
    const [only] = batch
    if (batch.length <= 1) {
      coverage.remember(read)
      if (only !== undefined && this.#corpus.length < CORPUS_MAX) this.#corpus.push(only)
      return
    }
    const middle = batch.length >>> 1
    for (const half of [batch.slice(0, middle), batch.slice(middle)]) {
      await this.#executeAll(half)
      await this.#keepFresh(half)
    }
  }

  async #executeAll(batch: readonly Uint8Array[]): Promise<void> {
    for (const input of batch) {
      this.#options.note?.(input)
      try {
        const pending = this.#target.run(input)
        // Most targets are synchronous, and then nothing waits.
        if (pending !== undefined) await pending
      } catch (error) {
        const way = wayOf(error)
        if (!this.#failures.has(way)) this.#failures.set(way, { input, error })
      }
    }
  }

  async #shrunkFailures(): Promise<FuzzFailure[]> {
    const shrunk: FuzzFailure[] = []
    for (const [way, { input, error }] of this.#failures) {
      const smallest = await shrink(input, async (candidate) => {
        this.#options.note?.(candidate)
        try {
          await this.#target.run(candidate)
          return false
        } catch (thrown) {
          return wayOf(thrown) === way
        }
      })
      shrunk.push({ input, smallest, error })
    }
    return shrunk
  }
}

/** Failures with the same message, numbers aside, thrown at the same place, are one. */
function wayOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const place = error.stack?.split('\n').find((line) => line.trimStart().startsWith('at ')) ?? ''
  const [message = ''] = error.message.split('\n')
  return `${error.name} ${message.replaceAll(/\d+/g, 'N')} ${place.trim()}`
}
