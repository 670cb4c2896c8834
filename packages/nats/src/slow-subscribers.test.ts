/** Subscribers that read slowly, or not at all: what is kept for them, and who waits. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { QUIET, type RawClient } from './suite/raw-client.suite.ts'
import { type Running, start, whileTrue } from './suite/running-server.suite.ts'

/** A subscriber that does not read, and the bytes a publisher can push at it. */
async function stuck({ open }: Running): Promise<RawClient> {
  const client = await open(`${QUIET}SUB flood 1\r\n`)
  await client.untilPong()
  client.socket.pause()
  return client
}

test('a subscriber that does not read is cut at the bound, others go on', async () => {
  const running = await start({
    maxPendingBytes: 1_000_000,
    congestedBytes: 900_000,
    holdMaxMs: 1,
  })
  const slow = await stuck(running)
  const publisher = await running.open()
  const block = `PUB flood 100000\r\n${'x'.repeat(100_000)}\r\n`
  for (let i = 0; i < 300 && running.server.stats.connections === 2; i++) {
    publisher.send(block)
    await publisher.untilPong()
  }
  const closed = running.events.find((event) => event.kind === 'client-closed')
  assert.equal(closed?.reason, 'slow consumer')
  assert.equal(running.server.stats.subscriptions, 0)
  assert.ok(running.server.stats.pendingBytes < 100_000)
  slow.socket.destroy()
  await publisher.close()
  await running.server.close()
})

test('all clients together are bounded too', async () => {
  const running = await start({
    maxTotalPendingBytes: 1_000_000,
    congestedBytes: 300_000,
    holdMaxMs: 1,
  })
  const slow = await Promise.all([stuck(running), stuck(running), stuck(running)])
  const publisher = await running.open()
  const block = `PUB flood 100000\r\n${'x'.repeat(100_000)}\r\n`
  for (let i = 0; i < 300 && running.server.stats.connections > 2; i++) {
    publisher.send(block)
    await publisher.untilPong()
    assert.ok(running.server.stats.pendingBytes < 1_500_000)
  }
  assert.ok(running.server.stats.connections <= 2)
  for (const client of slow) client.socket.destroy()
  await publisher.close()
  await running.server.close()
})

test('a socket that takes nothing for the write deadline is cut', async () => {
  const running = await start({ writeDeadlineMs: 40, holdMaxMs: 1 })
  const slow = await stuck(running)
  const publisher = await running.open()
  const block = `PUB flood 1000000\r\n${'x'.repeat(1_000_000)}\r\n`
  for (let i = 0; i < 20; i++) {
    publisher.send(block)
    await publisher.untilPong()
  }
  await whileTrue(() => running.server.stats.connections > 1)
  assert.equal(running.server.stats.pendingBytes, 0)
  slow.socket.destroy()
  await publisher.close()
  await running.server.close()
})

test('a publisher is held back while its subscriber is behind, and nothing is lost', async () => {
  const running = await start({
    congestedBytes: 100_000,
    holdMaxMs: 60_000,
    stuckAfterMs: 60_000,
  })
  const slow = await stuck(running)
  const publisher = await running.open()
  const block = `PUB flood 10000\r\n${'x'.repeat(10_000)}\r\n`
  for (let i = 0; i < 2000; i++) publisher.send(block)
  // 20 MB are on the way: more than the sockets hold. What waits in the server stays small.
  await whileTrue(() => running.server.stats.pendingBytes < 100_000)
  for (let i = 0; i < 200; i++) {
    await new Promise((resolve) => setImmediate(resolve))
    assert.ok(running.server.stats.pendingBytes < 100_000 + 2 * 65_536 + 100_000)
  }
  slow.socket.resume()
  await publisher.untilPong()
  assert.equal(
    (await slow.untilPong()).length,
    2000 * (10_000 + 'MSG flood 1 10000\r\n\r\n'.length),
  )
  await Promise.all([slow.close(), publisher.close()])
  await running.server.close()
})

test('a subscriber that counts as stuck holds nobody back', async () => {
  // A hold would last a minute, longer than the test may.
  const running = await start({ congestedBytes: 100_000, holdMaxMs: 60_000, stuckAfterMs: 0 })
  const slow = await stuck(running)
  const publisher = await running.open()
  const block = `PUB flood 10000\r\n${'x'.repeat(10_000)}\r\n`
  for (let i = 0; i < 2000; i++) publisher.send(block)
  await publisher.untilPong()
  assert.ok(running.server.stats.pendingBytes > 1_000_000)
  slow.socket.destroy()
  await publisher.close()
  await running.server.close()
})

test('what waited long arrives as it was sent, in order', async () => {
  const running = await start({ congestedBytes: 100_000_000 })
  const slow = await stuck(running)
  const publisher = await running.open()
  // Short ones and some too large to be copied in one piece, 24 MB in all.
  const payloads = Array.from({ length: 6000 }, (_, i) =>
    `${i}:`.padEnd(i % 5 === 0 ? 15_000 : 900),
  )
  payloads[3000] = 'large:'.padEnd(1_000_000)
  for (const payload of payloads) publisher.send(`PUB flood ${payload.length}\r\n${payload}\r\n`)
  await publisher.untilPong()
  assert.ok(running.server.stats.pendingBytes > 10_000_000)
  const frames = payloads.map((payload) => `MSG flood 1 ${payload.length}\r\n${payload}\r\n`)
  const wanted = Buffer.from(frames.join(''))
  const got: Buffer[] = []
  let gotBytes = 0
  slow.socket.removeAllListeners('data').on('data', (chunk: Buffer) => {
    got.push(chunk)
    gotBytes += chunk.length
  })
  slow.socket.resume()
  await whileTrue(() => gotBytes < wanted.length)
  assert.ok(Buffer.concat(got).equals(wanted))
  await Promise.all([slow.close(), publisher.close()])
  await running.server.close()
})
