/** A process that runs the plans it is sent, one after the other. */
import { drawPlan, type DrawOptions } from '../workload/draw-plan.ts'
import type { Plan } from '../workload/plan.ts'
import { runPlan, type RunReport } from './run-plan.ts'
import { shrinkPlan } from './shrink.ts'

export type Job =
  | {
      readonly kind: 'seed'
      readonly seed: number
      readonly draw: DrawOptions
      readonly twice: boolean
    }
  | { readonly kind: 'plan'; readonly plan: Plan }
  | {
      readonly kind: 'shrink'
      readonly plan: Plan
      readonly invariant: string
      readonly maxRuns: number
    }

export type JobResult =
  | {
      readonly kind: 'ran'
      readonly report: RunReport
      readonly secondHash: string | undefined
      /** What the processor has spent on it, in user mode. */
      readonly cpuMs: number
    }
  | { readonly kind: 'shrunk'; readonly plan: Plan }

export async function work(job: Job): Promise<JobResult> {
  const before = process.cpuUsage()
  const cpuMs = (): number => process.cpuUsage(before).user / 1_000
  switch (job.kind) {
    case 'seed': {
      const plan = drawPlan(job.seed, job.draw)
      const report = await runPlan(plan)
      const second = job.twice ? await runPlan(plan) : undefined
      return { kind: 'ran', report, secondHash: second?.hash, cpuMs: cpuMs() }
    }
    case 'plan':
      return {
        kind: 'ran',
        report: await runPlan(job.plan),
        secondHash: undefined,
        cpuMs: cpuMs(),
      }
    case 'shrink': {
      const fails = async (plan: Plan): Promise<boolean> =>
        (await runPlan(plan)).failure?.invariant === job.invariant
      return { kind: 'shrunk', plan: await shrinkPlan(job.plan, { fails, maxRuns: job.maxRuns }) }
    }
    default:
      return job satisfies never
  }
}

/** What a run must not reach for: everything comes from its seed. */
function forbidChance(): void {
  const forbidden = (name: string) => (): never => {
    throw new Error(`${name} is not simulated: a run depends on its seed alone`)
  }
  Math.random = forbidden('Math.random')
  globalThis.setInterval = Object.assign(forbidden('setInterval'), {
    __promisify__: forbidden('setInterval'),
  })
}

if (process.send !== undefined) {
  const send = process.send.bind(process)
  forbidChance()
  process.on('message', (job: Job) => {
    work(job).then(
      (result) => send(result),
      (error: unknown) => {
        throw error
      },
    )
  })
}
