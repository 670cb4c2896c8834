/** Members of the ISR that cannot lead: who is asked, how often, and who is waited for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestCluster } from './cluster.suite.ts'
import { valuesOf } from './stored-records.suite.ts'

const VALUES = Array.from({ length: 12 }, (_, at) => `record number ${at}`)

test('two members without their data ask each other once, and the whole one leads when it is back [R8]', async () => {
  const cluster = await TestCluster.start()
  await cluster.write(...VALUES)
  await cluster.converge()
  for (const id of ['a', 'b', 'c']) cluster.kill(id)
  cluster.diskOf('b').wipe()
  cluster.diskOf('c').wipe()
  await cluster.boot('b')
  await cluster.boot('c')
  assert.ok(await cluster.clock.until(() => cluster.meta.leader !== 'a', 20_000))
  assert.ok(cluster.meta.isr.includes('a'), 'those elected in its place have nothing')
  const before = cluster.operations.length
  await cluster.clock.pass(20_000)
  assert.ok(
    cluster.operations.length - before <= 4,
    `${cluster.operations.length - before} changes`,
  )
  await cluster.boot('a')
  assert.ok(
    await cluster.clock.until(() => cluster.meta.leader === 'a', 20_000),
    cluster.describe(),
  )
  await cluster.converge()
  for (const id of ['a', 'b', 'c']) assert.deepEqual(await valuesOf(cluster.on(id).log), VALUES, id)
})

test('with sync policy `never` a member that is only away is waited for, and its records stay [L1]', async () => {
  const cluster = await TestCluster.start({ settings: { 'streams.sync.policy': 'never' } })
  await cluster.write(...VALUES)
  await cluster.converge()
  cluster.kill('b', 'power')
  cluster.kill('c', 'power')
  cluster.kill('a', 'process')
  await cluster.boot('b')
  await cluster.boot('c')
  await cluster.clock.pass(20_000)
  await cluster.boot('a')
  await cluster.converge()
  for (const id of ['a', 'b', 'c']) assert.deepEqual(await valuesOf(cluster.on(id).log), VALUES, id)
})

test('with sync policy `never` a partition whose every member lost power is led again [L1]', async () => {
  const cluster = await TestCluster.start({ settings: { 'streams.sync.policy': 'never' } })
  await cluster.write(...VALUES)
  await cluster.converge()
  for (const id of ['a', 'b', 'c']) cluster.kill(id, 'power')
  for (const id of ['a', 'b', 'c']) await cluster.boot(id)
  await cluster.converge()
})

test('with sync policy `never` a replica that is ahead of the last resort follows it, committed or not [L1]', async () => {
  const cluster = await TestCluster.start({ settings: { 'streams.sync.policy': 'never' } })
  await cluster.write(...VALUES)
  await cluster.converge()
  // c is out of the ISR when the others lose power, and has kept what it has.
  cluster.kill('c')
  assert.ok(await cluster.clock.until(() => !cluster.meta.isr.includes('c'), 20_000))
  for (const id of ['a', 'b']) cluster.kill(id, 'power')
  for (const id of ['a', 'b']) await cluster.boot(id)
  assert.ok(await cluster.clock.until(() => cluster.meta.leaderEpoch > 1, 20_000))
  await cluster.clock.pass(5_000)
  await cluster.write('anew')
  await cluster.boot('c')
  await cluster.converge()
  for (const id of ['a', 'b', 'c']) assert.deepEqual(await valuesOf(cluster.on(id).log), ['anew'])
})

test('with sync policy `never` the member that has most left leads after all lost power, not the one asked last [R8]', async () => {
  const cluster = await TestCluster.start({ settings: { 'streams.sync.policy': 'never' } })
  await cluster.write(...VALUES)
  await cluster.converge()
  // The page cache of b reached its disk in time, as it may.
  await cluster.on('b').log.sync()
  for (const id of ['a', 'b', 'c']) cluster.kill(id, 'power')
  for (const id of ['a', 'b', 'c']) await cluster.boot(id)
  await cluster.converge()
  assert.deepEqual(cluster.meta.isr.toSorted(), ['a', 'b', 'c'])
  for (const id of ['a', 'b', 'c']) assert.deepEqual(await valuesOf(cluster.on(id).log), VALUES, id)
})
