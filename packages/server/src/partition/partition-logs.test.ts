/** What a process believes of the logs that it finds. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestCluster } from '../replication/cluster.suite.ts'
import { valuesOf } from '../replication/stored-records.suite.ts'

const VALUES = ['1', '2', '3']

/** Segments that are written to while a server starts again after `end`. */
async function rewritten(end: (cluster: TestCluster) => Promise<void> | void): Promise<string[]> {
  const cluster = await TestCluster.start({ ids: ['a'], config: { minIsr: 1 } })
  await cluster.write(...VALUES)
  await end(cluster)
  const written: string[] = []
  cluster.diskOf('a').fault = (operation, path) => {
    if (operation === 'write' && path.endsWith('.log')) written.push(path)
    return undefined
  }
  const process = await cluster.boot('a')
  assert.deepEqual(await valuesOf(process.log), VALUES)
  return written
}

test('what the high watermark on disk does not vouch for is written again: a sync may have failed in the process before [D7]', async () => {
  const written = await rewritten((cluster) => cluster.kill('a'))
  assert.equal(written.length, 1)
})

test('a log that was closed in order is not written to when it is opened', async () => {
  const written = await rewritten(async (cluster) => {
    await cluster.on('a').stop()
    cluster.diskOf('a').kill()
  })
  assert.deepEqual(written, [])
})
