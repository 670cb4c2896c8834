/** A whole server whose disk fails under one partition, or under its metadata. */
import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { test } from 'node:test'
import { DiskError } from '@liftbridge/log'
import { api } from '@liftbridge/wire'
import { FaultyDisk } from './partition/partition-fixture.suite.ts'
import {
  endingOf,
  run,
  until,
  valueOf,
  type Subscription,
  type TestClient,
} from './running-server.suite.ts'

const { AckPolicy, StartPosition: Start } = api

/** Faults concern the partition 0 of the stream `bad` only. */
function diskOf(): FaultyDisk {
  const disk = new FaultyDisk()
  disk.concerns = (path) => path.includes('/streams/bad/0/')
  return disk
}

async function makeStreams(client: TestClient): Promise<void> {
  await client.create('bad')
  await client.create('good')
  for (const name of ['bad', 'good']) await client.publish(name, 'first')
}

const readiness = (port: number) => page(port, '/readyz')

function page(port: number, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (text: string) => (body += text))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    }).on('error', reject)
  })
}

test('a failing sync fences its partition only, which is opened again and serves [D7]', async (t) => {
  const disk = diskOf()
  const settings = { 'streams.sync.policy': 'always' }
  const { client, server, directory } = await run(t, { disk, settings })
  await makeStreams(client)
  const log = `${directory}/streams/bad/0/${'0'.repeat(20)}.log`
  const { size } = await stat(log)
  const reader = client.subscribe('bad')
  await reader.started()
  disk.syncError = new DiskError('io', '/bad', 'EIO')
  const lost = endingOf(client.publish('bad', 'never acknowledged', { deadlineMs: 10_000 }))
  await until('the partition is down', async () => {
    return (
      (await endingOf(client.publish('bad', 'x', { deadlineMs: 200 }))).status === 'UNAVAILABLE'
    )
  })
  // One bad partition is told, and does not take the server out of service.
  const down = await readiness(server.address.port)
  assert.equal(down.status, 200)
  assert.match(down.body, /bad\/0/)
  assert.notEqual((await reader.toEnd()).ending.status, 'OK')
  assert.equal((await client.publish('good', 'second'))?.offset, 1n)
  assert.equal((await client.publish('good', 'third', { ackPolicy: AckPolicy.ALL }))?.offset, 2n)
  disk.syncError = undefined
  await until('the partition is up again', async () => {
    return (await endingOf(client.publish('bad', 'later', { deadlineMs: 500 }))).status === 'OK'
  })
  // The page cache may hold what the disk never got, as if it were clean.
  const written = disk.writes.filter((position) => position === size)
  assert.equal(written.length, 2, 'unsynced records are written again before they are believed')
  assert.deepEqual(await lost, { status: 'UNKNOWN', text: 'unknown error' })
  const values = await client.values('bad')
  assert.equal(values[0], 'first')
  assert.equal(values.filter((value) => value === 'later').length, 1)
  assert.doesNotMatch((await readiness(server.address.port)).body, /bad\/0/)
})

test('a long PublishAsync call goes on when its partition is back', async (t) => {
  const disk = diskOf()
  const { client } = await run(t, { disk })
  await makeStreams(client)
  const publisher = client.publishAsync()
  disk.syncError = new DiskError('io', '/bad', 'EIO')
  publisher.send('bad', 'fences', { ackPolicy: AckPolicy.ALL })
  let index = 0
  const attempt = async (): Promise<boolean> => {
    publisher.send('bad', `try ${index++}`, { ackPolicy: AckPolicy.LEADER })
    const [answer] = await publisher.answers(1)
    return answer?.asyncError === undefined
  }
  await until('the partition is down', async () => !(await attempt()))
  disk.syncError = undefined
  await until('the call is served again', attempt)
})

test('a full disk refuses messages and keeps what is there; space makes it go on [T4]', async (t) => {
  const disk = diskOf()
  const { client, server } = await run(t, { disk })
  await makeStreams(client)
  disk.writeError = new DiskError('no-space', '/bad', 'ENOSPC')
  for (let index = 0; index < 3; index++) {
    const ending = await endingOf(client.publish('bad', 'no room'))
    const text = 'no space left on the disk of the server'
    assert.deepEqual(ending, { status: 'RESOURCE_EXHAUSTED', text })
  }
  assert.deepEqual(await client.values('bad'), ['first'])
  assert.equal((await client.publish('good', 'second'))?.offset, 1n)
  disk.writeError = undefined
  assert.equal((await client.publish('bad', 'second'))?.offset, 1n)
  assert.equal((await readiness(server.address.port)).status, 200)
  assert.deepEqual(await client.values('bad'), ['first', 'second'])
})

test('a high watermark that cannot be written changes nothing for anybody', async (t) => {
  const disk = diskOf()
  disk.concerns = (path) => path.endsWith('/streams/bad/0/replication-offset-checkpoint')
  disk.renameError = new DiskError('io', '/bad', 'EIO')
  const first = await run(t, { disk })
  await makeStreams(first.client)
  for (let index = 0; index < 10; index++) {
    await first.client.publish('bad', `${index}`, { ackPolicy: AckPolicy.ALL })
  }
  await first.server.stop()
  const second = await run(t, { directory: first.directory })
  assert.equal((await second.client.values('bad')).length, 11)
  assert.equal((await second.client.publish('bad', 'next'))?.offset, 11n)
})

test('a partition that cannot be opened leaves the server and the others up', async (t) => {
  const first = await run(t)
  await makeStreams(first.client)
  await first.server.stop()
  const disk = diskOf()
  disk.openError = new DiskError('io', '/bad', 'EIO')
  const { client, server } = await run(t, { directory: first.directory, disk })
  assert.equal((await client.publish('good', 'second'))?.offset, 1n)
  assert.equal((await endingOf(client.publish('bad', 'x'))).status, 'UNAVAILABLE')
  const subscribing = client.subscribe('bad', { startPosition: Start.EARLIEST }).take(1)
  assert.equal((await endingOf(subscribing)).status, 'UNAVAILABLE')
  assert.match((await readiness(server.address.port)).body, /bad\/0/)
  disk.openError = undefined
  await until('it is opened after all', async () => {
    return (await endingOf(client.publish('bad', 'x'))).status === 'OK'
  })
})

test('a byte that flips under a running partition costs its record, not those that follow [T2]', async (t) => {
  const { client, server, directory } = await run(t)
  await client.create('bad')
  for (const value of ['v0', 'v1', 'v2']) await client.publish('bad', value)
  await server.stop()
  const again = await run(t, { directory })
  const path = `${directory}/streams/bad/0/${'0'.repeat(20)}.log`
  const bytes = await readFile(path)
  const at = bytes.indexOf('v1')
  bytes[at] = (bytes[at] ?? 0) ^ 1
  await writeFile(path, bytes)
  const subscribe = (startOffset: bigint): Subscription =>
    again.client.subscribe('bad', { startPosition: Start.OFFSET, startOffset })
  const early = await subscribe(0n).toEnd()
  assert.deepEqual(early.messages.map(valueOf), ['v0'])
  assert.equal(early.ending.status, 'DATA_LOSS')
  assert.equal((await again.client.publish('bad', 'v3', { ackPolicy: AckPolicy.ALL }))?.offset, 3n)
  assert.deepEqual((await subscribe(2n).take(2)).map(valueOf), ['v2', 'v3'])
  const ready = await readiness(again.server.address.port)
  assert.equal(ready.status, 200)
  assert.match(ready.body, /bad\/0: [^"]*\.log at offset 1/)
})

test('CreateStream tells that a partition could not be opened, and the stream comes by itself', async (t) => {
  const disk = diskOf()
  disk.openError = new DiskError('no-space', '/streams/bad/0', 'the file system is full')
  const { client, server } = await run(t, { disk })
  const refused = await endingOf(client.create('bad'))
  assert.equal(refused.status, 'UNAVAILABLE')
  assert.match(refused.text, /^stream bad was created, .* partition 0 could not be opened: .*full/)
  assert.match((await readiness(server.address.port)).body, /bad\/0: .*full/)
  await client.create('good')
  assert.equal((await client.publish('good', 'first'))?.offset, 0n)
  disk.openError = undefined
  await until('the partition runs', async () => {
    return (await endingOf(client.publish('bad', 'first', { deadlineMs: 500 }))).status === 'OK'
  })
  assert.equal((await endingOf(client.create('bad'))).status, 'ALREADY_EXISTS')
})

test('a server whose metadata cannot be stored says that only a restart helps [D7]', async (t) => {
  const disk = new FaultyDisk()
  disk.concerns = (path) => path.includes('/raft/')
  const failures: string[] = []
  const onFailed = ({ message }: Error): void => void failures.push(message)
  const { client, server } = await run(t, { disk, onFailed })
  await client.create('kept')
  await client.publish('kept', 'first')
  assert.equal((await page(server.address.port, '/healthz')).status, 200)
  disk.syncError = new DiskError('io', '/raft', 'EIO')
  const refused = await endingOf(client.create('refused'))
  assert.equal(refused.status, 'INTERNAL')
  assert.equal(failures.length, 1)
  assert.match(failures[0] ?? '', /EIO/)
  const health = await page(server.address.port, '/healthz')
  assert.equal(health.status, 503)
  assert.match(health.body, /EIO/)
  // Nobody else holds this partition, so there is nothing to be given up.
  assert.deepEqual(await client.values('kept'), ['first'])
})
