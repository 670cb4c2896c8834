/** A damaged copy is given up only for a whole one [T2]. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestCluster } from './cluster.suite.ts'
import { recordsOf } from './stored-records.suite.ts'

const VALUES = Array.from({ length: 12 }, (_, at) => `record number ${at}`)

/** Garbles a record in the `nth` segment of a server that is not running. */
function damage(cluster: TestCluster, id: string, nth: number): Uint8Array {
  const disk = cluster.diskOf(id)
  const logs = disk.paths.filter((name) => name.includes('/0/0000') && name.endsWith('.log'))
  const content = disk.file(logs.sort()[nth] ?? '')
  assert.ok(content)
  content.bytes[60] = (content.bytes[60] ?? 0) ^ 0xff
  return content.bytes.slice()
}

test('two replicas with one damaged record each keep their logs while no whole one leads', async () => {
  const cluster = await TestCluster.start({ config: { minIsr: 2, segmentMaxBytes: 200 } })
  await cluster.write(...VALUES)
  await cluster.converge()
  cluster.kill('c')
  await cluster.clock.pass(5_000)
  cluster.tailBytes = 1
  const garbled = new Map<string, Uint8Array>()
  for (const [id, nth] of [
    ['a', 0],
    ['b', 1],
  ] as const) {
    cluster.kill(id)
    garbled.set(id, damage(cluster, id, nth))
  }
  const logsOf = (id: string): string[] =>
    cluster.diskOf(id).paths.filter((name) => name.includes('/0/0000') && name.endsWith('.log'))
  const before = ['a', 'b'].map((id) => logsOf(id).sort())
  await cluster.boot('a')
  await cluster.boot('b')
  await cluster.clock.pass(100)
  for (const id of ['a', 'b']) {
    const { partition } = cluster.on(id)
    if (partition !== undefined) await recordsOf(partition.log).catch(() => undefined)
  }
  await cluster.clock.pass(300)
  await cluster.boot('c')
  await cluster.clock.pass(200)
  // Every record has a good copy: in place on a and b, and on c.
  assert.equal((await recordsOf(cluster.on('c').log)).length, VALUES.length)
  for (const [at, id] of ['a', 'b'].entries()) {
    assert.deepEqual(
      logsOf(id).sort().slice(0, before[at]?.length),
      before[at],
      cluster.diskOf(id).paths.join('\n'),
    )
  }
})

test('a damaged follower keeps its log until its leader answers, and takes its copy then', async () => {
  const cluster = await TestCluster.start({ config: { minIsr: 2, segmentMaxBytes: 200 } })
  await cluster.write(...VALUES)
  await cluster.converge()
  cluster.tailBytes = 1
  cluster.kill('c')
  damage(cluster, 'c', 0)
  let cut = true
  cluster.nats.isCut = (from, to) => cut && (from === 'c' || to === 'c')
  await cluster.boot('c')
  await recordsOf(cluster.on('c').log).catch(() => undefined)
  await cluster.clock.pass(20_000)
  const aside = (): boolean =>
    cluster.diskOf('c').paths.some((path) => path.includes('/0.damaged/'))
  assert.ok(!aside(), 'nobody has shown that it has the records')
  cut = false
  await cluster.clock.pass(40_000)
  await cluster.converge()
  assert.deepEqual(await recordsOf(cluster.on('c').log), await recordsOf(cluster.leader.log))
  assert.ok(cluster.diskOf('c').paths.some((path) => path.includes('/0.replaced/')))
})
