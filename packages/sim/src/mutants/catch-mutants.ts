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

/** A run that a mutant did not survive. */
interface Catch {
  readonly witness: Witness
  /** The violation's first line, which begins with the invariant's id. */
  readonly by: string
}

export interface Caught {
  readonly name: string
  /** By each witness that still stands, or by what was found instead; none: nobody caught it. */
  readonly catches: readonly Catch[]
  /** Why it is no surprise when nobody caught it. */
  readonly knownMissed: string | undefined
  /** Nothing that was recorded catches it any more. */
  readonly isNew: boolean
  readonly runs: number
  readonly seconds: number
}

const NOT_CAUGHT = { catches: [], isNew: false, runs: 0, seconds: 0 }

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
  const soundness = new Map<string, Promise<string | undefined>>()
  const work = async (): Promise<void> => {
    const sound = new Worker({ hangsMs: HANGS_MS })
    try {
      for (let mutant = waiting.shift(); mutant; mutant = waiting.shift()) {
        const hunt = new Hunt(mutant, { sound, soundness, options })
        const result = await hunt.run().catch((error: unknown) => {
          const text = error instanceof Error ? error.message : String(error)
          options.say(`DIED    ${mutant.name}: ${text}`)
          return { ...NOT_CAUGHT, name: mutant.name, knownMissed: undefined }
        })
        caught.push(result)
        for (const line of linesOf(mutant, result)) options.say(line)
      }
    } finally {
      sound.stop()
    }
  }
  await Promise.all(Array.from({ length: options.workers }, work))
  return caught
}

/** Scenarios, and checkers by the ids of their invariants, that no mutant proves any more. */
export function noLongerProven(caught: readonly Caught[]): string[] {
  const catches = caught.flatMap((one) => one.catches)
  const scenarios = new Set(catches.map(({ witness }) => witness.scenario))
  const invariants = new Set(catches.map(({ by }) => invariantOf(by)))
  const recorded = Object.values(WITNESSES).flat()
  const lost = recorded.flatMap(({ scenario, by }) => [
    ...(scenarios.has(scenario) ? [] : [`scenario ${scenario}`]),
    ...(invariants.has(by) ? [] : [`the checker of ${by}`]),
  ])
  return [...new Set(lost)]
}

function invariantOf(violation: string): string {
  return violation.slice(0, violation.indexOf(':'))
}

function linesOf(
  { name, breaks, knownMissed }: Mutant,
  { catches, isNew, runs, seconds }: Caught,
): string[] {
  const took = `${seconds.toFixed(1)} s`
  if (catches.length === 0 && knownMissed !== undefined)
    return [`not caught (known): ${name}: ${knownMissed} (${runs} runs, ${took})`]
  if (catches.length === 0) return [`MISSED  ${name}: ${breaks} (${runs} runs, ${took})`]
  return catches.map(({ witness, by }) => {
    const found = isNew ? `, found after ${runs} runs; record it in witnesses.ts` : ''
    const moved = isNew || invariantOf(by) === witness.by ? '' : `, recorded as ${witness.by}`
    return `caught  ${name}: ${by} (${witnessText(witness)}${moved}${found}, ${took})`
  })
}

interface HuntTools {
  /** Runs plans without any mutant. */
  readonly sound: Worker
  /** What those brought, by witness, of plans that do not depend on the mutant. */
  readonly soundness: Map<string, Promise<string | undefined>>
  readonly options: CatchOptions
}

/** One mutant, in a process of its own. */
class Hunt {
  readonly #mutant: Mutant
  readonly #tools: HuntTools
  readonly #mutated: Worker
  readonly #started = performance.now()
  #runs = 0

  constructor(mutant: Mutant, tools: HuntTools) {
    this.#mutant = mutant
    this.#tools = tools
    this.#mutated = new Worker({
      execArgv: ['--import', LOADER],
      env: { [MUTANT_VARIABLE]: mutant.name },
      hangsMs: HANGS_MS,
    })
  }

  /** All that is recorded; when nothing of it catches the mutant, whatever does first. */
  async run(): Promise<Caught> {
    try {
      const catches: Catch[] = []
      for (const witness of WITNESSES[this.#mutant.name] ?? []) {
        const by = await this.#catch(witness)
        if (by !== undefined) catches.push({ witness, by })
      }
      return catches.length > 0 ? this.#result(catches, false) : await this.#search()
    } finally {
      this.#mutated.stop()
    }
  }

  async #search(): Promise<Caught> {
    const { seedsMax, secondsMax } = this.#tools.options
    for (const witness of candidates(seedsMax)) {
      if (this.#seconds > secondsMax) break
      const by = await this.#catch(witness)
      if (by !== undefined) return this.#result([{ witness, by }], true)
    }
    return this.#result([], false)
  }

  get #seconds(): number {
    return (performance.now() - this.#started) / 1_000
  }

  #result(catches: readonly Catch[], isNew: boolean): Caught {
    const { name, knownMissed } = this.#mutant
    return { name, catches, knownMissed, isNew, runs: this.#runs, seconds: this.#seconds }
  }

  /** The violation, when the same plan passes without the mutant. */
  async #catch(witness: Witness): Promise<string | undefined> {
    const plan = planOf(witness, this.#mutant)
    this.#runs++
    const by = await violationOf(this.#mutated, plan)
    if (by === undefined) return undefined
    const otherwise = await this.#withoutMutant(witness, plan)
    if (otherwise === undefined) return by.slice(0, 160)
    const { say } = this.#tools.options
    const text = `without it ${witnessText(witness)} fails as well: ${otherwise}`
    say(`UNSOUND ${this.#mutant.name}: ${text}`)
    return undefined
  }

  #withoutMutant(witness: Witness, plan: Plan): Promise<string | undefined> {
    const { sound, soundness } = this.#tools
    if (witness.scenario === undefined) return violationOf(sound, plan)
    const key = witnessText(witness)
    const known = soundness.get(key) ?? violationOf(sound, plan)
    soundness.set(key, known)
    return known
  }
}

function* candidates(seedsMax: number): Generator<Witness> {
  for (const { number } of SCENARIOS) yield { scenario: number, seed: 1, by: '' }
  for (let seed = 1; seed <= seedsMax; seed++) yield { seed, by: '' }
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
