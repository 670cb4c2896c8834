/** Golden statuses: Publish and PublishToSubject. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytes, freshName, onEachDeployment } from './deployments.ts'
import type { Outcome } from './api-client.ts'
import { expectNowNs, expectStatus } from './expect.ts'
import { Subscription } from './subscription.ts'

onEachDeployment('Publish', (running) => {
  test('refuses a request without a stream', async () => {
    const outcome = await running().api.call('Publish', { value: bytes('x') })
    expectStatus(outcome, 'INVALID_ARGUMENT', 'no stream provided')
  })

  test('answers NOT_FOUND for an unknown stream', async () => {
    const outcome = await running().api.call('Publish', { stream: 'nope', value: bytes('x') })
    expectStatus(outcome, 'NOT_FOUND', 'no such stream: nope')
  })

  test('answers NOT_FOUND for an unknown and for a negative partition', async () => {
    const stream = await running().stream({ partitions: 2 })
    for (const partition of [2, -1, -2147483648, 2147483647]) {
      const outcome = await running().api.call('Publish', { stream, partition })
      expectStatus(outcome, 'NOT_FOUND', `no such partition: ${partition}`)
    }
  })

  test('answers with no ack for policy NONE, and stores the message', async () => {
    const stream = await running().stream()
    const response = await running().api.ok('Publish', { stream, ackPolicy: 'NONE' })
    assert.equal(response.ack, null)
    const subscription = await Subscription.open(running().api, {
      stream,
      startPosition: 'EARLIEST',
    })
    assert.equal((await subscription.message()).offset, '0')
    subscription.cancel()
  })

  for (const ackPolicy of ['LEADER', 'ALL'] as const) {
    test(`answers a deadline and policy ${ackPolicy} with the whole ack`, async () => {
      const stream = await running().stream({ partitions: 2 })
      const request = {
        stream,
        partition: 1,
        ackPolicy,
        correlationId: 'cid',
        ackInbox: 'my.inbox',
      }
      const response = await running().api.ok('Publish', { ...request, value: bytes('x') })
      const { ack } = response
      assert.equal(ack?.stream, stream)
      assert.equal(ack?.partitionSubject, stream)
      assert.equal(ack?.msgSubject, `${stream}.1`)
      assert.equal(ack?.offset, '0')
      assert.equal(ack?.ackInbox, 'my.inbox')
      assert.equal(ack?.correlationId, 'cid')
      assert.equal(ack?.ackPolicy, ackPolicy)
      assert.equal(ack?.ackError, 'OK')
      expectNowNs(ack?.receptionTimestamp ?? '0')
      expectNowNs(ack?.commitTimestamp ?? '0')
      assert.ok(BigInt(ack?.commitTimestamp ?? 0) >= BigInt(ack?.receptionTimestamp ?? 0))
      assert.equal(response.correlationId, '')
      assert.equal(response.asyncError, null)
    })
  }

  test('gives an ack an inbox of the server when the client names none', async () => {
    const stream = await running().stream()
    const { ack } = await running().api.ok('Publish', { stream })
    assert.match(ack?.ackInbox ?? '', /^liftbridge-default\.ack\../)
  })

  test('refuses a wrong expected offset, and takes the right one and -1', async () => {
    const stream = await running().stream({ optimisticConcurrencyControl: { value: true } })
    const publish = (expectedOffset: number): Promise<Outcome<unknown>> =>
      running().api.call('Publish', { stream, expectedOffset })
    expectStatus(await publish(100), 'UNKNOWN', 'incorrect expected offset')
    expectStatus(await publish(0), 'OK')
    expectStatus(await publish(0), 'UNKNOWN', 'incorrect expected offset')
    expectStatus(await publish(1), 'OK')
    expectStatus(await publish(-1), 'OK')
    const { metadata } = await running().api.ok('FetchPartitionMetadata', { stream })
    assert.equal(metadata?.newestOffset, '2')
  })

  test('refuses policy NONE on a stream with optimistic concurrency control', async () => {
    const stream = await running().stream({ optimisticConcurrencyControl: { value: true } })
    const outcome = await running().api.call('Publish', { stream, ackPolicy: 'NONE' })
    const text = 'stream with concurrency control must have AckPolicy set'
    expectStatus(outcome, 'INVALID_ARGUMENT', text)
  })

  test('reports a payload that is too large for NATS', async () => {
    const stream = await running().stream()
    const outcome = await running().api.call('Publish', { stream, value: Buffer.alloc(2 << 20) })
    const text = 'failed to publish to NATS: nats: maximum payload exceeded'
    expectStatus(outcome, 'UNKNOWN', text)
  })
})

onEachDeployment('PublishToSubject', (running) => {
  test('answers with the ack of the stream that listens', async () => {
    const stream = await running().stream()
    const request = { subject: stream, correlationId: 'cid', key: bytes('k'), value: bytes('v') }
    const { ack } = await running().api.ok('PublishToSubject', request)
    assert.equal(ack?.stream, stream)
    assert.equal(ack?.offset, '0')
    assert.equal(ack?.correlationId, 'cid')
  })

  test('answers without an ack when there is no deadline, or for policy NONE', async () => {
    const subject = await running().stream()
    const none = await running().api.ok('PublishToSubject', { subject, ackPolicy: 'NONE' })
    assert.equal(none.ack, null)
    const outcome = await running().api.callWithoutDeadline('PublishToSubject', { subject })
    expectStatus(outcome, 'OK')
    assert.equal(outcome.response?.ack, null)
  })

  test('ends with DEADLINE_EXCEEDED when no stream listens', async () => {
    const request = { subject: freshName(), value: bytes('x') }
    const outcome = await running().api.call('PublishToSubject', request, { deadlineMs: 200 })
    expectStatus(outcome, 'DEADLINE_EXCEEDED')
  })

  test('refuses an empty subject', async () => {
    const outcome = await running().api.call('PublishToSubject', { value: bytes('x') })
    expectStatus(outcome, 'UNKNOWN', 'failed to publish to NATS: nats: invalid subject')
  })

  test('[A4] refuses subjects that are not one literal subject', async () => {
    for (const subject of ['a b', 'a\r\nPUB x 0\r\n\r\n', 'a..b', 'a.>', '*']) {
      const outcome = await running().api.call('PublishToSubject', { subject, value: bytes('x') })
      assert.notEqual(outcome.code, 'OK', JSON.stringify(subject))
      assert.notEqual(outcome.code, 'DEADLINE_EXCEEDED', JSON.stringify(subject))
    }
  })

  test('reaches every stream on the subject', async () => {
    const subject = freshName()
    const streams = [await running().stream({ subject }), await running().stream({ subject })]
    await running().api.ok('PublishToSubject', { subject, value: bytes('both') })
    for (const stream of streams) {
      const request = { stream, startPosition: 'EARLIEST' }
      const subscription = await Subscription.open(running().api, request)
      assert.equal((await subscription.message()).value.toString(), 'both')
      subscription.cancel()
    }
  })
})

onEachDeployment(
  'Publish with a small replication.max.bytes',
  (running) => {
    test('refuses what is larger, and the message never becomes readable [D5]', async () => {
      const stream = await running().stream()
      const large = await running().api.call('Publish', { stream, value: Buffer.alloc(20_000) })
      expectStatus(large, 'INVALID_ARGUMENT', 'message exceeds max replication size')
      assert.deepEqual(await running().publish(stream, ['small']), [0])
    })
  },
  { 'clustering.replication.max.bytes': 10_000 },
)
