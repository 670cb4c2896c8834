import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ConfigError } from '../config-error.ts'
import { detectSyntax, readConfigText } from './config-file.ts'

/** Settings as `name@line:column` with their text or items. */
function read(text: string): Record<string, unknown> {
  const { settings } = readConfigText('lb', text)
  const entries = settings.map(({ name, written, origin }) => {
    assert.ok(origin.kind === 'file')
    const value = written.kind === 'text' ? written.text : written
    return [
      `${name}@${origin.line}:${origin.column}`,
      written.kind === 'list' ? written.items : value,
    ]
  })
  return Object.fromEntries(entries)
}

function problemOf(text: string): string {
  try {
    const { problems } = readConfigText('lb', text)
    if (problems.length > 0) return problems.join('\n')
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    return error.message
  }
  return 'accepted'
}

test('the syntax is told by the lines of the file, not by its name', () => {
  const nats = ['nats {', 'nats: {', 'listen = a:1', 'listen a:1', '// a comment', 'nats { # x']
  for (const line of nats) {
    assert.equal(detectSyntax(`# first\n  ${line}\n`).kind, 'nats', line)
  }
  const yaml = [
    '',
    'listen: a:1',
    'listen : a:1',
    'cursors: {stream.partitions: 3}',
    '{\n "nats": {\n  "servers": ["a:1"] } }',
    'nats.servers:\n  - nats://a:1\n  - nats://b:1',
    'nats:\n  servers: ["nats://a:1",\n    "nats://b:1"]',
    'host: a = b',
    '# a = b',
  ]
  for (const text of yaml) assert.equal(detectSyntax(text).kind, 'yaml', text)
})

test('YAML keys may be flat, nested or mixed, in any case', () => {
  const text = [
    'Logging.Level: debug',
    'streams:',
    '  retention.max.age: 24h',
    '  segment: {max.bytes: 1KiB}',
    'cursors: {stream.partitions: 3}',
    'nats.servers: [nats://a:1, "nats://b:2"]',
  ].join('\n')
  assert.deepEqual(read(text), {
    'logging.level@1:1': 'debug',
    'streams.retention.max.age@3:3': '24h',
    'streams.segment.max.bytes@4:13': '1KiB',
    'cursors.stream.partitions@5:11': '3',
    'nats.servers@6:1': ['nats://a:1', 'nats://b:2'],
  })
})

test('YAML values are taken as they are written, not as YAML would compute them', () => {
  assert.deepEqual(read('a: 0123\nb: 1e3\nc: 0x10\nd: 1.50\ne: "5"'), {
    'a@1:1': '0123',
    'b@2:1': '1e3',
    'c@3:1': '0x10',
    'd@4:1': '1.50',
    'e@5:1': '5',
  })
})

test('the NATS-style syntax is read in all its forms', () => {
  const text = [
    '// older file',
    'listen: localhost:9293 # here',
    "data.dir = '/tmp/a b'",
    'log.level debug',
    'nats {',
    '  servers: ["nats://a:1", nats://b:2',
    '    nats://c:3 ] // three',
    '}',
    'log { retention.max.bytes: 10mb; retention.max.messages = 5k, compact true }',
    'clustering: {',
    '  "server.id": "a\\tb"',
    '  raft { logging: on }',
    '}',
  ].join('\n')
  assert.deepEqual(read(text), {
    'listen@2:1': 'localhost:9293',
    'data.dir@3:1': '/tmp/a b',
    'log.level@4:1': 'debug',
    'nats.servers@6:3': ['nats://a:1', 'nats://b:2', 'nats://c:3'],
    'log.retention.max.bytes@9:7': '10485760',
    'log.retention.max.messages@9:34': '5000',
    'log.compact@9:63': 'true',
    'clustering.server.id@11:3': 'a\tb',
    'clustering.raft.logging@12:10': 'on',
  })
})

test('windows line ends and a byte order mark change nothing', () => {
  assert.deepEqual(read('\uFEFFlisten: a:1\r\nhost: b\r\n'), {
    'listen@1:1': 'a:1',
    'host@2:1': 'b',
  })
  assert.deepEqual(read('\uFEFFnats {\r\n  user: a\r\n}\r\n'), { 'nats.user@2:3': 'a' })
})

test('a name given twice is an error in both syntaxes, however it is nested', () => {
  for (const text of [
    'host: a\nhost: b',
    'host: a\nHOST: b',
    'nats.user: a\nnats: {user: b}',
    'nats: {user: a}\nnats: {password: b}',
    'host = a\nhost = b',
    'nats { user: a }\nnats { password: b }',
    'nats { user: a }\nnats.user: b',
  ]) {
    assert.match(problemOf(text), /lb:2:\d+: .* is given twice, first at lb:1:\d+: keep one/, text)
  }
})

test('an error says which syntax was assumed, and why', () => {
  assert.match(problemOf('a: [b'), /^Failed to load configuration file: lb \(read as YAML\)\n/)
  assert.match(
    problemOf('listen: a:1\nnats {\n'),
    /^Failed to .*: lb \(read as the older NATS-style syntax because of line 2: nats \{\)\nlb:2:6: this "\{" is never closed/,
  )
})

test('a mistake of syntax is shown with its place', () => {
  const examples: readonly (readonly [text: string, problem: RegExp])[] = [
    ['- a', /lb:1:1: expected settings of the form "key: value"/],
    ['a: {b: [c]}\nd: [[e]]', /lb:2:5: a list holds plain values only/],
    ['a: "b', /lb:1:6: Missing closing "quote/],
    ['a: 1\n---\nb: 2', /lb:2:1: .*multiple documents/],
    ['a: *b', /lb:1:4: an alias without an anchor/],
    ['? [a]\n: b', /lb:1:3: a key must be a plain name/],
    ['a = "b', /lb:1:5: this quote is never closed on its line/],
    ['a = "\\q"', /lb:1:6: unknown escape/],
    ['a = [1, {b: 2}]', /lb:1:9: a list holds plain values only/],
    ['a = [1', /lb:1:5: this "\[" is never closed/],
    ['a = b c', /lb:1:7: expected the end of the line/],
    ['a = 1\n}', /lb:2:1: a "\}" without a "\{"/],
    ['a = 1\n= 2', /lb:2:1: expected the name of a key/],
    ['a = 1\ninclude other.conf', /lb:2:1: include is not supported/],
    ['a = $B', /lb:1:5: variables are not supported/],
  ]
  for (const [text, problem] of examples) assert.match(problemOf(text), problem, text)
})

test('no error repeats a value, which may be a password [A6]', () => {
  for (const text of [
    'nats.password = "hunter2',
    'nats.password = $hunter2',
    'nats.password = hunter2 hunter2',
    'nats.password hunter2\n}',
    'nats.password: *hunter2',
    'nats.password: !hunter2 x',
    'nats.password: @hunter2',
    'nats.password: "hunter2',
    'nats.password: [hunter2',
    'nats.password: {hunter2}}',
    ' : \nnats.password: hunter2',
    'nats.password: "\\xhunter2"',
    'nats.password: |hunter2',
  ]) {
    const problem = problemOf(text)
    assert.notEqual(problem, 'accepted', text)
    assert.doesNotMatch(problem, /hunter2/, text)
  }
})

test('aliases that multiply are stopped', () => {
  const names = 'a b c d e f g h i'.split(' ')
  const bomb = names.map((name, index) => {
    const items = Array.from({ length: 9 }, (_, key) => `k${key}: *${names[index - 1]}`).join(', ')
    return `${name}: &${name} ${index === 0 ? '{x: 1}' : `{${items}}`}`
  })
  assert.match(problemOf(bomb.join('\n')), /more than 10000 values/)
  assert.match(problemOf('a: &a {b: *a}'), /nested too deeply/)
})

test('a file full of aliases is read in linear time', () => {
  const lines = Array.from({ length: 12_000 }, (_, at) => `b${at}: *a`)
  const startedMs = performance.now()
  assert.match(problemOf(['a: &a [x]', ...lines].join('\n')), /more than 10000 values/)
  // Half a second on an idle machine; with the library's own look-up it is half a minute.
  assert.ok(performance.now() - startedMs < 15_000)
})

test('deep nesting is refused in both syntaxes and exhausts no stack', () => {
  for (const text of ['['.repeat(20_000), '{a: '.repeat(10_000), 'a {\n'.repeat(60_000)]) {
    assert.match(problemOf(text), /nested too deeply/)
  }
})

test('no text brings out anything but settings or a ConfigError', () => {
  const piece = fc.constantFrom(
    ...'a nats . : = { } [ ] " \' \\ # // , ; - &a *a !t | > % --- $x 1 10kb'.split(' '),
    ' ',
    '\n',
    '\t',
    '\uFEFF',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => void problemOf(pieces.join(''))),
    { numRuns: 1000 },
  )
})

test('settings written in either syntax are read back the same', () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9]{0,8}(\.[a-z]{1,5}){0,2}$/)
  const value = fc.stringMatching(/^[ -~]{1,20}$/)
  const settings = fc.uniqueArray(fc.tuple(name, value), {
    minLength: 1,
    maxLength: 8,
    selector: ([key]) => key,
  })
  fc.assert(
    fc.property(settings, (pairs) => {
      for (const separator of [': ', ' = ']) {
        const text = pairs.map(([key, item]) => `${key}${separator}${JSON.stringify(item)}`)
        const { settings: back } = readConfigText('lb', text.join('\n'))
        const texts = back.map(({ written }) => (written.kind === 'text' ? written.text : ''))
        assert.deepEqual(
          texts,
          pairs.map(([, item]) => item),
        )
      }
    }),
  )
})
