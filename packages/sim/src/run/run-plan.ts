/**
 * One run: the plan with its faults, then no more faults and the demand that everything comes back
 * [L1], then the checkers over what is left.
 */
import { CHECKERS } from '../checkers/all.ts'
import { Violation, type Checker } from '../checkers/checker.ts'
import { endCalls } from '../cluster/calls.ts'
import { Cluster } from '../cluster/cluster.ts'
import type { TraceOptions } from '../world/trace.ts'
import { Nemesis } from '../workload/faults.ts'
import type { Plan } from '../workload/plan.ts'
import { runStep } from '../workload/run-step.ts'
import { comeToRest } from './come-to-rest.ts'

export interface RunReport {
  readonly seed: number
  readonly failure: RunFailure | undefined
  readonly events: number
  readonly simulatedMs: number
  readonly hash: string
  readonly marks: Readonly<Record<string, number>>
  readonly lines: readonly string[]
}

interface RunFailure {
  /** The id of the broken invariant; a shrunk plan must break the same. */
  readonly invariant: string
  readonly text: string
}

/** Looks at the whole cluster after so many events. */
const CHECK_EVERY_EVENTS = 25
/** A run of this many events is going in circles. */
const EVENTS_MAX = 3_000_000

export async function runPlan(plan: Plan, options: TraceOptions = {}): Promise<RunReport> {
  const cluster = new Cluster(plan, options)
  const failure = await watched(cluster, () => phases(cluster))
  if (failure) cluster.say(`VIOLATION ${failure.text}`)
  const report = {
    seed: plan.seed,
    failure,
    events: cluster.scheduler.executed,
    simulatedMs: cluster.scheduler.nowUs / 1_000,
    hash: cluster.trace.hash,
    marks: cluster.marks.counts,
    lines: cluster.trace.lines,
  }
  await letGo(cluster)
  return report
}

/** After the report: nothing may hold the world in memory. What dead servers throw is no finding. */
async function letGo(cluster: Cluster): Promise<void> {
  const ignore = (): void => undefined
  process.on('unhandledRejection', ignore)
  for (const machine of cluster.machines) machine.kill()
  endCalls(cluster)
  await new Promise((resolve) => setImmediate(resolve))
  process.off('unhandledRejection', ignore)
}

async function phases(cluster: Cluster): Promise<void> {
  const { plan, scheduler } = cluster
  const checkers = CHECKERS.map((make) => make(cluster))
  const nemesis = new Nemesis(cluster)
  const stepFailures: unknown[] = []
  let open = 0
  for (const machine of cluster.machines) machine.start()
  for (const step of plan.steps) {
    scheduler.after(step.atMs * 1_000, 'step', () => {
      open++
      runStep(cluster, nemesis, step)
        .catch((error: unknown) => stepFailures.push(error))
        .finally(() => open--)
    })
  }
  const goOn = (untilMs: number, until?: () => boolean): Promise<void> =>
    runChecked(cluster, checkers, { untilUs: untilMs * 1_000, until, stepFailures })
  await goOn(plan.lengthMs)
  cluster.say('--- no more faults')
  nemesis.healAll()
  const final = await comeToRest(cluster, goOn, () => open === 0)
  for (const checker of checkers) checker.atEnd?.(final)
}

async function runChecked(
  cluster: Cluster,
  checkers: readonly Checker[],
  run: {
    readonly untilUs: number
    readonly until: (() => boolean) | undefined
    readonly stepFailures: readonly unknown[]
  },
): Promise<void> {
  const { scheduler } = cluster
  for (;;) {
    const limits = { untilUs: run.untilUs, maxEvents: CHECK_EVERY_EVENTS }
    const end = await scheduler.run(run.until ? { ...limits, until: run.until } : limits)
    const [death] = cluster.deaths
    if (death !== undefined) throw new Violation('ALIVE', death)
    const [failed] = run.stepFailures
    if (failed !== undefined) throw failed
    for (const checker of checkers) checker.onStep?.()
    if (scheduler.executed > EVENTS_MAX) throw new Violation('L1', 'the run goes in circles')
    if (end !== 'events') return
  }
}

/** Runs, and tells what was thrown, also where nobody waited for it: a server would have died. */
async function watched(
  cluster: Cluster,
  run: () => Promise<void>,
): Promise<RunFailure | undefined> {
  const onRejection = (reason: unknown): void =>
    void cluster.deaths.push(`unhandled: ${textOf(reason)}`)
  process.on('unhandledRejection', onRejection)
  try {
    await run()
    return undefined
  } catch (error) {
    if (error instanceof Violation) return { invariant: error.invariant, text: error.message }
    return { invariant: 'ALIVE', text: `ALIVE: ${textOf(error)}` }
  } finally {
    process.off('unhandledRejection', onRejection)
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
