import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import { IncomingMessage, ServerResponse } from 'node:http'
import { get, request } from 'node:https'
import { connect, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { Port, type PortOptions } from './port.ts'
import { HealthPages, type ReadinessCheck } from './readiness.ts'

const GOOD: ReadinessCheck = { name: 'nats', ok: true, detail: '' }
const BAD: ReadinessCheck = { name: 'nats', ok: false, detail: 'not connected' }

type Opened = {
  readonly port: Port
  readonly number: number
  /** Connections that were handed over as HTTP/2. */
  readonly http2: () => number
  checks: readonly ReadinessCheck[]
}

async function open(t: TestContext, options: Partial<PortOptions> = {}): Promise<Opened> {
  const sessions = createHttp2Server((_request, response) => response.end('two'))
  let handedOver = 0
  let nowMs = 0
  const opened: { checks: readonly ReadinessCheck[] } = { checks: [GOOD] }
  const port = new Port({
    host: '127.0.0.1',
    port: 0,
    firstBytesTimeoutMs: 10_000,
    maxConnections: 100,
    onHttp2: (socket) => {
      handedOver++
      sessions.emit('connection', socket)
    },
    // No two questions fall into one check.
    onHttp1: new HealthPages({ checks: () => opened.checks, nowMs: () => (nowMs += 1_000) })
      .onHttp1,
    ...options,
  })
  t.after(() => port.destroy())
  const { port: number } = await port.listen()
  return Object.assign(opened, { port, number, http2: () => handedOver })
}

async function dial(t: TestContext, port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  socket.on('error', () => undefined)
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** All that comes until the other side closes. */
function toClose(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    socket.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')))
    socket.once('close', () => resolve(text))
  })
}

/** A client sees the end of a connection a little before the server has forgotten it. */
async function noConnections(port: Port): Promise<void> {
  while (port.connections > 0) await new Promise((resolve) => setImmediate(resolve))
}

/** Sends each byte in a packet of its own, as far as that can be had. */
async function trickle(socket: Socket, text: string): Promise<void> {
  for (const byte of text) {
    await new Promise((resolve) => socket.write(byte, 'latin1', resolve))
    await new Promise((resolve) => setImmediate(resolve))
  }
}

async function ask(t: TestContext, port: number, text: string): Promise<string> {
  const socket = await dial(t, port)
  const answer = toClose(socket)
  socket.write(`${text}\r\nHost: x\r\nConnection: close\r\n\r\n`)
  return answer
}

function http2Request(session: ReturnType<typeof connectHttp2>): Promise<string> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':path': '/' })
    let body = ''
    stream.on('data', (bytes: Buffer) => (body += bytes.toString()))
    stream.on('end', () => resolve(body))
    stream.on('error', reject)
    session.once('error', reject)
  })
}

test('HTTP/2 with prior knowledge is told from HTTP/1.1, also when bytes come one by one', async (t) => {
  const { number, http2 } = await open(t)
  const slow = await dial(t, number)
  const settings = once(slow, 'data')
  await trickle(slow, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  slow.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]))
  const [frame] = (await settings) as [Buffer]
  assert.equal(frame[3], 4, 'the server answers with SETTINGS')
  assert.equal(http2(), 1)
  for (const method of ['GET', 'POST', 'PUT', 'HEAD', 'PATCH']) {
    const socket = await dial(t, number)
    const answer = toClose(socket)
    await trickle(socket, `${method} /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    const served = method === 'GET' || method === 'HEAD'
    assert.match(await answer, served ? /^HTTP\/1.1 200 / : /^HTTP\/1.1 405 /, method)
  }
  assert.equal(http2(), 1)
})

test('an HTTP/2 client is served over a sniffed connection', async (t) => {
  const { number } = await open(t)
  const session = connectHttp2(`http://127.0.0.1:${number}`)
  t.after(() => session.destroy())
  assert.equal(await http2Request(session), 'two')
})

test('/healthz is 200; /readyz is 200 or 503 and names what is missing', async (t) => {
  const opened = await open(t)
  assert.match(await ask(t, opened.number, 'GET /healthz HTTP/1.1'), /^HTTP\/1.1 200 .*"ok"/s)
  assert.match(await ask(t, opened.number, 'GET /readyz?verbose HTTP/1.1'), /^HTTP\/1.1 200 /)
  opened.checks = [GOOD, BAD]
  const down = await ask(t, opened.number, 'GET /readyz HTTP/1.1')
  assert.match(down, /^HTTP\/1.1 503 .*"ready":false.*not connected/s)
  assert.match(await ask(t, opened.number, 'GET /healthz HTTP/1.1'), /^HTTP\/1.1 200 /)
  assert.match(await ask(t, opened.number, 'GET /other HTTP/1.1'), /^HTTP\/1.1 404 .*readyz/s)
})

test('garbage is refused, and the port goes on', async (t) => {
  const { number } = await open(t)
  const garbage = ['\0\0\0\0', 'PRX / HTTP/1.1\r\n\r\n', '\r\n\r\n\r\n', '\xff'.repeat(5_000)]
  garbage.push(`GET /${'x'.repeat(100_000)} HTTP/1.1\r\n`)
  garbage.push('CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n')
  for (const text of garbage) {
    const socket = await dial(t, number)
    const closed = toClose(socket)
    socket.end(Buffer.from(text, 'latin1'))
    await closed
  }
  const reset = await dial(t, number)
  reset.write('P')
  reset.resetAndDestroy()
  assert.match(await ask(t, number, 'GET /healthz HTTP/1.1'), /^HTTP\/1.1 200 /)
})

test('a connection that does not get on with its first request is cut', async (t) => {
  const { number, port } = await open(t, { firstBytesTimeoutMs: 50 })
  const beginnings = [
    '',
    'P',
    'PR',
    'G',
    'GET / HTTP/1.1\r\n',
    'POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n1',
  ]
  const sockets = await Promise.all(beginnings.map(() => dial(t, number)))
  const closed = sockets.map(toClose)
  for (const [index, socket] of sockets.entries()) socket.write(beginnings[index] ?? '')
  await Promise.all(closed)
  await noConnections(port)
})

test('a client that feeds its headers byte by byte is cut all the same', async (t) => {
  const { number } = await open(t, { firstBytesTimeoutMs: 50 })
  const socket = await dial(t, number)
  const closed = toClose(socket)
  let over = false
  void closed.then(() => (over = true))
  let sent = 0
  socket.write('GET / HTTP/1.1\r\n')
  for (; !over; sent++) await trickle(socket, 'X')
  // The bound of the headers would have ended it too, later.
  assert.ok(sent < 16_000, `it could send ${sent} bytes`)
})

test('connections beyond the bound are refused, and places are free again', async (t) => {
  const { number, port } = await open(t, { maxConnections: 3 })
  const kept = [await dial(t, number), await dial(t, number), await dial(t, number)]
  for (const socket of kept) socket.write('P')
  const beyond = await dial(t, number)
  await toClose(beyond)
  kept[0]?.destroy()
  for (;;) {
    const answer = await ask(t, number, 'GET /healthz HTTP/1.1')
    if (answer.startsWith('HTTP/1.1 200')) break
  }
  assert.ok(port.connections <= 3)
})

test('a connection may be used for many requests, each in its own time', async (t) => {
  const { number } = await open(t, { firstBytesTimeoutMs: 5_000 })
  const socket = await dial(t, number)
  for (let index = 0; index < 30; index++) {
    const answer = once(socket, 'data')
    socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
    const [bytes] = (await answer) as [Buffer]
    assert.match(bytes.toString(), /^HTTP\/1.1 200 /)
  }
  assert.ok(socket.writable)
})

test('a taken port is told with the setting that changes it', async (t) => {
  const { number } = await open(t)
  const second = new Port({
    host: '127.0.0.1',
    port: number,
    firstBytesTimeoutMs: 1,
    maxConnections: 1,
    onHttp2: () => undefined,
    onHttp1: () => undefined,
  })
  await assert.rejects(second.listen(), {
    message: `cannot listen on 127.0.0.1:${number}: the port is taken by another process; choose another with --port (or the setting "listen")`,
  })
  const nowhere = new Port({
    host: 'host.invalid',
    port: 0,
    firstBytesTimeoutMs: 1,
    maxConnections: 1,
    onHttp2: () => undefined,
    onHttp1: () => undefined,
  })
  await assert.rejects(nowhere.listen(), /check the setting "listen"/)
})

test('destroy cuts every connection, whatever it speaks', async (t) => {
  const { number, port } = await open(t)
  const silent = await dial(t, number)
  const http1 = await dial(t, number)
  http1.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(http1, 'data')
  const session = connectHttp2(`http://127.0.0.1:${number}`)
  await http2Request(session)
  session.on('error', () => undefined)
  const closed = [
    toClose(silent),
    toClose(http1),
    new Promise((resolve) => session.once('close', resolve)),
  ]
  port.destroy()
  await Promise.all(closed)
})

type KeyPair = { readonly cert: Buffer; readonly key: Buffer }

/** A self-signed pair; undefined where there is no openssl. */
async function makeKeyPair(t: TestContext, name: string): Promise<KeyPair | undefined> {
  const directory = await mkdtemp(join(tmpdir(), 'liftbridge-port-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const names = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1']
  try {
    const files = ['-keyout', key, '-out', cert, '-days', '2']
    execFileSync('openssl', ['req', '-x509', ...kind, ...files, ...names], { stdio: 'ignore' })
  } catch {
    t.skip('openssl is not installed')
    return undefined
  }
  return { cert: readFileSync(cert), key: readFileSync(key) }
}

test('with TLS, ALPN decides between HTTP/2 and HTTP/1.1', async (t) => {
  const tls = await makeKeyPair(t, 'localhost')
  if (!tls) return
  const { number, http2 } = await open(t, { tls: { ...tls, clientAuth: false } })
  const session = connectHttp2(`https://127.0.0.1:${number}`, { ca: tls.cert })
  t.after(() => session.destroy())
  assert.equal(await http2Request(session), 'two')
  assert.equal(http2(), 1)
  const status = await new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port: number,
      path: '/healthz',
      ca: tls.cert,
      agent: false,
    }
    get(options, (response) => {
      response.resume()
      resolve(response.statusCode)
    }).on('error', reject)
  })
  assert.equal(status, 200)
})

test('with TLS, cleartext, half handshakes and foreign certificates are cut', async (t) => {
  const tls = await makeKeyPair(t, 'localhost')
  const foreign = await makeKeyPair(t, 'foreign')
  if (!tls || !foreign) return
  const { number, port } = await open(t, {
    tls: { ...tls, clientAuth: true, clientCa: tls.cert },
    firstBytesTimeoutMs: 100,
  })
  const plain = await dial(t, number)
  const plainClosed = toClose(plain)
  plain.write('GET /healthz HTTP/1.1\r\n\r\n')
  await plainClosed
  const half = await dial(t, number)
  await toClose(half)
  const call = (pair: Partial<KeyPair>): Promise<number | undefined> =>
    new Promise((resolve) => {
      const options = { host: '127.0.0.1', port: number, path: '/healthz', ca: tls.cert }
      const asked = request({ ...options, ...pair, agent: false }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
      asked.on('error', () => resolve(undefined))
      asked.end()
    })
  assert.equal(await call({}), undefined)
  assert.equal(await call(foreign), undefined)
  assert.equal(await call(tls), 200)
  // After the handshake a silent connection is cut as well.
  const silent = connectTls({ host: '127.0.0.1', port: number, ca: tls.cert, ...tls })
  silent.on('error', () => undefined)
  await once(silent, 'secureConnect')
  await toClose(silent)
  await noConnections(port)
})

test('destroy cuts handshakes that are under way', async (t) => {
  const tls = await makeKeyPair(t, 'localhost')
  if (!tls) return
  const { number, port } = await open(t, { tls: { ...tls, clientAuth: false } })
  const half = await dial(t, number)
  const other = await dial(t, number)
  const closed = [toClose(half), toClose(other)]
  half.write(Buffer.from([0x16, 3, 1]))
  // The listener has both once it has answered a later one.
  const whole = connectTls({ host: '127.0.0.1', port: number, ca: tls.cert })
  whole.on('error', () => undefined)
  await once(whole, 'secureConnect')
  port.destroy()
  await Promise.all(closed)
})

test('a check of readiness holds for a tenth of a second, however often it is asked', () => {
  let nowMs = 0
  let asked = 0
  const checks = (): readonly ReadinessCheck[] => {
    asked++
    return asked === 1 ? [GOOD] : [BAD]
  }
  const pages = new HealthPages({ checks, nowMs: () => nowMs })
  const ask = (): number => {
    const request = new IncomingMessage(new Socket())
    request.method = 'GET'
    request.url = '/readyz'
    const response = new ServerResponse(request)
    pages.onHttp1(request, response)
    return response.statusCode
  }
  for (; nowMs < 100; nowMs++) assert.equal(ask(), 200)
  assert.equal(asked, 1)
  assert.equal(ask(), 503)
})

test('a connection that asks without end is ended', async (t) => {
  const { number, port } = await open(t)
  const socket = await dial(t, number)
  const closed = toClose(socket)
  socket.write('GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1_000))
  const answers = (await closed).split('HTTP/1.1 200').length - 1
  assert.ok(answers <= 100, `${answers} were answered`)
  await noConnections(port)
})
