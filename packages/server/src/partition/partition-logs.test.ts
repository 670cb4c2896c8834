/** What a process believes of the logs that it finds. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DiskError } from '@liftbridge/log'
import { TestCluster } from '../replication/cluster.suite.ts'
import { valuesOf } from '../replication/stored-records.suite.ts'

const VALUES = ['1', '2', '3']
const isLog = (path: string): boolean => path.endsWith('.log')

/** Segments that are written to while a server, killed after `before`, starts again. */
async function rewritten(before: (cluster: TestCluster) => Promise<void>): Promise<string[]> {
  const cluster = await TestCluster.start({ ids: ['a'], config: { minIsr: 1 } })
  await cluster.write(...VALUES)
  await before(cluster)
  cluster.kill('a')
  const written: string[] = []
  cluster.diskOf('a').fault = (operation, path) => {
    if (operation === 'write' && isLog(path)) written.push(path)
    return undefined
  }
  const process = await cluster.boot('a')
  assert.deepEqual((await valuesOf(process.log)).slice(0, 3), VALUES)
  return written
}

test('after a failed sync the next process, too, writes again what it cannot believe [D7]', async () => {
  const written = await rewritten(async (cluster) => {
    cluster.diskOf('a').fault = (operation, path) =>
      operation === 'sync' && isLog(path) ? new DiskError('io', path, 'EIO') : undefined
    cluster.publish(cluster.leader, { value: Buffer.from('4'), ackPolicy: 1 })
    await cluster.clock.pass(1_000)
    assert.ok(cluster.fences.length > 0)
  })
  assert.equal(written.length, 1)
})

test('a log whose syncs went well is not written to when it is opened', async () => {
  assert.deepEqual(await rewritten(async () => {}), [])
})
