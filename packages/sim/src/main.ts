/**
 * `npm run sim -- --seed N` replays one run with a transcript; without it many seeds run on all
 * cores. Exits with 1 when a promise was broken.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { catchMutants, noLongerProven, staleMutants } from './mutants/catch-mutants.ts'
import { figuresText } from './run/figures-text.ts'
import { runBatch } from './run/batch.ts'
import { runPlan } from './run/run-plan.ts'
import type { Scenario } from './scenarios/script.ts'
import { SCENARIOS } from './scenarios/scenarios.ts'
import { drawPlan, type DrawOptions } from './workload/draw-plan.ts'
import { parsePlan, type Plan } from './workload/plan.ts'

const USAGE = `usage: npm run sim -- [options]
  --seed N          replay one seed, with a transcript
  --plan FILE       replay a saved plan, with a transcript
  --scenario N      replay a named scenario, with a transcript; --seed for another timing
  --seeds A..B      run these seeds
  --minutes M       run seeds for so long (10 when no seeds are named)
  --first N         the first seed of --minutes (by default another one each day)
  --workers W       processes (2)
  --scenarios S     run each named scenario with S seeds first (2)
  --servers K       only clusters of this size
  --replicas R      only streams with so many replicas
  --save            keep failing plans, shrunk, in packages/sim/regressions
  --mutants         plant every known bug and see that it is caught; --only NAME for some
  --no-marks        do not demand that every rare situation was met`

/** Batches of at least so many named seeds must meet every rare situation. */
const MARKS_OWED_FROM = 300

const REGRESSIONS = join(import.meta.dirname, '../regressions')

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    plan: { type: 'string' },
    seeds: { type: 'string' },
    minutes: { type: 'string' },
    first: { type: 'string' },
    workers: { type: 'string' },
    servers: { type: 'string' },
    replicas: { type: 'string' },
    scenario: { type: 'string' },
    scenarios: { type: 'string' },
    save: { type: 'boolean' },
    mutants: { type: 'boolean' },
    only: { type: 'string' },
    'no-marks': { type: 'boolean' },
    help: { type: 'boolean' },
  },
})

const draw: DrawOptions = {
  ...(values.servers === undefined ? {} : { servers: Number(values.servers) }),
  ...(values.replicas === undefined ? {} : { replicas: Number(values.replicas) }),
}

async function replay(plan: Plan): Promise<boolean> {
  const report = await runPlan(plan, { onLine: (line) => console.log(line) })
  const { failure, events, simulatedMs, hash } = report
  console.log(failure ? `FAILED ${failure.text}` : 'clean')
  console.log(`${events} events, ${(simulatedMs / 1_000).toFixed(1)} simulated s, trace ${hash}`)
  return failure === undefined
}

async function batch(): Promise<boolean> {
  const [from, to] = (values.seeds ?? '').split('..').map(Number)
  const named = from !== undefined && to !== undefined
  const day = Math.floor(Date.now() / 86_400_000)
  const started = performance.now()
  const figures = await runBatch({
    firstSeed: named ? from : Number(values.first ?? day * 1_000_000),
    seeds: named ? to - from + 1 : Infinity,
    minutes: Number(values.minutes ?? (named ? Infinity : 10)),
    workers: Number(values.workers ?? 2),
    draw,
    // A few seeds meet no rare situation.
    owesMarks: !values['no-marks'] && (!named || to - from >= MARKS_OWED_FROM),
    regressions: REGRESSIONS,
    scenarioSeeds: Number(values.scenarios ?? (named ? 0 : 2)),
    saves: values.save === true,
    say: (line) => console.log(line),
  })
  console.log(figuresText(figures, performance.now() - started))
  return figures.failures.length === 0
}

async function mutants(): Promise<boolean> {
  const stale = staleMutants()
  for (const text of stale) console.log(`STALE ${text}`)
  if (stale.length > 0) return false
  const caught = await catchMutants({
    workers: Number(values.workers ?? 2),
    seedsMax: 60,
    secondsMax: Number(values.minutes ?? 5) * 60,
    only: values.only ?? '',
    say: (line) => console.log(line),
  })
  const missed = caught.filter(({ catches }) => catches.length === 0)
  console.log(`${caught.length - missed.length} of ${caught.length} planted bugs caught`)
  const unproven = values.only === undefined ? noLongerProven(caught) : []
  for (const what of unproven) console.log(`NO MUTANT PROVES ${what}`)
  return unproven.length === 0 && missed.every(({ knownMissed }) => knownMissed !== undefined)
}

function scenarioOf(number: number): Scenario {
  const scenario = SCENARIOS.find((one) => one.number === number)
  if (scenario) return scenario
  throw new Error(`scenarios are ${SCENARIOS.map((one) => one.number).join(', ')}`)
}

if (values.help) {
  console.log(USAGE)
} else {
  const passed = values.mutants
    ? await mutants()
    : values.scenario !== undefined
      ? await replay(scenarioOf(Number(values.scenario)).plan(Number(values.seed ?? 1)))
      : values.plan !== undefined
        ? await replay(parsePlan(readFileSync(values.plan, 'utf8')))
        : values.seed !== undefined
          ? await replay(drawPlan(Number(values.seed), draw))
          : await batch()
  process.exitCode = passed ? 0 : 1
}
