import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { NatsServer } from '@liftbridge/nats'
import { bytes, Mailbox } from './bus-mailbox.suite.ts'
import { busSuite } from './bus.suite.ts'
import { EmbeddedBus } from './embedded-bus.ts'

const server = new NatsServer()
after(() => server.close())

busSuite({
  name: 'in process',
  connect: ({ echo, name = 'test' }) => Promise.resolve(new EmbeddedBus(server, { name, echo })),
})

test('without echo a subscription of its own is no interest', async () => {
  const [own, other] = [
    new EmbeddedBus(server, { name: 'own', echo: false }),
    new EmbeddedBus(server, { name: 'other', echo: false }),
  ]
  const box = new Mailbox()
  own.subscribe('solo', box.handler)
  assert.equal(own.hasInterest('solo'), false)
  assert.equal(other.hasInterest('solo'), true)
  assert.equal(own.hasInterest('nobody'), false)
  own.publish('solo', bytes('x'))
  await own.flush()
  assert.deepEqual(box.texts, [])
  await Promise.all([own.close(), other.close()])
})

test('a request under way fails when its bus closes', async () => {
  const bus = new EmbeddedBus(server, { name: 'closing', echo: true })
  bus.subscribe('never', () => {})
  const answer = assert.rejects(bus.request('never', bytes(''), 60_000), { code: 'closed' })
  await bus.close()
  await answer
})
