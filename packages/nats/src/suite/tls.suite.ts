import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectSocket, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { connect, type NodeConnectionOptions } from '@nats-io/transport-node'
import { QUIET, RawClient } from './raw-client.suite.ts'
import type { RunningServer, ServerProgram } from './server-programs.suite.ts'

const skip = spawnSync('openssl', ['version']).status === 0 ? false : 'openssl is not installed'

/** TLS, with and without certificates of clients. */
export function tlsSuite(program: ServerProgram): void {
  describe('TLS', { skip, concurrency: 4, timeout: 30_000 }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'nats-tls-'))
    after(() => rmSync(folder, { recursive: true }))
    const path = (name: string): string => join(folder, name)
    if (skip === false) makeCertificates(path)
    new TlsCases(program, path).declare()
  })
}

class TlsCases {
  readonly #program: ServerProgram
  readonly #path: (name: string) => string

  constructor(program: ServerProgram, path: (name: string) => string) {
    this.#program = program
    this.#path = path
  }

  declare(): void {
    test('a client that knows the authority connects', () =>
      this.#with('', async (server) => {
        const link = await this.#connect(server)
        assert.equal(link.info?.tls_required, true)
        await link.flush()
        await link.close()
      }))
    test('one that does not know it refuses', () =>
      this.#with('', async (server) => {
        await assert.rejects(this.#connect(server, { tls: {} }), /certificate/i)
      }))
    test('one without TLS is not served', () =>
      this.#with('timeout: 0.3', async (server) => {
        const client = await RawClient.open({ host: '127.0.0.1', port: server.port }, '')
        client.send(`${QUIET}PING\r\n`)
        assert.ok(!(await client.untilClosed()).includes('PONG'))
      }))
    test('one that never begins the handshake is cut', () =>
      this.#with('timeout: 0.2', async (server) => {
        const client = await RawClient.open({ host: '127.0.0.1', port: server.port }, '')
        await client.untilClosed()
      }))
    test('large messages pass', () =>
      this.#with('', async (server) => {
        const [from, to] = await Promise.all([this.#connect(server), this.#connect(server)])
        const got = to.subscribe('large', { max: 20 })
        await to.flush()
        for (let i = 0; i < 20; i++) from.publish('large', new Uint8Array(500_000).fill(i))
        let i = 0
        for await (const { data } of got) assert.ok(data.length === 500_000 && data[0] === i++)
        assert.equal(i, 20)
        await Promise.all([from.close(), to.close()])
      }))
    this.#clientCertificates()
    this.#optional()
    test('with the handshake first, INFO comes behind it', { skip: this.#notTheirs }, () =>
      this.#with('handshake_first: true', async (server) => {
        const tls = { ...this.#ca, handshakeFirst: true }
        const link = await this.#connect(server, { tls })
        await link.flush()
        await link.close()
        const socket = connectSocket(server.port, '127.0.0.1')
        assert.equal(await firstBytes(socket), '')
      }),
    )
  }

  #clientCertificates(): void {
    const verify = `verify: true\nca_file: "${this.#path('ca.pem')}"`
    test('who must show a certificate shows it', () =>
      this.#with(verify, async (server) => {
        const link = await this.#connect(server, { tls: { ...this.#ca, ...this.#pair('client') } })
        assert.equal(link.info?.tls_verify, true)
        await link.flush()
        await link.close()
      }))
    test('without one it is refused', () =>
      this.#with(verify, async (server) => {
        await assert.rejects(this.#connect(server))
      }))
    test('one of another authority is refused', () =>
      this.#with(verify, async (server) => {
        const tls = { ...this.#ca, ...this.#pair('stranger') }
        await assert.rejects(this.#connect(server, { tls }))
      }))
    const users = `authorization { users = [
      {user: "ann@example.org", password: "", permissions: {publish: "ann.>"}}
      {user: "CN=plain,O=Test", password: "", permissions: {publish: "plain.>"}} ] }`
    const map = `verify_and_map: true\nca_file: "${this.#path('ca.pem')}"`
    for (const [name, allowed] of [
      ['client', 'ann.a'],
      ['plain', 'plain.a'],
    ] as const) {
      test(`the certificate ${name} says who its owner is`, () =>
        this.#with(
          map,
          async (server) => {
            const link = await this.#connect(server, { tls: { ...this.#ca, ...this.#pair(name) } })
            const told = (async () => {
              for await (const status of link.status()) {
                if (status.type === 'error') return String(status.error)
              }
              return ''
            })()
            link.publish(allowed)
            link.publish('other.a')
            assert.match(await told, /Publish to "other\.a"/i)
            await link.close()
          },
          users,
        ))
    }
    test('a certificate of nobody is refused', () =>
      this.#with(
        map,
        async (server) => {
          const tls = { ...this.#ca, ...this.#pair('nobody') }
          await assert.rejects(this.#connect(server, { tls }), /Authorization Violation/i)
        },
        users,
      ))
  }

  #optional(): void {
    test('where TLS may be left out, both ways work', () =>
      this.#with(
        '',
        async (server) => {
          const [plain, secure] = await Promise.all([
            RawClient.open({ host: '127.0.0.1', port: server.port }, `${QUIET}SUB a 1\r\n`),
            this.#connect(server),
          ])
          assert.match(plain.info, /"tls_available":true/)
          await plain.untilPong()
          secure.publish('a', 'x')
          await plain.takeUpTo('MSG a 1 1\r\nx\r\n')
          await Promise.all([plain.close(), secure.close()])
        },
        'allow_non_tls: true',
      ))
  }

  /** handshake_first came with nats-server 2.10. */
  get #notTheirs(): string | false {
    return this.#program.ours ? false : 'nats-server 2.9 has no handshake_first'
  }

  get #ca(): { ca: string } {
    return { ca: readFileSync(this.#path('ca.pem'), 'utf8') }
  }

  #pair(name: string): { cert: string; key: string } {
    const read = (kind: string): string => readFileSync(this.#path(`${name}.${kind}`), 'utf8')
    return { cert: read('pem'), key: read('key') }
  }

  #connect(server: RunningServer, options: NodeConnectionOptions = {}): ReturnType<typeof connect> {
    const servers = `127.0.0.1:${server.port}`
    return connect({ servers, tls: this.#ca, reconnect: false, ...options })
  }

  async #with(
    tls: string,
    body: (server: RunningServer) => Promise<void>,
    more = '',
  ): Promise<void> {
    const files = `cert_file: "${this.#path('server.pem')}"\nkey_file: "${this.#path('server.key')}"`
    const server = await this.#program.start(`tls {\n${files}\n${tls}\n}\n${more}`)
    try {
      await body(server)
    } finally {
      await server.stop()
    }
  }
}

/** What a server says to one who says nothing, until the next turn of its event loop. */
async function firstBytes(socket: Socket): Promise<string> {
  let said = ''
  socket.on('data', (bytes) => (said += bytes.toString('latin1')))
  await new Promise((resolve) => socket.once('connect', resolve))
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
  socket.destroy()
  return said
}

function makeCertificates(path: (name: string) => string): void {
  const openssl = (...args: string[]): unknown =>
    execFileSync('openssl', args, { stdio: 'ignore', cwd: path('') })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  for (const ca of ['ca', 'other']) {
    const files = ['-keyout', `${ca}.key`, '-out', `${ca}.pem`]
    openssl('req', '-x509', ...key, ...files, '-days', '2', '-subj', `/CN=${ca}`)
  }
  for (const [name, ca, subject, names] of [
    ['server', 'ca', '/CN=server', 'IP:127.0.0.1,DNS:localhost'],
    ['client', 'ca', '/CN=client', 'email:ann@example.org'],
    ['plain', 'ca', '/O=Test/CN=plain', ''],
    ['nobody', 'ca', '/CN=nobody', 'email:eve@example.org'],
    ['stranger', 'other', '/CN=client', 'email:ann@example.org'],
  ] as const) {
    writeFileSync(path('names'), names === '' ? '' : `subjectAltName=${names}\n`)
    openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', subject)
    const signer = ['-CA', `${ca}.pem`, '-CAkey', `${ca}.key`, '-CAcreateserial', '-days', '2']
    const files = ['-in', `${name}.csr`, '-out', `${name}.pem`, '-extfile', 'names']
    openssl('x509', '-req', ...files, ...signer)
  }
}
