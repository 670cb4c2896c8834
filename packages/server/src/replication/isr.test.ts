/** Who is counted: replicas that lag, come back, lose their disk, or are not what they say. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DiskError } from '@liftbridge/log'
import {
  decodeClusterMessage,
  encodeClusterMessage,
  encodeReplicationRequest,
} from '@liftbridge/wire'
import { Collector } from '../partition/partition-fixture.suite.ts'
import { TestCluster } from './cluster.suite.ts'
import { recordsOf, valuesOf } from './stored-records.suite.ts'

const REPLICATE = 'lift.orders.0.replicate'

test('a follower that lags holds commits up for the lag time at most, and rejoins when it has everything [L2, LB 7.A4]', async () => {
  const cluster = await TestCluster.start()
  await cluster.write('a')
  const slow = cluster.followers[0]
  assert.ok(slow)
  cluster.diskOf(slow.id).fault = (operation, path) =>
    operation === 'write' && path.endsWith('.log')
      ? new DiskError('no-space', path, 'ENOSPC')
      : undefined
  const beforeMs = cluster.clock.monotonicMs()
  await cluster.write('b')
  const tookMs = cluster.clock.monotonicMs() - beforeMs
  assert.ok(tookMs >= 1_900 && tookMs <= 3_000, `${tookMs} ms`)
  assert.deepEqual(new Set(cluster.meta.isr), new Set(cluster.ids.filter((id) => id !== slow.id)))
  assert.equal(slow.partition?.reading, undefined, 'not read outside of the ISR')
  await cluster.write('c', 'd')
  // It asks again and again, though not all the time, and is not taken in without the records.
  const before = cluster.nats.traffic.length
  await cluster.clock.pass(10_000)
  const messages = cluster.nats.traffic.length - before
  assert.ok(messages > 20 && messages < 300, `${messages} messages in ten seconds`)
  assert.ok(!cluster.meta.isr.includes(slow.id))
  cluster.diskOf(slow.id).fault = () => undefined
  await cluster.converge()
  assert.equal(cluster.on(slow.id).partition?.reading?.role, 'follower')
  assert.deepEqual(await valuesOf(slow.log), ['a', 'b', 'c', 'd'])
  assert.deepEqual(cluster.fences, [], 'a full disk heals by itself [T4]')
})

test('a healthy follower of a partition that is always written to stays in the ISR [LB 7.A10]', async () => {
  const cluster = await TestCluster.start()
  // Every answer takes a while, and there is always more when it arrives.
  let pending: (() => void)[] = []
  cluster.nats.tamper = (message, _, to) => {
    if (!message.subject.startsWith('_INBOX') || message.data.length < 60) return message
    pending.push(() => {
      for (const { owner, subject, handler } of cluster.nats.subscriptions) {
        if (owner.owner === to && subject === message.subject) handler(message)
      }
    })
    return undefined
  }
  const sink = new Collector()
  for (let round = 0; round < 100; round++) {
    cluster.publish(cluster.leader, { ackPolicy: 1 }, sink)
    await cluster.clock.pass(50)
    cluster.publish(cluster.leader, { ackPolicy: 1 }, sink)
    const due = pending
    pending = []
    for (const arrive of due) arrive()
    await cluster.clock.pass(50)
  }
  assert.equal(cluster.meta.isr.length, 3)
  assert.ok(sink.answers.length > 150 && sink.answers.every(({ error }) => error === 0))
})

test('below min ISR nothing is committed, and everything is once a replica is back [R5]', async () => {
  const cluster = await TestCluster.start()
  await cluster.write('a')
  const [one, two] = cluster.followers
  assert.ok(one && two)
  cluster.kill(one.id)
  cluster.kill(two.id)
  await cluster.clock.pass(5_000)
  assert.deepEqual(cluster.meta.isr, [cluster.leader.id])
  const sink = cluster.publish(cluster.leader, { value: Buffer.from('b'), ackPolicy: 1 })
  await cluster.clock.pass(20_000)
  assert.deepEqual(sink.answers, [])
  assert.equal(cluster.leader.log.highWatermark, 0)
  await cluster.boot(one.id)
  assert.ok(await cluster.clock.until(() => sink.answers.length > 0, 10_000), cluster.describe())
  assert.ok(sink.answers.every(({ error }) => error === 0))
})

test('a leader that nobody hears stops serving readers and acknowledging within its fence time [E2]', async () => {
  const cluster = await TestCluster.start()
  await cluster.write('a')
  const leader = cluster.leader
  const term = leader.partition?.reading
  assert.ok(term)
  cluster.nats.isCut = (from, to) => from === leader.id || to === leader.id
  cluster.deaf.add(leader.id)
  await cluster.clock.pass(8_000)
  assert.ok(term.signal.aborted)
  assert.equal(leader.partition?.reading, undefined)
  const sink = cluster.publish(leader, { value: Buffer.from('x'), ackPolicy: 0 })
  await cluster.clock.pass(5_000)
  assert.deepEqual(sink.answers, [])
})

test('a replica that lost its disk is not counted, does not lead, and is filled again [KIP-903, scenario 4]', async () => {
  const cluster = await TestCluster.start()
  await cluster.write('a', 'b', 'c')
  const victim = cluster.followers[0]?.id ?? ''
  cluster.kill(victim)
  cluster.diskOf(victim).wipe()
  cluster.nats.isCut = (from, to) => from === victim || to === victim
  await cluster.boot(victim)
  // It is in the ISR still; whoever elects it must not lose what was committed.
  cluster.changeLeader(victim)
  cluster.nats.isCut = () => false
  await cluster.clock.pass(3_000)
  assert.notEqual(cluster.meta.leader, victim)
  await cluster.write('d')
  await cluster.converge()
  assert.deepEqual(await valuesOf(cluster.on(victim).log), ['a', 'b', 'c', 'd'])
  // From now on it is as good as any.
  cluster.changeLeader(victim)
  await cluster.clock.pass(1_000)
  await cluster.write('e')
})

test('a replica with durable records that do not verify is filled anew and the bad copy kept [T2, scenario 10]', async () => {
  const cluster = await TestCluster.start({ config: { minIsr: 2, segmentMaxBytes: 200 } })
  await cluster.write(...Array.from({ length: 12 }, (_, at) => `record number ${at}`))
  const leaders = await recordsOf(cluster.leader.log)
  const victim = cluster.followers[0]?.id ?? ''
  cluster.kill(victim)
  const disk = cluster.diskOf(victim)
  const path = disk.paths.find((name) => name.includes('/0/0000') && name.endsWith('.log')) ?? ''
  const content = disk.file(path)
  assert.ok(content)
  content.bytes[60] = (content.bytes[60] ?? 0) ^ 0xff
  await cluster.boot(victim)
  await cluster.write('more')
  // Whoever reads comes upon it.
  await recordsOf(cluster.on(victim).log).catch(() => undefined)
  await cluster.converge()
  const records = await recordsOf(cluster.on(victim).log)
  assert.deepEqual(records.slice(0, 12), leaders)
  assert.ok(
    disk.paths.some((name) => name.includes('/0.replaced/')),
    disk.paths.join('\n'),
  )
})

test('a leader whose records do not verify gives its place to a replica, and takes its copy [T2]', async () => {
  const cluster = await TestCluster.start({ config: { minIsr: 2, segmentMaxBytes: 200 } })
  await cluster.write(...Array.from({ length: 12 }, (_, at) => `record number ${at}`))
  const bad = cluster.leader
  const leaders = await recordsOf(bad.log)
  const disk = cluster.diskOf(bad.id)
  const path = disk.paths.find((name) => name.includes('/0/0000') && name.endsWith('.log')) ?? ''
  const content = disk.file(path)
  assert.ok(content)
  content.bytes[60] = (content.bytes[60] ?? 0) ^ 0xff
  // The tail in memory does not show it; reading from the disk does.
  cluster.tailBytes = 1
  cluster.kill(bad.id)
  await cluster.boot(bad.id)
  await cluster.clock.pass(1_000)
  await recordsOf(cluster.on(bad.id).log).catch(() => undefined)
  await cluster.clock.pass(3_000)
  assert.notEqual(cluster.meta.leader, bad.id, cluster.describe())
  await cluster.write('after')
  await cluster.converge()
  assert.deepEqual((await recordsOf(cluster.on(bad.id).log)).slice(0, 12), leaders)
})

test('forged and foreign fetches advance nothing and harm nobody [G4, G9]', async () => {
  const cluster = await TestCluster.start()
  await cluster.write('a')
  const { leaderEpoch } = cluster.meta
  for (const { id } of cluster.followers) cluster.kill(id)
  cluster.publish(cluster.leader, { value: Buffer.from('b'), ackPolicy: 1 })
  await cluster.clock.pass(10)
  const ghost = cluster.nats.connect('ghost')
  const answers: number[] = []
  ghost.subscribe('_INBOX.ghost', ({ data }) => answers.push(data.length))
  const claims = [
    // Its own id; one that is no replica; no epoch, an old and a new one; more than there is.
    { replicaId: cluster.leader.id, offset: 1, leaderEpoch },
    { replicaId: 'stranger', offset: 1, leaderEpoch },
    { replicaId: 'b', offset: 1, leaderEpoch: 0 },
    { replicaId: 'b', offset: 1, leaderEpoch: leaderEpoch - 1 },
    { replicaId: 'b', offset: 1, leaderEpoch: leaderEpoch + 1 },
    { replicaId: 'b', offset: 1_000, leaderEpoch },
  ]
  for (const claim of claims) {
    ghost.publish(REPLICATE, encodeReplicationRequest(claim), '_INBOX.ghost')
  }
  for (const bytes of ['', 'B90E43B400FF0000', 'B90E43B40008000206', 'FFFFFFFFFFFFFFFFFFFF']) {
    ghost.publish(REPLICATE, Buffer.from(bytes, 'hex'), '_INBOX.ghost')
    ghost.publish('lift.orders.0.offset', Buffer.from(bytes, 'hex'), '_INBOX.ghost')
    ghost.publish('lift.notify.a', Buffer.from(bytes, 'hex'))
    ghost.publish('lift.raft.metadata.status.a', Buffer.from(bytes, 'hex'), '_INBOX.ghost')
  }
  await cluster.clock.pass(50)
  assert.deepEqual(answers, [])
  assert.equal(cluster.leader.log.highWatermark, 0)
  assert.deepEqual(cluster.fences, [])
})

test('the status of a partition says who leads, not who should [LB control plane 1.3]', async () => {
  const cluster = await TestCluster.start()
  const asking = cluster.nats.connect('asking')
  const ask = async (id: string, stream: string): Promise<readonly boolean[]> => {
    const request = encodeClusterMessage('PartitionStatusRequest', { stream, partition: 0 })
    const { data } = await asking.request(`lift.raft.metadata.status.${id}`, request, 1_000)
    const decoded = decodeClusterMessage('PartitionStatusResponse', data)
    assert.ok(decoded.kind === 'message')
    return [decoded.message.exists, decoded.message.isLeader]
  }
  assert.deepEqual(await ask('a', 'orders'), [true, true])
  assert.deepEqual(await ask('b', 'orders'), [true, false])
  assert.deepEqual(await ask('a', 'nothing'), [false, false])
})

test('with sync policy never a partition comes back after a power cut of all, whoever is in the ISR [L1]', async () => {
  for (const alone of [false, true]) {
    const cluster = await TestCluster.start({
      settings: { 'streams.sync.policy': 'never' },
      config: { minIsr: 1 },
    })
    await cluster.write('a')
    if (alone) {
      for (const { id } of cluster.followers) cluster.kill(id, 'power')
      await cluster.clock.pass(10_000)
      assert.equal(cluster.meta.isr.length, 1)
    }
    for (const id of cluster.ids) if (cluster.on(id).alive) cluster.kill(id, 'power')
    for (const id of cluster.ids) await cluster.boot(id)
    const led = (): boolean => cluster.on(cluster.meta.leader).partition?.role === 'leader'
    assert.ok(await cluster.clock.until(led, 10_000), cluster.describe())
    await cluster.converge()
    await cluster.write('b')
  }
})
