import { Command, CommanderError, Option } from 'commander'
import { ConfigError } from '../config-error.ts'
import type { FlagSpec, KeySpec } from '../schema/key-spec.ts'
import { type Key, specs } from '../schema/schema.ts'
import type { Setting } from './setting.ts'

export type FlagsResult =
  | {
      readonly kind: 'settings'
      readonly settings: readonly Setting[]
      /** Path given by --config. */
      readonly configFile: string | undefined
    }
  /** --help or --version: print it and exit with code 0. */
  | { readonly kind: 'print'; readonly text: string }

interface KeyFlag {
  readonly key: Key
  readonly spec: KeySpec
  readonly flag: FlagSpec
  /** The name under which commander keeps the value: `--data-dir` is `dataDir`. */
  readonly attribute: string
}

const keyFlags: readonly KeyFlag[] = [...specs].flatMap(([key, spec]) => {
  if (spec.flag === undefined) return []
  const attribute = optionOf(spec, spec.flag).attributeName()
  return [{ key, spec, flag: spec.flag, attribute }]
})

const CONFIG_FLAG: FlagSpec = { names: ['--config'], short: '-c', value: 'FILE' }

/** Reads the command line, without the program's own name. Throws ConfigError. */
export function readFlags(argv: readonly string[], version: string): FlagsResult {
  const printed: string[] = []
  const command = buildCommand(version, (text) => printed.push(text))
  try {
    command.parse(normalise(argv), { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return { kind: 'print', text: printed.join('') }
    const text = error.message.replace(/^error: /, '')
    throw new ConfigError([`${text}\nRun with --help for the list of flags.`])
  }
  const values = command.opts<Record<string, unknown>>()
  const settings = keyFlags.flatMap((entry) => settingOf(entry, values[entry.attribute]))
  const { config } = values
  return { kind: 'settings', settings, configFile: typeof config === 'string' ? config : undefined }
}

function settingOf(entry: KeyFlag, value: unknown): Setting[] {
  if (value === undefined) return []
  const origin = { kind: 'flag', flag: entry.flag.names[0] ?? entry.key } as const
  if (Array.isArray(value)) {
    const items = value.flatMap((item) => String(item).split(','))
    const kept = items.map((item) => item.trim()).filter((item) => item !== '')
    return [{ name: entry.key, written: { kind: 'list', items: kept }, origin }]
  }
  const text = typeof value === 'string' ? value : value === false ? 'false' : 'true'
  return [{ name: entry.key, written: { kind: 'text', text }, origin }]
}

function buildCommand(version: string, print: (text: string) => void): Command {
  const command = new Command('liftbridge')
    .description('Durable, replicated, ordered message streams for NATS')
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeOut: print, writeErr: () => {}, getOutHelpWidth: () => 100 })
    .version(version, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this list')
    .addOption(new Option('-c, --config <FILE>', 'configuration file'))
  for (const { spec, flag } of keyFlags) {
    command.addOption(optionOf(spec, flag))
    // `--embedded-nats=false` has to be able to turn off what the file turns on.
    if (flag.value === undefined) {
      command.addOption(new Option(`--no-${(flag.names[0] ?? '').slice(2)}`).hideHelp())
    }
  }
  return command
}

function optionOf(spec: KeySpec, flag: FlagSpec): Option {
  const value = flag.value === undefined ? '' : ` <${flag.value}>`
  const short = flag.short === undefined ? '' : `${flag.short}, `
  const [name = '', ...aliases] = flag.names
  const [sentence = ''] = spec.doc.replaceAll('`', '').split(/(?<=\.) /)
  const also = aliases.length === 0 ? '' : ` (also ${aliases.join(', ')})`
  const option = new Option(`${short}${name}${value}`, `${sentence}${also}`)
  if (spec.type !== 'list') return option
  return option.argParser((item: string, items: readonly string[] | undefined) => [
    ...(items ?? []),
    item,
  ])
}

/**
 * Go's flag reader took one dash or two for any name, and `=true` on switches. Users have both in
 * scripts: `-nc file`, `-ns orders`, `--embedded-nats=false`.
 */
function normalise(argv: readonly string[]): string[] {
  const end = argv.indexOf('--')
  const flags = end === -1 ? argv : argv.slice(0, end)
  return [...flags.map(normaliseOne), ...(end === -1 ? [] : argv.slice(end))]
}

function normaliseOne(argument: string): string {
  const match = /^--?([a-z][a-z-]*)(?:=(.*))?$/s.exec(argument)
  const name = match?.[1]
  if (name === undefined) return argument
  const value = match?.[2]
  const known = [CONFIG_FLAG, ...keyFlags.map((entry) => entry.flag)].find(
    (flag) => flag.names.includes(`--${name}`) || flag.short === `-${name}`,
  )
  if (known === undefined) return argument
  const canonical = known.names[0] ?? argument
  if (value === undefined) return canonical
  if (known.value !== undefined) return `${canonical}=${value}`
  if (value === 'true') return canonical
  if (value === 'false') return `--no-${canonical.slice(2)}`
  throw new ConfigError([`flag ${canonical}: "${value}" is neither true nor false`])
}
