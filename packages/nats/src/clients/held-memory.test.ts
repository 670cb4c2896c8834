import assert from 'node:assert/strict'
import { connect, Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { NatsServer } from '../server.ts'
import { Outbox, OutboxShared } from './outbox.ts'

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

test('what was read and handed on is freed without the garbage collector', async (t) => {
  const server = new NatsServer({ port: -1 })
  await server.listen()
  t.after(() => server.close())
  const publisher = await client(t, server, '')
  const block = Buffer.from(`PUB a 1000\r\n${'x'.repeat(1000)}\r\n`.repeat(64))
  await bufferBytes()
  const before = process.memoryUsage().arrayBuffers
  let most = 0
  for (let i = 0; i < 1000; i++) {
    await new Promise((resolve) => publisher.write(block, resolve))
    most = Math.max(most, process.memoryUsage().arrayBuffers - before)
  }
  assert.ok(most < 8 * MIB, `${most} bytes held of 65 MB read`)
})

test('what waited for a client that was cut is freed at once, but what is being written', () => {
  let freed = 0
  class Shared extends OutboxShared {
    override discard(piece: Buffer): void {
      super.discard(piece)
      if (piece.length === 0) freed++
    }
  }
  const shared = new Shared()
  // It is not connected, so that nothing is ever through.
  const socket = new Socket().on('error', () => undefined)
  const outbox = new Outbox(socket, shared, () => undefined)
  const part = new Uint8Array(8192)
  for (let i = 0; i < 512; i++) outbox.writeBytes(part)
  const theirs = Buffer.alloc(20_000)
  outbox.writeBytes(theirs)
  outbox.close()
  assert.equal(theirs.length, 20_000)
  assert.equal(shared.pendingBytes, 0)
  // 4 MiB in pieces of 64 KiB; those of the first write stay, and the last is not alone in its chunk.
  assert.ok(freed >= 58 && freed <= 63, `${freed} of 64 freed`)
})

test('a message that a handler keeps is not touched by what is read later', async (t) => {
  const server = new NatsServer({ port: -1 })
  await server.listen()
  t.after(() => server.close())
  const kept: string[] = []
  const views: Uint8Array[] = []
  server.connect().subscribe('kept', ({ data }) => {
    kept.push(Buffer.from(data).toString())
    views.push(data)
  })
  const publisher = await client(t, server, '')
  for (let i = 0; i < 200; i++) {
    const other = `PUB other 1000\r\n${'x'.repeat(1000)}\r\n`.repeat(60)
    const text = `PUB kept 4\r\n${String(i).padStart(4)}\r\n${other}`
    await new Promise((resolve) => publisher.write(text, resolve))
  }
  while (views.length < 200) await new Promise((resolve) => setImmediate(resolve))
  const now = views.map((view) => Buffer.from(view).toString())
  assert.deepEqual(now, kept)
  assert.deepEqual(
    now.map(Number),
    Array.from({ length: 200 }, (_, i) => i),
  )
})
