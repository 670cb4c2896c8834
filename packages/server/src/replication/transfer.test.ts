/** Records on their way from a leader to its replicas: large ones, many, damaged ones. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeReplicationRequest, decodeReplicationResponse } from '@liftbridge/wire'
import type { BusMessage } from '../bus.ts'
import { Collector } from '../partition/partition-fixture.suite.ts'
import { TestCluster } from './cluster.suite.ts'
import { recordsOf, valuesOf } from './stored-records.suite.ts'
import { STREAM } from './test-process.suite.ts'

const isAnswer = ({ subject, data }: BusMessage): boolean =>
  subject.startsWith('_INBOX') && data.length > 60 && data[7] === 3

/** The largest value that the leader takes. */
async function largestValue(cluster: TestCluster): Promise<number> {
  let [fits, tooLarge] = [0, 1_100_000]
  while (tooLarge - fits > 1) {
    const size = (fits + tooLarge) >>> 1
    const sink = new Collector()
    const { leader } = cluster
    // A refusal for its size comes at once; what is taken is refused later, since nobody listens.
    cluster.publish(leader, { value: Buffer.alloc(size), ackPolicy: 0, expectedOffset: -1n }, sink)
    await cluster.clock.pass(0)
    if (sink.answers[0]?.error === 3) tooLarge = size
    else fits = size
  }
  return fits
}

test('a record of any size that a leader takes reaches its replicas, up to the last byte [LB 7.A7, G25]', async () => {
  const settings = { 'clustering.replication.max.bytes': '20KiB' }
  const cluster = await TestCluster.start({ settings })
  const largest = await largestValue(cluster)
  assert.ok(largest > 20_000 && largest < 20_480, `${largest}`)
  await cluster.write('small')
  const sink = cluster.publish(cluster.leader, { value: Buffer.alloc(largest), ackPolicy: 1 })
  await cluster.clock.pass(100)
  assert.equal(sink.answers[0]?.error, 0, cluster.describe())
  await cluster.converge()
})

test('a record stored under a larger limit still reaches a replica under a smaller one [LB 7.A7]', async () => {
  const cluster = await TestCluster.start()
  const late = cluster.followers[0]?.id ?? ''
  cluster.kill(late)
  await cluster.clock.pass(3_000)
  const value = Buffer.alloc(900_000, 'x')
  const sink = cluster.publish(cluster.leader, { value, ackPolicy: 1 })
  await cluster.clock.pass(100)
  assert.equal(sink.answers[0]?.error, 0)
  await cluster.write('after')
  const { config } = cluster
  const clustering = { ...config.clustering, replicationMaxBytes: 2_048 }
  cluster.config = { ...config, clustering }
  await cluster.boot(late)
  await cluster.converge()
  assert.equal(
    (await recordsOf(cluster.on(late).log))[0]?.length,
    (await recordsOf(cluster.leader.log))[0]?.length,
  )
})

test('a replica that is far behind catches up from disk in bounded responses', async () => {
  const settings = { 'clustering.replication.max.bytes': '64KiB' }
  const cluster = await TestCluster.start({ settings })
  cluster.tailBytes = 1
  const late = cluster.followers[0]?.id ?? ''
  cluster.kill(late)
  cluster.kill(cluster.leader.id)
  await cluster.clock.until(
    () =>
      cluster.on(cluster.meta.leader).partition?.role === 'leader' &&
      cluster.on(cluster.meta.leader).alive,
    10_000,
  )
  const sink = new Collector()
  for (let index = 0; index < 400; index++) {
    cluster.publish(cluster.leader, { value: Buffer.alloc(1_000, `${index}`) }, sink)
    if (index % 50 === 0) await cluster.clock.pass(1)
  }
  await cluster.clock.pass(100)
  const before = cluster.nats.traffic.length
  await cluster.boot(late)
  assert.ok(
    await cluster.clock.until(() => cluster.on(late).log.newestOffset === 399, 5_000),
    cluster.describe(),
  )
  const answers = cluster.nats.traffic.slice(before).filter(({ bytes }) => bytes > 1_000)
  assert.ok(answers.length >= 7 && answers.length <= 60, `${answers.length} responses`)
  assert.ok(answers.every(({ bytes }) => bytes <= 65_536))
  assert.deepEqual(await recordsOf(cluster.on(late).log), await recordsOf(cluster.leader.log))
})

test('a damaged response costs that request only [G5, G7, G8, R9]', async () => {
  const cluster = await TestCluster.start()
  await cluster.write('first')
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), {
        minLength: 1,
        maxLength: 4,
      }),
      fc.option(fc.nat(), { nil: undefined }),
      async (flips, cut) => {
        const before = cluster.leader.log.newestOffset
        let damaged = 0
        cluster.nats.tamper = (message) => {
          if (!isAnswer(message) || damaged >= 2) return message
          damaged++
          const data = Uint8Array.from(message.data)
          for (const [at, flip] of flips) {
            // Epoch and time of a record are outside of every checksum; NATS runs over TCP.
            const where = at % data.length
            const inFrame = where >= 48 && where < 64
            if (!inFrame) data[where] = (data[where] ?? 0) ^ flip
          }
          const length = cut === undefined ? data.length : 40 + (cut % (data.length - 40))
          return { ...message, data: data.subarray(0, length) }
        }
        const sink = cluster.publish(cluster.leader, { value: Buffer.from('v'), ackPolicy: 1 })
        const done = await cluster.clock.until(() => sink.answers.length > 0, 20_000)
        cluster.nats.tamper = (message) => message
        assert.ok(done && sink.answers[0]?.error === 0, cluster.describe())
        assert.equal(cluster.leader.log.newestOffset, before + 1)
        await cluster.converge()
      },
    ),
    { numRuns: 60 },
  )
  const leaders = await recordsOf(cluster.leader.log)
  for (const { log } of cluster.followers) assert.deepEqual(await recordsOf(log), leaders)
  assert.deepEqual(cluster.fences, [])
})

test('a response with a gap, with old records or for another place is not appended [G8]', async () => {
  const cluster = await TestCluster.start()
  await cluster.write('a', 'b', 'c', 'd')
  const leaders = await recordsOf(cluster.leader.log)
  // Whatever is answered next holds only the last record, or the first ones again.
  for (const records of [leaders.slice(3), leaders.slice(0, 2), [leaders[1] as Buffer]]) {
    let changed = 0
    cluster.nats.tamper = (message) => {
      if (!isAnswer(message) || changed >= 4) return message
      changed++
      return { ...message, data: Buffer.concat([message.data.subarray(0, 40), ...records]) }
    }
    const sink = cluster.publish(cluster.leader, { value: Buffer.from('x'), ackPolicy: 1 })
    assert.ok(await cluster.clock.until(() => sink.answers.length > 0, 20_000))
    assert.ok(changed > 0)
    cluster.nats.tamper = (message) => message
    await cluster.converge()
  }
  assert.deepEqual(await valuesOf(cluster.on('b').log), ['a', 'b', 'c', 'd', 'x', 'x', 'x'])
})

test('a replica begins where its leader does when retention has removed what came before [K2]', async () => {
  const config = { minIsr: 1, segmentMaxBytes: 300, retentionMaxMessages: 10, cleanerIntervalMs: 1 }
  const cluster = await TestCluster.start({ config })
  const late = cluster.followers[0]?.id ?? ''
  cluster.kill(late)
  cluster.diskOf(late).wipe()
  await cluster.clock.pass(3_000)
  await cluster.write(...Array.from({ length: 40 }, (_, at) => `record number ${at}`))
  await cluster.leader.log.clean(cluster.clock.wallNs())
  const { oldestOffset } = cluster.leader.log
  assert.ok(oldestOffset > 20)
  await cluster.boot(late)
  await cluster.converge()
  assert.equal(cluster.on(late).log.oldestOffset, oldestOffset)
  assert.deepEqual(await recordsOf(cluster.on(late).log), await recordsOf(cluster.leader.log))
})

test('a replica that lost a file in the middle of its log is filled anew, not counted with a hole [T2]', async () => {
  const cluster = await TestCluster.start({ config: { minIsr: 1, segmentMaxBytes: 300 } })
  await cluster.write(...Array.from({ length: 40 }, (_, at) => `record number ${at}`))
  await cluster.converge()
  const hurt = cluster.followers[0]?.id ?? ''
  cluster.kill(hurt)
  const disk = cluster.diskOf(hurt)
  const directory = `/data/streams/${STREAM}/0`
  const segments = (disk.list(directory) ?? []).filter(({ name }) => name.endsWith('.log'))
  assert.ok(segments.length > 4, `${segments.length} segments`)
  disk.remove(`${directory}/${segments[2]?.name}`)
  await cluster.boot(hurt)
  await cluster.converge()
  assert.deepEqual(await recordsOf(cluster.on(hurt).log), await recordsOf(cluster.leader.log))
})

test('a compacted log is copied with its gaps', async () => {
  const config = { minIsr: 1, segmentMaxBytes: 300, compactEnabled: true }
  const cluster = await TestCluster.start({ config })
  const late = cluster.followers[0]?.id ?? ''
  cluster.kill(late)
  cluster.diskOf(late).wipe()
  await cluster.clock.pass(3_000)
  const sink = new Collector()
  for (let index = 0; index < 40; index++) {
    const key = Buffer.from(`k${index % 3}`)
    cluster.publish(cluster.leader, { key, value: Buffer.from(`${index}`), ackPolicy: 1 }, sink)
    await cluster.clock.pass(20)
  }
  const report = await cluster.leader.log.clean(cluster.clock.wallNs())
  assert.ok(report.recordsCompacted > 20)
  await cluster.boot(late)
  await cluster.converge()
  assert.deepEqual(await recordsOf(cluster.on(late).log), await recordsOf(cluster.leader.log))
})

test('a Go Liftbridge follower is answered at once, and notified when there is more [LB 4.5]', async () => {
  const cluster = await TestCluster.start()
  await cluster.write('a')
  const { leaderEpoch } = cluster.meta
  const go = cluster.nats.connect('go')
  const notified: string[] = []
  go.subscribe('lift.notify.b', ({ subject }) => notified.push(subject))
  cluster.kill('b')
  const ask = async (offset: number): Promise<Uint8Array> => {
    const request = encodeReplicationRequest({ replicaId: 'b', offset, leaderEpoch })
    return (await go.request('lift.orders.0.replicate', request, 1_000)).data
  }
  const first = decodeReplicationResponse(await ask(-1))
  assert.ok(first.kind === 'message')
  assert.equal(first.message.range?.lastOffset, 0)
  assert.equal(first.message.bounds, undefined)
  const empty = await ask(0)
  assert.equal(empty.length, 24)
  assert.deepEqual(Buffer.from(empty.subarray(0, 8)).toString('hex'), 'b90e43b400080003')
  cluster.publish(cluster.leader, { value: Buffer.from('b') })
  await cluster.clock.pass(10)
  assert.deepEqual(notified, ['lift.notify.b'])
})
