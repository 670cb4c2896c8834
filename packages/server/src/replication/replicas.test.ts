/** Several replicas of one partition: data, high watermark, acks, and who is counted. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Collector } from '../partition/partition-fixture.suite.ts'
import { TestCluster } from './cluster.suite.ts'
import { recordsOf } from './stored-records.suite.ts'

test('what a leader acknowledges to AckPolicy ALL is on every member of the ISR, byte for byte [R1, D1]', async () => {
  const cluster = await TestCluster.start()
  const sink = new Collector()
  for (let index = 0; index < 100; index++) {
    cluster.publish(cluster.leader, { value: Buffer.from(`m${index}`), ackPolicy: 1 }, sink)
  }
  assert.ok(await cluster.clock.until(() => sink.answers.length === 100, 1_000), cluster.describe())
  assert.ok(sink.answers.every(({ error }, at) => error === 0 && sink.answers[at]?.offset === at))
  const leaders = await recordsOf(cluster.leader.log)
  assert.equal(leaders.length, 100)
  for (const follower of cluster.followers) {
    assert.ok(follower.log.syncedOffset === 99, 'durable there before the ack')
    assert.deepEqual(await recordsOf(follower.log), leaders)
  }
  await cluster.converge()
})

test('an idle follower has a message, and its leader the ack, within one round trip', async () => {
  const cluster = await TestCluster.start()
  await cluster.write('first')
  await cluster.clock.pass(20_000)
  const beforeMs = cluster.clock.monotonicMs()
  const sink = cluster.publish(cluster.leader, { ackPolicy: 1 })
  // Nothing but messages and syncs, which take no virtual time, is waited for.
  await cluster.clock.pass(0)
  assert.equal(sink.answers.length, 1, cluster.describe())
  assert.equal(cluster.clock.monotonicMs(), beforeMs)
})

test('a follower tells its high watermark to readers soon after the leader has it [R3]', async () => {
  const cluster = await TestCluster.start()
  await cluster.write('a', 'b')
  await cluster.clock.pass(200)
  for (const { log } of cluster.followers) assert.equal(log.highWatermark, 1)
})

test('idle replicas ask seldom', async () => {
  const cluster = await TestCluster.start()
  await cluster.write('a')
  await cluster.clock.pass(1_000)
  const before = cluster.nats.traffic.length
  await cluster.clock.pass(60_000)
  // Two followers, a fetch and its answer every two thirds of a second.
  const messages = cluster.nats.traffic.length - before
  assert.ok(messages <= 400, `${messages} messages in a minute`)
})
