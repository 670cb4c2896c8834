/** Ten thousand bad clients of the embedded NATS server: it stays small, and others are served. */
import assert from 'node:assert/strict'
import { fork, type ChildProcess } from 'node:child_process'
import { connect, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { peakResidentMiB, resetPeak } from '../bench/proc.ts'
import { RawClient } from '../packages/nats/src/suite/raw-client.suite.ts'

const MEMORY_MAX_MIB = 400
const CONNECTIONS = 10_000

let server: ChildProcess
let port = 0

before(async () => {
  const folder = dirname(fileURLToPath(import.meta.url))
  server = fork(join(folder, '../bench/nats-server-main.ts'), { execArgv: ['--conditions=source'] })
  port = await new Promise((resolve) => server.once('message', (said) => resolve(Number(said))))
})
after(() => server.kill())

/** A connection that sends `text` and ignores what it hears. */
function open(text: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', reject)
    socket.once('data', () => {
      socket.off('error', reject)
      socket.on('error', () => {})
      socket.resume()
      if (text === '') resolve(socket)
      else socket.write(text, () => resolve(socket))
    })
  })
}

async function crowd(texts: readonly string[]): Promise<Socket[]> {
  const sockets: Socket[] = []
  while (sockets.length < texts.length) {
    const batch = texts.slice(sockets.length, sockets.length + 200)
    sockets.push(...(await Promise.all(batch.map(open))))
  }
  return sockets
}

/** Sends `block` again and again until the server hangs up. */
async function pour(first: string, block: string): Promise<void> {
  const socket = await open(first)
  let closed = socket.destroyed
  const gone = new Promise<void>((resolve) => {
    socket.once('close', () => {
      closed = true
      resolve()
    })
  })
  while (!closed) {
    const failed = new Promise<boolean>((resolve) => {
      socket.write(block, (error) => resolve(error instanceof Error))
    })
    if ((await Promise.race([failed, gone])) === true) break
  }
}

/** Two well-behaved clients exchange messages. */
async function expectServed(): Promise<void> {
  const address = { host: '127.0.0.1', port }
  const [from, to] = await Promise.all([RawClient.open(address), RawClient.open(address)])
  to.send('SUB steady.* 1\r\n')
  await to.untilPong()
  from.send('PUB steady.a 2\r\nhi\r\n'.repeat(100))
  await from.untilPong()
  assert.equal(await to.untilPong(), 'MSG steady.a 1 2\r\nhi\r\n'.repeat(100))
  await Promise.all([from.close(), to.close()])
}

/** The heap is not collected before there is need, so what has gone still counts for a while. */
async function bounded(body: () => Promise<void>, maxMiB = MEMORY_MAX_MIB): Promise<void> {
  resetPeak(server.pid ?? 0)
  await body()
  await expectServed()
  const peak = peakResidentMiB(server.pid ?? 0)
  assert.ok(peak < maxMiB, `${peak.toFixed(0)} MiB`)
  console.log(`peak ${peak.toFixed(0)} MiB`)
  assert.equal(server.exitCode, null)
}

const halves = [
  '',
  'PUB a',
  'PUB a 1000\r\nhalf',
  'SUB ',
  'CONNECT {"verbose":',
  'HPUB a 12 100\r\nNATS',
]

test('10,000 clients that say nothing, or half a command, and stay', () =>
  bounded(async () => {
    const texts = Array.from({ length: CONNECTIONS }, (_, i) => halves[i % halves.length] ?? '')
    const sockets = await crowd(texts)
    await expectServed()
    for (const socket of sockets) socket.destroy()
  }))

test('endless garbage is cut, however often it comes back', () =>
  bounded(async () => {
    for (let i = 0; i < 100; i++) {
      for (const garbage of ['\0', 'x', '\r\n']) await pour('', garbage.repeat(65_536))
    }
  }))

test('a control line without an end is cut', () =>
  bounded(async () => {
    for (const start of ['PUB ', 'SUB ', 'CONNECT {"name":"', 'UNSUB ', 'PING ']) {
      await pour(start, 'a'.repeat(16_384))
    }
  }))

test('a million questions nobody listens to the answers of', () =>
  bounded(async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const socket = await open('CONNECT {"verbose":true}\r\n')
        socket.pause()
        for (let i = 0; i < 100; i++) {
          const taken = new Promise((resolve) => socket.write('PING\r\n'.repeat(1000), resolve))
          const stuck = new Promise((resolve) => setTimeout(resolve, 50))
          await Promise.race([taken, stuck])
        }
        socket.destroy()
      }),
    )
    assert.equal(outcomes.length, 8)
  }))

test('a flood of subscriptions ends at the limit of each client, and leaves with it', () =>
  bounded(async () => {
    const refusal = "-ERR 'maximum subscriptions exceeded'\r\n"
    for (let client = 0; client < 5; client++) {
      const flood = await RawClient.open({ host: '127.0.0.1', port })
      let refused = 0
      for (let from = 0; from < 120_000; from += 1000) {
        const lines = Array.from(
          { length: 1000 },
          (_, i) => `SUB flood.${client}.${from + i} ${from + i}\r\n`,
        )
        flood.send(lines.join(''))
        refused += (await flood.untilPong()).length / refusal.length
      }
      assert.equal(refused, 20_000)
      await flood.close()
    }
  }, 2 * MEMORY_MAX_MIB))
