import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  api,
  decodeEnvelopeOf,
  EnvelopeType,
  fromBinary,
  PublishEnvelopeWriter,
  PublishView,
  decodePublishRequest,
} from '@liftbridge/wire'
import type { NatsConnection } from '@nats-io/transport-node'
import { endingOf, publishBytes, run, until, valueOf } from './running-server.suite.ts'

const { AckPolicy, Ack_Error, PublishAsyncError_Code: Code } = api

/** The next ack that comes to an inbox. */
function nextAck(nats: NatsConnection, inbox: string): Promise<api.Ack> {
  return new Promise((resolve) => {
    nats.subscribe(inbox, {
      max: 1,
      callback: (_error, message) => {
        const envelope = decodeEnvelopeOf(EnvelopeType.Ack, message.data)
        assert.ok(envelope.kind === 'envelope')
        resolve(fromBinary(api.AckSchema, message.data.subarray(envelope.payloadStart)))
      },
    })
  })
}

/** A message in the envelope that a NATS publisher of Liftbridge sends. */
function enveloped(stream: string, value: string, ackInbox: string): Uint8Array {
  const view = new PublishView()
  assert.ok(
    decodePublishRequest(view, publishBytes(stream, value, { ackInbox, correlationId: value })),
  )
  const writer = new PublishEnvelopeWriter(stream, stream)
  const bytes = new Uint8Array(writer.size(view))
  writer.write(bytes, 0, view)
  return bytes
}

test('a publish with a deadline is answered with its offset, for LEADER and for ALL', async (t) => {
  const { client } = await run(t)
  await client.create('orders')
  for (const [offset, ackPolicy] of [AckPolicy.LEADER, AckPolicy.ALL].entries()) {
    const ack = await client.publish('orders', `v${offset}`, { ackPolicy, correlationId: 'c' })
    assert.equal(ack?.offset, BigInt(offset))
    assert.equal(ack?.stream, 'orders')
    assert.equal(ack?.partitionSubject, 'orders')
    assert.equal(ack?.correlationId, 'c')
    assert.equal(ack?.ackError, Ack_Error.OK)
    assert.ok((ack?.commitTimestamp ?? 0n) >= (ack?.receptionTimestamp ?? 1n))
  }
  assert.deepEqual(await client.values('orders'), ['v0', 'v1'])
})

test('nobody waits without a deadline, nor with AckPolicy NONE; the message is stored', async (t) => {
  const { client } = await run(t)
  await client.create('orders')
  assert.equal(await client.publish('orders', 'no deadline', { deadlineMs: 0 }), undefined)
  assert.equal(await client.publish('orders', 'none', { ackPolicy: AckPolicy.NONE }), undefined)
  await client.publish('orders', 'last')
  assert.deepEqual(await client.values('orders'), ['no deadline', 'none', 'last'])
})

test('an ack inbox that the client names is answered on NATS too, with and without a deadline', async (t) => {
  const { client, nats } = await run(t)
  await client.create('orders')
  const connection = await nats()
  for (const deadlineMs of [10_000, 0]) {
    const told = nextAck(connection, 'my.acks')
    await connection.flush()
    const ack = await client.publish('orders', 'v', { ackInbox: 'my.acks', deadlineMs })
    const onNats = await told
    assert.equal(onNats.stream, 'orders')
    if (deadlineMs > 0) assert.equal(onNats.offset, ack?.offset)
  }
})

test('an inbox inside the cluster or a pattern is refused before anything is stored [A4]', async (t) => {
  const { client } = await run(t)
  await client.create('orders')
  for (const ackInbox of ['liftbridge-default.raft', '$SYS.x', 'a.*', 'a b', '>', 'a..b']) {
    const ending = await endingOf(client.publish('orders', 'v', { ackInbox }))
    assert.equal(ending.status, 'INVALID_ARGUMENT', ackInbox)
  }
  assert.deepEqual(await client.values('orders'), [])
})

test('PublishAsync answers each policy in order, and repeated correlation ids each for themselves', async (t) => {
  const { client } = await run(t)
  await client.create('orders')
  const publisher = client.publishAsync()
  const requests = Array.from({ length: 300 }, (_, index) =>
    publishBytes('orders', `v${index}`, {
      correlationId: `c${index % 3}`,
      ackPolicy: (index % 2) as api.AckPolicy,
    }),
  )
  publisher.sendAll(requests)
  const answers = await publisher.answers(300)
  for (const policy of [AckPolicy.LEADER, AckPolicy.ALL]) {
    const offsets = answers.flatMap(({ ack }) =>
      ack?.ackPolicy === policy ? [Number(ack.offset)] : [],
    )
    assert.deepEqual(
      offsets,
      [...Array(300).keys()].filter((index) => index % 2 === policy),
    )
  }
  assert.ok(answers.every((one) => one.correlationId === `c${Number(one.ack?.offset) % 3}`))
})

test('PublishAsync tells errors of single messages in-band and goes on', async (t) => {
  const { client } = await run(t)
  await client.create('orders')
  await client.create('fixed')
  await client.setReadonly('fixed', true)
  const publisher = client.publishAsync()
  publisher.send('nowhere', 'a')
  publisher.send('orders', 'b', { partition: 2_147_483_647 })
  publisher.send('orders', 'c', { partition: -1 })
  publisher.send('fixed', 'd')
  publisher.send('orders', 'e', { headers: { ['k'.repeat(40_000)]: Buffer.from('v') } })
  publisher.send('orders', 'good')
  const answers = await publisher.answers(6)
  const told = new Map(answers.map((one) => [one.correlationId, one.asyncError?.code]))
  assert.deepEqual(Object.fromEntries(told), {
    a: Code.NOT_FOUND,
    b: Code.NOT_FOUND,
    c: Code.NOT_FOUND,
    d: Code.READONLY,
    e: Code.BAD_REQUEST,
    good: undefined,
  })
})

test('after a half-close PublishAsync delivers the acks that are due and ends OK', async (t) => {
  const { client } = await run(t)
  await client.create('orders')
  const publisher = client.publishAsync()
  publisher.sendAll(
    Array.from({ length: 500 }, (_, index) =>
      publishBytes('orders', `${index}`, { ackPolicy: AckPolicy.ALL }),
    ),
  )
  publisher.call.halfClose()
  const { answers, ending } = await publisher.toEnd()
  assert.equal(ending.status, 'OK')
  assert.equal(answers.length, 500)
})

test('a request that is no protobuf ends PublishAsync, and what came before it is stored', async (t) => {
  const { client } = await run(t)
  await client.create('orders')
  const publisher = client.publishAsync()
  publisher.sendAll([publishBytes('orders', 'before'), Buffer.from([0xff, 0xff])])
  const { ending } = await publisher.toEnd()
  assert.equal(ending.status, 'INTERNAL')
  await until('the message is stored', async () => (await client.values('orders')).length === 1)
})

test('an expected offset that does not match is refused, one that does is stored [O7]', async (t) => {
  const { client } = await run(t)
  await client.create('cas', { optimisticConcurrencyControl: { value: true } })
  await client.publish('cas', 'first', { expectedOffset: 0n })
  const late = await endingOf(client.publish('cas', 'late', { expectedOffset: 0n }))
  assert.deepEqual(late, { status: 'UNKNOWN', text: 'incorrect expected offset' })
  const none = await endingOf(client.publish('cas', 'x', { ackPolicy: AckPolicy.NONE }))
  assert.equal(none.status, 'INVALID_ARGUMENT')
  const huge = await endingOf(client.publish('cas', 'x', { expectedOffset: 2n ** 63n - 1n }))
  assert.equal(huge.text, 'incorrect expected offset')
  await client.publish('cas', 'second', { expectedOffset: 1n })
  assert.deepEqual(await client.values('cas'), ['first', 'second'])
})

test('a stream on a wildcard stores every matching subject, and the ack tells which', async (t) => {
  const { client, nats } = await run(t)
  await client.create('all', { subject: 'metrics.*.cpu' })
  assert.equal((await client.publishToSubject('metrics.a.cpu', 'one'))?.msgSubject, 'metrics.a.cpu')
  const connection = await nats()
  connection.publish('metrics.b.cpu', 'two')
  connection.publish('metrics.b.memory', 'not this')
  await until('both are stored', async () => (await client.partition('all')).newestOffset === 1n)
  const messages = await client.subscribe('all', { startPosition: 2 }).take(2)
  assert.deepEqual(
    messages.map(({ subject }) => subject),
    ['metrics.a.cpu', 'metrics.b.cpu'],
  )
})

test('two streams on one subject store a message once each, and the named one answers', async (t) => {
  const { client } = await run(t)
  await client.create('first', { subject: 'shared' })
  await client.create('second', { subject: 'shared' })
  await client.publishToSubject('shared', 'zero')
  const ack = await client.publish('second', 'one')
  assert.equal(ack?.stream, 'second')
  const publisher = client.publishAsync()
  publisher.send('first', 'two')
  const [answer] = await publisher.answers(1)
  assert.equal(answer?.ack?.stream, 'first')
  for (const stream of ['first', 'second']) {
    await until('all are there', async () => (await client.partition(stream)).newestOffset === 2n)
    assert.deepEqual(await client.values(stream), ['zero', 'one', 'two'])
  }
})

test('a load-balance group stores one copy in total, and publishers to it are answered', async (t) => {
  const { client } = await run(t)
  const members = ['g1', 'g2', 'g3']
  for (const name of members) await client.create(name, { subject: 'work', group: 'workers' })
  await client.create('audit', { subject: 'work' })
  const publisher = client.publishAsync()
  for (let index = 0; index < 30; index++) {
    publisher.send('audit', `m${index}`)
  }
  await publisher.answers(30)
  const copies = async (): Promise<string[]> =>
    (await Promise.all(members.map((name) => client.values(name)))).flat()
  // The acks are those of the named stream; the group's copies may come a little later.
  await until('all copies are there', async () => (await copies()).length >= 30)
  assert.deepEqual(
    (await copies()).toSorted(),
    Array.from({ length: 30 }, (_, index) => `m${index}`).toSorted(),
  )
  assert.equal((await client.values('audit')).length, 30)
})

test('plain NATS messages are values, enveloped ones bring an inbox that is answered', async (t) => {
  const { client, nats } = await run(t)
  await client.create('orders')
  const connection = await nats()
  const acked = nextAck(connection, 'inbox.of.mine')
  connection.publish('orders', 'plain', { reply: 'answer.here' })
  connection.publish('orders', enveloped('orders', 'wrapped', 'inbox.of.mine'))
  const ack = await acked
  assert.equal(ack.offset, 1n)
  assert.equal(ack.correlationId, 'wrapped')
  const messages = await client.subscribe('orders', { startPosition: 2 }).take(2)
  assert.deepEqual(messages.map(valueOf), ['plain', 'wrapped'])
  assert.equal(messages[0]?.replySubject, 'answer.here')
  assert.equal(messages[1]?.replySubject, '')
})

test('an envelope of eight bytes that lies about its header is stored as a value [D-02]', async (t) => {
  const { client, nats } = await run(t)
  await client.create('orders')
  const connection = await nats()
  const magic = [0xb9, 0x0e, 0x43, 0xb4]
  const hostile = [0, 1, 7, 8, 9, 255].flatMap((size) =>
    [0, 1, 255].map((flags) => Buffer.from([...magic, 0, size, flags, 0])),
  )
  for (const bytes of hostile) connection.publish('orders', bytes)
  connection.publish('orders', new Uint8Array(0))
  await connection.flush()
  await client.publish('orders', 'still here')
  const { newestOffset } = await client.partition('orders')
  assert.ok(newestOffset >= 1n)
  assert.equal((await client.values('orders')).at(-1), 'still here')
})

test('text that is not UTF-8 in ids, names and inboxes harms nobody', async (t) => {
  const { client } = await run(t)
  await client.create('orders')
  const bad = publishBytes('orders', 'v', { correlationId: 'xxxx' })
  const at = Buffer.from(bad).indexOf('xxxx')
  bad[at] = 0xff
  bad[at + 1] = 0xc0
  await endingOf(client.channel.unary('/proto.API/Publish', bad, { timeoutMs: 5_000 }))
  const publisher = client.publishAsync()
  publisher.sendAll([bad])
  await publisher.toEnd()
  assert.equal((await client.publish('orders', 'after'))?.ackError, Ack_Error.OK)
})

test('names of a megabyte are refused with a status that reaches the client', async (t) => {
  const { client } = await run(t)
  await client.create('orders')
  const long = 'x'.repeat(1_000_000)
  const endings = await Promise.all([
    endingOf(client.publish(long, 'v')),
    endingOf(client.publish('orders', 'v', { ackInbox: `${long}.*` })),
    endingOf(client.publishToSubject(`${long}.*`, 'v')),
    endingOf(client.create(long)),
    endingOf(client.delete(long)),
    endingOf(client.pause(long)),
    endingOf(client.subscribe(long).take(1)),
    endingOf(client.partition(long)),
  ])
  assert.deepEqual(
    endings.map(({ status }) => status),
    [
      'NOT_FOUND',
      'INVALID_ARGUMENT',
      'UNKNOWN',
      'INVALID_ARGUMENT',
      'NOT_FOUND',
      'NOT_FOUND',
      'NOT_FOUND',
      'NOT_FOUND',
    ],
  )
  assert.equal((await client.publish('orders', 'after'))?.offset, 0n)
})

test('envelopes with any content and any inbox never harm the server [A4]', async (t) => {
  const { client, nats } = await run(t)
  await client.create('orders')
  const connection = await nats()
  const valid = Buffer.from(enveloped('orders', 'value', 'inbox.of.mine'))
  let seed = 7
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    return seed % below
  }
  for (let round = 0; round < 2_000; round++) {
    const bytes = Buffer.from(valid)
    for (let count = 1 + random(4); count > 0; count--)
      bytes[8 + random(bytes.length - 8)] = random(256)
    connection.publish('orders', bytes.subarray(0, 8 + random(bytes.length - 7)))
  }
  const inboxes = ['', ' ', '>', 'a..b', '.', 'orders', '$SYS.a', '\0', 'x'.repeat(300_000)]
  for (const inbox of inboxes) connection.publish('orders', enveloped('orders', 'v', inbox))
  await connection.flush()
  await client.publish('orders', 'still here', { ackPolicy: AckPolicy.ALL })
  const { newestOffset } = await client.partition('orders')
  assert.ok(newestOffset >= 2_000n)
})
