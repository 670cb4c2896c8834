import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { api } from '@liftbridge/wire'
import {
  endingOf,
  publishBytes,
  run,
  until,
  valueOf,
  type Running,
  type SubscribeInit,
  type TestClient,
} from './running-server.suite.ts'

const { StartPosition: Start, StopPosition: Stop } = api

async function fill(client: TestClient, stream: string, count: number): Promise<void> {
  const publisher = client.publishAsync()
  publisher.sendAll(Array.from({ length: count }, (_, at) => publishBytes(stream, `v${at}`)))
  await publisher.answers(count)
  publisher.call.halfClose()
}

async function read(
  client: TestClient,
  init: SubscribeInit,
): Promise<{ values: string; status: string; text: string }> {
  const { messages, ending } = await client.subscribe('s', init).toEnd()
  return { values: messages.map(valueOf).join(' '), ...ending }
}

test('a subscription begins and stops where it was asked to', async (t) => {
  const { client } = await run(t)
  await client.create('s')
  await fill(client, 's', 5)
  const messages = await client.subscribe('s', { startPosition: Start.EARLIEST }).take(5)
  const [first, , third] = messages
  assert.ok(first && third)
  const reached = { status: 'RESOURCE_EXHAUSTED', text: 'Stop offset reached' }
  const cases: [string, SubscribeInit, string][] = [
    ['earliest', { startPosition: Start.EARLIEST }, 'v0 v1 v2 v3 v4'],
    ['latest', { startPosition: Start.LATEST }, 'v4'],
    ['an offset', { startPosition: Start.OFFSET, startOffset: 3n }, 'v3 v4'],
    [
      'before the log',
      { startPosition: Start.OFFSET, startOffset: -(2n ** 63n) },
      'v0 v1 v2 v3 v4',
    ],
    ['the first time', { startPosition: Start.TIMESTAMP, startTimestamp: 0n }, 'v0 v1 v2 v3 v4'],
    ['an unused offset', { startPosition: Start.EARLIEST, startOffset: 77n }, 'v0 v1 v2 v3 v4'],
  ]
  for (const [name, init, values] of cases) {
    const got = await read(client, { stopPosition: Stop.STOP_LATEST, ...init })
    assert.deepEqual(got, { values, ...reached }, name)
  }
  const stops: [string, SubscribeInit, string][] = [
    ['an offset', { stopPosition: Stop.STOP_OFFSET, stopOffset: 2n }, 'v0 v1 v2'],
    [
      'a time',
      { stopPosition: Stop.STOP_TIMESTAMP, stopTimestamp: messages.at(-1)?.timestamp ?? 0n },
      'v0 v1 v2 v3 v4',
    ],
  ]
  for (const [name, init, values] of stops) {
    const got = await read(client, { startPosition: Start.EARLIEST, ...init })
    assert.deepEqual(got, { values, ...reached }, name)
  }
})

test('positions at the ends of 64 bits and unknown ones harm nobody', async (t) => {
  const { client } = await run(t)
  await client.create('s')
  await fill(client, 's', 2)
  const largest = 2n ** 63n - 1n
  const stopAtOnce = { stopPosition: Stop.STOP_OFFSET, stopOffset: 0n }
  const huge = { startPosition: Start.OFFSET, startOffset: largest, ...stopAtOnce }
  assert.equal((await read(client, huge)).status, 'INVALID_ARGUMENT')
  for (const time of [largest, -largest, -1n]) {
    const init = { startPosition: Start.TIMESTAMP, startTimestamp: time, ...stopAtOnce }
    assert.notEqual((await read(client, init)).status, 'UNKNOWN')
    const until = { stopPosition: Stop.STOP_TIMESTAMP, stopTimestamp: time }
    assert.notEqual((await read(client, { ...until, startPosition: 2 })).status, 'UNKNOWN')
  }
  assert.equal(
    (await read(client, { startPosition: 77 as api.StartPosition })).status,
    'INVALID_ARGUMENT',
  )
  assert.equal(
    (await read(client, { stopPosition: 77 as api.StopPosition })).status,
    'INVALID_ARGUMENT',
  )
  for (const partition of [-1, 1, 2_147_483_647, -2_147_483_648]) {
    assert.equal((await read(client, { partition })).status, 'NOT_FOUND')
  }
  // Beyond the log a subscription starts with what comes next [LB 7.D7].
  const beyond = client.subscribe('s', { startPosition: Start.OFFSET, startOffset: largest })
  await beyond.started()
  await client.publish('s', 'next')
  assert.deepEqual((await beyond.take(1)).map(valueOf), ['next'])
})

test('an empty stream has no latest message to stop at, and a new subscriber waits', async (t) => {
  const { client } = await run(t)
  await client.create('s')
  const empty = await endingOf(client.subscribe('s', { stopPosition: Stop.STOP_LATEST }).take(1))
  assert.deepEqual(empty, { status: 'RESOURCE_EXHAUSTED', text: 'Stream is empty' })
  const subscription = client.subscribe('s')
  await subscription.started()
  await client.publish('s', 'new')
  assert.deepEqual((await subscription.take(1)).map(valueOf), ['new'])
})

test('a subscription to a log that retention has emptied reaches its stop at once', async (t) => {
  const { client, directory } = await run(t)
  await client.create('s', {
    segmentMaxAge: { value: 1n },
    retentionMaxAge: { value: 1n },
    cleanerInterval: { value: 10n },
  })
  await fill(client, 's', 5)
  const first = `${directory}/streams/s/0/${'0'.repeat(20)}.log`
  await until('retention has removed the only segment', () => !existsSync(first))
  const reached = { values: '', status: 'RESOURCE_EXHAUSTED', text: 'Stop offset reached' }
  const stops: SubscribeInit[] = [
    { stopPosition: Stop.STOP_LATEST },
    { stopPosition: Stop.STOP_OFFSET, stopOffset: 2n },
  ]
  for (const stop of stops) {
    assert.deepEqual(await read(client, { startPosition: Start.EARLIEST, ...stop }), reached)
  }
})

test('a reverse subscription goes down to the oldest message, or to its stop', async (t) => {
  const { client } = await run(t)
  await client.create('s')
  await fill(client, 's', 4)
  assert.deepEqual(await read(client, { reverse: true, startPosition: Start.LATEST }), {
    values: 'v3 v2 v1 v0',
    status: 'RESOURCE_EXHAUSTED',
    text: 'Beginning of partition reached',
  })
  const down = { reverse: true, startPosition: Start.OFFSET, stopPosition: Stop.STOP_OFFSET }
  assert.deepEqual(await read(client, { ...down, startOffset: 2n, stopOffset: 1n }), {
    values: 'v2 v1',
    status: 'RESOURCE_EXHAUSTED',
    text: 'Stop offset reached',
  })
  const wrong = await read(client, { ...down, startOffset: 1n, stopOffset: 2n })
  assert.equal(wrong.status, 'INVALID_ARGUMENT')
})

test('deleting a stream ends its subscriptions NOT_FOUND, pausing ends them FAILED_PRECONDITION', async (t) => {
  const { client } = await run(t)
  for (const name of ['gone', 'paused']) await client.create(name)
  const gone = client.subscribe('gone')
  const paused = client.subscribe('paused')
  await Promise.all([gone.started(), paused.started()])
  await client.delete('gone')
  assert.deepEqual((await gone.toEnd()).ending, {
    status: 'NOT_FOUND',
    text: 'commit log was deleted',
  })
  await client.pause('paused')
  assert.deepEqual((await paused.toEnd()).ending, {
    status: 'FAILED_PRECONDITION',
    text: 'commit log was closed',
  })
})

test('a paused partition resumes for a publish, and for a subscription that asks for it', async (t) => {
  const { client } = await run(t)
  await client.create('s', { partitions: 2 })
  await client.publish('s', 'a')
  await client.pause('s')
  assert.ok((await client.metadata('s')).streamMetadata[0]?.partitions[0]?.paused)
  assert.equal((await endingOf(client.subscribe('s').take(1))).status, 'FAILED_PRECONDITION')
  await client.publish('s', 'b')
  const { partitions } = (await client.metadata('s')).streamMetadata[0] ?? {}
  assert.deepEqual([partitions?.[0]?.paused, partitions?.[1]?.paused], [false, true])
  await client.pause('s', { resumeAll: true })
  const publisher = client.publishAsync()
  for (const value of ['c', 'd', 'e']) publisher.send('s', value, { ackInbox: 'not.used' })
  const answers = await publisher.answers(3)
  assert.deepEqual(
    answers.map(({ ack }) => Number(ack?.offset)),
    [2, 3, 4],
  )
  await client.pause('s')
  const resumed = client.subscribe('s', { resume: true, startPosition: Start.EARLIEST })
  assert.deepEqual((await resumed.take(5)).map(valueOf), ['a', 'b', 'c', 'd', 'e'])
})

test('publishers that meet a resuming partition at the same time are all served', async (t) => {
  const { client } = await run(t)
  await client.create('s')
  for (let round = 0; round < 5; round++) {
    await client.pause('s')
    const acks = await Promise.all(
      Array.from({ length: 8 }, (_, at) => client.publish('s', `${round}.${at}`)),
    )
    assert.equal(new Set(acks.map((ack) => ack?.offset)).size, 8)
  }
})

test('a readonly partition refuses publishes, ends its readers at the end, and can be opened again', async (t) => {
  const { client } = await run(t)
  await client.create('s')
  await client.publish('s', 'a')
  const subscription = client.subscribe('s', { startPosition: Start.EARLIEST })
  await subscription.started()
  await client.setReadonly('s', true)
  const { messages, ending } = await subscription.toEnd()
  assert.deepEqual(messages.map(valueOf), ['a'])
  assert.equal(ending.text, 'End of readonly partition')
  assert.equal((await endingOf(client.publish('s', 'b'))).status, 'FAILED_PRECONDITION')
  await client.setReadonly('s', false)
  await client.publish('s', 'c')
  assert.deepEqual(await client.values('s'), ['a', 'c'])
})

test('a member of a newer group epoch takes over and the old call ends OK [C2]', async (t) => {
  const { client } = await run(t)
  await client.create('s')
  const member = (consumerId: string, groupEpoch: bigint): SubscribeInit => ({
    consumer: { groupId: 'g', groupEpoch, consumerId },
  })
  const first = client.subscribe('s', member('one', 1n))
  await first.started()
  const refused = await endingOf(client.subscribe('s', member('two', 1n)).take(1))
  assert.equal(refused.status, 'FAILED_PRECONDITION')
  assert.match(refused.text, /not currently assigned/)
  const second = client.subscribe('s', member('two', 2n))
  await second.started()
  assert.equal((await first.toEnd()).ending.status, 'OK')
  const older = await endingOf(client.subscribe('s', member('one', 1n)).take(1))
  assert.equal(older.status, 'FAILED_PRECONDITION')
  await client.publish('s', 'for two')
  assert.deepEqual((await second.take(1)).map(valueOf), ['for two'])
  const largest = client.subscribe('s', member('three', 2n ** 64n - 1n))
  await largest.started()
})

/** Bytes in buffers that somebody holds: what is only garbage is collected first. */
async function heldBytes(): Promise<number> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  let held = Number.POSITIVE_INFINITY
  // Buffers are freed beside the collector, and some are let go of only by what the turn runs.
  for (let round = 0; round < 5; round++) {
    collect()
    await new Promise((resolve) => setImmediate(resolve))
    held = Math.min(held, process.memoryUsage().arrayBuffers)
  }
  return held
}

test('a subscriber that does not read holds a bounded part of the log in memory [B1]', async (t) => {
  const { client, connect } = await run(t)
  await client.create('s')
  const publisher = client.publishAsync()
  const value = 'x'.repeat(64 * 1_024)
  for (let index = 0; index < 300; index++) {
    publisher.send('s', value, { correlationId: `${index}` })
    if (index % 40 === 39) await publisher.answers(40)
  }
  const slow = await Promise.all(Array.from({ length: 8 }, connect))
  const before = await heldBytes()
  const subscriptions = slow.map((one) => one.subscribe('s', { startPosition: Start.EARLIEST }))
  for (const subscription of subscriptions) await subscription.started()
  // Others are served meanwhile, from the first to the last message.
  assert.equal((await client.values('s')).length, 300)
  const grown = (await heldBytes()) - before
  assert.ok(grown < 24 * 1_048_576, `8 subscribers hold ${grown} bytes of 157 million`)
})

test('thousands of subscriptions come and go without a trace', async (t) => {
  const { client, server } = await run(t)
  await client.create('s')
  const open = async (): Promise<void> => {
    const subscriptions = Array.from({ length: 250 }, () => client.subscribe('s'))
    await Promise.all(subscriptions.map((one) => one.started()))
    for (const one of subscriptions) one.call.cancel()
    await Promise.all(subscriptions.map((one) => endingOf(one.toEnd())))
  }
  await open()
  await open()
  await client.publish('s', 'still here')
  assert.ok(server.serverId.length > 0)
})

test('a damaged segment ends its readers DATA_LOSS; the server and other partitions go on [G7, T2]', async (t) => {
  const running = await run(t, { settings: { 'streams.segment.max.bytes': '4096' } })
  const { client } = running
  await client.create('s', { partitions: 2 })
  await fill(client, 's', 400)
  await client.publish('s', 'other', { partition: 1 })
  await damageFirstSegment(running)
  const { client: again } = await restart(t, running)
  const read = await again.subscribe('s', { startPosition: Start.EARLIEST }).toEnd()
  assert.equal(read.ending.status, 'DATA_LOSS')
  assert.match(read.ending.text, /partition 0 of stream s cannot be read/)
  assert.deepEqual(await again.values('s', 1), ['other'])
  await until('the other partition takes publishes', async () => {
    return (await endingOf(again.publish('s', 'more', { partition: 1 }))).status === 'OK'
  })
})

async function damageFirstSegment(running: Running): Promise<void> {
  const { readdir, readFile, writeFile } = await import('node:fs/promises')
  await running.server.stop()
  const root = `${running.directory}/streams`
  const names = await readdir(root, { recursive: true })
  const [first] = names.filter((name) => /\/0\/0+\.log$/.test(name)).toSorted()
  assert.ok(first, names.join(' '))
  const bytes = await readFile(`${root}/${first}`)
  bytes[Math.floor(bytes.length / 2)] = (bytes[Math.floor(bytes.length / 2)] ?? 0) ^ 0xff
  await writeFile(`${root}/${first}`, bytes)
}

function restart(t: Parameters<typeof run>[0], running: Running): Promise<Running> {
  return run(t, { directory: running.directory })
}
