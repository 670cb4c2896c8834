/**
 * Rows of the status table whose calls a server may not offer yet. Each is skipped, visibly, while
 * the server answers UNIMPLEMENTED, and is a test like any other from the day it answers.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Outcome } from './api-client.ts'
import { bytes, freshName, onEachDeployment } from './deployments.ts'
import { expectStatus } from './expect.ts'
import { AsyncPublisher, Subscription } from './subscription.ts'

/** True, after skipping the test, when the server does not offer the call. */
function missing(context: TestContext, outcome: Outcome<unknown>): boolean {
  if (outcome.code !== 'UNIMPLEMENTED') return false
  context.skip(`the server does not offer this call yet: ${outcome.details}`)
  return true
}

onEachDeployment('PauseStream', (running) => {
  test('answers NOT_FOUND for an unknown stream and partition', async (context) => {
    const unknown = await running().api.call('PauseStream', { name: freshName() })
    if (missing(context, unknown)) return
    expectStatus(unknown, 'NOT_FOUND', 'stream not found')
    const name = await running().stream()
    const partition = await running().api.call('PauseStream', { name, partitions: [7] })
    expectStatus(partition, 'NOT_FOUND', 'partition does not exist')
  })

  test('ends live subscriptions, and a publish resumes the partition', async (context) => {
    const name = await running().stream()
    const subscription = await Subscription.open(running().api, { stream: name })
    const paused = await running().api.call('PauseStream', { name })
    if (missing(context, paused)) return subscription.cancel()
    expectStatus(paused, 'OK')
    expectStatus(await subscription.end(), 'FAILED_PRECONDITION', 'commit log was closed')
    const metadata = await running().api.call('FetchPartitionMetadata', { stream: name })
    expectStatus(metadata, 'FAILED_PRECONDITION')
    assert.deepEqual(await running().publish(name, ['resumes']), [0])
    const resumed = await running().api.ok('FetchPartitionMetadata', { stream: name })
    assert.equal(resumed.metadata?.paused, false)
  })
})

onEachDeployment('SetStreamReadonly', (running) => {
  test('answers NOT_FOUND for an unknown stream and partition', async (context) => {
    const unknown = await running().api.call('SetStreamReadonly', {
      name: freshName(),
      readonly: true,
    })
    if (missing(context, unknown)) return
    expectStatus(unknown, 'NOT_FOUND', 'stream not found')
    const name = await running().stream()
    const request = { name, partitions: [7], readonly: true }
    const partition = await running().api.call('SetStreamReadonly', request)
    expectStatus(partition, 'NOT_FOUND', 'partition does not exist')
  })

  test('refuses publishes and ends readers at the end of the log', async (context) => {
    const stream = await running().stream()
    await running().publish(stream, ['a', 'b'])
    const live = await Subscription.open(running().api, { stream })
    const set = await running().api.call('SetStreamReadonly', { name: stream, readonly: true })
    if (missing(context, set)) return live.cancel()
    expectStatus(await live.end(), 'RESOURCE_EXHAUSTED', 'End of readonly partition')
    const refused = await running().api.call('Publish', { stream, value: bytes('c') })
    expectStatus(refused, 'FAILED_PRECONDITION', 'readonly partition: 0')
    const publisher = new AsyncPublisher(running().api)
    publisher.send({ stream, correlationId: 'c' })
    const { asyncError } = await publisher.message()
    assert.deepEqual(asyncError, { code: 'READONLY', message: 'readonly partition: 0' })
    publisher.cancel()
    const read = await Subscription.readAll(running().api, { stream, startPosition: 'EARLIEST' })
    assert.equal(read.messages.length, 2)
    expectStatus(read.end, 'RESOURCE_EXHAUSTED', 'Stop offset reached')
    await running().api.ok('SetStreamReadonly', { name: stream, readonly: false })
    assert.deepEqual(await running().publish(stream, ['c']), [2])
  })
})

onEachDeployment(
  'Cursors',
  (running) => {
    test('are checked, stored and read back', async (context) => {
      const { api } = running()
      const bare = await api.call('SetCursor', { cursorId: 'c', offset: 1 })
      if (missing(context, bare)) return
      expectStatus(bare, 'INVALID_ARGUMENT', 'No stream provided')
      const noId = await api.call('FetchCursor', { stream: 's' })
      expectStatus(noId, 'INVALID_ARGUMENT', 'No cursorId provided')
      const cursor = { stream: 'any', partition: 0, cursorId: freshName() }
      assert.equal((await api.ok('FetchCursor', cursor)).offset, '-1')
      await api.ok('SetCursor', { ...cursor, offset: 5 })
      assert.equal((await api.ok('FetchCursor', cursor)).offset, '5')
    })
  },
  { 'cursors.stream.partitions': 1 },
)

onEachDeployment('Consumer groups', (running) => {
  test('are checked on joining', async (context) => {
    const { api } = running()
    const bare = await api.call('JoinConsumerGroup', {})
    if (missing(context, bare)) return
    expectStatus(bare, 'INVALID_ARGUMENT', 'No groupId provided')
    const stream = await running().stream()
    const request = { groupId: freshName(), consumerId: 'c', streams: [stream] }
    const joined = await api.ok('JoinConsumerGroup', request)
    assert.equal(joined.epoch, '0')
    assert.equal(joined.consumerTimeout, '15000000000')
    const twice = await api.call('JoinConsumerGroup', request)
    const text = 'consumer is already a member of the consumer group'
    expectStatus(twice, 'FAILED_PRECONDITION', text)
  })
})
