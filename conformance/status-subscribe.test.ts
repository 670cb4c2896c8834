/** Golden statuses of Subscribe, and what a delivered message carries. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SubscribeRequest } from './api-types.ts'
import { bytes, freshName, onEachDeployment } from './deployments.ts'
import { expectNowNs, expectStatus } from './expect.ts'
import { type StreamEnd, Subscription } from './subscription.ts'

onEachDeployment('Subscribe', (running) => {
  /** The status of a subscription that must fail without any message [2.0.4]. */
  const refusal = (request: SubscribeRequest): Promise<StreamEnd> =>
    Subscription.start(running().api, request).end()

  test('answers NOT_FOUND for an unknown stream and partition, with no message', async () => {
    const stream = await running().stream()
    for (const request of [
      { stream: freshName() },
      { stream: '' },
      { stream, partition: 1 },
      { stream, partition: -1 },
    ]) {
      expectStatus(await refusal(request), 'NOT_FOUND', 'No such partition')
    }
  })

  test('refuses positions that no enum knows', async () => {
    const stream = await running().stream()
    const start = await refusal({ stream, startPosition: 42 })
    expectStatus(start, 'INVALID_ARGUMENT', 'Unknown StartPosition 42')
    const stop = await refusal({ stream, stopPosition: 42 })
    expectStatus(stop, 'INVALID_ARGUMENT', 'Unknown StopPosition 42')
  })

  test('refuses a stop before the start', async () => {
    const stream = await running().stream()
    await running().publish(stream, ['a', 'b', 'c', 'd', 'e'])
    const end = await refusal({
      stream,
      startPosition: 'OFFSET',
      startOffset: 3,
      stopPosition: 'STOP_OFFSET',
      stopOffset: 1,
    })
    expectStatus(end, 'INVALID_ARGUMENT', 'Stop offset is before start offset: 1 < 3')
  })

  test('answers STOP_LATEST on an empty log before the handshake', async () => {
    const stream = await running().stream()
    const end = await refusal({ stream, stopPosition: 'STOP_LATEST' })
    expectStatus(end, 'RESOURCE_EXHAUSTED', 'Stream is empty')
  })

  test('refuses a stop time before the first message instead of waiting for ever', async () => {
    const stream = await running().stream()
    await running().publish(stream, ['a'])
    const request = { stream, startPosition: 'EARLIEST', stopPosition: 'STOP_TIMESTAMP' }
    const end = await refusal({ ...request, stopTimestamp: 1 })
    assert.notEqual(end.code, 'OK')
    assert.notEqual(end.code, 'UNKNOWN')
  })

  test('refuses a group without a consumer', async () => {
    const stream = await running().stream()
    const end = await refusal({ stream, consumer: { groupId: 'g' } })
    const text = 'Consumer id cannot be empty when group id is provided'
    expectStatus(end, 'INVALID_ARGUMENT', text)
  })

  test('lets a newer group epoch replace the holder, which ends OK, and refuses older', async () => {
    const stream = await running().stream()
    const consumer = { groupId: 'g', groupEpoch: 2, consumerId: 'first' }
    const holder = await Subscription.open(running().api, { stream, consumer })
    const newer = { ...consumer, groupEpoch: 3, consumerId: 'second' }
    const successor = await Subscription.open(running().api, { stream, consumer: newer })
    expectStatus(await holder.end(), 'OK')
    const text = 'Consumer is not currently assigned this partition'
    expectStatus(await refusal({ stream, consumer }), 'FAILED_PRECONDITION', text)
    successor.cancel()
  })

  test('sends an empty message first, at once, even when nothing follows [2.0.5]', async () => {
    const stream = await running().stream()
    const subscription = Subscription.start(running().api, { stream })
    const first = await subscription.message()
    assert.equal(first.value.length, 0)
    assert.equal(first.key.length, 0)
    assert.deepEqual(
      [first.offset, first.timestamp, first.stream, first.subject],
      ['0', '0', '', ''],
    )
    assert.deepEqual(first.headers, {})
    await subscription.quiet()
    subscription.cancel()
  })

  test('delivers the message whole, with the headers subject and reply [2.0.22]', async () => {
    const stream = await running().stream()
    await running().api.ok('Publish', {
      stream,
      key: bytes('k'),
      value: Buffer.from([0, 255, 1]),
      headers: {
        plain: bytes('text'),
        binary: Buffer.from([0, 128, 255]),
        empty: Buffer.alloc(0),
        '': bytes('no name'),
        'ключ 🔑': bytes('any string'),
        subject: bytes('mine'),
        reply: bytes('mine'),
      },
      correlationId: 'cid',
      ackInbox: 'my.inbox',
      ackPolicy: 'ALL',
    })
    const subscription = await Subscription.open(running().api, {
      stream,
      startPosition: 'EARLIEST',
    })
    const message = await subscription.message()
    subscription.cancel()
    assert.deepEqual(message.key, bytes('k'))
    assert.deepEqual(message.value, Buffer.from([0, 255, 1]))
    assert.deepEqual(
      { ...message.headers },
      {
        plain: bytes('text'),
        binary: Buffer.from([0, 128, 255]),
        empty: Buffer.alloc(0),
        '': bytes('no name'),
        'ключ 🔑': bytes('any string'),
        subject: bytes(stream),
        reply: Buffer.alloc(0),
      },
    )
    assert.equal(message.stream, stream)
    assert.equal(message.partition, 0)
    assert.equal(message.subject, stream)
    assert.equal(message.replySubject, '')
    expectNowNs(message.timestamp)
    assert.deepEqual(
      [message.ackInbox, message.correlationId, message.ackPolicy],
      ['', '', 'LEADER'],
    )
  })

  test('ends with NOT_FOUND when the stream is deleted', async () => {
    const stream = await running().stream()
    const subscription = await Subscription.open(running().api, { stream })
    await running().api.ok('DeleteStream', { name: stream })
    expectStatus(await subscription.end(), 'NOT_FOUND', 'commit log was deleted')
  })

  test('takes resume and readISRReplica on a running partition', async () => {
    const stream = await running().stream()
    await running().publish(stream, ['a'])
    for (const option of [{ resume: true }, { readISRReplica: true }]) {
      const request = { stream, startPosition: 'EARLIEST', ...option }
      const subscription = await Subscription.open(running().api, request)
      assert.equal((await subscription.message()).value.toString(), 'a')
      subscription.cancel()
    }
  })

  test('serves many subscribers of one partition alike', async () => {
    const stream = await running().stream()
    const open = (): Promise<Subscription> => Subscription.open(running().api, { stream })
    const subscriptions = await Promise.all(Array.from({ length: 20 }, open))
    await running().publish(stream, ['a', 'b', 'c'])
    for (const subscription of subscriptions) {
      const messages = await subscription.messages(3)
      assert.deepEqual(
        messages.map((message) => message.value.toString()),
        ['a', 'b', 'c'],
      )
      subscription.cancel()
    }
  })
})
