import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { NatsServer } from '../server.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const WAITING_BYTES = 4 * 1024 * 1024
const MIB = 1024 * 1024

/** Bytes in buffers that somebody still holds; garbage may take some turns to be swept. */
async function bufferBytes(enough = Infinity): Promise<number> {
  for (let round = 0; ; round++) {
    collectGarbage()
    await new Promise((resolve) => setImmediate(resolve))
    const { arrayBuffers } = process.memoryUsage()
    if (round > 1 && (arrayBuffers <= enough || round > 10)) return arrayBuffers
  }
}

async function client(t: TestContext, server: NatsServer, commands: string): Promise<Socket> {
  const socket = connect(server.port, '127.0.0.1')
  socket.on('error', () => undefined)
  t.after(() => socket.destroy())
  let text = ''
  socket.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')))
  socket.write(`CONNECT {"verbose":false,"pedantic":false}\r\n${commands}PING\r\n`)
  while (!text.includes('PONG')) await new Promise((resolve) => socket.once('data', resolve))
  return socket
}

/** Small enough to be copied, larger than a chunk is deep, the size of a read, and above it. */
for (const bytes of [16, 5000, 20_000, 60_000, MIB]) {
  test(`messages of ${bytes} bytes that wait for a stuck client hold what is counted`, async (t) => {
    const server = new NatsServer({ port: -1, limits: { congestedBytes: Infinity } })
    await server.listen()
    t.after(() => server.close())
    const stuck = await client(t, server, 'SUB a 1\r\n')
    stuck.pause()
    const publisher = await client(t, server, '')
    const one = Buffer.from(`PUB a ${bytes}\r\n${'x'.repeat(bytes)}\r\n`)
    const block = Buffer.concat(Array<Buffer>(Math.ceil(65_536 / one.length)).fill(one))
    const before = await bufferBytes()
    while (server.stats.pendingBytes < WAITING_BYTES) {
      await new Promise((resolve) => publisher.write(block, resolve))
    }
    const counted = server.stats.pendingBytes
    // Besides, a message may be under way.
    const most = 1.15 * counted + bytes + MIB / 2
    const held = (await bufferBytes(before + most)) - before
    assert.ok(held <= most, `${held} bytes held, ${counted} counted`)
  })
}
