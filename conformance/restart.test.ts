/** What a restart keeps, and what retention and compaction may take. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytes, freshName, onEachDeployment } from './deployments.ts'
import { expectStatus } from './expect.ts'
import { AsyncPublisher, Subscription } from './subscription.ts'

onEachDeployment('A restart', (running) => {
  for (const [how, end] of [
    ['SIGTERM', 'stop'],
    ['kill -9', 'kill'],
  ] as const) {
    test(`after ${how} keeps messages, offsets, metadata and deletions`, async () => {
      const { api, server } = running()
      const stream = await running().stream({ partitions: 2, segmentMaxBytes: { value: 1_000 } })
      const guarded = await running().stream({ optimisticConcurrencyControl: { value: true } })
      const deleted = await running().stream()
      await running().publish(deleted, ['gone'])
      await api.ok('DeleteStream', { name: deleted })
      const values = Array.from({ length: 100 }, (_, i) => `v${i}`)
      await running().publish(stream, values, 1)
      const read = (): ReturnType<typeof Subscription.readAll> =>
        Subscription.readAll(api, {
          stream,
          partition: 1,
          startPosition: 'EARLIEST',
          stopPosition: 'STOP_LATEST',
        })
      const before = await read()
      const metadataBefore = await api.ok('FetchMetadata', { streams: [stream, guarded] })
      const status = await server[end]()
      if (how === 'SIGTERM') assert.deepEqual(status, { code: 0, signal: null })
      await server.restart()
      assert.deepEqual((await read()).messages, before.messages)
      const after = await api.ok('FetchMetadata', { streams: [stream, guarded] })
      assert.deepEqual(
        after.brokers.map((broker) => broker.id),
        metadataBefore.brokers.map((broker) => broker.id),
      )
      for (const [i, was] of metadataBefore.streamMetadata.entries()) {
        const is = after.streamMetadata[i]
        assert.equal(is?.creationTimestamp, was.creationTimestamp)
        assert.equal(is?.subject, was.subject)
        assert.deepEqual(Object.keys(is?.partitions ?? {}), Object.keys(was.partitions))
      }
      assert.deepEqual(await running().publish(stream, ['after'], 1), [100])
      const unknown = await api.call('Publish', { stream: deleted, value: bytes('x') })
      expectStatus(unknown, 'NOT_FOUND', `no such stream: ${deleted}`)
      const wrong = await api.call('Publish', { stream: guarded, expectedOffset: 9 })
      expectStatus(wrong, 'UNKNOWN', 'incorrect expected offset')
    })
  }

  test('ends Subscribe and PublishAsync with UNAVAILABLE, never OK', async () => {
    const { api, server } = running()
    const stream = await running().stream()
    const subscription = await Subscription.open(api, { stream })
    const publisher = new AsyncPublisher(api)
    publisher.send({ stream, correlationId: 'a' })
    await publisher.message()
    await subscription.message()
    assert.deepEqual(await server.stop(), { code: 0, signal: null })
    expectStatus(await subscription.end(), 'UNAVAILABLE')
    expectStatus(await publisher.end(), 'UNAVAILABLE')
    await server.restart()
    const again = await Subscription.open(api, { stream, startPosition: 'EARLIEST' })
    assert.equal((await again.message()).offset, '0')
    again.cancel()
  })
})

onEachDeployment('A log', (running) => {
  test('loses whole old segments to retention, in milliseconds [2.0.17]', async () => {
    const stream = await running().stream({
      retentionMaxAge: { value: 300 },
      segmentMaxBytes: { value: 400 },
      cleanerInterval: { value: 100 },
    })
    const values = Array.from({ length: 40 }, () => 'x'.repeat(50))
    await running().publish(stream, values)
    const oldest = async (): Promise<number> => {
      const subscription = await Subscription.open(running().api, {
        stream,
        startPosition: 'EARLIEST',
      })
      const message = await subscription.message()
      subscription.cancel()
      return Number(message.offset)
    }
    const end = performance.now() + 10_000
    let first = await oldest()
    while (first < 30 && performance.now() < end) first = await oldest()
    assert.ok(first >= 30 && first < 40, `the oldest offset is ${first}`)
    assert.deepEqual(await running().publish(stream, ['next']), [40])
  })

  test('with compaction keeps the newest message per key', async () => {
    const stream = await running().stream({
      compactEnabled: { value: true },
      segmentMaxBytes: { value: 400 },
      cleanerInterval: { value: 100 },
    })
    for (let i = 0; i < 60; i++) {
      await running().api.ok('Publish', {
        stream,
        key: bytes(`k${i % 3}`),
        value: bytes(`v${i}${'x'.repeat(30)}`),
      })
    }
    const read = async (): Promise<readonly string[]> => {
      const { messages } = await Subscription.readAll(running().api, {
        stream,
        startPosition: 'EARLIEST',
        stopPosition: 'STOP_LATEST',
      })
      return messages.map((message) => message.offset)
    }
    const end = performance.now() + 10_000
    let offsets = await read()
    while (offsets.length > 20 && performance.now() < end) offsets = await read()
    assert.ok(offsets.length <= 20, `${offsets.length} of 60 messages are left`)
    assert.deepEqual(offsets.slice(-3), ['57', '58', '59'])
    const request = { stream, startPosition: 'OFFSET', startOffset: 0 }
    const subscription = await Subscription.open(running().api, request)
    // Compaction may have gone on in between; what was removed before stays removed.
    assert.ok(Number((await subscription.message()).offset) >= Number(offsets[0]))
    subscription.cancel()
  })
})

onEachDeployment('Metadata', (running) => {
  test('of 200 streams is complete after a restart', async () => {
    const names = Array.from({ length: 200 }, () => freshName())
    for (const name of names) await running().stream({ name })
    await running().server.kill()
    await running().server.restart()
    const { streamMetadata } = await running().api.ok('FetchMetadata', {})
    const known = new Set(streamMetadata.map((stream) => stream.name))
    assert.deepEqual(
      names.filter((name) => !known.has(name)),
      [],
    )
  })
})
