/**
 * `npm run bench`: Liftbridge and JetStream side by side, one load generator, one run.
 *
 *   --quick            128 bytes, one connection, short
 *   --only TEXT        cases whose name contains TEXT (publish-20000, subscribe, sync-128, …);
 *                      repeat for several
 *   --system NAME      embedded, external or jetstream; repeat for several (all)
 *   --seconds N        how long each case is measured (3; quick 2)
 *   --read N           messages in the stream that subscribers read (1,000,000; quick 400,000)
 *   --set KEY=VALUE    a setting of our server, for example streams.sync.policy=always
 *   --node-arg ARG     an argument for our server's node, for example --cpu-prof
 *
 * docs/benchmarks.md says how to read the output.
 */
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { natsServerProgram } from '../e2e/nats-process.ts'
import { allCases, type Case, caseName, quickCases } from './cases.ts'
import type { Measured } from './driver.ts'
import { rate, systemTitles, table, targetLines, writeJson } from './results.ts'
import { type RunOptions, startSystem, type SystemName } from './systems.ts'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    system: { type: 'string', multiple: true, default: [] },
    seconds: { type: 'string' },
    read: { type: 'string' },
    set: { type: 'string', multiple: true, default: [] },
    'node-arg': { type: 'string', multiple: true, default: [] },
  },
})

const SYSTEMS = ['external', 'embedded', 'jetstream'] as const satisfies readonly SystemName[]

const options: RunOptions = {
  seconds: Number(values.seconds ?? (values.quick ? 2 : 3)),
  readMessages: Number(values.read ?? (values.quick ? 400_000 : 1_000_000)),
  nodeArgs: values['node-arg'],
  settings: Object.fromEntries(values.set.map(splitSetting)),
}

function splitSetting(text: string): [string, string | number] {
  const at = text.indexOf('=')
  if (at < 0) throw new Error(`--set ${text}: expected KEY=VALUE`)
  const value = text.slice(at + 1)
  return [text.slice(0, at), /^\d+$/.test(value) ? Number(value) : value]
}

function selectedCases(): Case[] {
  const cases = values.quick ? quickCases() : allCases()
  if (values.only.length === 0) return cases
  return cases.filter((one) => values.only.some((text) => caseName(one).includes(text)))
}

function selectedSystems(): SystemName[] {
  const wanted = SYSTEMS.filter(
    (name) => values.system.length === 0 || values.system.includes(name),
  )
  if (natsServerProgram() !== undefined) return wanted
  console.log('nats-server is not installed: only the embedded deployment is measured')
  return wanted.filter((name) => name === 'embedded')
}

/** Measures every case on one system; a case that fails is reported and left out. */
async function measure(
  name: SystemName,
  cases: readonly Case[],
  record: (one: Case, measured: Measured) => void,
): Promise<boolean> {
  const system = await startSystem(name, options)
  let whole = true
  for (const one of cases) {
    try {
      const measured = await system.run(one)
      if (measured === undefined) continue
      record(one, measured)
      const messages = Math.round(rate(measured)).toLocaleString('en-US')
      console.log(`${systemTitles[name]}, ${caseName(one)}: ${messages} msg/s`)
    } catch (error) {
      whole = false
      console.log(`${systemTitles[name]}, ${caseName(one)}: FAILED, ${String(error)}`)
    }
  }
  await system.stop()
  return whole
}

const cases = selectedCases()
const results = new Map<string, Map<SystemName, Measured>>()
for (const one of cases) results.set(caseName(one), new Map())
let whole = true
for (const name of selectedSystems()) {
  const done = await measure(name, cases, (one, measured) => {
    results.get(caseName(one))?.set(name, measured)
  })
  whole &&= done
}

console.log(`\n${table(results)}\n`)
for (const line of targetLines(results)) console.log(line)
const natsVersion = spawnSync(natsServerProgram() ?? 'true', ['--version'], { encoding: 'utf8' })
const file = writeJson(results, { options, natsServer: natsVersion.stdout.trim() })
console.log(`\nfigures: ${file}`)
process.exitCode = whole ? 0 : 1
