/** Where subscriptions start and stop, forward and in reverse. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SubscribeRequest } from './api-types.ts'
import { bytes, type Deployment, onEachDeployment } from './deployments.ts'
import { expectStatus } from './expect.ts'
import { Subscription } from './subscription.ts'

const offsetsOf = (messages: readonly { readonly offset: string }[]): number[] =>
  messages.map((message) => Number(message.offset))

/** Publishes one message per offset, each with a timestamp of its own; the timestamps. */
async function fill(deployment: Deployment, stream: string, count: number): Promise<bigint[]> {
  const timestamps: bigint[] = []
  while (timestamps.length < count) {
    const value = bytes(`v${timestamps.length}`)
    const { ack } = await deployment.api.ok('Publish', { stream, value })
    timestamps.push(BigInt(ack?.receptionTimestamp ?? 0))
  }
  return timestamps
}

onEachDeployment('Subscribe from', (running) => {
  /** The first offsets delivered to the request. */
  const firstOffsets = async (request: SubscribeRequest, count: number): Promise<number[]> => {
    const subscription = await Subscription.open(running().api, request)
    const messages = await subscription.messages(count)
    subscription.cancel()
    return offsetsOf(messages)
  }

  test('EARLIEST delivers everything, then what is new', async () => {
    const stream = await running().stream()
    await fill(running(), stream, 5)
    const subscription = await Subscription.open(running().api, {
      stream,
      startPosition: 'EARLIEST',
    })
    assert.deepEqual(offsetsOf(await subscription.messages(5)), [0, 1, 2, 3, 4])
    await subscription.quiet()
    await running().publish(stream, ['live'])
    const live = await subscription.message()
    assert.deepEqual([live.offset, live.value.toString()], ['5', 'live'])
    subscription.cancel()
  })

  test('LATEST begins at the newest message, or waits on an empty log', async () => {
    const stream = await running().stream()
    const waiting = await Subscription.open(running().api, { stream, startPosition: 'LATEST' })
    await waiting.quiet()
    await fill(running(), stream, 3)
    assert.deepEqual(offsetsOf(await waiting.messages(3)), [0, 1, 2])
    waiting.cancel()
    assert.deepEqual(await firstOffsets({ stream, startPosition: 'LATEST' }, 1), [2])
  })

  test('NEW_ONLY, the default, delivers only what comes after the handshake [2.0.7]', async () => {
    const stream = await running().stream()
    await fill(running(), stream, 3)
    for (const request of [{ stream }, { stream, startPosition: 'NEW_ONLY' }]) {
      const subscription = await Subscription.open(running().api, request)
      const [offset] = await running().publish(stream, ['new'])
      assert.deepEqual(offsetsOf([await subscription.message()]), [offset])
      subscription.cancel()
    }
  })

  test('OFFSET begins there; below the oldest at the oldest; negative at 0', async () => {
    const stream = await running().stream()
    await fill(running(), stream, 5)
    const rows = [
      [2, [2, 3, 4]],
      [4, [4]],
      [0, [0, 1, 2, 3, 4]],
      [-5, [0, 1, 2, 3, 4]],
    ] as const
    for (const [startOffset, expected] of rows) {
      const request = { stream, startPosition: 'OFFSET', startOffset }
      assert.deepEqual(await firstOffsets(request, expected.length), expected)
    }
  })

  test('OFFSET beyond the end waits and begins with the next message', async () => {
    const stream = await running().stream()
    await fill(running(), stream, 5)
    const request = { stream, startPosition: 'OFFSET', startOffset: 100 }
    const subscription = await Subscription.open(running().api, request)
    await subscription.quiet()
    await running().publish(stream, ['five'])
    assert.deepEqual(offsetsOf([await subscription.message()]), [5])
    subscription.cancel()
  })

  test('TIMESTAMP begins at the first message that is not older', async () => {
    const stream = await running().stream()
    const timestamps = await fill(running(), stream, 5)
    for (const [offset, timestamp] of timestamps.entries()) {
      const request = { stream, startPosition: 'TIMESTAMP', startTimestamp: String(timestamp) }
      const [first] = await firstOffsets(request, 1)
      // Two messages may share a timestamp; then the first of them is the answer.
      assert.equal(timestamps.indexOf(timestamp), first, `offset ${offset}`)
    }
    const between = { stream, startPosition: 'TIMESTAMP', startTimestamp: '1' }
    assert.deepEqual(await firstOffsets(between, 1), [0])
  })

  test('TIMESTAMP in the future waits for what is new', async () => {
    const stream = await running().stream()
    await fill(running(), stream, 2)
    const future = String(BigInt(Date.now() + 3_600_000) * 1_000_000n)
    const request = { stream, startPosition: 'TIMESTAMP', startTimestamp: future }
    const subscription = await Subscription.open(running().api, request)
    await subscription.quiet()
    await running().publish(stream, ['two'])
    assert.deepEqual(offsetsOf([await subscription.message()]), [2])
    subscription.cancel()
  })

  test('each partition has offsets of its own', async () => {
    const stream = await running().stream({ partitions: 2 })
    await running().publish(stream, ['a', 'b'], 0)
    await running().publish(stream, ['c'], 1)
    const subscription = await Subscription.open(running().api, {
      stream,
      partition: 1,
      startPosition: 'EARLIEST',
    })
    const message = await subscription.message()
    assert.deepEqual(
      [message.offset, message.value.toString(), message.partition, message.subject],
      ['0', 'c', 1, `${stream}.1`],
    )
    await subscription.quiet()
    subscription.cancel()
  })
})

onEachDeployment('Subscribe to', (running) => {
  const readAll = (request: SubscribeRequest): ReturnType<typeof Subscription.readAll> =>
    Subscription.readAll(running().api, request)

  test('STOP_OFFSET ends after that message, inclusive on both ends', async () => {
    const stream = await running().stream()
    await fill(running(), stream, 5)
    const rows = [
      [1, 3, [1, 2, 3]],
      [2, 2, [2]],
      [0, 4, [0, 1, 2, 3, 4]],
    ] as const
    for (const [startOffset, stopOffset, expected] of rows) {
      const request = { stream, startOffset, stopOffset }
      const { messages, end } = await readAll({
        ...request,
        startPosition: 'OFFSET',
        stopPosition: 'STOP_OFFSET',
      })
      assert.deepEqual(offsetsOf(messages), expected)
      expectStatus(end, 'RESOURCE_EXHAUSTED', 'Stop offset reached')
    }
  })

  test('STOP_OFFSET beyond the end waits for it', async () => {
    const stream = await running().stream()
    await fill(running(), stream, 2)
    const reading = readAll({
      stream,
      startPosition: 'EARLIEST',
      stopPosition: 'STOP_OFFSET',
      stopOffset: 3,
    })
    await running().publish(stream, ['two', 'three', 'four'])
    const { messages, end } = await reading
    assert.deepEqual(offsetsOf(messages), [0, 1, 2, 3])
    expectStatus(end, 'RESOURCE_EXHAUSTED', 'Stop offset reached')
  })

  test('STOP_LATEST ends at what was newest when the subscription began', async () => {
    const stream = await running().stream()
    await fill(running(), stream, 5)
    const request = { stream, startPosition: 'EARLIEST', stopPosition: 'STOP_LATEST' }
    const { messages, end } = await readAll(request)
    assert.deepEqual(offsetsOf(messages), [0, 1, 2, 3, 4])
    expectStatus(end, 'RESOURCE_EXHAUSTED', 'Stop offset reached')
  })

  test('STOP_TIMESTAMP ends at the last message that is not newer', async () => {
    const stream = await running().stream()
    const timestamps = await fill(running(), stream, 5)
    const stopTimestamp = timestamps[3] ?? 0n
    const { messages, end } = await readAll({
      stream,
      startPosition: 'EARLIEST',
      stopPosition: 'STOP_TIMESTAMP',
      stopTimestamp: String(stopTimestamp),
    })
    assert.deepEqual(
      offsetsOf(messages),
      Array.from({ length: timestamps.lastIndexOf(stopTimestamp) + 1 }, (_, i) => i),
    )
    expectStatus(end, 'RESOURCE_EXHAUSTED', 'Stop offset reached')
  })
})

onEachDeployment('Subscribe in reverse', (running) => {
  test('delivers from the start downwards to the oldest message, then ends', async () => {
    const stream = await running().stream()
    await fill(running(), stream, 5)
    const rows = [
      [{ startPosition: 'LATEST' }, [4, 3, 2, 1, 0]],
      [{ startPosition: 'OFFSET', startOffset: 2 }, [2, 1, 0]],
      [{ startPosition: 'OFFSET', startOffset: 100 }, [4, 3, 2, 1, 0]],
      [{ startPosition: 'EARLIEST' }, [0]],
    ] as const
    for (const [start, expected] of rows) {
      const request = { stream, ...start, reverse: true }
      const { messages, end } = await Subscription.readAll(running().api, request)
      assert.deepEqual(offsetsOf(messages), expected)
      assert.notEqual(end.code, 'INTERNAL', end.details)
    }
  })

  test('stops at a lower stop offset', async () => {
    const stream = await running().stream()
    await fill(running(), stream, 5)
    const { messages, end } = await Subscription.readAll(running().api, {
      stream,
      startPosition: 'LATEST',
      stopPosition: 'STOP_OFFSET',
      stopOffset: 2,
      reverse: true,
    })
    assert.deepEqual(offsetsOf(messages), [4, 3, 2])
    expectStatus(end, 'RESOURCE_EXHAUSTED', 'Stop offset reached')
  })
})
