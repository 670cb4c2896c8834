/** Runs every mutant until a checker catches it, and tells how long that took. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from '../run/workers.ts'
import { MUTANTS } from './mutants.ts'
import { applyEdit, MUTANT_VARIABLE, type Mutant } from './mutant.ts'

const PACKAGES = join(import.meta.dirname, '../../..')

export interface CatchOptions {
  readonly workers: number
  /** Seeds that a mutant may survive at most. */
  readonly seedsMax: number
  readonly secondsMax: number
  /** Part of the name of those to run; all when empty. */
  readonly only: string
  readonly say: (line: string) => void
}

export interface Caught {
  readonly name: string
  /** Undefined: nobody caught it. */
  readonly by: string | undefined
  readonly seeds: number
  readonly seconds: number
}

/** Mutants whose text is no longer in the source, with the reason. */
export function staleMutants(): string[] {
  return MUTANTS.flatMap(({ name, edits }) =>
    edits.flatMap((edit) => {
      try {
        applyEdit(readFileSync(join(PACKAGES, edit.file), 'utf8'), edit)
        return []
      } catch (error) {
        return [`${name}: ${error instanceof Error ? error.message : String(error)}`]
      }
    }),
  )
}

export async function catchMutants(options: CatchOptions): Promise<readonly Caught[]> {
  const waiting = MUTANTS.filter(({ name }) => name.includes(options.only))
  const caught: Caught[] = []
  const next = async (): Promise<void> => {
    for (let mutant = waiting.shift(); mutant; mutant = waiting.shift()) {
      const result = await catchMutant(mutant, options)
      caught.push(result)
      const time = `${result.seeds} seeds, ${result.seconds.toFixed(1)} s`
      options.say(
        `${result.by ? 'caught ' : 'MISSED '} ${mutant.name}: ${result.by ?? mutant.breaks} (${time})`,
      )
    }
  }
  await Promise.all(Array.from({ length: options.workers }, next))
  return caught
}

async function catchMutant(mutant: Mutant, options: CatchOptions): Promise<Caught> {
  const loader = new URL('./load-mutant.ts', import.meta.url).href
  const worker = new Worker({
    execArgv: ['--import', loader],
    env: { [MUTANT_VARIABLE]: mutant.name },
    hangsMs: 30_000,
  })
  const started = performance.now()
  const seconds = (): number => (performance.now() - started) / 1_000
  const { name, draw = {} } = mutant
  let seeds = 0
  try {
    for (let seed = 1; seed <= options.seedsMax && seconds() < options.secondsMax; seed++) {
      seeds = seed
      const outcome = await worker.run({ kind: 'seed', seed, draw, twice: false })
      const by =
        outcome.kind === 'died'
          ? outcome.text.split('\n').slice(0, 3).join(' ')
          : outcome.kind === 'ran'
            ? outcome.report.failure?.text.split('\n')[0]
            : undefined
      if (by !== undefined) return { name, by: by.slice(0, 160), seeds: seed, seconds: seconds() }
    }
    return { name, by: undefined, seeds, seconds: seconds() }
  } finally {
    worker.stop()
  }
}
