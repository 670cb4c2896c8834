import assert from 'node:assert/strict'
import { Permissions, type SubjectRules } from '../packages/nats/src/auth/permissions.ts'
import { parseNatsConfig } from '../packages/nats/src/conf/nats-config.ts'
import { CommandParser } from '../packages/nats/src/protocol/command-parser.ts'
import {
  parseConnect,
  DEFAULT_CONNECT_OPTIONS,
} from '../packages/nats/src/protocol/connect-options.ts'
import { RecordingSink } from '../packages/nats/src/protocol/recording-sink.suite.ts'
import {
  hasWildcard,
  isLiteralSubject,
  isValidSubject,
} from '../packages/nats/src/routing/subject.ts'
import { SubjectTree } from '../packages/nats/src/routing/subject-tree.ts'
import { parseNatsServers } from '../packages/server/src/adapters/nats-address.ts'
import { BusError } from '../packages/server/src/bus.ts'
import type { FuzzTarget } from './target.ts'

const latin1 = (text: string): Uint8Array => Buffer.from(text, 'latin1')
const LIMITS = { maxPayloadBytes: 300, maxControlLineBytes: 200 }

function commands(chunks: readonly Buffer[]): readonly string[] {
  const sink = new RecordingSink()
  const parser = new CommandParser(sink, LIMITS)
  for (const chunk of chunks) parser.parse(chunk)
  return sink.events
}

/**
 * The first two bytes say how the rest is cut; whatever the cut, the commands are the same. What
 * follows an error is not looked at, so at most one error comes, and last.
 */
function runSplit(bytes: Uint8Array): void {
  const rest = Buffer.from(bytes.subarray(2))
  const whole = commands([Buffer.from(rest)])
  const errorAt = whole.findIndex((event) => event.startsWith('error'))
  assert.ok(errorAt === -1 || errorAt === whole.length - 1)
  const chunks: Buffer[] = []
  let state = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0)
  for (let at = 0; at < rest.length;) {
    state = (state * 75 + 74) % 65_537
    const length = 1 + (state % 2 === 0 ? state % 5 : state % 97)
    chunks.push(Buffer.from(rest.subarray(at, at + length)))
    at += length
  }
  const cut = commands(chunks)
  if (cut.join('\n') !== whole.join('\n')) assert.deepEqual(cut, whole)
}

/**
 * Cut once, at each byte in turn: nothing may depend on where one read ends. One execution is some
 * hundred runs of the parser, hence the small share.
 */
function runEverySplit(bytes: Uint8Array): void {
  const rest = Buffer.from(bytes)
  const whole = commands([Buffer.from(rest)]).join('\n')
  for (let at = 1; at < rest.length; at++) {
    const cut = commands([Buffer.from(rest.subarray(0, at)), Buffer.from(rest.subarray(at))])
    if (cut.join('\n') !== whole) assert.equal(cut.join('\n'), whole, `cut at ${at}`)
  }
  const single = commands(Array.from(rest, (byte) => Buffer.from([byte])))
  if (single.join('\n') !== whole) assert.equal(single.join('\n'), whole, 'byte by byte')
}

/** Refused with file and line, or options within their bounds; never anything thrown. */
function runConfig(bytes: Uint8Array): void {
  const text = Buffer.from(bytes).toString()
  const lines = text.split('\n').length
  const result = parseNatsConfig(text, {
    file: 'fuzz.conf',
    readFile: (path) => {
      if (path.endsWith('self.conf')) return 'include self.conf'
      if (path.endsWith('more.conf')) return 'max_payload: 1k'
      throw new Error('no such file')
    },
    env: { SELF: '$SELF', NUMBER: '7', TEXT: '"a b"' },
  })
  if (result.kind === 'refused') {
    assert.ok(result.problems.length > 0)
    for (const { file, line, text: told } of result.problems) {
      assert.ok(told !== '' && line >= 1)
      assert.ok(file !== 'fuzz.conf' || line <= lines, `line ${line} of ${lines}`)
    }
    return
  }
  const { port = 0, limits = {} } = result.options
  assert.ok(Number.isInteger(port) && port >= -1 && port < 65_536)
  for (const value of Object.values(limits)) assert.ok(typeof value === 'number' && value >= 0)
}

/** Rules and questions from bytes; the answers are those of plain comparisons. */
function runPermissions(bytes: Uint8Array): void {
  const [a = 0, b = 0, c = 0, d = 0, kinds = 0, ...asked] = bytes
  const rules: SubjectRules = {
    ...(kinds % 2 === 0 ? { allow: [subjectOf(a), subjectOf(b)] } : {}),
    deny: kinds % 3 === 0 ? [subjectOf(c), subjectOf(d)] : [],
  }
  const permissions = new Permissions({ publish: rules, subscribe: rules })
  for (const byte of asked.slice(0, 30)) {
    const subject = subjectOf(byte)
    const literal = subject.replaceAll('*', 'a').replaceAll('>', 'b')
    const denied = rules.deny?.some((rule) => matches(rule, literal)) === true
    const allowed = rules.allow?.some((rule) => matches(rule, literal)) ?? true
    assert.equal(permissions.mayPublish(literal), allowed && !denied)
    const verdict = permissions.judgeSubscription(subject, '')
    if (verdict.kind === 'refused') continue
    // Whatever a subscription may then receive, its owner was allowed to read.
    for (const one of EXAMPLES) {
      if (!matches(subject, one)) continue
      assert.ok(rules.allow?.some((rule) => matches(rule, one)) ?? true)
      const filtered: boolean = verdict.kind === 'filtered' && verdict.denies(one)
      assert.equal(filtered, rules.deny?.some((rule) => matches(rule, one)) === true)
    }
  }
}

/** Every literal of up to four tokens out of `a`, `b` and one that no rule names. */
const EXAMPLES: readonly string[] = ['a', 'b', 'x'].flatMap((one) => [
  one,
  ...['a', 'c', 'x'].flatMap((two) => [
    `${one}.${two}`,
    ...['a', 'b', 'x'].flatMap((three) => [
      `${one}.${two}.${three}`,
      `${one}.${two}.${three}.a`,
      `${one}.${two}.${three}.x`,
    ]),
  ]),
])

/** Bytes as changes to a tree and questions to it; the answers are those of a plain comparison. */
function runTree(bytes: Uint8Array): void {
  const tree = new SubjectTree<string>()
  const twin = new Set<string>()
  for (let at = 0; at + 2 < bytes.length && at < 300; at += 3) {
    const [kind = 0, tokens = 0, queue = 0] = bytes.subarray(at, at + 3)
    const subject = subjectOf(tokens)
    const group = ['', '', 'q', 'r'][queue % 4] ?? ''
    const value = `${subject} ${group} ${queue % 3}`
    if (kind % 3 === 0) {
      tree.add(subject, group, value)
      twin.add(value)
    } else if (kind % 3 === 1) {
      assert.equal(tree.remove(subject, group, value), twin.delete(value))
    } else {
      const asked = subject.replaceAll('*', 'a').replaceAll('>', 'b')
      const { plain, queues } = tree.match(asked)
      const expected = [...twin].filter((one) => matches(one.split(' ')[0] ?? '', asked))
      assert.equal([...plain, ...queues.flat()].sort().join(), expected.sort().join())
      const groups = new Set(expected.map((one) => one.split(' ')[1]).filter((one) => one !== ''))
      assert.equal(queues.length, groups.size)
    }
    assert.equal(tree.size, twin.size)
  }
  assert.equal(tree.isBare, twin.size === 0)
}

function subjectOf(byte: number): string {
  const tokens = ['a', 'b', '*', 'c']
  const count = 1 + (byte >> 6)
  const parts = Array.from({ length: count }, (_, i) => tokens[(byte >> (2 * i)) & 3] ?? 'a')
  return byte % 5 === 0 ? [...parts.slice(0, 3), '>'].join('.') : parts.join('.')
}

/** By the rule, as a pattern over the whole subject; there are few rules, so each is compiled once. */
function matches(wanted: string, asked: string): boolean {
  let rule = compiled.get(wanted)
  if (rule === undefined) {
    const source = wanted
      .split('.')
      .map((token) => (token === '*' ? '[^.]+' : token === '>' ? '.+' : token))
      .join('\\.')
    rule = new RegExp(`^${source}$`)
    compiled.set(wanted, rule)
  }
  return rule.test(asked)
}

const compiled = new Map<string, RegExp>()

const SUBJECT = /^(?:(?!>\.)[^\s.]+\.)*[^\s.]+$/

function runSubject(bytes: Uint8Array): void {
  // Byte strings: \s of a regular expression also knows blanks that no NATS server does.
  const text = Buffer.from(bytes)
    .toString('latin1')
    .replaceAll(/[\x85\xa0]/g, 'x')
  const valid = SUBJECT.test(text)
  assert.equal(isValidSubject(text), valid)
  if (!valid) return
  const tokens = text.split('.')
  const wildcard = tokens.includes('*') || tokens.at(-1) === '>'
  assert.equal(hasWildcard(text), wildcard)
  assert.equal(isLiteralSubject(text), !wildcard)
}

function runConnect(bytes: Uint8Array): void {
  const options = parseConnect(Buffer.from(bytes).toString(), DEFAULT_CONNECT_OPTIONS)
  if (options === undefined) return
  for (const [name, value] of Object.entries(DEFAULT_CONNECT_OPTIONS)) {
    assert.equal(typeof Reflect.get(options, name), typeof value)
  }
}

/** An address is accepted without its secret, or refused by code and without its secret. */
function runAddress(bytes: Uint8Array): void {
  const url = Buffer.from(bytes).toString()
  try {
    const { servers, login } = parseNatsServers([url])
    if (login.kind !== 'none') assert.ok(!servers.join().includes('@'))
  } catch (error) {
    if (!(error instanceof BusError)) throw error
    if (url.length > 60) assert.ok(!error.message.includes(url))
  }
}

const CONVERSATION =
  'CONNECT {"verbose":false}\r\nSUB foo 1\r\nsub foo.* q 2\nPUB foo 5\r\nhello\r\nPUB foo bar 0\r\n\r\n' +
  'HPUB foo 12 14\r\nNATS/1.0\r\n\r\nhi\r\nUNSUB 1 7\r\nUNSUB 2\r\nPING\r\nPONG\r\n+OK\r\nINFO {}\r\n'

export const targets: readonly FuzzTarget[] = [
  {
    name: 'nats: client commands cut anywhere',
    run: runSplit,
    inputMaxBytes: 512,
    seeds: [
      latin1(`ab${CONVERSATION}`),
      latin1(`zzPUB a 300\r\n${'x'.repeat(300)}\r\nPING\r\n`),
      latin1(`  PUB ${'y'.repeat(199)} 0\r\n\r\n`),
      latin1('xxFOO\r\n'),
    ],
    dictionary: [
      'PUB ',
      'HPUB ',
      'SUB ',
      'UNSUB ',
      'CONNECT ',
      'PING',
      '\r\n',
      '-ERR',
      ' 0',
      '\t',
    ].map(latin1),
  },
  {
    name: 'nats: client commands cut at every byte',
    run: runEverySplit,
    inputMaxBytes: 160,
    seeds: [
      latin1(CONVERSATION.slice(0, 150)),
      latin1('HPUB foo bar 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPUB a 0\r\n\r\nUNSUB 1 7\r\n'),
      latin1('CONNECT {"a":1}\r\nxPUB a 1\r\n'),
    ],
    dictionary: ['PUB ', 'HPUB ', 'SUB ', '\r\n', '-ERR', ' 0', '\t'].map(latin1),
    share: 0.02,
  },
  {
    name: 'nats: configuration files',
    run: runConfig,
    inputMaxBytes: 400,
    seeds: [
      'port: 4222\nhost = "a"; max_payload 1kb # x\nping_interval: "2m"\nA: 1\nport: $A',
      'authorization { timeout: 1, users = [ {user: a, password: $TEXT, permissions: {publish: {allow: ["a.>", b], deny: c}, allow_responses: {max: 3, expires: "1s"}}}, {nkey: U} ] }',
      'include more.conf\ninclude "self.conf"\njetstream { x: (\n a\n)\n}',
      '{"port": -1, "tls": {"cert_file": "x"}, "http": "0.0.0.0:8222"}',
    ].map(latin1),
    dictionary: (
      '{ } [ ] ( ) " $ $SELF $NUMBER include // # users \\x41 no_auth_user: listen: max_conn: ' +
      'lame_duck_duration: permissions'
    )
      .split(' ')
      .concat('\n)')
      .map(latin1),
  },
  {
    name: 'nats: permissions against comparing',
    run: runPermissions,
    inputMaxBytes: 40,
    seeds: [Uint8Array.from({ length: 36 }, (_, i) => (i * 53) % 256), new Uint8Array(12)],
    share: 0.3,
  },
  {
    name: 'nats: subject tree against comparing',
    run: runTree,
    seeds: [Uint8Array.from({ length: 90 }, (_, i) => (i * 37) % 256), new Uint8Array(30)],
    inputMaxBytes: 120,
    share: 0.5,
  },
  {
    name: 'nats: subjects',
    run: runSubject,
    seeds: ['a.b.c', 'a.*.>', '>.a', 'a b', '.', 'a>.b*'].map(latin1),
    dictionary: ['.', '*', '>', ' ', '..', '.>', '*.'].map(latin1),
    inputMaxBytes: 64,
  },
  {
    name: 'nats: CONNECT',
    run: runConnect,
    seeds: [
      '{"verbose":false,"echo":true,"protocol":1,"name":"x"}',
      '{"user":"a","pass":"b","auth_token":"c","nkey":"U","sig":"x","no_responders":true}',
      'null',
      '[]',
    ].map(latin1),
    dictionary: ['"headers":', 'true', 'null', '"__proto__":', '{}', '1e999'].map(latin1),
  },
  {
    name: 'nats: addresses of servers',
    run: runAddress,
    seeds: ['nats://u:hunter2@h:4222', 'tls://[::1]', 'h:1', 'nats://%zz@h'].map(latin1),
    dictionary: ['nats://', 'tls://', '@', ':', '%40', '['].map(latin1),
  },
]
