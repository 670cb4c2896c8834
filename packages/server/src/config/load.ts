import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseListen, resolveAddresses } from './addresses.ts'
import { checkTogether } from './check-together.ts'
import { type Config, toConfig } from './config.ts'
import { ConfigError } from './config-error.ts'
import { type Given, parseValue, type ParsedValue } from './parse-value.ts'
import type { KeySpec } from './schema/key-spec.ts'
import { type Key, lookUp, nearestKeys, specs, type Values } from './schema/schema.ts'
import { CONFIG_FILE_MAX_BYTES, fileHeadline, readConfigText } from './sources/config-file.ts'
import { readEnvironment } from './sources/environment.ts'
import { readFlags } from './sources/flags.ts'
import { describeOrigin, type Origin, type Setting } from './sources/setting.ts'

export interface LoadOptions {
  /** The command line without the program's own name: `process.argv.slice(2)`. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** Printed by --version. */
  readonly version: string
  /** Folder that relative paths start from; the current one when absent. */
  readonly cwd?: string
  /** Reads the configuration file; from the disk when absent. May throw. */
  readonly readFile?: (path: string) => Uint8Array
}

export type LoadResult =
  | {
      readonly kind: 'config'
      readonly config: Config
      /** To be logged at start: older names, ignored variables, surprising combinations. */
      readonly warnings: readonly string[]
      /** The file that was read. */
      readonly file: string | undefined
      /** Keys that were given anywhere, and where; for a diagnosis, without values. */
      readonly given: ReadonlyMap<Key, Origin>
    }
  /** --help or --version: print the text on standard output and exit with code 0. */
  | { readonly kind: 'print'; readonly text: string }

/**
 * Builds the configuration: defaults, under the file, under the environment, under the flags.
 * Throws ConfigError with every problem found, each with its place and the way out.
 */
export function loadConfig(options: LoadOptions): LoadResult {
  const flags = readFlags(options.argv, options.version)
  if (flags.kind === 'print') return flags
  const cwd = options.cwd ?? process.cwd()
  const merge = new Merge()
  const file = flags.configFile
  if (file !== undefined) {
    const read = readConfigText(
      file,
      readText(file, resolve(cwd, file), options.readFile ?? readBounded),
    )
    merge.problems.push(...read.problems)
    merge.layer(1, read.settings)
    if (merge.problems.length > 0) merge.problems.unshift(fileHeadline(file, read.syntax))
  }
  const environment = readEnvironment(options.env)
  merge.warnings.push(...environment.warnings)
  merge.layer(2, environment.settings)
  merge.layer(3, flags.settings)
  const config = merge.finish(cwd)
  return { kind: 'config', config, warnings: merge.warnings, file, given: merge.origins() }
}

function readText(file: string, path: string, read: (path: string) => Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(read(path))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ConfigError([`Failed to load configuration file: ${file}: ${reason}`])
  }
}

/** Looks at the size first: a wrong path may lead to a file that fills the memory. */
function readBounded(path: string): Uint8Array {
  if (statSync(path).size > CONFIG_FILE_MAX_BYTES) {
    throw new Error(`larger than ${CONFIG_FILE_MAX_BYTES} bytes`)
  }
  return readFileSync(path)
}

/** Lays the sources over each other and checks what comes out. */
class Merge {
  readonly warnings: string[] = []
  readonly problems: string[] = []
  readonly #given = new Map<Key, Given>()

  /** Adds a source that is stronger than those before it. */
  layer(rank: number, settings: readonly Setting[]): void {
    const named = new Map<Key, { readonly name: string; readonly setting: Setting }>()
    const secretLines = new Set(settings.filter(isSecret).map(({ origin }) => lineOf(origin)))
    for (const setting of settings) {
      const key = this.#keyOf(setting, secretLines)
      if (key === undefined) continue
      const twin = named.get(key)
      if (twin !== undefined && !sameValue(twin.setting, setting)) {
        const first = describeOrigin(twin.setting.origin)
        const text = `${setting.name} sets ${key}, as ${first} does already: keep one`
        this.#problem(setting.origin, text)
        continue
      }
      named.set(key, { name: setting.name, setting })
      this.#parse(key, rank, setting)
    }
    this.#embeddedByItsFile(rank)
  }

  /** Throws ConfigError when anything was wrong. */
  finish(cwd: string): Config {
    const addresses = this.#addresses()
    const values = this.#values()
    checkTogether(values, this.#given, { problems: this.problems, warnings: this.warnings })
    if (this.problems.length > 0) throw new ConfigError(this.problems)
    this.warnings.push(...addresses.warnings)
    const folder = values['data.dir'] ?? `/tmp/liftbridge/${values['clustering.namespace']}`
    return toConfig(values, addresses, resolve(cwd, folder))
  }

  origins(): ReadonlyMap<Key, Origin> {
    return new Map([...this.#given].map(([key, given]) => [key, given.origin]))
  }

  #keyOf(setting: Setting, secretLines: ReadonlySet<number | undefined>): Key | undefined {
    const found = lookUp(setting.name)
    const where = describeOrigin(setting.origin)
    switch (found.kind) {
      case 'key':
        return found.key
      case 'older':
        this.warnings.push(`${where}: ${setting.name} is now ${found.key}`)
        return found.key
      case 'section':
        // A section whose lines are all commented out says nothing, and does no harm.
        if (setting.written.kind === 'nothing') return undefined
        this.#problem(setting.origin, `${setting.name} is a section, not a setting`)
        return undefined
      case 'unknown': {
        const line = lineOf(setting.origin)
        if (line !== undefined && secretLines.has(line)) {
          // It may be the rest of a password that needs quotes [A6].
          const text = 'something follows the value on this line: put the value in quotes'
          this.#problem(setting.origin, text)
          return undefined
        }
        const near = nearestKeys(setting.name)
        const hint = near.length === 0 ? '' : `: did you mean ${near.join(' or ')}?`
        const shown = setting.name.slice(0, 100)
        this.#problem(setting.origin, `Unknown configuration setting "${shown}"${hint}`)
        return undefined
      }
    }
  }

  #parse(key: Key, rank: number, setting: Setting): void {
    const spec = specs.get(key) as KeySpec
    const result = parseValue(spec, setting.written)
    if (result.kind === 'bad') {
      this.#problem(setting.origin, `${setting.name}: ${result.reason}`)
      return
    }
    this.#given.set(key, { value: result.value, origin: setting.origin, rank })
  }

  /** A configuration for the embedded NATS turns it on, unless the same source says otherwise. */
  #embeddedByItsFile(rank: number): void {
    const file = this.#given.get('nats.embedded.config')
    if (file?.rank !== rank || this.#given.get('nats.embedded')?.rank === rank) return
    this.#given.set('nats.embedded', { value: true, origin: file.origin, rank })
  }

  #addresses(): ReturnType<typeof resolveAddresses> {
    const given = this.#given.get('listen')
    const parsed = given === undefined ? undefined : parseListen(String(given.value))
    if (given !== undefined && parsed?.kind === 'bad') {
      this.#problem(given.origin, `listen: ${parsed.reason}`)
    }
    const port = this.#given.get('port')
    const host = this.#given.get('host')
    return resolveAddresses({
      listen: parsed?.kind === 'ok' ? parsed : undefined,
      host: host === undefined ? undefined : String(host.value),
      port: Number(port?.value ?? specs.get('port')?.default),
      portGiven: port !== undefined,
      portOverListen: (port?.rank ?? 0) > (given?.rank ?? 0),
    })
  }

  #values(): Values {
    const values: Record<string, ParsedValue | undefined> = {}
    for (const [key, spec] of specs) {
      values[key] = this.#given.get(key)?.value ?? defaultOf(spec)
    }
    // The rows' types say what the parser returns for them; `parse-value.test.ts` checks each.
    return values as unknown as Values
  }

  #problem(origin: Origin, text: string): void {
    this.problems.push(`${describeOrigin(origin)}: ${text}`)
  }
}

function defaultOf(spec: KeySpec): ParsedValue | undefined {
  if (spec.default === undefined) return undefined
  const parsed = parseValue(spec, { kind: 'text', text: spec.default })
  if (parsed.kind === 'bad') throw new Error(`a default of the table is bad: ${parsed.reason}`)
  return parsed.value
}

function sameValue(a: Setting, b: Setting): boolean {
  return JSON.stringify(a.written) === JSON.stringify(b.written) && a.origin.kind !== 'file'
}

function isSecret({ name }: Setting): boolean {
  const found = lookUp(name)
  if (found.kind !== 'key' && found.kind !== 'older') return false
  return specs.get(found.key)?.secret === true
}

function lineOf(origin: Origin): number | undefined {
  return origin.kind === 'file' ? origin.line : undefined
}
