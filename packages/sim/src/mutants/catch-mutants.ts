/**
 * Runs every mutant until a checker catches it, and tells what that took. What caught it last time
 * comes first; when that does no longer, the named scenarios and then seeds are searched. A run
 * counts only if the same plan passes without the mutant.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from '../run/workers.ts'
import { SCENARIOS } from '../scenarios/scenarios.ts'
import { drawPlan } from '../workload/draw-plan.ts'
import type { Plan } from '../workload/plan.ts'
import { MUTANTS } from './mutants.ts'
import { applyEdit, MUTANT_VARIABLE, type Mutant } from './mutant.ts'
import { witnessText, WITNESSES, type Witness } from './witnesses.ts'

const PACKAGES = join(import.meta.dirname, '../../..')
const LOADER = new URL('./load-mutant.ts', import.meta.url).href
/** An event that takes so long will not end; a batch waits longer, where nothing is known to be wrong. */
const HANGS_MS = 30_000

export interface CatchOptions {
  readonly workers: number
  /** Seeds that a mutant may survive at most when it is searched for. */
  readonly seedsMax: number
  /** How long one mutant may be searched for. */
  readonly secondsMax: number
  /** Part of the name of those to run; all when empty. */
  readonly only: string
  readonly say: (line: string) => void
}

export interface Caught {
  readonly name: string
  /** The violation; undefined: nobody caught it. */
  readonly by: string | undefined
  /** Why it is no surprise when nobody caught it. */
  readonly knownMissed: string | undefined
  /** What caught it, and whether that was known before. */
  readonly witness: Witness | undefined
  readonly isNew: boolean
  readonly runs: number
  readonly seconds: number
}

const NOT_CAUGHT = { by: undefined, witness: undefined, isNew: false, runs: 0, seconds: 0 }

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
  const work = async (): Promise<void> => {
    const sound = new Worker({ hangsMs: HANGS_MS })
    try {
      for (let mutant = waiting.shift(); mutant; mutant = waiting.shift()) {
        const result = await catchMutant(mutant, sound, options).catch((error: unknown) => {
          const text = error instanceof Error ? error.message : String(error)
          options.say(`DIED    ${mutant.name}: ${text}`)
          return { ...NOT_CAUGHT, name: mutant.name, knownMissed: undefined }
        })
        caught.push(result)
        options.say(lineOf(mutant, result))
      }
    } finally {
      sound.stop()
    }
  }
  await Promise.all(Array.from({ length: options.workers }, work))
  return caught
}

function lineOf(
  { name, breaks, knownMissed }: Mutant,
  { by, witness, isNew, runs, seconds }: Caught,
): string {
  const took = `${seconds.toFixed(1)} s`
  if (by === undefined && knownMissed !== undefined)
    return `not caught (known): ${name}: ${knownMissed} (${runs} runs, ${took})`
  if (by === undefined || witness === undefined)
    return `MISSED  ${name}: ${breaks} (${runs} runs, ${took})`
  const found = isNew ? `, found after ${runs} runs; record it in witnesses.ts` : ''
  return `caught  ${name}: ${by} (${witnessText(witness)}${found}, ${took})`
}

async function catchMutant(mutant: Mutant, sound: Worker, options: CatchOptions): Promise<Caught> {
  const { name, knownMissed } = mutant
  const started = performance.now()
  const seconds = (): number => (performance.now() - started) / 1_000
  const mutated = new Worker({
    execArgv: ['--import', LOADER],
    env: { [MUTANT_VARIABLE]: name },
    hangsMs: HANGS_MS,
  })
  const known = WITNESSES[name]
  let runs = 0
  try {
    for (const witness of candidates(known, options.seedsMax)) {
      if (seconds() > options.secondsMax) break
      const plan = planOf(witness, mutant)
      runs++
      const by = await violationOf(mutated, plan)
      if (by === undefined) continue
      const otherwise = await violationOf(sound, plan)
      if (otherwise === undefined) {
        const isNew = witness !== known
        const text = by.slice(0, 160)
        return { name, by: text, knownMissed, witness, isNew, runs, seconds: seconds() }
      }
      options.say(`UNSOUND ${name}: without it ${witnessText(witness)} fails as well: ${otherwise}`)
    }
    return { ...NOT_CAUGHT, name, knownMissed, runs, seconds: seconds() }
  } finally {
    mutated.stop()
  }
}

function* candidates(known: Witness | undefined, seedsMax: number): Generator<Witness> {
  if (known) yield known
  for (const { number } of SCENARIOS) yield { scenario: number, seed: 1 }
  for (let seed = 1; seed <= seedsMax; seed++) yield { seed }
}

function planOf(witness: Witness, { draw = {} }: Mutant): Plan {
  const { scenario, seed } = witness
  if (scenario === undefined) return drawPlan(seed, draw)
  const found = SCENARIOS.find(({ number }) => number === scenario)
  if (found) return found.plan(seed)
  throw new Error(`there is no scenario ${scenario}`)
}

/**
 * The first line of what was found. A process that ends by itself is no finding: a mutant that does
 * not even load would be caught by everything.
 */
async function violationOf(worker: Worker, plan: Plan): Promise<string | undefined> {
  const outcome = await worker.run({ kind: 'plan', plan })
  if (outcome.kind === 'ran') return outcome.report.failure?.text.split('\n')[0]
  throw new Error(outcome.kind === 'died' ? outcome.text : 'a plan was shrunk, not run')
}
