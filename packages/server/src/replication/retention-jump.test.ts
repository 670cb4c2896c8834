/** A replica that was away for longer than its leader keeps records. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestCluster } from './cluster.suite.ts'
import { valuesOf } from './stored-records.suite.ts'

const values = (from: number, count: number): string[] =>
  Array.from({ length: count }, (_, at) => `record number ${from + at}`)

for (const away of [0, 4]) {
  test(`a follower that was away for longer than the retention has no hole, and may lead one that ends ${away} records earlier`, async () => {
    const config = { minIsr: 1, segmentMaxBytes: 300, retentionMaxMessages: 10 }
    const cluster = await TestCluster.start({ config })
    await cluster.write(...values(0, 9 - away))
    await cluster.converge()
    cluster.kill('b')
    await cluster.clock.pass(5_000)
    await cluster.write(...values(9 - away, away))
    cluster.kill('c')
    await cluster.clock.pass(5_000)
    await cluster.write(...values(9, 60))
    await cluster.leader.log.clean(cluster.clock.wallNs())
    const { oldestOffset } = cluster.leader.log
    assert.ok(oldestOffset > 9)
    await cluster.boot('c')
    assert.ok(await cluster.clock.until(() => cluster.meta.isr.includes('c'), 20_000))
    const { log } = cluster.on('c')
    assert.equal(log.oldestOffset, oldestOffset)
    assert.deepEqual(await valuesOf(log), values(oldestOffset, 69 - oldestOffset))
    cluster.changeLeader('c')
    await cluster.clock.pass(2_000)
    cluster.kill('a')
    await cluster.clock.pass(3_000)
    await cluster.write('after')
    await cluster.boot('b')
    assert.ok(await cluster.clock.until(() => cluster.meta.isr.includes('b'), 20_000))
    assert.deepEqual(await valuesOf(cluster.on('b').log), await valuesOf(log))
    assert.deepEqual(cluster.fences, [])
    // What it holds is the same after a power cut and another opening.
    cluster.kill('b', 'power')
    await cluster.boot('b')
    assert.deepEqual(await valuesOf(cluster.on('b').log), await valuesOf(log))
    await cluster.write('last')
  })
}
