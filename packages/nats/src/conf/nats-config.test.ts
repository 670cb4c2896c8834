import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NatsServerOptions } from '../server.ts'
import { formatNatsConfigProblems, parseNatsConfig, type NatsConfigResult } from './nats-config.ts'

const FILES: Readonly<Record<string, string>> = {
  '/etc/nats/users.conf': 'users = [ {user: ann, password: $SECRET} ]',
  '/etc/nats/self.conf': 'include self.conf',
  '/etc/nats/sub/port.conf': 'port: 4333\ninclude "deeper.conf"',
  '/etc/nats/sub/deeper.conf': 'max_payload: 2kb',
  '/etc/nats/broken.conf': 'a: 1\nport: {',
}

function parse(text: string, env: Record<string, string> = {}): NatsConfigResult {
  return parseNatsConfig(text, {
    file: '/etc/nats/nats.conf',
    readFile: (path) => {
      const found = FILES[path]
      if (found === undefined) throw new Error('no such file')
      return found
    },
    env,
  })
}

function options(text: string, env?: Record<string, string>): NatsServerOptions {
  const result = parse(text, env)
  if (result.kind === 'refused') throw new Error(formatNatsConfigProblems(result.problems))
  return result.options
}

function problems(text: string, env?: Record<string, string>): string {
  const result = parse(text, env)
  assert.equal(result.kind, 'refused', text)
  return formatNatsConfigProblems(result.kind === 'refused' ? result.problems : [])
}

test('every way to write an entry is read', () => {
  const text = `
    # a comment
    // another one
    port: 4333 # behind a value
    server_name = "the \\"one\\"\\x21\\n"
    max_connections 12; max_subs: 13, ping_max: 3
    "write_deadline": '5s'
    PING_INTERVAL: 30 // seconds
    authorization{ user: me, pass: 'a b' }
    lame_duck_duration: 1m30s
  `
  const found = options(text)
  assert.equal(found.port, 4333)
  assert.equal(found.name, 'the "one"!\n')
  assert.deepEqual(found.limits, {
    maxConnections: 12,
    maxSubscriptions: 13,
    pingMax: 3,
    writeDeadlineMs: 5000,
    pingIntervalMs: 30_000,
  })
  assert.deepEqual(found.auth?.users, [{ user: 'me', password: 'a b' }])
  assert.equal(found.lameDuck?.durationMs, 90_000)
})

test('JSON is read too', () => {
  assert.equal(options('{"port": 4333, "server_name": "one"}\n').port, 4333)
  assert.match(problems('{"port": 4333} port: 1'), /nothing can follow here/)
})

test('a text may be a block of lines', () => {
  assert.equal(options('server_name (\n  a } b\n  c\n  )\nport: 4333').name, 'a } b\n  c')
  assert.match(problems('server_name (\n a'), /nats\.conf:1: .*no line of "\)" alone/)
})

for (const [text, bytes] of [
  ['100', 100],
  ['1k', 1000],
  ['1kb', 1024],
  ['1Ki', 1024],
  ['1KiB', 1024],
  ['1m', 1_000_000],
  ['1MB', 1_048_576],
] as const) {
  test(`the size ${text} is ${bytes}`, () => {
    assert.equal(options(`max_payload: ${text}`).limits?.maxPayloadBytes, bytes)
  })
}

for (const [text, ms] of [
  ['2', 2000],
  ['0.5', 500],
  ['"250ms"', 250],
  ['1h', 3_600_000],
  ['1m0.5s', 60_500],
] as const) {
  test(`the duration ${text} is ${ms} ms`, () => {
    assert.equal(options(`ping_interval: ${text}`).limits?.pingIntervalMs, ms)
  })
}

for (const [text, host, port] of [
  ['listen: "0.0.0.0:4333"', '0.0.0.0', 4333],
  ['listen: 127.0.0.1:-1', '127.0.0.1', -1],
  ['listen: "[::1]:4333"', '::1', 4333],
  ['listen: 4333', undefined, 4333],
  ['listen: :4333', undefined, 4333],
  ['host: localhost\nport: 4333', 'localhost', 4333],
  ['net: localhost', 'localhost', undefined],
] as const) {
  test(`${JSON.stringify(text)} listens on ${host}:${port}`, () => {
    const found = options(text)
    assert.equal(found.host, host)
    assert.equal(found.port, port)
  })
}

test('variables come from the blocks around, then from the environment', () => {
  const text = `
    PORT: 4333
    port: $PORT
    authorization {
      inner: "not this"
      users = [ {user: $NAME, password: $inner}, { user: b, password: $WORD } ]
    }
  `
  const found = options(text, { NAME: 'ann', WORD: '"quoted"', PORT: '1' })
  assert.equal(found.port, 4333)
  assert.deepEqual(found.auth?.users?.[0], { user: 'ann', password: 'not this' })
  assert.equal(
    problems('port: 1\nserver_name: $NOBODY'),
    '/etc/nats/nats.conf:2: $NOBODY is neither set above nor in the environment',
  )
  assert.match(problems('server_name: $A', { A: '$B', B: '$A' }), /too much is included/)
})

test('a bcrypt hash needs no quotes', () => {
  const hash = `$2a$11$${'x'.repeat(53)}`
  assert.equal(options(`authorization { token: ${hash} }`).auth?.token, hash)
})

test('includes are looked for beside the file that names them', () => {
  const found = options('include sub/port.conf\nauthorization { include users.conf }', {
    SECRET: 's3',
  })
  assert.equal(found.port, 4333)
  assert.equal(found.limits?.maxPayloadBytes, 2048)
  assert.deepEqual(found.auth?.users, [{ user: 'ann', password: 's3' }])
  assert.match(problems('include self.conf'), /self\.conf:1: .*include itself/)
  assert.equal(
    problems('port: 1\ninclude "gone.conf"'),
    '/etc/nats/nats.conf:2: cannot include gone.conf: no such file',
  )
  assert.match(problems('include broken.conf'), /broken\.conf:2: .*not closed by "\}"/)
})

test('users have permissions, their own or the default ones', () => {
  const text = `authorization {
    timeout: 1
    default_permissions { subscribe: "dflt.>" }
    users = [
      { user: a, password: b, permissions: {
          publish: { allow: ["x.*", y], deny: "x.no" }
          subscribe: ["q.a workers.*"]
          allow_responses: { max: 5, expires: "1m" } } }
      { user: c, password: d }
      { nkey: UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4
        permissions: { allow_responses: true } }
    ]
  }
  no_auth_user: c`
  assert.deepEqual(options(text).auth, {
    timeoutMs: 1000,
    noAuthUser: 'c',
    users: [
      {
        user: 'a',
        password: 'b',
        permissions: {
          publish: { allow: ['x.*', 'y'], deny: ['x.no'] },
          subscribe: { allow: ['q.a workers.*'] },
          responses: { maxMessages: 5, expiresMs: 60_000 },
        },
      },
      { user: 'c', password: 'd', permissions: { subscribe: { allow: ['dflt.>'] } } },
      {
        nkey: 'UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4',
        permissions: { responses: { maxMessages: 1, expiresMs: 120_000 } },
      },
    ],
  })
})

test('monitoring is on the host of the server unless it names its own', () => {
  assert.deepEqual(options('http_port: 8222').monitor, { port: 8222 })
  assert.deepEqual(options('host: "::1"\nmonitor_port: -1').monitor, { port: -1, host: '::1' })
  assert.deepEqual(options('http: 0.0.0.0:8222\nhttp_base_path: nats').monitor, {
    port: 8222,
    host: '0.0.0.0',
    basePath: '/nats',
  })
  assert.equal(options('http_port: 0').monitor, undefined)
})

test('no limit is no limit', () => {
  assert.deepEqual(options('max_connections: -1\nmax_subscriptions: 0').limits, {
    maxConnections: Infinity,
    maxSubscriptions: Infinity,
  })
})

test('what has no effect here is told, and is no mistake', () => {
  const result = parse('debug: true\nlog_file: "/tmp/x"')
  assert.equal(result.kind, 'config')
  assert.deepEqual(
    result.kind === 'config' && result.ignored.map(({ line, text }) => `${line} ${text}`),
    [
      '1 debug has no effect on the embedded server',
      '2 log_file has no effect on the embedded server',
    ],
  )
})

const FOREIGN: Readonly<Record<string, string>> = {
  clusters: 'cluster',
  gateways: 'gateway',
  'leaf nodes': 'leafnodes leaf',
  JetStream: 'jetstream store_dir default_js_domain',
  accounts: 'accounts system_account system no_system_account',
  'operators and JWTs':
    'operator operators trusted trusted_keys resolver resolvers resolver_preload resolver_tls ' +
    'account_resolver root roots',
  WebSocket: 'websocket ws',
  MQTT: 'mqtt',
  'subject mapping': 'mappings maps',
  OCSP: 'ocsp ocsp_cache',
}

for (const [what, names] of Object.entries(FOREIGN)) {
  for (const name of names.split(' ')) {
    test(`${name} is refused by name, with what to do instead`, () => {
      const instead = `the embedded server has no ${what}; run nats-server and point nats.servers at it`
      const text = problems(`port: 1\n${name} { enabled: true }`)
      assert.equal(text, `/etc/nats/nats.conf:2: ${name}: ${instead}`)
    })
  }
}

test('JetStream that is off is no reason to refuse', () => {
  assert.equal(parse('jetstream: false').kind, 'config')
})

test('all mistakes are told at once, in the order of lines', () => {
  const text = `porrt: 1
    ping_max: x
    authorization { usr: a }
    max_payload: 1.5
    write_deadline: "soon"
    zzzz: 1
    jetstream: on
    listen: "a:b:c"
    tls: on`
  assert.equal(
    problems(text).replaceAll('/etc/nats/nats.conf:', ''),
    [
      '1: unknown setting "porrt"; did you mean port?',
      '2: ping_max must be a whole number from 1 to 1000',
      '3: unknown setting "usr" in authorization; did you mean user?',
      '4: max_payload must be a whole number from 1 to 67108864',
      '5: write_deadline must be a duration like "2s", "1m30s" or "500ms"',
      '6: unknown setting "zzzz"',
      '7: jetstream: the embedded server has no JetStream; run nats-server and point nats.servers at it',
      '8: listen must be host:port',
      '9: tls must be a block { … }',
    ].join('\n'),
  )
})

for (const [text, expected] of [
  ['authorization { token: a, user: b, password: c }', /takes one of token/],
  ['authorization { user: b }', /user and password belong together/],
  ['authorization { users: [ {user: a, password: b}, {user: a, password: c} ] }', /there twice/],
  ['authorization { users: [ {user: a} ] }', /belong together/],
  ['authorization { users: [ {} ] }', /needs user and password, or nkey/],
  ['authorization { users: [ {nkey: UABC} ] }', /public key of a user/],
  ['authorization { users: [ a ] }', /must be a block/],
  [
    'authorization { users: [ {user: a, password: b, permissions: {publish: "a..b"}} ] }',
    /no subject to publish/,
  ],
  [
    'authorization { users: [ {user: a, password: b, permissions: {publish: "a q"}} ] }',
    /no subject to publish/,
  ],
  [
    'authorization { users: [ {user: a, password: b, permissions: {publsh: "a"}} ] }',
    /did you mean publish/,
  ],
  ['no_auth_user: x', /must be one of authorization\.users/],
  ['tls { cert_file: a }', /tls\.cert_file: no such file/],
  ['tls { verify: true }', /needs cert_file and key_file/],
  ['https_port: 1', /https needs the block tls/],
  ['max_pending: 1k\nmax_payload: 2k', /must not be less/],
  ['port: 70000', /port must be a whole number from -1 to 65535/],
  ['port: ', /expected a value/],
  ['port', /expected a value/],
  ['port: 1 2', /expected the end of the line/],
  ['a { b', /expected a value/],
  ['a [ 1, 2', /not closed by "\]"/],
  ['}', /without its "\{"/],
  ['server_name: "abc', /has no end/],
  ['server_name: "\\q"', /unknown escape/],
  ['= 1', /expected a key/],
  [`a ${'['.repeat(40)}`, /nested more than 32 deep/],
] as const) {
  test(`${JSON.stringify(text.slice(0, 60))} is refused with its place`, () => {
    const told = problems(text)
    assert.match(told, expected)
    assert.match(told, /^\/etc\/nats\/nats\.conf:\d+: /)
  })
}
