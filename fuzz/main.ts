/**
 * Coverage-guided fuzzing of everything that parses bytes of others: `npm run fuzz`.
 *
 * Runs the targets of every `fuzz/*.targets.ts`; the exit code is 1 when anything failed.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { readOptions, refuse, wholeNumber } from '../scripts/command-line.ts'
import { BlockCoverage } from './coverage.ts'
import { fuzz, type FuzzFailure } from './engine.ts'
import type { FuzzModule, FuzzTarget } from './target.ts'
import { Watchdog } from './watchdog.ts'

const EXECUTIONS = 1_000_000
const QUICK_EXECUTIONS = 20_000

const values = readOptions(
  `
npm run fuzz -- [options]

  --executions N  of each target (1000000, or FUZZ_EXECUTIONS)
  --quick         20000 of each
  --seed N        the random choices (another one each time; printed at the start)
  --only TEXT     targets whose name contains TEXT
  --seconds N     of each target at most; the line of the target says how far it came
  --every         all executions for slow targets, too, which else take a share of them
  --list          the names of the targets, and runs none
  --input HEX     run this one input instead
`,
  {
    executions: { type: 'string' },
    quick: { type: 'boolean', default: false },
    seed: { type: 'string' },
    only: { type: 'string', default: '' },
    seconds: { type: 'string' },
    every: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    input: { type: 'string' },
  },
)

async function targets(): Promise<FuzzTarget[]> {
  const found: FuzzTarget[] = []
  const modules = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.targets.ts'))
  for (const name of modules.toSorted()) {
    const module = (await import(join(import.meta.dirname, name))) as FuzzModule
    found.push(...module.targets.filter((target) => target.name.includes(values.only)))
  }
  return found
}

function printFailure(target: FuzzTarget, failure: FuzzFailure, seed: number): void {
  const hex = Buffer.from(failure.smallest).toString('hex')
  console.log(`FAIL ${target.name}, seed ${seed}`)
  console.log(`  input ${hex}   (${failure.smallest.length} of ${failure.input.length} bytes)`)
  console.log(`  again: npm run fuzz -- --only '${target.name}' --input '${hex}'`)
  const { error } = failure
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  console.log(text.replaceAll(/^/gm, '  '))
}

interface Plan {
  readonly executions: number
  readonly budgetMs: number
  readonly seed: number
  readonly coverage: BlockCoverage
}

function shareOf({ share = 1 }: FuzzTarget): number {
  return values.every ? 1 : share
}

/** One line for each target: its name, and the share of the executions that a slow one takes. */
function printList(chosen: readonly FuzzTarget[]): void {
  for (const target of chosen) {
    const share = shareOf(target)
    console.log(share === 1 ? target.name : `${target.name.padEnd(52)} share ${share}`)
  }
}

async function runTarget(target: FuzzTarget, plan: Plan): Promise<boolean> {
  const { executions, budgetMs, seed, coverage } = plan
  const watchdog = new Watchdog(target.name)
  const outcome = await fuzz(target, {
    executions: Math.max(1, Math.round(executions * shareOf(target))),
    budgetMs,
    seed,
    coverage,
    note: (input) => watchdog.note(input),
  })
  await watchdog.close()
  const failed = outcome.failures.length > 0
  const rate = Math.round((outcome.executions / outcome.elapsedMs) * 1000)
  console.log(
    `${failed ? 'FAIL' : 'ok  '} ${target.name.padEnd(44)}` +
      ` ${outcome.executions} executions, ${rate}/s, corpus ${outcome.corpus},` +
      ` ${outcome.failures.length} failures`,
  )
  for (const failure of outcome.failures) printFailure(target, failure, seed)
  return !failed
}

async function runAll(chosen: readonly FuzzTarget[], plan: Plan): Promise<void> {
  console.log(`seed ${plan.seed}, ${plan.executions} executions a target`)
  let passed = 0
  for (const target of chosen) if (await runTarget(target, plan)) passed++
  plan.coverage.close()
  console.log(`${passed} passed, ${chosen.length - passed} failed`)
  process.exitCode = passed === chosen.length ? 0 : 1
}

async function main(): Promise<void> {
  const coverage = new BlockCoverage((url) => url.includes('/packages/'))
  const chosen = await targets()
  if (chosen.length === 0) refuse(`--only ${values.only}: no target has that in its name`)
  if (values.list) {
    printList(chosen)
    coverage.close()
    return
  }
  if (values.input !== undefined) {
    if (!/^([0-9a-f]{2})*$/i.test(values.input)) refuse(`--input: expected hexadecimal digits`)
    for (const target of chosen) await target.run(new Uint8Array(Buffer.from(values.input, 'hex')))
    console.log(`${chosen.length} passed, 0 failed`)
    return
  }
  const asked = wholeNumber('executions', values.executions ?? process.env['FUZZ_EXECUTIONS'], {
    fallback: EXECUTIONS,
    min: 1,
  })
  const executions = values.quick && values.executions === undefined ? QUICK_EXECUTIONS : asked
  const seed = wholeNumber('seed', values.seed, { fallback: Date.now() % 1_000_000_007 })
  const seconds = wholeNumber('seconds', values.seconds, { fallback: Infinity, min: 1 })
  await runAll(chosen, { executions, budgetMs: seconds * 1000, seed, coverage })
}

await main()
