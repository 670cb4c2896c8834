/** What an operator or a disk does to a replicated partition. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DiskError } from '@liftbridge/log'
import { Collector } from '../partition/partition-fixture.suite.ts'
import { TestCluster } from './cluster.suite.ts'
import { recordsOf, valuesOf } from './stored-records.suite.ts'
import { STREAM } from './test-process.suite.ts'

const ALL = { stream: STREAM, partitions: [], resumeAll: false, timestampNs: 1n }

test('a paused partition is closed everywhere, and goes on where it was when it is resumed', async () => {
  const cluster = await TestCluster.start()
  await cluster.write('a', 'b')
  for (let round = 0; round < 3; round++) {
    assert.ok(cluster.commit({ kind: 'pause-stream', ...ALL }))
    await cluster.clock.pass(100)
    for (const id of cluster.ids) assert.equal(cluster.on(id).partition, undefined)
    cluster.commit({ kind: 'resume-stream', stream: STREAM, partitions: [0], timestampNs: 1n })
    await cluster.clock.pass(2_000)
    await cluster.write(`after ${round}`)
  }
  await cluster.converge()
  const values = await valuesOf(cluster.leader.log)
  assert.deepEqual(values, ['a', 'b', 'after 0', 'after 1', 'after 2'])
  assert.deepEqual(cluster.failures, [])
})

test('a readonly partition takes nothing, and its replicas still get what they lack', async () => {
  const cluster = await TestCluster.start()
  await cluster.write('a')
  const late = cluster.followers[0]?.id ?? ''
  cluster.kill(late)
  await cluster.write('b')
  cluster.commit({
    kind: 'set-stream-readonly',
    stream: STREAM,
    partitions: [],
    readonly: true,
    timestampNs: 1n,
  })
  await cluster.clock.pass(100)
  const sink = cluster.publish(cluster.leader, { value: Buffer.from('x'), ackPolicy: 1 })
  await cluster.clock.pass(100)
  assert.ok(sink.answers.every(({ error }) => error !== 0))
  await cluster.boot(late)
  await cluster.converge()
  assert.deepEqual(await valuesOf(cluster.on(late).log), ['a', 'b'])
})

test('a deleted partition leaves nothing behind on any replica', async () => {
  const cluster = await TestCluster.start()
  await cluster.write('a')
  cluster.commit({ kind: 'delete-stream', stream: STREAM })
  await cluster.clock.pass(1_000)
  for (const id of cluster.ids) {
    assert.equal(cluster.on(id).partition, undefined)
    const left = cluster.diskOf(id).paths.filter((path) => path.endsWith('.log'))
    assert.deepEqual(left, [])
  }
  const traffic = cluster.nats.traffic.length
  await cluster.clock.pass(20_000)
  assert.equal(cluster.nats.traffic.length, traffic, 'nobody asks for it any more')
})

for (const who of ['leader', 'follower'] as const) {
  test(`a ${who} whose sync fails is fenced alone, vouches for nothing, and comes back [D7]`, async () => {
    const cluster = await TestCluster.start()
    await cluster.write('a')
    const victim = who === 'leader' ? cluster.leader.id : (cluster.followers[0]?.id ?? '')
    const disk = cluster.diskOf(victim)
    disk.fault = (operation, path) =>
      operation === 'sync' && path.endsWith('.log') ? new DiskError('io', path, 'EIO') : undefined
    const sink = new Collector()
    cluster.publish(cluster.leader, { value: Buffer.from('b'), ackPolicy: 1 }, sink)
    await cluster.clock.pass(100)
    assert.ok(
      cluster.fences.some((text) => text.startsWith(`${victim}:`)),
      cluster.describe(),
    )
    if (who === 'leader') assert.ok(sink.answers.every(({ error }) => error !== 0))
    await cluster.clock.pass(10_000)
    disk.fault = () => undefined
    await cluster.clock.pass(40_000)
    await cluster.write('c')
    await cluster.converge()
    const records = await recordsOf(cluster.leader.log)
    for (const { log } of cluster.followers) assert.deepEqual(await recordsOf(log), records)
    const values = await valuesOf(cluster.leader.log)
    assert.ok(values.includes('a') && values.includes('c'))
    assert.ok(sink.answers[0]?.error !== 0 || values.includes('b'))
  })
}

test('a leader that is about to leave answers what it took, and then takes no more', async () => {
  const cluster = await TestCluster.start()
  const leader = cluster.leader
  const sink = new Collector()
  for (let index = 0; index < 20; index++) {
    cluster.publish(leader, { value: Buffer.from(`m${index}`), ackPolicy: 1 }, sink)
  }
  const quiet = leader.partitions.quiesce(3_000)
  await cluster.clock.pass(100)
  await quiet
  assert.equal(sink.answers.length, 20)
  assert.ok(sink.answers.every(({ error }) => error === 0))
  const late = cluster.publish(leader, { value: Buffer.from('late'), ackPolicy: 1 })
  assert.ok(late.answers[0] !== undefined && late.answers[0].error !== 0)
  cluster.changeLeader(cluster.followers[0]?.id ?? '')
  await cluster.clock.pass(1_000)
  await cluster.write('next')
  assert.equal((await valuesOf(cluster.leader.log)).length, 21)
})

test('what a server does not hold costs it nothing [D-13]', async () => {
  const cluster = await TestCluster.start()
  const outsider = await cluster.boot('d')
  await cluster.write('a')
  await cluster.clock.pass(5_000)
  assert.equal(outsider.partition, undefined)
  assert.deepEqual(cluster.diskOf('d').paths, ['/data/run'])
})
