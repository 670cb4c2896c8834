/** What `npm run bench` was asked for. */
import { readOptions, refuse, wholeNumber } from '../scripts/command-line.ts'
import type { RunOptions, SystemName } from './systems.ts'

const USAGE = `
npm run bench -- [options]

  --quick            128 bytes, one connection, short: about 2 minutes instead of 9
  --only TEXT        cases whose name contains TEXT (publish-20000, subscribe, sync-128);
                     repeat for several
  --system NAME      external, embedded or jetstream (all); repeat for several
  --seconds N        how long each case is measured (3; quick 2)
  --read N           messages in the stream that subscribers read (1000000; quick 400000)
  --minutes N        begin no further case after that time (12)
  --set KEY=VALUE    a setting of our server, for example streams.sync.policy=always
  --node-arg ARG     an argument for our server's node, for example --node-arg=--cpu-prof
  --source           run our server from its sources instead of what tsc makes of them

docs/benchmarks.md says how to read the output.
`

const SYSTEMS = ['external', 'embedded', 'jetstream'] as const satisfies readonly SystemName[]

export type BenchOptions = {
  readonly quick: boolean
  /** Texts of which a case's name must contain one; empty for all cases. */
  readonly only: readonly string[]
  readonly systems: readonly SystemName[]
  readonly minutes: number
  readonly run: RunOptions
}

/** Ends the program when an option is wrong. */
export function benchOptions(): BenchOptions {
  const values = readOptions(USAGE, {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    system: { type: 'string', multiple: true, default: [] },
    seconds: { type: 'string' },
    read: { type: 'string' },
    minutes: { type: 'string' },
    set: { type: 'string', multiple: true, default: [] },
    'node-arg': { type: 'string', multiple: true, default: [] },
    source: { type: 'boolean', default: false },
  })
  const { quick, source, system } = values
  const unknown = system.find((name) => !SYSTEMS.some((known) => known === name))
  if (unknown !== undefined) refuse(`--system ${unknown}: expected ${SYSTEMS.join(', ')}`)
  return {
    quick,
    only: values.only,
    systems: SYSTEMS.filter((name) => system.length === 0 || system.includes(name)),
    minutes: wholeNumber('minutes', values.minutes, { fallback: 12, min: 1 }),
    run: {
      seconds: wholeNumber('seconds', values.seconds, { fallback: quick ? 2 : 3, min: 1 }),
      readMessages: wholeNumber('read', values.read, {
        fallback: quick ? 400_000 : 1_000_000,
        min: 1,
      }),
      nodeArgs: values['node-arg'],
      settings: Object.fromEntries(values.set.map(splitSetting)),
      compiled: !source,
    },
  }
}

function splitSetting(text: string): [string, string | number] {
  const at = text.indexOf('=')
  if (at < 1) refuse(`--set ${text}: expected KEY=VALUE`)
  const value = text.slice(at + 1)
  return [text.slice(0, at), /^\d+$/.test(value) ? Number(value) : value]
}
