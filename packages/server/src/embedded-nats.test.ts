import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { connect as connectSocket } from 'node:net'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { connect } from '@nats-io/transport-node'
import { embeddedNats } from './embedded-nats.ts'
import { type Logger, silentLogger } from './logging/logger.ts'
import { run, temporaryDirectory } from './running-server.suite.ts'

async function confFile(t: TestContext, text: string): Promise<string> {
  const file = join(await temporaryDirectory(t), 'nats.conf')
  await writeFile(file, text)
  return file
}

test('the embedded NATS takes users and limits from its configuration file', async (t) => {
  const text = 'port: -1\nmax_payload: 64KB\nauthorization { user: derek, password: secret }\n'
  const file = await confFile(t, text)
  const { server, client } = await run(t, { settings: { 'nats.embedded.config': file } })
  const { port } = new URL(server.natsUrl ?? '')
  await assert.rejects(connect({ port: Number(port) }), /authoriz/i)
  const nats = await connect({ port: Number(port), user: 'derek', pass: 'secret' })
  t.after(() => nats.close())
  assert.equal(nats.info?.max_payload, 65_536)
  await client.create('s')
  nats.publish('s', 'through NATS')
  await nats.flush()
  // NATS has it; the partition stores it a moment later.
  while ((await client.partition('s')).newestOffset < 0n);
  assert.deepEqual(await client.values('s'), ['through NATS'])
})

test('a setting that only nats-server has is refused with file, line and the way out', async (t) => {
  const file = await confFile(t, 'port: -1\n\njetstream { store_dir: x }\n')
  const embedded = { host: '127.0.0.1', port: -1, configFile: file }
  assert.throws(
    () => embeddedNats({ embedded, logger: silentLogger, verbose: false }),
    (error) =>
      error instanceof Error &&
      error.message.includes(`${file}:3:`) &&
      /jetstream.*nats\.servers/.test(error.message),
  )
})

test('a configuration file that is not there is told by setting and name', () => {
  const embedded = { host: '127.0.0.1', port: -1, configFile: '/nowhere/nats.conf' }
  assert.throws(
    () => embeddedNats({ embedded, logger: silentLogger, verbose: false }),
    /nats\.embedded\.config: \/nowhere\/nats\.conf cannot be read/,
  )
})

test('host and port of our own configuration win over those of the file', async (t) => {
  const file = await confFile(t, 'listen: "0.0.0.0:1"\n')
  const settings = { 'nats.embedded.host': '127.0.0.1', 'nats.embedded.config': file }
  const { server } = await run(t, { settings })
  assert.match(server.natsUrl ?? '', /^nats:\/\/127\.0\.0\.1:(?!1$)\d+$/)
})

test('without them the file says where to listen', async (t) => {
  const file = await confFile(t, 'listen: "127.0.0.1:-1"\n')
  const embedded = { host: undefined, port: undefined, configFile: file }
  const server = embeddedNats({ embedded, logger: silentLogger, verbose: false })
  t.after(() => server.close())
  await server.listen()
  assert.notEqual(server.port, 4222)
})

for (const [verbose, level] of [
  [true, 'info'],
  [false, 'debug'],
] as const) {
  test(`clients that come and go are told at ${level} when logging.nats is ${verbose}`, async (t) => {
    const told: string[] = []
    const logger: Logger = {
      ...silentLogger,
      debug: (message) => told.push(`debug ${message}`),
      info: (message) => told.push(`info ${message}`),
      limited: (_key, at, message) => told.push(`${at} ${message}`),
    }
    const file = await confFile(t, 'port: -1\nauthorization { user: derek, password: secret }\n')
    const embedded = { host: undefined, port: undefined, configFile: file }
    const server = embeddedNats({ embedded, logger, verbose })
    t.after(() => server.close())
    await server.listen()
    const nats = await connect({ port: server.port, user: 'derek', pass: 'secret' })
    await nats.close()
    await assert.rejects(connect({ port: server.port, reconnect: false }), /authoriz/i)
    assert.deepEqual(told.slice(0, 2), [
      `${level} nats: listening`,
      `${level} nats: client-connected`,
    ])
    // Whoever is turned away is told of in either case.
    assert.ok(told.includes('warn nats: unauthorized'))
  })
}

test('a server that stops tells the clients of its NATS to go elsewhere', async (t) => {
  const { server } = await run(t)
  const { port } = new URL(server.natsUrl ?? '')
  const socket = connectSocket(Number(port), '127.0.0.1')
  t.after(() => socket.destroy())
  let said = ''
  socket.on('data', (bytes: Buffer) => (said += bytes.toString()))
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.write('CONNECT {"verbose":false,"protocol":1}\r\nPING\r\n')
  while (!said.includes('PONG')) await new Promise((resolve) => socket.once('data', resolve))
  await Promise.all([server.stop(), closed])
  assert.match(said, /INFO \{[^\n]*"ldm":true/)
})

test('without clients a stop waits for no lame duck', { timeout: 20_000 }, async (t) => {
  const file = await confFile(t, 'port: -1\nlame_duck_grace_period: "1h"\n')
  const { server } = await run(t, { settings: { 'nats.embedded.config': file } })
  await server.stop()
})
