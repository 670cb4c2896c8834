import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { findNatsServer, startNatsServer } from '../../../nats/src/debian-server.suite.ts'
import type { BusStatus } from '../bus.ts'
import { bytes, Mailbox, settle } from './bus-mailbox.suite.ts'
import { connectNatsBus, type NatsBusOptions } from './nats-bus.ts'

const program = findNatsServer()
const skip = program === undefined ? 'nats-server is not installed' : false

/** Runs `use` against a nats-server with these arguments. */
async function withNats(
  args: readonly string[],
  use: (port: number) => Promise<void>,
): Promise<void> {
  const nats = await startNatsServer(program ?? '', -1, args)
  try {
    await use(nats.port)
  } finally {
    await nats.stop()
  }
}

/** The bus works: what it publishes comes back. */
async function assertWorks(
  options: Pick<NatsBusOptions, 'servers' | 'login' | 'tls'>,
): Promise<void> {
  const bus = await connectNatsBus({
    ...options,
    name: 'login',
    echo: true,
    signal: AbortSignal.timeout(5000),
  })
  const box = new Mailbox()
  bus.subscribe('works', box.handler)
  bus.publish('works', bytes('yes'))
  await settle(bus)
  assert.deepEqual(box.texts, ['yes'])
  await bus.close()
}

/** The bus does not get in; returns what it said meanwhile. */
async function refused(
  options: Pick<NatsBusOptions, 'servers' | 'login' | 'tls'>,
): Promise<string> {
  const statuses: BusStatus[] = []
  const aborted = new AbortController()
  const waiting = connectNatsBus({
    ...options,
    name: 'refused',
    // A server that misses a client's certificate hangs up in a way the library waits out.
    connectTimeoutMs: 300,
    echo: true,
    reconnectWaitMs: 5,
    signal: aborted.signal,
    onStatus: (status) => {
      statuses.push(status)
      if (statuses.length === 2) aborted.abort()
    },
  })
  await assert.rejects(waiting, { code: 'closed' })
  assert.ok(statuses.every((status) => status.kind === 'disconnected'))
  return JSON.stringify(statuses)
}

describe('logging in', { skip, timeout: 20_000 }, () => {
  test('by user and password, from options or from the URL', () =>
    withNats(['--user', 'u', '--pass', '12:34@secret'], async (port) => {
      const login = { kind: 'password', user: 'u', password: '12:34@secret' } as const
      await assertWorks({ servers: [`127.0.0.1:${port}`], login })
      const encoded = encodeURIComponent(login.password)
      await assertWorks({ servers: [`nats://u:${encoded}@127.0.0.1:${port}`] })
      // Options take the place of what the URL says.
      await assertWorks({ servers: [`nats://u:wrong@127.0.0.1:${port}`], login })
      const said = await refused({ servers: [`nats://u:wrong-secret@127.0.0.1:${port}`] })
      assert.match(said, /Authorization Violation/i)
      assert.doesNotMatch(said, /secret/)
    }))

  test('by token', () =>
    withNats(['--auth', 'sesame'], async (port) => {
      const servers = [`127.0.0.1:${port}`]
      await assertWorks({ servers, login: { kind: 'token', token: 'sesame' } })
      await assertWorks({ servers: [`nats://sesame@127.0.0.1:${port}`] })
      assert.match(await refused({ servers }), /Authorization Violation/i)
    }))

  test('a wrong password put right while waiting lets the bus in', async () => {
    const first = await startNatsServer(program ?? '', -1, ['--user', 'u', '--pass', 'old'])
    let failures = 0
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiting = connectNatsBus({
      servers: [`nats://u:new@127.0.0.1:${first.port}`],
      name: 'patient',
      echo: false,
      reconnectWaitMs: 5,
      onStatus: (status) => {
        if (status.kind === 'disconnected' && ++failures === 2) resolve()
      },
    })
    await promise
    await first.stop()
    const second = await startNatsServer(program ?? '', first.port, [
      '--user',
      'u',
      '--pass',
      'new',
    ])
    const bus = await waiting
    await bus.flush()
    await bus.close()
    await second.stop()
  })
})

const OPENSSL = 'openssl'
const tlsSkip = spawnSync(OPENSSL, ['version']).status === 0 ? skip : 'openssl is not installed'

describe('TLS', { skip: tlsSkip, timeout: 20_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'nats-bus-'))
  after(() => rmSync(folder, { recursive: true }))
  const path = (name: string): string => join(folder, name)
  if (tlsSkip === false) makeCertificates(path)
  const serverArgs = ['--tls', '--tlscert', path('server.pem'), '--tlskey', path('server.key')]

  test('with the right authority, and not without it', () =>
    withNats(serverArgs, async (port) => {
      const servers = [`tls://127.0.0.1:${port}`]
      await assertWorks({ servers, tls: { caFile: path('ca.pem') } })
      await assertWorks({ servers: [`127.0.0.1:${port}`], tls: { caFile: path('ca.pem') } })
      assert.match(await refused({ servers }), /certificate/)
    }))

  test('with a certificate of its own where the server asks for one', () =>
    withNats([...serverArgs, '--tlsverify', '--tlscacert', path('ca.pem')], async (port) => {
      const servers = [`127.0.0.1:${port}`]
      const caFile = path('ca.pem')
      const [certFile, keyFile] = [path('client.pem'), path('client.key')]
      await assertWorks({ servers, tls: { caFile, certFile, keyFile } })
      await refused({ servers, tls: { caFile } })
    }))

  test('is not given up when the server has none', () =>
    withNats([], async (port) => {
      const said = await refused({ servers: [`tls://127.0.0.1:${port}`] })
      assert.match(said, /tls/)
    }))
})

/** An authority, a server certificate for 127.0.0.1 and a client certificate, for a day. */
function makeCertificates(path: (name: string) => string): void {
  const run = (...args: readonly string[]): void => {
    const { status, stderr } = spawnSync(OPENSSL, args, { encoding: 'utf8' })
    assert.equal(status, 0, stderr)
  }
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1']
  const files = (name: string): string[] => [
    '-keyout',
    path(`${name}.key`),
    '-out',
    path(`${name}.pem`),
  ]
  run('req', '-x509', ...key, ...files('ca'), '-subj', '/CN=test authority')
  const signed = ['-CA', path('ca.pem'), '-CAkey', path('ca.key')]
  const server = ['-subj', '/CN=server', '-addext', 'subjectAltName=IP:127.0.0.1']
  const leaf = ['-addext', 'basicConstraints=critical,CA:FALSE']
  run('req', '-x509', ...key, ...files('server'), ...signed, ...server, ...leaf)
  run('req', '-x509', ...key, ...files('client'), ...signed, '-subj', '/CN=client', ...leaf)
}
