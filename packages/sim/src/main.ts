import { parseArgs } from 'node:util'
import { drawPlan } from './workload/draw-plan.ts'
import { runPlan } from './run/run-plan.ts'

const { values } = parseArgs({
  options: { seed: { type: 'string' }, seeds: { type: 'string' }, servers: { type: 'string' } },
})
const options = values.servers === undefined ? {} : { servers: Number(values.servers) }
if (values.seed !== undefined) {
  const plan = drawPlan(Number(values.seed), options)
  const report = await runPlan(plan, { onLine: (line) => console.log(line) })
  console.log(report.failure?.text ?? 'clean', report.hash, report.events)
} else {
  const [from = 1, to = 10] = (values.seeds ?? '1..10').split('..').map(Number)
  const started = performance.now()
  let events = 0
  let simulated = 0
  const marks: Record<string, number> = {}
  for (let seed = from; seed <= to; seed++) {
    const report = await runPlan(drawPlan(seed, options))
    events += report.events
    simulated += report.simulatedMs
    for (const [name, count] of Object.entries(report.marks))
      marks[name] = (marks[name] ?? 0) + count
    if (report.failure) console.log(seed, report.failure.text.slice(0, 400))
  }
  const ms = performance.now() - started
  console.log({
    events,
    simulatedHours: simulated / 3.6e6,
    eventsPerSecond: Math.round((events / ms) * 1000),
    ms,
    marks,
  })
}
