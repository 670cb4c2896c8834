/** Who may lack records it was counted for does not lead until its leader has shown otherwise [R8]. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestCluster } from './cluster.suite.ts'
import { valuesOf } from './stored-records.suite.ts'

const VALUES = Array.from({ length: 30 }, (_, at) => `v${at}`.padEnd(200, '.'))
const SMALL_FETCHES = { settings: { 'clustering.replication.max.bytes': 1024 } }
const MARKER = '/0.unproven'

async function written(options: Parameters<typeof TestCluster.start>[0]): Promise<TestCluster> {
  const cluster = await TestCluster.start(options)
  await cluster.write(...VALUES)
  await cluster.converge()
  assert.equal(cluster.meta.leader, 'a')
  return cluster
}

function isMarked(cluster: TestCluster, id: string): boolean {
  return cluster.diskOf(id).paths.some((path) => path.endsWith(MARKER))
}

/** The leader has died, and the metadata names a replica that lacks records. */
async function assertNotElected(cluster: TestCluster): Promise<void> {
  cluster.changeLeader('c')
  await cluster.clock.pass(3_000)
  assert.equal(cluster.meta.leader, 'b', cluster.describe())
  assert.equal(cluster.on('b').partition?.role, 'leader', cluster.describe())
  assert.deepEqual(await valuesOf(cluster.on('b').log), VALUES)
  await cluster.boot('a')
  await cluster.converge()
  for (const id of cluster.ids) assert.deepEqual(await valuesOf(cluster.on(id).log), VALUES, id)
  await cluster.clock.pass(100)
  assert.ok(!isMarked(cluster, 'c'), 'its leader has shown that it has everything')
  // From now on it is as good as any, also after a restart.
  await cluster.on('c').stop()
  cluster.diskOf('c').kill()
  await cluster.boot('c')
  assert.equal(cluster.on('c').partition?.proven, true)
}

test('a member of the ISR that lost its disk, and was killed half refilled, does not lead', async () => {
  const cluster = await written(SMALL_FETCHES)
  // The leader cannot have its shrink decided, but serves its replicas.
  cluster.deaf.add('a')
  cluster.kill('c')
  cluster.diskOf('c').wipe()
  let messages = 0
  cluster.nats.isCut = (from, to) => from === 'a' && to === 'c' && ++messages > 2
  await cluster.boot('c')
  await cluster.clock.pass(200)
  const copied = cluster.on('c').log.newestOffset
  assert.ok(copied > 0 && copied < 20, `${copied}`)
  assert.ok(isMarked(cluster, 'c'))
  cluster.kill('c')
  cluster.kill('a')
  cluster.deaf.delete('a')
  cluster.nats.isCut = () => false
  await cluster.boot('c')
  assert.equal(cluster.on('c').partition?.proven, false)
  await assertNotElected(cluster)
})

test('with sync policy never an orderly restart does not make up for a power cut before it', async () => {
  const cluster = await written({ settings: { 'streams.sync.policy': 'never' } })
  cluster.deaf.add('a')
  cluster.kill('c', 'power')
  cluster.nats.isCut = (from, to) => from === 'a' && to === 'c'
  await cluster.boot('c')
  await cluster.clock.pass(200)
  assert.equal(cluster.on('c').partition?.proven, false)
  await cluster.on('c').stop()
  cluster.diskOf('c').kill()
  cluster.kill('a')
  cluster.deaf.delete('a')
  cluster.nats.isCut = () => false
  await cluster.boot('c')
  assert.equal(cluster.on('c').partition?.proven, false)
  await assertNotElected(cluster)
})

test('a pause and a resumption do not make up for durable records that are gone', async () => {
  const cluster = await written(SMALL_FETCHES)
  await cluster.on('c').stop()
  cluster.deaf.add('a')
  const disk = cluster.diskOf('c')
  disk.kill()
  const path = disk.paths.find((name) => name.includes('orders/0/') && name.endsWith('.log')) ?? ''
  const attached = disk.attach()
  const file = await attached.open(path)
  await file.truncate(2_000)
  await file.sync()
  await file.close()
  cluster.nats.isCut = (from, to) => from === 'a' && to === 'c'
  await cluster.boot('c')
  await cluster.clock.pass(100)
  assert.equal(cluster.on('c').partition?.proven, false)
  const at = { stream: 'orders', partitions: [0], timestampNs: 1n }
  cluster.commit({ kind: 'pause-stream', resumeAll: false, ...at })
  await cluster.clock.pass(500)
  cluster.commit({ kind: 'resume-stream', ...at })
  await cluster.clock.pass(500)
  assert.equal(cluster.on('c').partition?.proven, false)
  cluster.kill('a')
  cluster.deaf.delete('a')
  cluster.nats.isCut = () => false
  await assertNotElected(cluster)
})

test('what is known of a log goes with its stream', async () => {
  const cluster = await written(SMALL_FETCHES)
  cluster.kill('c')
  cluster.diskOf('c').wipe()
  cluster.nats.isCut = (from, to) => from === 'a' && to === 'c'
  await cluster.boot('c')
  await cluster.clock.pass(100)
  assert.ok(isMarked(cluster, 'c'))
  cluster.commit({ kind: 'delete-stream', stream: 'orders' })
  await cluster.clock.pass(1_000)
  assert.ok(!isMarked(cluster, 'c'))
  await cluster.createStream({ minIsr: 2 })
  await cluster.clock.pass(1_000)
  assert.equal(cluster.on('c').partition?.proven, true)
})

test('a replica that lost its disk and was found to lack nothing of an empty partition is believed after its next start', async () => {
  const cluster = await TestCluster.start({ ids: ['a', 'b'] })
  await cluster.converge()
  cluster.kill('b')
  cluster.diskOf('b').wipe()
  await cluster.boot('b')
  await cluster.converge()
  await cluster.clock.pass(2_000)
  assert.equal(cluster.on('b').partition?.proven, true)
  // Long after that the other one loses its disk, too, and b is started again meanwhile.
  for (const id of cluster.ids) cluster.kill(id)
  cluster.diskOf('a').wipe()
  for (const id of cluster.ids) await cluster.boot(id)
  await cluster.converge()
  await cluster.write('first')
})
