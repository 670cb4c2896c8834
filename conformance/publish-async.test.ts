/** Golden statuses and obligations of PublishAsync [clients 2.0.8]. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytes, freshName, onEachDeployment } from './deployments.ts'
import { expectStatus } from './expect.ts'
import { AsyncPublisher, Subscription } from './subscription.ts'

onEachDeployment('PublishAsync', (running) => {
  test('answers each message with an ack and echoes the correlation id twice', async () => {
    const stream = await running().stream()
    const publisher = new AsyncPublisher(running().api)
    publisher.send({ stream, value: bytes('x'), correlationId: 'one', ackPolicy: 'ALL' })
    const response = await publisher.message()
    assert.equal(response.correlationId, 'one')
    assert.equal(response.ack?.correlationId, 'one')
    assert.equal(response.ack?.offset, '0')
    assert.equal(response.ack?.ackPolicy, 'ALL')
    assert.equal(response.asyncError, null)
    publisher.cancel()
  })

  test('stays open while idle, and can be opened before any stream exists', async () => {
    const publisher = new AsyncPublisher(running().api)
    await publisher.quiet()
    const stream = await running().stream()
    publisher.send({ stream, correlationId: 'late' })
    assert.equal((await publisher.message()).correlationId, 'late')
    publisher.cancel()
  })

  test('reports errors in band, with an empty ack, and goes on', async () => {
    const stream = await running().stream()
    const guarded = await running().stream({ optimisticConcurrencyControl: { value: true } })
    const missing = freshName()
    const rows = [
      [{ stream: missing }, 'NOT_FOUND', `no such stream: ${missing}`],
      [{ stream: '' }, 'NOT_FOUND', 'no such stream: '],
      [{ stream, partition: 9 }, 'NOT_FOUND', 'no such partition: 9'],
      [{ stream, partition: -1 }, 'NOT_FOUND', 'no such partition: -1'],
      [{ stream: guarded, expectedOffset: 7 }, 'INCORRECT_OFFSET', 'incorrect expected offset'],
      [
        { stream: guarded, ackPolicy: 'NONE' },
        'BAD_REQUEST',
        'stream with concurrency control must have AckPolicy set',
      ],
    ] as const
    const publisher = new AsyncPublisher(running().api)
    for (const [request, code, message] of rows) {
      publisher.send({ ...request, correlationId: `${code}-${message}` })
      const response = await publisher.message()
      assert.deepEqual(response.asyncError, { code, message })
      assert.equal(response.correlationId, `${code}-${message}`)
      assert.notEqual(response.ack, null, 'old clients need an ack to be there')
      assert.equal(response.ack?.correlationId, '')
    }
    publisher.send({ stream, correlationId: 'fine' })
    assert.equal((await publisher.message()).ack?.offset, '0')
    publisher.cancel()
  })

  test('reports a payload that is too large for NATS as INTERNAL', async () => {
    const stream = await running().stream()
    const publisher = new AsyncPublisher(running().api)
    publisher.send({ stream, value: Buffer.alloc(2 << 20), correlationId: 'large' })
    const response = await publisher.message()
    assert.equal(response.asyncError?.code, 'INTERNAL')
    assert.match(response.asyncError?.message ?? '', /maximum payload exceeded/)
    publisher.cancel()
  })

  test('answers every message although all carry one correlation id', async () => {
    const stream = await running().stream()
    const publisher = new AsyncPublisher(running().api)
    for (let i = 0; i < 100; i++) publisher.send({ stream, correlationId: 'same' })
    const responses = await publisher.messages(100)
    assert.deepEqual(
      responses.map((response) => Number(response.ack?.offset)),
      Array.from({ length: 100 }, (_, i) => i),
    )
    publisher.cancel()
  })

  test('says nothing about policy NONE, and stores it in its place', async () => {
    const stream = await running().stream()
    const publisher = new AsyncPublisher(running().api)
    publisher.send({ stream, value: bytes('first'), ackPolicy: 'NONE', correlationId: 'none' })
    publisher.send({ stream, value: bytes('second'), correlationId: 'acked' })
    const response = await publisher.message()
    assert.equal(response.correlationId, 'acked')
    assert.equal(response.ack?.offset, '1')
    await publisher.quiet()
    publisher.cancel()
  })

  test('ignores the ack inbox of the client', async () => {
    const stream = await running().stream()
    const nats = await running().nats()
    const inbox = freshName()
    let onInbox = 0
    nats.subscribe(inbox, { callback: () => void onInbox++ })
    await nats.flush()
    const publisher = new AsyncPublisher(running().api)
    publisher.send({ stream, ackInbox: inbox, correlationId: 'c' })
    const response = await publisher.message()
    assert.notEqual(response.ack?.ackInbox, inbox)
    await publisher.quiet()
    assert.equal(onInbox, 0)
    publisher.cancel()
  })

  test('keeps the order of one call across partitions and ack policies [O3]', async () => {
    const count = 3_000
    const stream = await running().stream({ partitions: 3 })
    const publisher = new AsyncPublisher(running().api)
    for (let i = 0; i < count; i++) {
      const ackPolicy = i % 2 === 0 ? 'LEADER' : 'ALL'
      publisher.send({
        stream,
        partition: i % 3,
        value: bytes(`v${i}`),
        correlationId: `c${i}`,
        ackPolicy,
      })
    }
    const acks = await publisher.messages(count)
    for (const response of acks) {
      const i = Number(response.correlationId.slice(1))
      assert.equal(response.ack?.offset, String(Math.floor(i / 3)))
    }
    assert.equal(new Set(acks.map((response) => response.correlationId)).size, count)
    publisher.cancel()
    const read = await Subscription.readAll(running().api, {
      stream,
      partition: 1,
      startPosition: 'EARLIEST',
      stopPosition: 'STOP_LATEST',
    })
    assert.deepEqual(
      read.messages.map((message) => message.value.toString()),
      Array.from({ length: count / 3 }, (_, i) => `v${i * 3 + 1}`),
    )
  })

  test('delivers the acks in flight after a half-close, then ends OK', async () => {
    const stream = await running().stream()
    const publisher = new AsyncPublisher(running().api)
    for (let i = 0; i < 50; i++) publisher.send({ stream, correlationId: `c${i}` })
    publisher.finish()
    assert.equal((await publisher.messages(50)).length, 50)
    expectStatus(await publisher.end(), 'OK')
  })

  test('ends OK at once when half-closed with nothing in flight', async () => {
    const publisher = new AsyncPublisher(running().api)
    publisher.finish()
    expectStatus(await publisher.end(), 'OK')
  })
})

onEachDeployment(
  'PublishAsync with a small replication.max.bytes',
  (running) => {
    test('reports what is too large as BAD_REQUEST', async () => {
      const stream = await running().stream()
      const publisher = new AsyncPublisher(running().api)
      publisher.send({ stream, value: Buffer.alloc(20_000), correlationId: 'large' })
      const response = await publisher.message()
      assert.equal(response.asyncError?.code, 'BAD_REQUEST')
      assert.equal(response.asyncError?.message, 'message exceeds max replication size')
      assert.equal(response.correlationId, 'large')
      publisher.cancel()
    })
  },
  { 'clustering.replication.max.bytes': 10_000 },
)
