/**
 * `npm run bench`: Liftbridge and JetStream side by side, one load generator, one run.
 * docs/benchmarks.md says how to read the output.
 */
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { natsServerProgram } from '../e2e/nats-process.ts'
import { refuse } from '../scripts/command-line.ts'
import { allCases, type Case, caseName, quickCases } from './cases.ts'
import type { Measured } from './driver.ts'
import { benchOptions } from './options.ts'
import { rate, systemTitles, table, targetLines, writeFigures } from './results.ts'
import { startSystem, type System, type SystemName } from './systems.ts'

const options = benchOptions()
const endsMs = performance.now() + options.minutes * 60_000

function selectedCases(): Case[] {
  const cases = options.quick ? quickCases() : allCases()
  const { only } = options
  if (only.length === 0) return cases
  const chosen = cases.filter((one) => only.some((text) => caseName(one).includes(text)))
  if (chosen.length === 0) refuse(`--only: the cases are ${cases.map(caseName).join(', ')}`)
  return chosen
}

function selectedSystems(): readonly SystemName[] {
  if (natsServerProgram() !== undefined) return options.systems
  console.log('nats-server is not installed: only the embedded deployment is measured')
  return options.systems.filter((name) => name === 'embedded')
}

/** What ships is what `tsc` makes of the sources, so that is what is measured. */
function compile(): void {
  const root = dirname(dirname(fileURLToPath(import.meta.url)))
  const tsc = join(
    dirname(createRequire(import.meta.url).resolve('typescript/package.json')),
    'bin/tsc',
  )
  const { status } = spawnSync(process.execPath, [tsc, '-b', 'packages/server'], {
    cwd: root,
    stdio: 'inherit',
  })
  if (status !== 0) refuse('the sources do not compile; --source measures them as they are')
}

/** Measures a case on one system; a case that fails is reported and left out. */
async function measure(system: System, one: Case): Promise<Measured | 'none' | 'failed'> {
  const title = `${systemTitles[system.name]}, ${caseName(one)}`
  try {
    const measured = await system.run(one)
    if (measured === undefined) return 'none'
    console.log(`${title}: ${Math.round(rate(measured)).toLocaleString('en-US')} msg/s`)
    return measured
  } catch (error) {
    console.log(`${title}: FAILED, ${String(error)}`)
    return 'failed'
  }
}

const cases = selectedCases()
if (options.run.compiled) compile()
const systems: System[] = []
for (const name of selectedSystems()) systems.push(await startSystem(name, options.run))
const results = new Map<string, Map<SystemName, Measured>>()
let whole = true
// Case by case, so that what is compared is measured within seconds of one another.
for (const one of cases) {
  if (performance.now() > endsMs) {
    console.log(`${caseName(one)}: left out, ${options.minutes} minutes have passed`)
    whole = false
    continue
  }
  const bySystem = new Map<SystemName, Measured>()
  results.set(caseName(one), bySystem)
  for (const system of systems) {
    const measured = await measure(system, one)
    if (measured === 'failed') whole = false
    else if (measured !== 'none') bySystem.set(system.name, measured)
  }
}
for (const system of systems) await system.stop()

const lines = `${table(results)}\n\n${targetLines(results).join('\n')}\n`
console.log(`\n${lines}`)
const natsVersion = spawnSync(natsServerProgram() ?? 'true', ['--version'], { encoding: 'utf8' })
const files = writeFigures(results, {
  text: lines,
  about: { options, natsServer: natsVersion.stdout.trim() },
})
console.log(`figures: ${files}`)
process.exitCode = whole ? 0 : 1
