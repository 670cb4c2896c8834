/** Messages that reach a stream over NATS, from clients that may know nothing of Liftbridge. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { headers as natsHeaders, type NatsConnection } from '@nats-io/transport-node'
import { until } from '../e2e/child.ts'
import type { Ack, Message } from './api-types.ts'
import { bytes, type Deployment, freshName, onEachDeployment } from './deployments.ts'
import {
  checkedEnvelope,
  crc32c,
  decodeAck,
  frame,
  publishEnvelope,
  serialize,
} from './envelope.ts'
import { Subscription } from './subscription.ts'

/** An ack inbox of the test; acks arrive in `acks`. */
async function ackInbox(
  nats: NatsConnection,
): Promise<{ readonly inbox: string; readonly acks: Ack[] }> {
  const inbox = `inbox.${freshName()}`
  const acks: Ack[] = []
  nats.subscribe(inbox, { callback: (_error, message) => void acks.push(decodeAck(message.data)) })
  await nats.flush()
  return { inbox, acks }
}

async function read(deployment: Deployment, stream: string, count: number): Promise<Message[]> {
  const request = { stream, startPosition: 'EARLIEST' }
  const subscription = await Subscription.open(deployment.api, request)
  const messages = await subscription.messages(count)
  await subscription.quiet()
  subscription.cancel()
  return messages
}

onEachDeployment('A NATS publish', (running) => {
  test('of plain bytes is stored whole, with its subject and reply', async () => {
    const stream = await running().stream()
    const nats = await running().nats()
    nats.publish(stream, bytes('plain'))
    nats.publish(stream, bytes('asks'), { reply: 'the.reply' })
    nats.publish(stream, new Uint8Array(0))
    const [plain, asks, empty] = await read(running(), stream, 3)
    assert.equal(plain?.value.toString(), 'plain')
    assert.equal(plain?.subject, stream)
    assert.equal(plain?.replySubject, '')
    assert.equal(plain?.key.length, 0)
    assert.deepEqual(Object.keys(plain?.headers ?? {}).toSorted(), ['reply', 'subject'])
    assert.equal(asks?.value.toString(), 'asks')
    assert.equal(asks?.replySubject, 'the.reply')
    assert.equal(asks?.headers['reply']?.toString(), 'the.reply')
    assert.equal(empty?.value.length, 0)
  })

  test('keeps its body when it has NATS headers, which are not stored', async () => {
    const stream = await running().stream()
    const nats = await running().nats()
    const headers = natsHeaders()
    headers.set('X-Trace', 'abc')
    nats.publish(stream, bytes('body'), { headers })
    const [message] = await read(running(), stream, 1)
    assert.equal(message?.value.toString(), 'body')
    assert.deepEqual(Object.keys(message?.headers ?? {}).toSorted(), ['reply', 'subject'])
  })

  for (const [kind, wrap] of [
    ['without a checksum', publishEnvelope],
    ['with a checksum', checkedEnvelope],
  ] as const) {
    test(`in an envelope ${kind} is unwrapped and acknowledged on its inbox`, async () => {
      const stream = await running().stream()
      const nats = await running().nats()
      const { inbox, acks } = await ackInbox(nats)
      const message = { key: bytes('k'), value: bytes('v'), headers: { h: bytes('1') } }
      for (const [i, ackPolicy] of (['LEADER', 'ALL'] as const).entries()) {
        const ids = { ackInbox: inbox, correlationId: `c${i}`, ackPolicy }
        nats.publish(stream, wrap({ ...message, ...ids }))
      }
      assert.ok(await until(() => acks.length === 2, 10_000), `${acks.length} acks`)
      const byId = acks.toSorted((a, b) => a.correlationId.localeCompare(b.correlationId))
      assert.deepEqual(
        byId.map((ack) => [ack.correlationId, ack.offset, ack.ackPolicy, ack.ackError]),
        [
          ['c0', '0', 'LEADER', 'OK'],
          ['c1', '1', 'ALL', 'OK'],
        ],
      )
      assert.equal(acks[0]?.ackInbox, inbox)
      assert.equal(acks[0]?.stream, stream)
      const [stored] = await read(running(), stream, 2)
      assert.equal(stored?.key.toString(), 'k')
      assert.equal(stored?.value.toString(), 'v')
      assert.equal(stored?.headers['h']?.toString(), '1')
      assert.equal(stored?.ackInbox, '')
    })
  }

  test('with policy NONE gets no ack', async () => {
    const stream = await running().stream()
    const nats = await running().nats()
    const { inbox, acks } = await ackInbox(nats)
    nats.publish(stream, publishEnvelope({ ackInbox: inbox, ackPolicy: 'NONE' }))
    await read(running(), stream, 1)
    await nats.flush()
    assert.deepEqual(acks, [])
  })

  test('that is no valid envelope is stored as it is', async () => {
    const stream = await running().stream()
    const nats = await running().nats()
    const payload = serialize({ value: bytes('v') })
    const wrongLength = Buffer.from([0, 8, 1, 0])
    const strange = [
      checkedEnvelope({ value: bytes('v') }, true),
      frame(Buffer.from([1, 8, 0, 0]), payload),
      frame(Buffer.from([0, 8, 0, 1]), payload),
      frame(Buffer.from([0, 8, 0]), Buffer.alloc(0)),
      frame(Buffer.from([0, 8, 0, 0]), Buffer.from([0x1a, 200, 1])),
      frame(wrongLength, payload),
      // [D-02] Eight bytes whose header length points past their end.
      frame(Buffer.from([0, 255, 0, 0]), Buffer.alloc(0)),
      frame(Buffer.from([0, 12, 1, 0]), Buffer.alloc(0)),
    ]
    for (const envelope of strange) nats.publish(stream, envelope)
    const messages = await read(running(), stream, strange.length)
    assert.deepEqual(
      messages.map((message) => message.value.toString('hex')),
      strange.map((envelope) => envelope.toString('hex')),
    )
  })

  test('of an envelope of eight bytes is an empty message', async () => {
    const stream = await running().stream()
    const nats = await running().nats()
    nats.publish(stream, frame(Buffer.from([0, 8, 0, 0]), Buffer.alloc(0)))
    const [message] = await read(running(), stream, 1)
    assert.equal(message?.value.length, 0)
    assert.equal(crc32c(bytes('123456789')), 0xe3069283)
  })

  test('with a longer header is read from where the header ends', async () => {
    const stream = await running().stream()
    const nats = await running().nats()
    const header = Buffer.from([0, 11, 0, 0, 9, 9, 9])
    nats.publish(stream, frame(header, serialize({ value: bytes('v') })))
    const [message] = await read(running(), stream, 1)
    assert.equal(message?.value.toString(), 'v')
  })

  test('to a partition goes to the subject with its number', async () => {
    const stream = await running().stream({ partitions: 3 })
    const nats = await running().nats()
    nats.publish(`${stream}.2`, bytes('two'))
    const subscription = await Subscription.open(running().api, {
      stream,
      partition: 2,
      startPosition: 'EARLIEST',
    })
    const message = await subscription.message()
    subscription.cancel()
    assert.deepEqual([message.value.toString(), message.subject], ['two', `${stream}.2`])
  })

  test('to a wildcard stream keeps the subject it came on', async () => {
    const root = freshName()
    const star = await running().stream({ subject: `${root}.*` })
    const arrow = await running().stream({ subject: `${root}.>` })
    const nats = await running().nats()
    nats.publish(`${root}.a`, bytes('one'))
    nats.publish(`${root}.b.c`, bytes('two'))
    const subjects = (messages: readonly Message[]): string[] =>
      messages.map((message) => message.subject)
    assert.deepEqual(subjects(await read(running(), star, 1)), [`${root}.a`])
    assert.deepEqual(subjects(await read(running(), arrow, 2)), [`${root}.a`, `${root}.b.c`])
  })

  test('to several streams on one subject reaches each, and each acknowledges', async () => {
    const subject = freshName()
    const streams = [await running().stream({ subject }), await running().stream({ subject })]
    const nats = await running().nats()
    const { inbox, acks } = await ackInbox(nats)
    nats.publish(subject, publishEnvelope({ value: bytes('v'), ackInbox: inbox }))
    assert.ok(await until(() => acks.length === 2, 10_000), `${acks.length} acks`)
    assert.deepEqual(acks.map((ack) => ack.stream).toSorted(), streams.toSorted())
    for (const stream of streams) assert.equal((await read(running(), stream, 1)).length, 1)
  })

  test('to a load-balance group reaches exactly one of its streams', async () => {
    const count = 200
    const subject = freshName()
    const group = freshName()
    const grouped = [
      await running().stream({ subject, group }),
      await running().stream({ subject, group }),
    ]
    const alone = await running().stream({ subject })
    const nats = await running().nats()
    for (let i = 0; i < count; i++) nats.publish(subject, bytes(`v${i}`))
    const everything = await read(running(), alone, count)
    assert.equal(everything.length, count)
    const stored: string[] = []
    for (const stream of grouped) {
      const newest = await running().api.ok('FetchPartitionMetadata', { stream })
      const size = Number(newest.metadata?.newestOffset) + 1
      const messages = size === 0 ? [] : await read(running(), stream, size)
      stored.push(...messages.map((message) => message.value.toString()))
    }
    assert.deepEqual(stored.toSorted(), Array.from({ length: count }, (_, i) => `v${i}`).toSorted())
  })

  test('of the API to a load-balance group reaches exactly one of its streams', async () => {
    const subject = freshName()
    const group = freshName()
    const streams = [
      await running().stream({ subject, group }),
      await running().stream({ subject, group }),
    ]
    const count = 50
    for (let i = 0; i < count; i++) {
      await running().api.ok('PublishToSubject', { subject, value: bytes(`v${i}`) })
    }
    let stored = 0
    for (const stream of streams) {
      const { metadata } = await running().api.ok('FetchPartitionMetadata', { stream })
      stored += Number(metadata?.newestOffset) + 1
    }
    assert.equal(stored, count)
  })

  test('is seen by other NATS subscribers also when it came through the API', async () => {
    const stream = await running().stream()
    const nats = await running().nats()
    const seen: string[] = []
    nats.subscribe(stream, {
      callback: (_error, message) => void seen.push(Buffer.from(message.data).toString('hex')),
    })
    await nats.flush()
    await running().publish(stream, ['through the API'])
    assert.ok(await until(() => seen.length === 1, 10_000))
    assert.match(seen[0] ?? '', /^b90e43b4000800/)
  })
})

onEachDeployment('Optimistic concurrency over NATS', (running) => {
  test('stores only what meets the next offset, and says so even for policy NONE', async () => {
    const stream = await running().stream({ optimisticConcurrencyControl: { value: true } })
    const nats = await running().nats()
    const { inbox, acks } = await ackInbox(nats)
    const attempts = [
      { offset: 5, correlationId: 'wrong' },
      { offset: 0, correlationId: 'first' },
      { offset: 0, correlationId: 'stale', ackPolicy: 'NONE' as const },
      { offset: -1, correlationId: 'any' },
      { offset: 2, correlationId: 'next' },
    ]
    for (const attempt of attempts) {
      nats.publish(stream, publishEnvelope({ ...attempt, ackInbox: inbox }))
    }
    assert.ok(await until(() => acks.length === 5, 10_000), `${acks.length} acks`)
    const outcome = Object.fromEntries(acks.map((ack) => [ack.correlationId, ack.ackError]))
    assert.deepEqual(outcome, {
      wrong: 'INCORRECT_OFFSET',
      first: 'OK',
      stale: 'INCORRECT_OFFSET',
      any: 'OK',
      next: 'OK',
    })
    assert.equal((await read(running(), stream, 3)).length, 3)
  })
})

onEachDeployment(
  'A NATS publish above replication.max.bytes',
  (running) => {
    test('is refused with TOO_LARGE, even for policy NONE; what is smaller is stored', async () => {
      const stream = await running().stream()
      const nats = await running().nats()
      const { inbox, acks } = await ackInbox(nats)
      const large = { value: Buffer.alloc(20_000), ackInbox: inbox }
      nats.publish(stream, publishEnvelope({ ...large, correlationId: 'large' }))
      nats.publish(stream, publishEnvelope({ ...large, ackPolicy: 'NONE', correlationId: 'none' }))
      nats.publish(stream, publishEnvelope({ ackInbox: inbox, correlationId: 'small' }))
      assert.ok(await until(() => acks.length === 3, 10_000), `${acks.length} acks`)
      const outcome = Object.fromEntries(acks.map((ack) => [ack.correlationId, ack.ackError]))
      assert.deepEqual(outcome, { large: 'TOO_LARGE', none: 'TOO_LARGE', small: 'OK' })
      assert.equal((await read(running(), stream, 1)).length, 1)
    })
  },
  { 'clustering.replication.max.bytes': 10_000 },
)
