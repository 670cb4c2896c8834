/** A follower that stops in order, and what its leaving must not cost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { handOver } from '../cluster/hand-over.ts'
import { silentLogger } from '../logging/logger.ts'
import { TestCluster } from './cluster.suite.ts'
import { valuesOf } from './stored-records.suite.ts'

/** What a server does when it is told to stop, up to and with its end. */
async function leave(cluster: TestCluster, id: string): Promise<void> {
  const process = cluster.on(id)
  const { state, partitions } = process
  const left = handOver({
    metadata: {
      members: cluster.ids.map((member) => ({ id: member, voter: true })),
      state,
      handOver: async () => {},
    },
    controller: {
      submit: async (request) => {
        assert.ok(request.kind === 'report-leader')
        const { kind } = await cluster.submit(process, request)
        if (kind === 'done') return { kind, index: 1 }
        return { kind: 'rejected', status: 'FAILED_PRECONDITION', text: 'refused' }
      },
    },
    serverId: id,
    quiesce: (timeoutMs) => partitions.quiesce(timeoutMs),
    isCovered: (stream, partition) => partitions.isCovered(stream, partition),
    clock: cluster.clock,
    logger: silentLogger,
  })
  await cluster.clock.pass(4_000)
  await left
  const stopped = process.stop()
  await cluster.clock.pass(1_000)
  await stopped
}

test('a follower that stops leaves the ISR while its leader is there', async () => {
  const cluster = await TestCluster.start({ ids: ['a', 'b'], config: { minIsr: 1 } })
  await cluster.write('1', '2')
  await cluster.converge()
  await leave(cluster, 'b')
  assert.ok(cluster.requests.includes('b report-leader b true'), cluster.describe())
  await cluster.write('3')
  await cluster.boot('b')
  await cluster.converge()
  assert.deepEqual(await valuesOf(cluster.on('b').log), ['1', '2', '3'])
})

test('a follower that stops after its leader lost its disk stays in the ISR, and leads when it is back [R8]', async () => {
  const cluster = await TestCluster.start({ ids: ['a', 'b'], config: { minIsr: 1 } })
  await cluster.write('1', '2')
  await cluster.converge()
  cluster.kill('a')
  cluster.diskOf('a').wipe()
  await leave(cluster, 'b')
  assert.ok(cluster.meta.isr.includes('b'), cluster.describe())
  await cluster.boot('a')
  await cluster.clock.pass(10_000)
  await cluster.boot('b')
  await cluster.converge()
  for (const id of ['a', 'b']) assert.deepEqual(await valuesOf(cluster.on(id).log), ['1', '2'], id)
})
