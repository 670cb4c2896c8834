import assert from 'node:assert/strict'
import { connect as connectSocket } from 'node:net'
import { describe, test } from 'node:test'
import { connect } from '@nats-io/transport-node'
import { PLAIN, QUIET, RawClient } from './raw-client.suite.ts'
import type { RunningServer, ServerProgram } from './server-programs.suite.ts'

/** How connections end: slow consumers, lame duck mode, floods. Each case has its own server. */
export function lifetimeSuite(program: ServerProgram): void {
  describe('slow consumers and lame ducks', { concurrency: 4, timeout: 30_000 }, () => {
    const withServer =
      (conf: string, body: (server: RunningServer) => Promise<void>) => async () => {
        const server = await program.start(conf)
        try {
          await body(server)
        } finally {
          await server.stop()
        }
      }
    test(
      'a subscriber that does not read is cut, its neighbour gets everything',
      withServer('max_pending: 2mb\nmax_payload: 1mb\nwrite_deadline: "2s"', slowConsumer),
    )
    test(
      'clients are told of lame duck mode, and closed after the grace period',
      withServer('lame_duck_duration: "30s"\nlame_duck_grace_period: "100ms"', (server) =>
        lameDuck(server),
      ),
    )
    test(
      'a lame duck accepts nobody',
      withServer('lame_duck_duration: "30s"\nlame_duck_grace_period: "10s"', async (server) => {
        const client = await RawClient.open(address(server), INFORMED)
        await client.untilPong()
        server.retire()
        await client.takeUpTo('"ldm":true')
        await assert.rejects(
          new Promise((resolve, reject) => {
            connectSocket(server.port, '127.0.0.1').on('connect', resolve).on('error', reject)
          }),
        )
        client.send('SUB a 1\r\nPUB a 0\r\n\r\n')
        await client.takeUpTo('MSG a 1 0\r\n\r\n')
        client.socket.destroy()
      }),
    )
    test(
      'an old client is not told',
      withServer('lame_duck_duration: "30s"\nlame_duck_grace_period: "10s"', async (server) => {
        const [old, informed] = await Promise.all([
          RawClient.open(address(server), PLAIN),
          RawClient.open(address(server), INFORMED),
        ])
        await Promise.all([old.untilPong(), informed.untilPong()])
        server.retire()
        await informed.takeUpTo('"ldm":true')
        assert.equal(await old.untilPong(), '')
        for (const client of [old, informed]) client.socket.destroy()
      }),
    )
    test(
      'the client library hears of it',
      withServer('lame_duck_duration: "30s"', async (server) => {
        const link = await connect({ servers: `127.0.0.1:${server.port}`, reconnect: false })
        const told = (async () => {
          for await (const { type } of link.status()) if (type === 'ldm') return true
          return false
        })()
        server.retire()
        assert.equal(await told, true)
        await link.close()
      }),
    )
    test(
      'a client that asks and does not read its answers is bounded',
      withServer('max_pending: 1mb\nmax_payload: 1kb\nwrite_deadline: "1s"', askAndIgnore),
    )
  })
}

const INFORMED = 'CONNECT {"verbose":false,"protocol":1}\r\n'

function address(server: RunningServer): { host: string; port: number } {
  return { host: '127.0.0.1', port: server.port }
}

async function slowConsumer(server: RunningServer): Promise<void> {
  const [slow, steady, publisher] = await Promise.all([
    RawClient.open(address(server), `${QUIET}SUB flood 1\r\n`),
    RawClient.open(address(server), `${QUIET}SUB flood.count 1\r\n`),
    RawClient.open(address(server)),
  ])
  await Promise.all([slow.untilPong(), steady.untilPong()])
  let gone = false
  slow.socket.on('close', () => (gone = true))
  slow.socket.pause()
  const block = `PUB flood 1000000\r\n${'x'.repeat(1_000_000)}\r\nPUB flood.count 0\r\n\r\n`
  let rounds = 0
  // It is gone when writing to it fails, which only happens once the server has cut it.
  while (!gone && rounds < 200) {
    publisher.send(block)
    await publisher.untilPong()
    slow.send('PING\r\n')
    rounds++
  }
  assert.ok(gone, 'the slow consumer stayed')
  // nats-server asks for a sign of life after a second.
  const got = (await steady.untilPong()).replaceAll('PING\r\n', '')
  assert.equal(got, 'MSG flood.count 1 0\r\n\r\n'.repeat(rounds))
  await Promise.all([steady.close(), publisher.close()])
}

async function lameDuck(server: RunningServer): Promise<void> {
  const client = await RawClient.open(address(server), `${INFORMED}SUB a 1\r\n`)
  await client.untilPong()
  server.retire()
  const said = await client.untilClosed()
  assert.match(said, /^INFO \{.*"ldm":true.*\} *\r\n/)
}

async function askAndIgnore(server: RunningServer): Promise<void> {
  const [rude, steady] = await Promise.all([
    RawClient.open(address(server)),
    RawClient.open(address(server), `${QUIET}SUB a 1\r\n`),
  ])
  rude.socket.pause()
  let sending = true
  rude.socket.on('close', () => (sending = false))
  const block = 'PING\r\n'.repeat(10_000)
  const steadyGoesOn = async (): Promise<void> => {
    for (let i = 0; i < 50; i++) {
      steady.send('PUB a 0\r\n\r\n')
      assert.equal(await steady.untilPong(), 'MSG a 1 0\r\n\r\n')
    }
  }
  const flood = async (): Promise<void> => {
    for (let i = 0; i < 200 && sending; i++) {
      const { promise, resolve } = Promise.withResolvers<void>()
      rude.socket.write(block, () => resolve())
      // Either it is taken, or the server has stopped reading; then there is no more to ask.
      const stuck = new Promise<void>((done) => {
        setTimeout(done, 20)
      })
      await Promise.race([promise, stuck])
    }
  }
  await Promise.all([flood(), steadyGoesOn()])
  rude.socket.destroy()
  await steady.close()
}
