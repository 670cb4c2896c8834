/** Many seeds on all cores: regressions first, then seeds until the budget is spent. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { Marks, OWED_MARKS } from '../cluster/marks.ts'
import { SCENARIOS } from '../scenarios/scenarios.ts'
import { drawPlan, type DrawOptions } from '../workload/draw-plan.ts'
import { parsePlan, planText, type Plan } from '../workload/plan.ts'
import type { Job, JobResult } from './worker.ts'
import { Worker } from './workers.ts'

export interface BatchOptions {
  readonly firstSeed: number
  /** Infinity when the minutes alone end it. */
  readonly seeds: number
  readonly minutes: number
  readonly workers: number
  readonly draw: DrawOptions
  /** Marks that were not met fail the batch. */
  readonly owesMarks: boolean
  /** Where failing plans are kept. */
  readonly regressions: string
  /** Named scenarios run with so many seeds each before the others. */
  readonly scenarioSeeds: number
  readonly saves: boolean
  readonly say: (line: string) => void
}

export interface Figures {
  seeds: number
  twice: number
  events: number
  simulatedMs: number
  /** Of all processes, from a job's beginning to its end. */
  busyMs: number
  /** What the processors have spent on them, in user mode: others share the cores. */
  cpuMs: number
  readonly failures: { readonly name: string; readonly text: string }[]
  readonly marks: Readonly<Record<string, number>>
}

/** Every so many seeds one runs twice. */
const TWICE_EVERY = 50
/** So many failures say enough. */
const FAILURES_MAX = 20
const SHRINK_RUNS = 150
const SHRUNK_MAX = 3

export async function runBatch(options: BatchOptions): Promise<Figures> {
  const batch = new Batch(options)
  const workers = Array.from({ length: options.workers }, () => new Worker())
  try {
    await Promise.all(workers.map((worker) => batch.work(worker)))
  } finally {
    for (const worker of workers) worker.stop()
  }
  return batch.figures()
}

class Batch {
  readonly #options: BatchOptions
  readonly #marks = new Marks()
  readonly #figures = { seeds: 0, twice: 0, events: 0, simulatedMs: 0, busyMs: 0, cpuMs: 0 }
  readonly #failures: { readonly name: string; readonly text: string }[] = []
  readonly #regressions: [string, Plan][]
  readonly #untilMs: number
  #nextSeed: number
  #shrunk = 0

  constructor(options: BatchOptions) {
    this.#options = options
    this.#nextSeed = options.firstSeed
    this.#untilMs = performance.now() + options.minutes * 60_000
    this.#regressions = [
      ...savedPlans(options.regressions),
      ...scenarioPlans(options.scenarioSeeds),
    ]
  }

  /** Takes jobs until none is left. */
  async work(worker: Worker): Promise<void> {
    for (let saved = this.#regressions.pop(); saved; saved = this.#regressions.pop()) {
      await this.#run(worker, {
        name: saved[0],
        plan: saved[1],
        job: { kind: 'plan', plan: saved[1] },
      })
    }
    const { firstSeed, seeds, draw } = this.#options
    while (this.#nextSeed < firstSeed + seeds && performance.now() < this.#untilMs) {
      if (this.#failures.length >= FAILURES_MAX) return
      const seed = this.#nextSeed++
      const twice = seed % TWICE_EVERY === 0
      const job = { kind: 'seed', seed, draw, twice } as const
      await this.#run(worker, { name: `seed ${seed}`, plan: drawPlan(seed, draw), job })
    }
  }

  figures(): Figures {
    const marks = this.#marks.counts
    const missing = OWED_MARKS.filter((name) => marks[name] === undefined)
    if (this.#options.owesMarks && missing.length > 0) {
      this.#failures.push({ name: 'marks', text: `never met: ${missing.join(', ')}` })
    }
    return { ...this.#figures, failures: this.#failures, marks }
  }

  async #run(
    worker: Worker,
    run: { readonly name: string; readonly plan: Plan; readonly job: Job },
  ): Promise<void> {
    const started = performance.now()
    const outcome = await worker.run(run.job)
    this.#figures.busyMs += performance.now() - started
    this.#figures.seeds++
    if (outcome.kind === 'died') {
      this.#fail(run.name, outcome.text)
    } else if (outcome.kind === 'ran') {
      await this.#count(worker, run, outcome)
    }
  }

  async #count(
    worker: Worker,
    run: { readonly name: string; readonly plan: Plan },
    ran: Extract<JobResult, { kind: 'ran' }>,
  ): Promise<void> {
    const { report, secondHash } = ran
    this.#figures.cpuMs += ran.cpuMs
    this.#marks.add(report.marks)
    this.#figures.events += report.events
    this.#figures.simulatedMs += report.simulatedMs
    if (secondHash !== undefined) {
      this.#figures.twice++
      this.#figures.events += report.events
      this.#figures.simulatedMs += report.simulatedMs
      if (secondHash !== report.hash) {
        this.#fail(run.name, `DETERMINISM: two runs differ: ${report.hash} and ${secondHash}`)
      }
    }
    if (!report.failure) return
    const { invariant, text } = report.failure
    this.#fail(run.name, text)
    if (!this.#options.saves || this.#shrunk >= SHRUNK_MAX) return
    this.#shrunk++
    const job = { kind: 'shrink', plan: run.plan, invariant, maxRuns: SHRINK_RUNS } as const
    const shrunk = await worker.run(job)
    if (shrunk.kind === 'shrunk') this.#save(shrunk.plan, invariant, text)
  }

  #fail(name: string, text: string): void {
    this.#failures.push({ name, text })
    this.#options.say(`FAILED ${name}: ${text.slice(0, 600)}`)
  }

  #save(plan: Plan, invariant: string, text: string): void {
    const { regressions, say } = this.#options
    mkdirSync(regressions, { recursive: true })
    const path = `${regressions}/${invariant.toLowerCase()}-${plan.seed}.plan`
    writeFileSync(path, `# ${text.split('\n')[0]}\n${planText(plan)}`)
    say(`shrunk to ${plan.steps.length} steps: ${path}`)
  }
}

/** The plans that failed once; all must pass. */
function savedPlans(directory: string): [string, Plan][] {
  let names: string[] = []
  try {
    names = readdirSync(directory).filter((name) => name.endsWith('.plan'))
  } catch {
    // Nothing was ever saved.
  }
  return names.map((name) => [name, parsePlan(readFileSync(`${directory}/${name}`, 'utf8'))])
}

function scenarioPlans(seeds: number): [string, Plan][] {
  return Array.from({ length: seeds }, (_, index) => index + 1).flatMap((seed) =>
    SCENARIOS.map(({ number, plan }): [string, Plan] => [
      `scenario ${number} seed ${seed}`,
      plan(seed),
    ]),
  )
}
