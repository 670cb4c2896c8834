import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { api } from '@liftbridge/wire'
import {
  configOf,
  endingOf,
  publishBytes,
  run,
  temporaryDirectory,
  until,
  valueOf,
} from './running-server.suite.ts'
import { silentLogger } from './logging/logger.ts'
import { startServer } from './server.ts'

const { AckPolicy, StartPosition: Start } = api

test('a restart keeps streams, their settings, messages, offsets and states', async (t) => {
  const first = await run(t)
  const { client } = first
  await client.create('s', { partitions: 2, subject: 'subject.of.s' })
  await client.create('cas', { optimisticConcurrencyControl: { value: true } })
  await client.create('fixed')
  await client.create('sleeping')
  await client.create('gone')
  for (let index = 0; index < 20; index++) {
    await client.publish('s', `v${index}`, { partition: index % 2, deadlineMs: 5_000 })
  }
  await client.setReadonly('fixed', true)
  await client.pause('sleeping')
  await client.delete('gone')
  await first.server.stop()

  const { client: again, server } = await run(t, { directory: first.directory })
  assert.equal(server.serverId, first.server.serverId)
  const { streamMetadata } = await again.metadata()
  const names = streamMetadata.map(({ name }) => name)
  assert.deepEqual(new Set(names), new Set(['s', 'cas', 'fixed', 'sleeping']))
  const byName = new Map(streamMetadata.map((stream) => [stream.name, stream]))
  assert.equal(byName.get('s')?.subject, 'subject.of.s')
  assert.equal(byName.get('fixed')?.partitions[0]?.readonly, true)
  assert.equal(byName.get('sleeping')?.partitions[0]?.paused, true)
  assert.deepEqual(
    await again.values('s', 1),
    [1, 3, 5, 7, 9, 11, 13, 15, 17, 19].map((n) => `v${n}`),
  )
  assert.equal((await again.publish('s', 'next'))?.offset, 10n)
  assert.equal(
    (await endingOf(again.publish('cas', 'x', { expectedOffset: 5n }))).status,
    'UNKNOWN',
  )
})

test('a deleted and made again stream is empty, whatever its predecessor held', async (t) => {
  const { client } = await run(t)
  for (let round = 0; round < 5; round++) {
    await client.create('s')
    assert.deepEqual(await client.values('s'), [])
    assert.equal((await client.publish('s', `${round}`))?.offset, 0n)
    await client.delete('s')
  }
})

test('publishes that race with deleting and making again are stored where they were acknowledged', async (t) => {
  const { client, connect: connectClient } = await run(t)
  const other = await connectClient()
  for (let round = 0; round < 5; round++) {
    await client.create('s')
    const acked: string[] = []
    let over = false
    const publishing = (async () => {
      for (let index = 0; !over; index++) {
        const value = `${round}.${index}`
        const before = (await other.metadata('s')).streamMetadata[0]?.creationTimestamp
        const ending = await endingOf(
          other.publish('s', value, { deadlineMs: 2_000 }).then(async () => {
            const after = (await other.metadata('s')).streamMetadata[0]?.creationTimestamp
            if (before === after && after !== 0n) acked.push(`${after} ${value}`)
          }),
        )
        assert.ok(
          ['OK', 'NOT_FOUND', 'UNAVAILABLE', 'UNKNOWN', 'DEADLINE_EXCEEDED'].includes(
            ending.status,
          ),
          ending.status,
        )
      }
    })()
    await client.delete('s')
    await client.create('s')
    over = true
    await publishing
    const { creationTimestamp } = (await client.metadata('s')).streamMetadata[0] ?? {}
    const stored = new Set(await client.values('s'))
    for (const entry of acked) {
      const [created, value = ''] = entry.split(' ')
      if (created === String(creationTimestamp)) assert.ok(stored.has(value), `lost ${entry}`)
    }
    await client.delete('s')
  }
})

test('stopping ends live calls UNAVAILABLE, and what was acknowledged is there afterwards', async (t) => {
  const first = await run(t)
  const { client } = first
  await client.create('s')
  const subscription = first.client.subscribe('s')
  await subscription.started()
  const idle = client.publishAsync()
  idle.send('s', 'first')
  await idle.answers(1)
  // A stream of publishes that goes on until the call ends.
  const busy = (await first.connect()).publishAsync()
  let sent = 0
  const feeding = (async () => {
    for (;;) {
      try {
        const batch = Array.from({ length: 50 }, () =>
          publishBytes('s', `b${sent}`, { correlationId: `b${sent++}` }),
        )
        if (!busy.call.write(Buffer.concat(batch.map(framed)))) await busy.call.drained()
      } catch {
        return
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
  })()
  const some = await busy.answers(500)
  const [rest, watched, idled] = await Promise.all([
    busy.toEnd(),
    subscription.toEnd(),
    idle.toEnd(),
    first.server.stop(),
  ])
  await feeding
  for (const { ending } of [rest, watched, idled]) assert.equal(ending.status, 'UNAVAILABLE')
  const { client: again } = await run(t, { directory: first.directory })
  const stored = await again.values('s')
  const acked = [...some, ...rest.answers].filter(({ asyncError }) => !asyncError)
  assert.ok(acked.length >= 500)
  for (const { ack, correlationId } of acked) {
    assert.equal(stored[Number(ack?.offset)], correlationId)
  }
  assert.equal(new Set(stored).size, stored.length)
})

function framed(message: Uint8Array): Uint8Array {
  const frame = Buffer.alloc(5 + message.length)
  frame.writeUInt32BE(message.length, 1)
  frame.set(message, 5)
  return frame
}

test('unary publishes while the server stops are stored when they are acknowledged', async (t) => {
  const first = await run(t)
  await first.client.create('s')
  const acked: string[] = []
  const publishing = Array.from({ length: 8 }, async (_, worker) => {
    for (let index = 0; ; index++) {
      const value = `${worker}.${index}`
      const policy = index % 2 === 0 ? AckPolicy.LEADER : AckPolicy.ALL
      const ending = await endingOf(first.client.publish('s', value, { ackPolicy: policy }))
      if (ending.status !== 'OK') return ending.status
      acked.push(value)
    }
  })
  await until('some are acknowledged', () => acked.length > 100)
  await first.server.stop()
  for (const status of await Promise.all(publishing)) assert.equal(status, 'UNAVAILABLE')
  const { client } = await run(t, { directory: first.directory })
  const stored = new Set(await client.values('s'))
  assert.deepEqual(
    acked.filter((value) => !stored.has(value)),
    [],
  )
})

test('an encrypted stream holds no plain value, reads back, and needs its key', async (t) => {
  const masterKey = Buffer.alloc(32, 7)
  const first = await run(t, { masterKey })
  await first.client.create('s', { encryption: { value: true } })
  await first.client.create('plain')
  const secret = 'nobody may read this'
  await first.client.publish('s', secret)
  await first.client.publish('plain', 'open')
  assert.deepEqual(await first.client.values('s'), [secret])
  await first.server.stop()
  const { readdir, readFile } = await import('node:fs/promises')
  const names = await readdir(first.directory, { recursive: true, withFileTypes: true })
  for (const entry of names.filter((one) => one.isFile())) {
    const bytes = await readFile(`${entry.parentPath}/${entry.name}`)
    assert.ok(!bytes.includes(secret), entry.name)
  }
  const second = await run(t, { directory: first.directory, masterKey })
  assert.deepEqual(await second.client.values('s'), [secret])
  await second.server.stop()

  const wrong = await run(t, { directory: first.directory, masterKey: Buffer.alloc(32, 8) })
  const read = await wrong.client.subscribe('s', { startPosition: Start.EARLIEST }).toEnd()
  assert.equal(read.ending.status, 'DATA_LOSS')
  await wrong.server.stop()

  const without = await run(t, { directory: first.directory })
  assert.equal((await endingOf(without.client.publish('s', 'x'))).status, 'UNAVAILABLE')
  const refused = await endingOf(without.client.create('t', { encryption: { value: true } }))
  assert.equal(refused.status, 'FAILED_PRECONDITION')
  assert.deepEqual(await without.client.values('plain'), ['open'])
})

test('reloading changes batching and retention of running partitions', async (t) => {
  const running = await run(t, { settings: { 'streams.segment.max.bytes': '1000' } })
  const { client, server, directory } = running
  await client.create('s')
  for (let index = 0; index < 60; index++) await client.publish('s', 'x'.repeat(100))
  const settings = {
    'streams.segment.max.bytes': '1000',
    'streams.retention.max.messages': '10',
    'streams.cleaner.interval': '50ms',
    'batch.max.time': '60s',
    'batch.max.messages': '3',
  }
  server.reload(configOf(directory, settings))
  await until('retention has removed old segments', async () => {
    const [oldest] = await client.subscribe('s', { startPosition: Start.EARLIEST }).take(1)
    return (oldest?.offset ?? 0n) > 20n
  })
  const publisher = client.publishAsync()
  // Two messages wait for the third one now.
  for (const value of ['a', 'b', 'c']) publisher.send('s', value)
  await publisher.answers(3)
  publisher.send('s', 'd')
  let answered = false
  const waiting = publisher.answers(1).then(() => (answered = true))
  await client.metadata()
  assert.ok(!answered)
  server.reload(configOf(directory))
  publisher.send('s', 'e')
  await waiting
})

test('a server that cannot start leaves nothing running and its directory free', async (t) => {
  const { server, directory } = await run(t)
  const taken = `127.0.0.1:${server.address.port}`
  const other = await temporaryDirectory(t)
  const start = (dataDir: string, listen: string) =>
    startServer({
      config: configOf(dataDir, { listen }),
      logger: silentLogger,
      version: 'test',
    })
  await assert.rejects(start(other, taken), /port is taken.*--port.*listen/s)
  await assert.rejects(start(directory, '127.0.0.1:0'), /in use/i)
  const free = await start(other, '127.0.0.1:0')
  await free.stop()
  await free.stop()
})

test('connections that say nothing do not keep a server from stopping', async (t) => {
  const { server } = await run(t)
  const silent = connect(server.address.port, '127.0.0.1')
  const half = connect(server.address.port, '127.0.0.1')
  await Promise.all([once(silent, 'connect'), once(half, 'connect')])
  half.write('GET /heal')
  const ended = [silent, half].map((socket) => {
    socket.on('error', () => undefined)
    return new Promise((resolve) => socket.once('close', resolve))
  })
  await server.stop()
  await Promise.all(ended)
})

test('the same message is not stored twice when it was received once [D6]', async (t) => {
  const { client, nats } = await run(t)
  for (const name of ['a', 'b'])
    await client.create(name, { subject: name === 'a' ? 'x.y' : 'x.*' })
  const connection = await nats()
  for (let index = 0; index < 50; index++) {
    await client.publish('a', `g${index}`)
    connection.publish('x.y', `n${index}`)
  }
  await until('all are stored', async () => (await client.partition('b')).newestOffset >= 99n)
  for (const name of ['a', 'b']) {
    const values = await client.values(name)
    assert.equal(values.length, 100)
    assert.equal(new Set(values).size, 100)
  }
  const [first] = await client.subscribe('b', { startPosition: Start.EARLIEST }).take(1)
  assert.equal(first && valueOf(first), 'g0')
})
