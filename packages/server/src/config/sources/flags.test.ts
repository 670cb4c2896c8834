import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError } from '../config-error.ts'
import { readFlags } from './flags.ts'

function settingsOf(...argv: string[]): Record<string, unknown> {
  const read = readFlags(argv, '1.2.3')
  assert.ok(read.kind === 'settings')
  const entries = read.settings.map(({ name, written }) => {
    if (written.kind === 'text') return [name, written.text]
    return [name, written.kind === 'list' ? written.items : undefined]
  })
  return Object.fromEntries(entries)
}

test('without flags nothing is set', () => {
  assert.deepEqual(settingsOf(), {})
})

test('each flag of Go Liftbridge is there, long and short', () => {
  const examples: readonly (readonly [argv: string[], key: string, value: unknown])[] = [
    [['--server-id', 'a'], 'clustering.server.id', 'a'],
    [['--id', 'a'], 'clustering.server.id', 'a'],
    [['-id', 'a'], 'clustering.server.id', 'a'],
    [['--namespace=orders'], 'clustering.namespace', 'orders'],
    [['--ns=orders'], 'clustering.namespace', 'orders'],
    [['-ns', 'orders'], 'clustering.namespace', 'orders'],
    [['--nats-servers', 'a:1, b:2'], 'nats.servers', ['a:1', 'b:2']],
    [['-n', 'a:1', '-n', 'b:2'], 'nats.servers', ['a:1', 'b:2']],
    [['--embedded-nats'], 'nats.embedded', 'true'],
    [['-e'], 'nats.embedded', 'true'],
    [['--embedded-nats=true'], 'nats.embedded', 'true'],
    [['--embedded-nats=false'], 'nats.embedded', 'false'],
    [['--embedded-nats-config', 'f'], 'nats.embedded.config', 'f'],
    [['--nc', 'f'], 'nats.embedded.config', 'f'],
    [['-nc', 'f'], 'nats.embedded.config', 'f'],
    [['--embedded-nats-host', '::1'], 'nats.embedded.host', '::1'],
    [['--embedded-nats-port', '4333'], 'nats.embedded.port', '4333'],
    [['--embedded-nats-port=-1'], 'nats.embedded.port', '-1'],
    [['--data-dir', '/x'], 'data.dir', '/x'],
    [['-d', '/x'], 'data.dir', '/x'],
    [['-data-dir=/x'], 'data.dir', '/x'],
    [['--port', '1'], 'port', '1'],
    [['-p', '1'], 'port', '1'],
    [['--tls-cert', 'c'], 'tls.cert', 'c'],
    [['--tls-key', 'k'], 'tls.key', 'k'],
    [['--level', 'warn'], 'logging.level', 'warn'],
    [['-l', 'warn'], 'logging.level', 'warn'],
    [['--raft-bootstrap-seed'], 'clustering.raft.bootstrap.seed', 'true'],
    [['--raft-bootstrap-peers', 'a,b'], 'clustering.raft.bootstrap.peers', ['a', 'b']],
  ]
  for (const [argv, key, value] of examples) {
    assert.deepEqual(settingsOf(...argv), { [key]: value }, argv.join(' '))
  }
})

test('peers may be repeated and separated by commas [LB control-plane 6.4]', () => {
  const flag = '--raft-bootstrap-peers'
  assert.deepEqual(settingsOf(flag, 'a,b', flag, 'c'), {
    'clustering.raft.bootstrap.peers': ['a', 'b', 'c'],
  })
})

test('the flags that a client fixture starts servers with are understood [LB clients 2.0-23]', () => {
  const argv = ['-c', 'lb.yml', '-d', '/x', '--embedded-nats', '--raft-bootstrap-seed']
  const read = readFlags(argv, '1')
  assert.equal(read.kind === 'settings' && read.configFile, 'lb.yml')
  assert.deepEqual(settingsOf(...argv), {
    'data.dir': '/x',
    'nats.embedded': 'true',
    'clustering.raft.bootstrap.seed': 'true',
  })
})

test('--help and --version are texts to print', () => {
  const help = readFlags(['--help'], '1.2.3')
  assert.ok(help.kind === 'print')
  assert.match(help.text, /^Usage: liftbridge/)
  assert.match(help.text, /--raft-bootstrap-seed/)
  assert.deepEqual(readFlags(['-h'], '1.2.3'), help)
  for (const flag of ['--version', '-v']) {
    assert.deepEqual(readFlags([flag], '1.2.3'), { kind: 'print', text: '1.2.3\n' })
  }
})

test('an unknown flag, a missing value and a stray word are refused with a way out', () => {
  for (const [argv, text] of [
    [['--prot', '1'], /unknown option '--prot'\n\(Did you mean --port\?\)/],
    [['--port'], /argument missing/],
    [['start'], /too many arguments/],
    [['--embedded-nats=maybe'], /neither true nor false/],
  ] as const) {
    assert.throws(() => readFlags(argv, '1'), ConfigError)
    assert.throws(() => readFlags(argv, '1'), text)
  }
})
