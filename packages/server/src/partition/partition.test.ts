import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AckFields, literalSubjectProblem } from '@liftbridge/wire'
import { BusError, type Bus } from '../bus.ts'
import { silentLogger } from '../logging/logger.ts'
import { AckSource } from './ack.ts'
import { NatsAcks } from './nats-acks.ts'
import { Collector, openPartition } from './partition-fixture.suite.ts'

test('a sink that throws fences its partition and not the process', async (t) => {
  const { partition, publish, fenced } = await openPartition(t)
  const broken = {
    deliver: () => {
      throw new Error('this must not happen')
    },
    flush: () => undefined,
  }
  publish({ correlationId: 'a' }, broken)
  partition.kick()
  assert.equal(await fenced, 'an invariant is broken')
  assert.ok(partition.fenced)
  const sink = new Collector()
  publish({ correlationId: 'b' }, sink)
  assert.equal(sink.answers[0]?.error, 1)
  await partition.end()
})

test('an ack for any inbox and any text is delivered or dropped, never thrown', () => {
  const source = new AckSource('orders', 0, 'orders')
  const sent: string[] = []
  const bus: Pick<Bus, 'publish'> = {
    publish: (subject) => {
      sent.push(subject)
      throw new BusError('disconnected', 'not connected')
    },
  }
  const acks = new NatsAcks({ bus: bus as Bus, namespace: 'lift', logger: silentLogger })
  const text = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.string({ unit: fc.constantFrom('a', '.', '*', '>', ' ', '$') }).map((s) => Buffer.from(s)),
    fc.constantFrom('lift.ack.abc', 'lift.raft', '$SYS.x', 'x.y').map((s) => Buffer.from(s)),
  )
  fc.assert(
    fc.property(text, text, fc.integer({ min: 0, max: 4 }), (inbox, id, error) => {
      const ack = new AckFields()
      ack.ackInbox = inbox
      ack.ackInboxEnd = inbox.length
      ack.correlationId = id
      ack.correlationIdEnd = id.length
      ack.ackError = error
      acks.deliver(source, ack)
      acks.flush()
    }),
    { numRuns: 500 },
  )
  assert.ok(sent.length > 0)
  for (const subject of sent) {
    assert.equal(literalSubjectProblem(subject), undefined)
    assert.doesNotMatch(subject, /^\$SYS|^lift\.(?!ack\.[A-Za-z0-9]+$)/)
  }
})
