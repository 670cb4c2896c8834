import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { QUIET, RawClient } from './suite/raw-client.suite.ts'
import { NatsServer, type NatsServerEvent } from './server.ts'
import { start } from './suite/running-server.suite.ts'

test('a port that is taken is refused with the name of the setting', async () => {
  const { server } = await start()
  const second = new NatsServer({ port: server.port, portSetting: 'nats.embedded.port' })
  await assert.rejects(second.listen(), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'address-in-use')
    assert.match(error.message, /nats\.embedded\.port/)
    assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${server.port}`))
    return true
  })
  await second.close()
  await server.close()
})

test('an address of another machine is refused by code', async () => {
  const server = new NatsServer({ host: '192.0.2.1', port: -1 })
  await assert.rejects(server.listen(), { code: 'address-refused' })
  await server.close()
})

test('it listens on this machine only, and says where', async () => {
  const { server, events } = await start()
  assert.match(server.url, /^nats:\/\/127\.0\.0\.1:\d+$/)
  assert.deepEqual(events, [{ kind: 'listening', host: '127.0.0.1', port: server.port }])
  await server.close()
  assert.equal(server.port, 0)
  assert.equal(server.url, '')
})

test('a client over the limit of connections is told so, and room is made when one leaves', async () => {
  const { server, open } = await start({ maxConnections: 1 })
  const first = await open()
  const refused = createConnection(server.port, '127.0.0.1')
  const chunks: Buffer[] = []
  for await (const chunk of refused) chunks.push(chunk)
  assert.match(
    Buffer.concat(chunks).toString(),
    /^INFO \{.*\} \r\n-ERR 'maximum connections exceeded'\r\n$/,
  )
  await first.close()
  const next = await open()
  assert.equal(await next.untilPong(), '')
  await next.close()
  await server.close()
})

test('a flood of subscriptions is refused above the limit, and leaving frees all of them', async () => {
  const { server, open } = await start({ maxSubscriptions: 10 })
  const client = await open()
  for (let i = 0; i < 12; i++) client.send(`SUB a.${i} ${i}\r\n`)
  assert.equal(await client.untilPong(), "-ERR 'maximum subscriptions exceeded'\r\n".repeat(2))
  assert.equal(server.stats.subscriptions, 10)
  await client.close()
  assert.equal(server.stats.subscriptions, 0)
  await server.close()
})

test('a client that answers no ping is cut as stale', async () => {
  const { server, open } = await start({ pingIntervalMs: 50, pingMax: 2 })
  const client = await open()
  await client.untilPong()
  // A busy machine may ask before the client has said anything.
  assert.match(await client.untilClosed(), /^PING\r\nPING\r\n-ERR 'Stale Connection'\r\n$/)
  await server.close()
})

test('a client that answers pings stays', async () => {
  const { server, open } = await start({ pingIntervalMs: 20, pingMax: 50 })
  const client = await open()
  for (let i = 0; i < 5; i++) {
    assert.equal(await client.takeUpTo('PING\r\n'), 'PING\r\n')
    client.send('PONG\r\n')
  }
  assert.equal(await client.untilPong(), '')
  await client.close()
  await server.close()
})

test('closing sends what waits and hangs up', async () => {
  const { server, open } = await start()
  const client = await open(`${QUIET}SUB a 1\r\n`)
  await client.untilPong()
  const connection = server.connect()
  connection.publish('a', Buffer.from('last'))
  await server.close()
  assert.equal(await client.untilClosed(), 'MSG a 1 4\r\nlast\r\n')
  await server.close()
  await assert.rejects(server.listen(), { code: 'closed' })
})

test('clients that send anything at all leave the others working', async () => {
  const { server, open } = await start({ maxPayloadBytes: 1000 })
  const steady = await open(`${QUIET}SUB steady 1\r\n`)
  await steady.untilPong()
  const fragments = fc.oneof(
    fc.constantFrom(
      'PUB steady 3\r\n',
      'abc\r\n',
      'SUB > 1\r\n',
      'HPUB a 1 ',
      '\r\n',
      'UNSUB 1\r\n',
    ),
    fc.constantFrom(QUIET, 'CONNECT {', '}', 'PING', 'PUB a 1001\r\n', 'x'.repeat(5000), '-ERR'),
    fc.uint8Array({ maxLength: 20 }).map((raw) => Buffer.from(raw).toString('latin1')),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(fragments, { maxLength: 6 }), async (pieces) => {
      const client = await open('')
      for (const piece of pieces) client.send(piece)
      await client.close()
      steady.send('PUB steady 1\r\n!\r\n')
      assert.match(await steady.untilPong(), /MSG steady 1 1\r\n!\r\n$/)
    }),
    { numRuns: 150 },
  )
  await steady.close()
  assert.equal(server.stats.pendingBytes, 0)
  await server.close()
})

test('a request nobody hears is answered with 503, and the subject it was for', async () => {
  const { server, open } = await start()
  const client = await open(`${QUIET}SUB inbox 9\r\nPUB no.body inbox 2\r\nhi\r\n`)
  const notice = 'NATS/1.0 503\r\nNats-Subject: no.body\r\n\r\n'
  const size = notice.length
  assert.equal(await client.untilPong(), `HMSG inbox 9 ${size} ${size}\r\n${notice}\r\n`)
  await client.close()
  await server.close()
})

test('a ports file that cannot be written stops the start', async () => {
  const server = new NatsServer({ port: -1, portsFileDir: '/dev/null/nowhere' })
  await assert.rejects(server.listen(), /nowhere/)
  assert.equal(server.port, 0)
})

test('the ports file names what is bound, and goes with the server', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'nats-ports-'))
  const server = new NatsServer({ port: -1, monitor: { port: -1 }, portsFileDir: folder })
  await server.listen()
  const file = join(folder, `nats-server_${process.pid}.ports`)
  assert.deepEqual(JSON.parse(await readFile(file, 'utf8')), {
    nats: [server.url],
    monitoring: [server.monitorUrl],
  })
  await server.close()
  assert.deepEqual(await readdir(folder), [])
  await rm(folder, { recursive: true })
})

test('where monitoring cannot listen, nothing does', async () => {
  const { server: other } = await start()
  const server = new NatsServer({ port: -1, monitor: { port: other.port } })
  await assert.rejects(server.listen(), { code: 'address-in-use' })
  assert.equal(server.port, 0)
  await other.close()
})

test('closing does not wait for a lame duck', async () => {
  const { server, open } = await start()
  const client = await open('CONNECT {"verbose":false,"protocol":1}\r\n')
  await client.untilPong()
  const retired = server.retire({ graceMs: 60_000, durationMs: 60_000 })
  assert.match(await client.takeUpTo('\r\n'), /"ldm":true/)
  await server.close()
  await retired
  await client.untilClosed()
})

test('a lame duck without clients waits for nothing', { timeout: 20_000 }, async () => {
  const { server, open } = await start()
  const leaving = await open('CONNECT {"verbose":false,"protocol":1}\r\n')
  await leaving.untilPong()
  const retired = server.retire({ graceMs: 600_000, durationMs: 600_000 })
  leaving.socket.destroy()
  await retired
  await server.close()
  const { server: empty } = await start()
  await empty.retire({ graceMs: 600_000, durationMs: 600_000 })
  await empty.close()
})

test('a lame duck ends when all clients have been sent away', async () => {
  const { server, events, open } = await start()
  const clients = await Promise.all([open(), open(), open()])
  for (const client of clients) await client.untilPong()
  await server.retire({ graceMs: 1, durationMs: 3 })
  for (const client of clients) await client.untilClosed()
  assert.equal(server.stats.connections, 0)
  assert.equal(events.filter((event) => event.kind === 'lame-duck').length, 1)
  assert.ok(server.connect().hasInterest('a') === false)
  await server.close()
})

test('events tell who came, who was refused and why', async () => {
  const events: NatsServerEvent[] = []
  const server = new NatsServer({
    port: -1,
    auth: { users: [{ user: 'a', password: 'x', permissions: { publish: { deny: ['no'] } } }] },
    onEvent: (event) => events.push(event),
  })
  await server.listen()
  const address = { host: '127.0.0.1', port: server.port }
  const login = (pass: string): string =>
    `CONNECT {"verbose":false,"user":"a","pass":"${pass}","name":"me","lang":"l","version":"v"}\r\n`
  const good = await RawClient.open(address, `${login('x')}PUB no 0\r\n\r\n`)
  await good.untilPong()
  const bad = await RawClient.open(address, login('y'))
  await bad.untilClosed()
  await good.close()
  await server.close()
  assert.deepEqual(events.slice(1), [
    { kind: 'client-connected', id: 1, name: 'me', lang: 'l', version: 'v', user: 'a' },
    {
      kind: 'permission-violation',
      id: 1,
      user: 'a',
      text: 'Permissions Violation for Publish to "no"',
    },
    { kind: 'unauthorized', id: 2, user: 'a' },
    { kind: 'client-closed', id: 2, name: 'me', reason: 'Authorization Violation' },
    { kind: 'client-closed', id: 1, name: 'me', reason: 'client closed' },
  ])
})

test('connections in this process need no login', async () => {
  const server = new NatsServer({ auth: { token: 'secret' } })
  const connection = server.connect()
  const got: string[] = []
  connection.subscribe('a', (message) => got.push(message.subject))
  connection.publish('a', new Uint8Array())
  await connection.flush()
  assert.deepEqual(got, ['a'])
  await server.close()
})

test('a flood of logins with bcrypt leaves the others working', async () => {
  const hash = '$2b$08$DOSmjEE6/1ZiZl0Mi4lwzufI8Wd7XnAm1CoidVNN0YqGCoBLJ4jxS'
  const server = new NatsServer({
    port: -1,
    auth: {
      users: [
        { user: 'a', password: hash },
        { user: 'b', password: 'x' },
      ],
      timeoutMs: 150,
    },
  })
  await server.listen()
  const address = { host: '127.0.0.1', port: server.port }
  const steady = await RawClient.open(
    address,
    'CONNECT {"verbose":false,"user":"b","pass":"x"}\r\n',
  )
  const flood = await Promise.all(
    Array.from({ length: 12 }, () =>
      RawClient.open(address, 'CONNECT {"verbose":false,"user":"a","pass":"y"}\r\n'),
    ),
  )
  assert.equal(await steady.untilPong(), '')
  for (const client of flood) {
    assert.equal(await client.untilClosed(), "-ERR 'Authorization Violation'\r\n")
  }
  assert.equal(await steady.untilPong(), '')
  await steady.close()
  await server.close()
})

test('no limit is -1 in /varz', async () => {
  const limits = { maxConnections: Infinity, maxSubscriptions: Infinity }
  const server = new NatsServer({ port: -1, monitor: { port: -1 }, limits })
  await server.listen()
  const varz: Record<string, unknown> = JSON.parse(
    await (await fetch(`${server.monitorUrl}/varz`)).text(),
  )
  assert.equal(varz['max_connections'], -1)
  assert.equal(varz['max_subscriptions'], -1)
  await server.close()
})

test('pages have a path in front, answer GET only, and go with the server', async () => {
  const server = new NatsServer({ port: -1, monitor: { port: -1, basePath: '/nats' } })
  await server.listen()
  const url = server.monitorUrl
  assert.equal((await fetch(`${url}/nats/healthz`)).status, 200)
  assert.equal((await fetch(`${url}/healthz`)).status, 404)
  assert.equal((await fetch(`${url}/nats/varz`, { method: 'POST' })).status, 405)
  await server.close()
  await assert.rejects(fetch(`${url}/nats/healthz`))
})
