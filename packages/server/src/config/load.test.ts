import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { ConfigError } from './config-error.ts'
import { type Config, toConfig } from './config.ts'
import { describeConfig } from './describe.ts'
import { loadConfig, type LoadResult } from './load.ts'

const folder = mkdtempSync(join(tmpdir(), 'liftbridge-config-'))
after(() => rmSync(folder, { recursive: true }))

type Loaded = Extract<LoadResult, { kind: 'config' }>

interface Sources {
  readonly file?: string
  readonly env?: Record<string, string>
  readonly argv?: readonly string[]
}

function load({ file, env = {}, argv = [] }: Sources): Loaded {
  if (file !== undefined) writeFileSync(join(folder, 'lb.conf'), file)
  const config = file === undefined ? [] : ['-c', 'lb.conf']
  const loaded = loadConfig({ argv: [...config, ...argv], env, version: '1', cwd: folder })
  assert.ok(loaded.kind === 'config')
  return loaded
}

const configOf = (sources: Sources): Config => load(sources).config

function problemOf(sources: Sources): string {
  try {
    load(sources)
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    return error.message
  }
  return 'accepted'
}

test('the older file of the documentation loads, with a warning for each older name', () => {
  const { config, warnings } = load({
    file: `listen: localhost:9293
data.dir: /tmp/liftbridge/server-2
log.level: debug
# Define NATS cluster to connect to.
nats {
    servers: ["nats://localhost:4300", "nats://localhost:4301"]
}
log {
    retention.max.age: "24h"
}
clustering {
    server.id: server-2
    raft.logging: true
    raft.bootstrap.seed: true
    replica.max.lag.time: "20s"
}
`,
  })
  assert.deepEqual(config.bind, { host: 'localhost', port: 9293 })
  assert.equal(config.dataDir, '/tmp/liftbridge/server-2')
  assert.equal(config.logging.level, 'debug')
  assert.equal(config.logging.raft, true)
  assert.deepEqual(config.nats.servers, ['nats://localhost:4300', 'nats://localhost:4301'])
  assert.equal(config.streams.retention.maxAgeMs, 86_400_000)
  assert.equal(config.clustering.serverId, 'server-2')
  assert.equal(config.clustering.raft.bootstrapSeed, true)
  assert.equal(config.clustering.replica.maxLagTimeMs, 20_000)
  assert.deepEqual(warnings, [
    'lb.conf:3:1: log.level is now logging.level',
    'lb.conf:9:5: log.retention.max.age is now streams.retention.max.age',
    'lb.conf:13:5: clustering.raft.logging is now logging.raft',
  ])
})

test('every key of the older format is still understood', () => {
  const { config } = load({
    file: `batch.wait.time = "5ms"
metadata.cache.max.age = "1m"
log.recovery: true
log {
  retention.max.bytes: 1g
  retention.max.messages: 100
  cleaner.interval: "1m"
  segment.max.bytes: 64mb
  log.roll.time: "2h"
  compact: true
  compact.max.goroutines: 2
}
clustering {
  namespace: orders
  raft.snapshot.retain: 3
  raft.snapshot.threshold: 100
  raft.cache.size: 64
  raft.bootstrap.peers: [a, b]
  replica.max.leader.timeout: "1s"
  replica.fetch.timeout: "1s"
  min.insync.replicas: 2
}`,
  })
  assert.equal(config.batch.maxTimeMs, 5)
  assert.deepEqual(config.streams.retention, {
    maxBytes: 1_000_000_000,
    maxMessages: 100,
    maxAgeMs: 604_800_000,
  })
  assert.deepEqual(config.streams.segment, { maxBytes: 67_108_864, maxAgeMs: 7_200_000 })
  assert.deepEqual(config.streams.compact, { enabled: true, maxConcurrent: 2 })
  assert.deepEqual(config.clustering.raft.bootstrapPeers, ['a', 'b'])
  assert.equal(config.clustering.minInsyncReplicas, 2)
})

test('a flag wins over the environment, which wins over the file, which wins over the default', () => {
  const file = 'logging.level: error\nport: 1\nhost: file.example\n'
  const env = { LIFTBRIDGE_LOGGING_LEVEL: 'warn', LIFTBRIDGE_PORT: '2' }
  const { config } = load({ file, env, argv: ['-l', 'debug'] })
  assert.equal(config.logging.level, 'debug')
  assert.deepEqual(config.bind, { host: 'file.example', port: 2 })
  assert.equal(config.batch.maxMessages, 1024)
})

test('the environment counts without a file, too', () => {
  assert.equal(configOf({ env: { LIFTBRIDGE_LOGGING_LEVEL: 'warn' } }).logging.level, 'warn')
  assert.equal(configOf({ env: { 'LIFTBRIDGE_LOGGING.LEVEL': 'warn' } }).logging.level, 'warn')
})

test('the same key in both spellings of the environment must have one value', () => {
  const env = { 'LIFTBRIDGE_LOGGING.LEVEL': 'warn', LIFTBRIDGE_LOGGING_LEVEL: 'warn' }
  assert.equal(configOf({ env }).logging.level, 'warn')
  assert.match(
    problemOf({ env: { ...env, LIFTBRIDGE_LOGGING_LEVEL: 'info' } }),
    /sets logging.level, as .* does already: keep one/,
  )
})

test('a key given twice hides no other problem', () => {
  for (const [file, line] of [
    ['host: a\nhost: b\nprot: 1\nlogging.level: loud\n', 2],
    ['nats {\n}\nhost = a\nhost = b\nprot = 1\nlogging.level = loud\n', 4],
  ] as const) {
    const [headline, ...problems] = problemOf({ file }).split('\n')
    assert.match(headline ?? '', /^Failed to load configuration file: lb.conf/)
    assert.match(problems.join('\n'), new RegExp(`^lb.conf:${line}:1: host is given twice`))
    assert.match(problems.join('\n'), /"prot": did you mean port/)
    assert.match(problems.join('\n'), /logging.level: /)
    assert.equal(problems.length, 3)
  }
})

test('an older and a newer name of one setting in one file are an error', () => {
  assert.match(
    problemOf({ file: 'log.level: debug\nlogging.level: info' }),
    /lb.conf:2:1: logging.level sets logging.level, as lb.conf:1:1 does already: keep one/,
  )
})

test('--port wins over the listen of a file [D-61]', () => {
  const { bind, advertised } = configOf({ file: 'listen: 10.0.0.1:9293', argv: ['-p', '9400'] })
  assert.deepEqual(
    [bind, advertised],
    [
      { host: '10.0.0.1', port: 9400 },
      { host: '10.0.0.1', port: 9400 },
    ],
  )
})

test('a listen that is a bare number or has no host takes effect [D-61]', () => {
  assert.deepEqual(configOf({ file: 'listen: 9300' }).bind, { host: '0.0.0.0', port: 9300 })
  assert.deepEqual(configOf({ file: 'listen: ":9300"' }).bind, { host: '0.0.0.0', port: 9300 })
})

test('an advertised wildcard is replaced, with a warning [LB clients 2.0-12]', () => {
  const { config, warnings } = load({ file: 'data.dir: /x\nlisten: 0.0.0.0:9300' })
  assert.deepEqual(config.advertised, { host: 'localhost', port: 9300 })
  assert.match(warnings.join('\n'), /clients cannot connect to 0.0.0.0/)
})

test('each problem names file, line, column, key, value and the way out [D-62]', () => {
  const problem = problemOf({
    file: [
      'logging.level: loud',
      'streams:',
      '  auto.pause.time: 30',
      '  retention.max.byte: 5',
      'groups.consumer.timeout: 15',
      'port: 70000',
      'batch.max.messages: many',
      'nats.embedded: maybe',
      'tls: yes',
      'cursors.stream.partitions:',
      'clustering.namespace: a.b',
      'host: http://a',
    ].join('\n'),
  })
  assert.deepEqual(problem.split('\n'), [
    'Failed to load configuration file: lb.conf (read as YAML)',
    'lb.conf:1:1: logging.level: "loud" is not one of debug, info, warn, error',
    'lb.conf:3:3: streams.auto.pause.time: "30": a duration needs a unit: write 30s for seconds ' +
      '(units: ns, us, ms, s, m, h)',
    'lb.conf:4:3: Unknown configuration setting "streams.retention.max.byte": ' +
      'did you mean streams.retention.max.bytes or streams.retention.max.age?',
    'lb.conf:5:1: groups.consumer.timeout: "15": a duration needs a unit: write 15s for seconds ' +
      '(units: ns, us, ms, s, m, h)',
    'lb.conf:6:1: port: 70000 is too large: the most is 65535',
    'lb.conf:7:1: batch.max.messages: "many" is not a whole number',
    'lb.conf:8:1: nats.embedded: "maybe" is neither true nor false',
    'lb.conf:9:1: tls is a section, not a setting',
    'lb.conf:10:1: cursors.stream.partitions: has no value: give it one, or remove the line',
    'lb.conf:11:1: clustering.namespace: "a.b" must be 1 to 128 letters, digits, "_" or "-"',
    'lb.conf:12:1: host: "http://a" is not a host name or address: write it without scheme and port',
  ])
})

test('a problem outside the file names the variable or the flag', () => {
  assert.match(
    problemOf({ env: { LIFTBRIDGE_BATCH_MAX_TIME: 'x' } }),
    /^environment variable LIFTBRIDGE_BATCH_MAX_TIME: batch.max.time: "x": not a duration/,
  )
  assert.match(problemOf({ argv: ['-p', 'x'] }), /^flag --port: port: "x" is not a whole number/)
})

test('a file that is missing, too large or not text is refused with its name', () => {
  assert.match(problemOf({ argv: ['-c', 'none.yml'] }), /^Failed to load .* none.yml: ENOENT/)
  assert.match(problemOf({ argv: ['-c', '.'] }), /^Failed to load configuration file: \.: EISDIR/)
  assert.match(problemOf({ file: '#'.repeat(300_000) }), /lb.conf: larger than 262144 bytes/)
  writeFileSync(join(folder, 'binary.conf'), Uint8Array.of(0xff, 0xfe, 0x00))
  assert.match(problemOf({ argv: ['-c', 'binary.conf'] }), /binary.conf: .*utf-8/i)
})

test('a section without lines is allowed', () => {
  assert.equal(problemOf({ file: 'nats:\ntls: {}\nport: 1' }), 'accepted')
})

test('nats.embedded: false does not turn NATS on [D-11]', () => {
  assert.equal(configOf({ file: 'nats.embedded: false' }).nats.embedded, undefined)
  assert.deepEqual(configOf({ file: 'nats: {embedded: true}' }).nats.embedded, {
    host: undefined,
    port: undefined,
    configFile: undefined,
  })
})

test('a configuration file for the embedded NATS turns it on', () => {
  const { nats } = configOf({ file: 'nats.embedded.config: nats.conf' })
  assert.match(nats.embedded?.configFile ?? '', /nats\.conf$/)
  assert.match(configOf({ argv: ['-nc', 'x'] }).nats.embedded?.configFile ?? '', /x$/)
})

const tls = 'tls.key: k\ntls.cert: c\n'
const auth = `${tls}tls.client.auth.enabled: true\n`

test('authorization has a switch of its own [D-10]', () => {
  const { settings, ...config } = configOf({ file: `${auth}tls.client.authz.enabled: false` })
  assert.equal(config.tls.clientAuthz, undefined)
  assert.equal(config.tls.clientAuth.enabled, true)
  const files = { 'tls.client.authz.model': 'm', 'tls.client.authz.policy': 'p' }
  const values = { ...settings, ...files, 'tls.client.authz.enabled': true }
  assert.deepEqual(toConfig(values, config, '/').tls.clientAuthz, { model: 'm', policy: 'p' })
})

test('what this version would not enforce is refused, not ignored', () => {
  const authz = 'tls.client.authz: {enabled: true, model: m, policy: p}'
  assert.match(problemOf({ file: auth + authz }), /tls.client.authz.enabled is not supported/)
  // One mistake, one line, whatever else it would need.
  assert.deepEqual(problemOf({ file: 'tls.client.authz.enabled: true' }).split('\n'), [
    'lb.conf:1:1: tls.client.authz.enabled is not supported by this version: remove it',
  ])
})

test('what this version does not do yet is told where somebody would miss it', () => {
  const file = 'data.dir: /x\ncursors.stream.partitions: 1\nclustering.raft.cache.size: 5'
  const { warnings } = load({ file })
  assert.deepEqual(warnings, [
    'cursors.stream.partitions has no effect in this version',
    'clustering.raft.cache.size has no effect: the whole log of the metadata is held in memory',
  ])
  assert.deepEqual(load({ file: 'data.dir: /x\ncursors.stream.partitions: 0' }).warnings, [])
})

test('settings that would weaken security in silence are refused together', () => {
  assert.match(problemOf({ file: 'tls.key: k' }), /tls.key needs tls.cert as well/)
  assert.match(problemOf({ file: 'nats.tls.cert: c' }), /nats.tls.cert needs nats.tls.key/)
  assert.match(problemOf({ file: 'tls.client.auth.enabled: true' }), /needs tls.cert and tls.key/)
  assert.match(problemOf({ file: 'nats.password: p' }), /nats.password needs nats.user/)
  assert.match(problemOf({ file: 'nats: {user: u, token: t}' }), /exclude each other/)
  assert.match(problemOf({ file: 'nats.servers: []' }), /nats.servers names none/)
})

test('a bad NATS address is refused without repeating it [A6]', () => {
  const problem = problemOf({ file: 'nats.servers: ["http://user:hunter2@host"]' })
  assert.match(problem, /lb.conf:1:1: nats.servers: write each server as nats:\/\/host:port/)
  assert.doesNotMatch(problem, /hunter2/)
  const good = 'nats.servers: [localhost, "nats://u:p@a:4222", "tls://[::1]:4222", "ws://a/"]'
  assert.equal(problemOf({ file: good }), 'accepted')
})

test('a segment lives as long as messages do unless told otherwise, and at least a second', () => {
  const ageOf = (file: string) => configOf({ file }).streams.segment.maxAgeMs
  assert.equal(ageOf('streams.retention.max.age: 2h'), 7_200_000)
  assert.equal(ageOf('streams.segment.max.age: 1h'), 3_600_000)
  assert.equal(ageOf('streams.segment.max.age: 0'), 0)
  assert.equal(ageOf('streams.segment.max.age: 10ms'), 1000)
})

test('zeros that stand for a number are that number', () => {
  const file = 'streams.compact.max.goroutines: 0\nclustering.raft.snapshot.threshold: 0'
  const config = configOf({ file })
  assert.equal(config.streams.compact.maxConcurrent, 10)
  assert.equal(config.clustering.raft.snapshotThreshold, 8192)
})

test('streams.concurrency.control reaches the streams [D-16]', () => {
  const file = 'streams.concurrency.control: true'
  assert.equal(configOf({ file }).streams.concurrencyControl, true)
})

test('telemetry keys are accepted and do nothing', () => {
  assert.deepEqual(load({ file: 'telemetry: {enabled: false}\ndata.dir: /x' }).warnings, [])
  const { warnings } = load({ file: 'telemetry: {enabled: true}\ndata.dir: /x' })
  assert.match(warnings.join(), /sends no telemetry/)
})

test('the data folder is resolved after the flags, and is absolute', () => {
  const { config, warnings } = load({ argv: ['--ns', 'orders'] })
  assert.equal(config.dataDir, '/tmp/liftbridge/orders')
  assert.match(warnings.join(), /data.dir is not set/)
  assert.equal(configOf({ argv: ['-d', 'data'] }).dataDir, join(folder, 'data'))
})

test('a configuration is described without its secrets [A6]', () => {
  const file =
    'nats: {servers: ["nats://u:hunter2@a:1"], user: me, password: hunter2}\nstreams.segment.max.bytes: 1024'
  const described = describeConfig(configOf({ file }))
  assert.equal(described.get('nats.servers'), 'nats://***@a:1')
  assert.equal(described.get('nats.password'), '***')
  assert.equal(described.get('nats.user'), 'me')
  assert.equal(described.get('streams.retention.max.age'), '168h')
  assert.equal(described.get('streams.segment.max.bytes'), '1KiB')
  assert.equal(described.has('tls.key'), false)
  assert.doesNotMatch([...described.values()].join('\n'), /hunter2/)
})

test('a described configuration loads again to the same one', () => {
  const file = 'streams: {retention.max.age: 90m, sync.policy: always}\nport: 1\ndata.dir: /x'
  const config = configOf({ file })
  const lines = [...describeConfig(config)].map(([key, text]) => `${key}: "${text}"`)
  assert.deepEqual(configOf({ file: lines.join('\n') }), config)
})

test('the rest of a password without its quotes is not repeated as an unknown key [A6]', () => {
  for (const file of [
    'nats.token=,hunter2\n',
    'nats.password = abc,hunter2\n',
    'nats { user: u\n password: a; hunter2: 1 }\n',
  ]) {
    const problem = problemOf({ file })
    assert.match(problem, /put the value in quotes/, file)
    assert.doesNotMatch(problem, /hunter2/, file)
  }
})
