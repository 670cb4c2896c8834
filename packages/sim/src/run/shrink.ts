/**
 * Makes a failing plan short: takes steps away as long as the same invariant breaks, halves first,
 * then smaller pieces [delta debugging]. Chance hangs on names of sites, so what is left does the
 * same as before as far as it can.
 */
import { isFault, type Plan, type Step } from '../workload/plan.ts'

export interface ShrinkOptions {
  /** True when the plan still breaks what it broke. */
  readonly fails: (plan: Plan) => Promise<boolean>
  readonly maxRuns: number
}

export async function shrinkPlan(plan: Plan, options: ShrinkOptions): Promise<Plan> {
  let runs = 0
  let best = plan
  const tryPlan = async (candidate: Plan): Promise<boolean> => {
    if (runs >= options.maxRuns) return false
    runs++
    if (!(await options.fails(candidate))) return false
    best = candidate
    return true
  }
  await shorten(plan, tryPlan)
  // Clients' steps are the many; without them the faults are few.
  for (const group of [
    (step: Step) => !isFault(step.action),
    (step: Step) => isFault(step.action),
  ]) {
    let size = Math.ceil(best.steps.filter(group).length / 2)
    while (size >= 1 && runs < options.maxRuns) {
      const removed = await removeRuns(() => best, { group, size, tryPlan })
      if (size === 1 && !removed) break
      size = size === 1 ? 1 : Math.floor(size / 2)
    }
  }
  return best
}

/** Ends the plan soon after its last step. */
async function shorten(plan: Plan, tryPlan: (plan: Plan) => Promise<boolean>): Promise<void> {
  for (const share of [0.25, 0.5, 0.75]) {
    const lengthMs = Math.ceil(plan.lengthMs * share)
    const steps = plan.steps.filter(({ atMs }) => atMs < lengthMs)
    if (await tryPlan({ ...plan, lengthMs, steps })) return
  }
}

async function removeRuns(
  current: () => Plan,
  how: {
    readonly group: (step: Step) => boolean
    readonly size: number
    readonly tryPlan: (plan: Plan) => Promise<boolean>
  },
): Promise<boolean> {
  const { group, size, tryPlan } = how
  let removedAny = false
  const ids = current()
    .steps.filter(group)
    .map(({ id }) => id)
  for (let at = ids.length; at > 0; at -= size) {
    const gone = new Set(ids.slice(Math.max(0, at - size), at))
    const plan = current()
    const steps = plan.steps.filter(({ id }) => !gone.has(id))
    if (steps.length === plan.steps.length) continue
    if (await tryPlan({ ...plan, steps })) removedAny = true
  }
  return removedAny
}
