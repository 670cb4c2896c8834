import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NatsServer } from '@liftbridge/nats'
import { ClusterSubjects } from '@liftbridge/wire'
import { EmbeddedBus } from '../adapters/embedded-bus.ts'
import { createSystemClock } from '../adapters/system-clock.ts'
import { createSystemRandom } from '../adapters/system-random.ts'
import { silentLogger } from '../logging/logger.ts'
import { ServerClaim } from './server-claim.ts'

function claimant(nats: NatsServer, id: string, lost: string[] = []): [ServerClaim, EmbeddedBus] {
  const bus = new EmbeddedBus(nats, { name: id, echo: true })
  const claim = new ServerClaim({
    bus,
    subjects: new ClusterSubjects('ns'),
    serverId: id,
    clock: createSystemClock(),
    random: createSystemRandom(),
    logger: silentLogger,
    advertised: () => ({ host: '127.0.0.1', port: 9292 }),
    onIdLost: (error) => lost.push(error.message),
  })
  return [claim, bus]
}

test('a second live server of one id is refused, with the way out', async () => {
  const nats = new NatsServer({ port: -1 })
  const [first, bus] = claimant(nats, 'a')
  await first.take()
  const [second, otherBus] = claimant(nats, 'a')
  await assert.rejects(second.take(), /another live server has the id a.*clustering\.server\.id/)
  first.stop()
  await bus.close()
  await otherBus.close()
  await nats.close()
})

test('a server that was killed does not keep its own restart waiting', async () => {
  const nats = new NatsServer({ port: -1 })
  const [, bus] = await taken(nats, 'a')
  await bus.close()
  const [again, againBus] = claimant(nats, 'a')
  await again.take()
  again.stop()
  await againBus.close()
  await nats.close()
})

test('servers of different ids do not mind each other', async () => {
  const nats = new NatsServer({ port: -1 })
  const [a, busA] = await taken(nats, 'a')
  const [b, busB] = await taken(nats, 'b')
  a.stop()
  b.stop()
  await busA.close()
  await busB.close()
  await nats.close()
})

test('of two that start together one goes on', async () => {
  const nats = new NatsServer({ port: -1 })
  const lost: string[] = []
  const [one, busOne] = claimant(nats, 'a', lost)
  const [two, busTwo] = claimant(nats, 'a', lost)
  const taken = await Promise.allSettled([one.take(), two.take()])
  const refused = taken.filter(({ status }) => status === 'rejected').length
  const endsMs = performance.now() + 20_000
  while (lost.length + refused < 1) {
    assert.ok(performance.now() < endsMs, 'after 20 s both go on')
    // Answers come in turns of their own, and what waits for them has timers.
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.equal(lost.length + refused, 1)
  one.stop()
  two.stop()
  await busOne.close()
  await busTwo.close()
  await nats.close()
})

async function taken(nats: NatsServer, id: string): Promise<[ServerClaim, EmbeddedBus]> {
  const made = claimant(nats, id)
  await made[0].take()
  return made
}
