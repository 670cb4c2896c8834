/** Logs of Go Liftbridge, whose epochs were counted by another Raft log. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommitLog, RecordBatch } from '@liftbridge/log'
import { TestCluster } from './cluster.suite.ts'
import { valuesOf } from './stored-records.suite.ts'

test('a partition of one replica leads an adopted log whose epochs are beyond those of the metadata', async () => {
  const cluster = new TestCluster(['a'])
  const disk = cluster.diskOf('a').attach()
  const directory = '/data/streams/orders/0'
  await disk.makeDirectory(directory)
  const log = await CommitLog.open({ disk, directory })
  const batch = new RecordBatch({ maxRecordBytes: 1_000, maxBytes: 10_000 })
  batch.addRecord({ value: Buffer.from('old') })
  await log.append(batch, { timestampNs: 1n, leaderEpoch: 500 })
  await log.close()
  await cluster.boot('a')
  await cluster.createStream({ minIsr: 1 })
  await cluster.clock.pass(1_000)
  assert.equal(cluster.on('a').partition?.role, 'leader', cluster.describe())
  await cluster.write('new')
  assert.deepEqual(await valuesOf(cluster.on('a').log), ['old', 'new'])
  // And again after a restart, in whatever epoch it wrote.
  await cluster.on('a').stop()
  cluster.diskOf('a').kill()
  await cluster.boot('a')
  await cluster.clock.pass(1_000)
  await cluster.write('newer')
  assert.deepEqual(await valuesOf(cluster.on('a').log), ['old', 'new', 'newer'])
})
