/** A log knows whether it was compacted, whatever is configured today. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configFrom } from '../config/from-settings.ts'
import { Collector } from '../partition/partition-fixture.suite.ts'
import { TestCluster } from './cluster.suite.ts'

test('compaction that is switched off by default makes no damaged logs of compacted ones', async () => {
  const on = { 'streams.compact.enabled': true }
  const cluster = await TestCluster.start({
    settings: on,
    config: { minIsr: 1, segmentMaxBytes: 300 },
  })
  const sink = new Collector()
  for (let at = 0; at < 40; at++) {
    const key = Buffer.from(at === 0 || at === 17 ? `u${at}` : `k${at % 3}`)
    cluster.publish(cluster.leader, { key, value: Buffer.from(`${at}`), ackPolicy: 1 }, sink)
    await cluster.clock.pass(20)
  }
  await cluster.converge()
  for (const id of cluster.ids) {
    await cluster.on(id).log.checkpoint()
    await cluster.on(id).log.clean(cluster.clock.wallNs())
  }
  assert.ok(cluster.leader.log.recordCount < 20)
  for (const id of cluster.ids) {
    await cluster.on(id).stop()
    cluster.diskOf(id).kill()
  }
  const { namespace, replica } = cluster.config.clustering
  cluster.config = configFrom({
    'clustering.namespace': namespace,
    'clustering.replica.max.lag.time': `${replica.maxLagTimeMs}ms`,
    'clustering.replica.max.leader.timeout': `${replica.maxLeaderTimeoutMs}ms`,
    'streams.compact.enabled': false,
  })
  cluster.tailBytes = 1
  cluster.diskOf('c').wipe()
  for (const id of cluster.ids) await cluster.boot(id)
  // Whoever has to be filled asks for offsets that compaction removed.
  await cluster.clock.pass(5_000)
  assert.deepEqual(cluster.fences, [])
  for (const id of ['a', 'b']) {
    assert.equal(cluster.on(id).log.newestOffset, 39, id)
    assert.ok(!cluster.diskOf(id).paths.some((path) => path.includes('.damaged')))
  }
  await cluster.write('after')
})
