import assert from 'node:assert/strict'
import { parseListen } from '../packages/server/src/config/addresses.ts'
import { ConfigError } from '../packages/server/src/config/config-error.ts'
import { describeConfig } from '../packages/server/src/config/describe.ts'
import { loadConfig, type LoadResult } from '../packages/server/src/config/load.ts'
import { parseValue } from '../packages/server/src/config/parse-value.ts'
import { formatDuration, parseDuration } from '../packages/server/src/config/schema/duration.ts'
import { lookUp, specOf, specs } from '../packages/server/src/config/schema/schema.ts'
import { formatSize, parseSize } from '../packages/server/src/config/schema/size.ts'
import { readConfigText } from '../packages/server/src/config/sources/config-file.ts'
import type { Setting } from '../packages/server/src/config/sources/setting.ts'
import type { FuzzTarget } from './target.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const encoded = (texts: readonly string[]) => texts.map((text) => encoder.encode(text))

const SECRET = 'hunter2'

type Loaded = Extract<LoadResult, { kind: 'config' }>

interface Sources {
  readonly file?: Uint8Array
  readonly env?: Record<string, string>
  readonly argv?: readonly string[]
}

/** What the sources give; undefined for a refusal in its own type, which must not repeat a secret. */
function load({ file, env = {}, argv = [] }: Sources): Loaded | undefined {
  const readFile = () => file ?? new Uint8Array()
  const config = file === undefined ? [] : ['-c', 'lb.conf']
  try {
    const loaded = loadConfig({ argv: [...config, ...argv], env, version: '1', cwd: '/', readFile })
    return loaded.kind === 'config' ? loaded : undefined
  } catch (error) {
    if (error instanceof ConfigError) return undefined
    throw error
  }
}

/** Either syntax gives settings or a refusal, and each setting parses or is refused. */
function runSyntax(bytes: Uint8Array): void {
  const settings = settingsOf(decoder.decode(bytes))
  for (const { name, written, origin } of settings) {
    assert.ok(origin.kind === 'file' && origin.line >= 1 && origin.column >= 1)
    const found = lookUp(name)
    if (found.kind === 'key' || found.kind === 'older') parseValue(specOf(found.key), written)
  }
}

function settingsOf(text: string): readonly Setting[] {
  try {
    return readConfigText('lb.conf', text).settings
  } catch (error) {
    if (error instanceof ConfigError) return []
    throw error
  }
}

/** A configuration that loads says of itself what loads to the same again. */
function runFile(bytes: Uint8Array): void {
  const loaded = load({ file: bytes })
  if (loaded === undefined) return
  const { config, given } = loaded
  const described = describeConfig(config)
  const text = [...described.values()].join('\n')
  assert.ok(config.settings['nats.password'] !== SECRET || !text.includes(SECRET))
  if (text.includes('***')) return
  const lines = [...described].filter(([key]) => given.has(key))
  const again = lines.map(([key, value]) => `${key}: ${JSON.stringify(value)}`).join('\n')
  assert.deepEqual(load({ file: encoder.encode(again) })?.config, config)
}

/** A refusal never repeats what stands behind the key of a secret [A6]. */
function runSecret(bytes: Uint8Array): void {
  const text = decoder.decode(bytes)
  const readFile = () => encoder.encode(text)
  try {
    loadConfig({ argv: ['-c', 'lb.conf'], env: {}, version: '1', cwd: '/', readFile })
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    const shown = error.message
    const value = /^nats\.(?:password|token)(?:: |[ =]+)(\S*hunter2)/m.exec(text)?.[1]
    if (value !== undefined && text.split(SECRET).length === 2) assert.ok(!shown.includes(SECRET))
  }
}

function runValues(bytes: Uint8Array): void {
  const text = decoder.decode(bytes)
  const duration = parseDuration(text)
  if (duration.kind === 'ok') {
    const again = parseDuration(formatDuration(duration.ms))
    assert.ok(again.kind === 'ok')
    // A text holds whole nanoseconds; a double of many hours holds less than that.
    const toleranceMs = Math.max(1e-6, Math.abs(duration.ms) * 1e-12)
    assert.ok(Math.abs(again.ms - duration.ms) <= toleranceMs, `${duration.ms} ${again.ms}`)
  }
  const size = parseSize(text)
  if (size.kind === 'ok') {
    assert.ok(Number.isSafeInteger(size.bytes))
    assert.deepEqual(parseSize(formatSize(size.bytes)), size)
  }
  const listen = parseListen(text)
  if (listen.kind === 'ok') assert.ok(listen.port >= 0 && listen.port <= 65_535)
}

/** `NAME=value` and flags, one a line. */
function runEnvironment(bytes: Uint8Array): void {
  const lines = decoder.decode(bytes).split('\n')
  const env: Record<string, string> = {}
  const argv: string[] = []
  for (const line of lines) {
    const at = line.indexOf('=')
    if (line.startsWith('LIFTBRIDGE_') && at > 0) env[line.slice(0, at)] = line.slice(at + 1)
    else argv.push(line)
  }
  const loaded = load({ env, argv })
  if (loaded !== undefined) assert.notEqual(loaded.config.advertised.host, '0.0.0.0')
}

const yamlSeeds = [
  'listen: 127.0.0.1:9292\nlogging:\n  level: debug\nstreams:\n  retention.max.age: 72h\n',
  'cursors: {stream.partitions: 3}\nnats.servers: [nats://a:1, "nats://b:2"]\n',
  'nats: &n {user: u, password: "hunter2"}\ntls: *n\n',
  'a: |\n  text\nb: >-\n  folded\n? c\n: d\n--- \n# comment\n',
  '{"port": 9292, "tls": {"key": "k", "cert": "c"}}',
]
const natsSeeds = [
  'listen: localhost:9293\nlog.level = debug\nnats {\n  servers: ["nats://a:1", \'nats://b:2\']\n}\n',
  'log { retention.max.bytes: 10mb; compact true, segment.max.bytes = 1k }\n// comment\n',
  'clustering: {\n  "server.id": "a\\tb" # x\n  raft { logging: on }\n}\nnats.password hunter2\n',
]
const keys = [...specs].flatMap(([key, spec]) => [key, ...(spec.older ?? [])])
const marks = ': |=|{|}|[|]|,|;|#|//|"|\'|\\|&a|*a|!t|>|%|---|\t|\n|\r\n|  |\uFEFF|hunter2|1h|10mb'
const tokens = encoded([...keys, ...marks.split('|'), 'true', 'off', '0.0.0.0', '[::]:1'])

export const targets: readonly FuzzTarget[] = [
  {
    name: 'server: configuration syntax, YAML',
    run: runSyntax,
    seeds: encoded(yamlSeeds),
    dictionary: tokens,
    inputMaxBytes: 160,
  },
  {
    name: 'server: configuration syntax, NATS-style',
    run: runSyntax,
    seeds: encoded(natsSeeds),
    dictionary: tokens,
    inputMaxBytes: 160,
  },
  {
    name: 'server: configuration file, loaded, described and loaded again',
    run: runFile,
    seeds: encoded([...yamlSeeds, ...natsSeeds]),
    dictionary: tokens,
    inputMaxBytes: 512,
    share: 0.05,
  },
  {
    name: 'server: configuration file with a secret',
    run: runSecret,
    seeds: encoded([
      'nats.user: u\nnats.password: hunter2\n',
      'nats.token = hunter2\nport = 1\n',
      'nats.password hunter2',
    ]),
    dictionary: tokens,
    inputMaxBytes: 256,
    share: 0.1,
  },
  {
    name: 'server: durations, sizes and addresses',
    run: runValues,
    seeds: encoded(['1h30m', '1.5us', '-2s', '256MiB', '1GB', '[::1]:9292', 'a.b:1', ':0']),
    dictionary: encoded(['ns', 'µs', 'ms', 'KiB', 'TB', '.', '-', '9223372036854775807', '0x']),
    inputMaxBytes: 80,
  },
  {
    name: 'server: environment and flags',
    run: runEnvironment,
    seeds: encoded([
      'LIFTBRIDGE_LOGGING_LEVEL=debug\nLIFTBRIDGE_PORT=tcp://10.0.0.1:9292\n-p\n9400\n-e',
      'LIFTBRIDGE_NATS_SERVERS=a:1 b:2\n--nats-servers\nc:3,d:4\n--embedded-nats=false\n-ns=x',
    ]),
    dictionary: [...tokens, ...encoded(['LIFTBRIDGE_', '--', '-nc', '--data-dir=', '--help'])],
    inputMaxBytes: 512,
    share: 0.1,
  },
]
