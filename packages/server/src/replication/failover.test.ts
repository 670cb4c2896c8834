/** Leaders and followers that die, come back, and find that the world went on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Collector } from '../partition/partition-fixture.suite.ts'
import { TestCluster } from './cluster.suite.ts'
import { recordsOf, valuesOf } from './stored-records.suite.ts'

const REPLICATE = 'lift.orders.0.replicate'

/** Every replica has the same records, and they begin with these values. */
async function assertAgreed(cluster: TestCluster, values: readonly string[]): Promise<void> {
  await cluster.converge()
  const leaders = await recordsOf(cluster.leader.log, 'committed')
  const found = await valuesOf(cluster.leader.log, 'committed')
  for (const value of values) assert.ok(found.includes(value), `${value} is lost: ${found.join()}`)
  for (const { id, log } of cluster.followers) {
    assert.deepEqual(await recordsOf(log, 'committed'), leaders, id)
  }
}

for (const how of ['process', 'power'] as const) {
  test(`a leader that dies (${how}) is replaced, and nothing acknowledged is lost [D1, D2]`, async () => {
    const cluster = await TestCluster.start()
    await cluster.write('a', 'b', 'c')
    const dead = cluster.leader.id
    const { leaderEpoch } = cluster.meta
    cluster.kill(dead, how)
    const beforeMs = cluster.clock.monotonicMs()
    const led = (): boolean =>
      cluster.meta.leader !== dead && cluster.on(cluster.meta.leader).partition?.role === 'leader'
    assert.ok(await cluster.clock.until(led, 10_000), cluster.describe())
    assert.ok(cluster.meta.leaderEpoch > leaderEpoch)
    await cluster.write('d')
    const tookMs = cluster.clock.monotonicMs() - beforeMs
    assert.ok(tookMs <= 5_000, `${tookMs} ms from kill to ack`)
    await cluster.boot(dead)
    await assertAgreed(cluster, ['a', 'b', 'c', 'd'])
  })

  test(`a follower that dies (${how}) leaves the ISR, and is back in it soon after its return`, async () => {
    const cluster = await TestCluster.start()
    await cluster.write('a')
    const dead = cluster.followers[0]?.id ?? ''
    cluster.kill(dead, how)
    const sink = cluster.publish(cluster.leader, { value: Buffer.from('b'), ackPolicy: 1 })
    assert.ok(await cluster.clock.until(() => sink.answers.length > 0, 10_000), cluster.describe())
    assert.equal(sink.answers[0]?.error, 0)
    assert.ok(!cluster.meta.isr.includes(dead))
    await cluster.write('c')
    await cluster.boot(dead)
    await assertAgreed(cluster, ['a', 'b', 'c'])
  })
}

test('records that only a dead leader had are cut off when it returns, by epoch [G1, G2, R6]', async () => {
  const cluster = await TestCluster.start()
  await cluster.write('a')
  const old = cluster.leader
  // Nobody hears it any more; it writes on.
  cluster.nats.isCut = (from, to) => from === old.id || to === old.id
  cluster.deaf.add(old.id)
  const sink = new Collector()
  for (const value of ['x1', 'x2', 'x3']) {
    cluster.publish(old, { value: Buffer.from(value), ackPolicy: 1 }, sink)
  }
  await cluster.clock.pass(100)
  assert.equal(old.log.newestOffset, 3)
  assert.ok(await cluster.clock.until(() => cluster.meta.leader !== old.id, 10_000))
  await cluster.clock.pass(500)
  await cluster.write('b', 'c')
  cluster.nats.isCut = () => false
  cluster.hearAgain(old.id)
  await assertAgreed(cluster, ['a', 'b', 'c'])
  assert.deepEqual(await valuesOf(cluster.leader.log), ['a', 'b', 'c'])
  // None of them was ever acknowledged.
  assert.ok(sink.answers.every(({ error }) => error !== 0))
})

test('a deposed leader acknowledges nothing from the moment it knows, and its readers end [E2]', async () => {
  const cluster = await TestCluster.start()
  await cluster.write('a')
  const old = cluster.leader
  const term = old.partition?.reading
  assert.equal(term?.role, 'leader')
  const sink = new Collector()
  cluster.publish(old, { value: Buffer.from('x'), ackPolicy: 1 }, sink)
  cluster.changeLeader(cluster.followers[0]?.id ?? '')
  assert.equal(old.partition?.role, 'none')
  assert.ok(term.signal.aborted)
  cluster.publish(old, { ackPolicy: 0 }, sink)
  await cluster.clock.pass(0)
  assert.ok(sink.answers.length >= 1)
  await cluster.converge()
  assert.equal(old.partition?.role, 'follower')
  assert.equal(old.partition?.reading?.role, 'follower')
})

test('a leader that restarts leads in a new epoch only: what it lost its followers must lose too [LB 7.A3]', async () => {
  const cluster = await TestCluster.start()
  await cluster.write('a')
  const leader = cluster.leader.id
  // Its syncs stand still, so what it writes now reaches its followers and not its disk.
  const disk = cluster.diskOf(leader)
  disk.holdsSync = (path) => (path.endsWith('.log') ? new Promise(() => undefined) : undefined)
  for (const value of ['x1', 'x2']) {
    cluster.publish(cluster.leader, { value: Buffer.from(value) })
    await cluster.clock.pass(1)
  }
  for (const { log } of cluster.followers) assert.equal(log.newestOffset, 2)
  const { leaderEpoch } = cluster.meta
  cluster.kill(leader, 'power')
  disk.holdsSync = () => undefined
  await cluster.boot(leader)
  assert.ok(await cluster.clock.until(() => cluster.meta.leaderEpoch > leaderEpoch, 10_000))
  await cluster.clock.pass(1_000)
  assert.equal(cluster.meta.leader, leader)
  await cluster.write('y')
  await assertAgreed(cluster, ['a', 'y'])
  assert.deepEqual(await valuesOf(cluster.leader.log), ['a', 'y'])
})

test('a dead leader is out of the ISR as soon as another leads: nobody waits for its lag [R7]', async () => {
  const lag = { 'clustering.replica.max.lag.time': '60s' }
  const cluster = await TestCluster.start({ settings: lag })
  await cluster.write('1')
  const dead = cluster.leader.id
  cluster.kill(dead)
  assert.ok(await cluster.clock.until(() => cluster.meta.leader !== dead, 10_000))
  await cluster.clock.pass(100)
  assert.equal(cluster.meta.isr.length, 2, cluster.describe())
  await cluster.write('2')
  assert.deepEqual(await valuesOf(cluster.leader.log), ['1', '2'])
})

test('a dead leader stays in an ISR of the least size: one replica fewer could be elected [KIP-966]', async () => {
  const cluster = await TestCluster.start({ config: { minIsr: 3 } })
  await cluster.write('1')
  const dead = cluster.leader.id
  cluster.kill(dead)
  assert.ok(await cluster.clock.until(() => cluster.meta.leader !== dead, 10_000))
  await cluster.clock.pass(100)
  assert.ok(cluster.meta.isr.includes(dead), cluster.describe())
})

test('a leader change while messages flow loses and repeats nothing that was acknowledged', async () => {
  const cluster = await TestCluster.start()
  const acked: string[] = []
  for (let round = 0; round < 6; round++) {
    for (let index = 0; index < 5; index++) {
      const value = `r${round}m${index}`
      const process = cluster.on(cluster.meta.leader)
      const sink = cluster.publish(process, { value: Buffer.from(value), ackPolicy: 1 })
      if (index === 2) cluster.changeLeader(cluster.followers[round % 2]?.id ?? '')
      await cluster.clock.until(() => sink.answers.length > 0, 3_000)
      if (sink.answers[0]?.error === 0) acked.push(value)
    }
    await cluster.clock.pass(200)
  }
  assert.ok(acked.length >= 12, `${acked.length} acknowledged`)
  await assertAgreed(cluster, acked)
  const found = await valuesOf(cluster.leader.log)
  assert.equal(new Set(found).size, found.length)
})

test('a follower waits for an unreachable leader instead of cutting anything [G2, LB 7.A8]', async () => {
  const cluster = await TestCluster.start()
  await cluster.write('a', 'b')
  const follower = cluster.followers[0]
  assert.ok(follower)
  // It has the records, but its high watermark's file does not say so.
  cluster.kill(follower.id)
  cluster.nats.isCut = () => true
  const process = await cluster.boot(follower.id)
  await cluster.clock.pass(10_000)
  assert.equal(process.log.newestOffset, 1)
  cluster.nats.isCut = () => false
  await assertAgreed(cluster, ['a', 'b'])
})

test('the first fetch after an election that comes too early costs no idle wait [LB 7.A9]', async () => {
  const settings = { 'clustering.replica.max.idle.wait': '60s' }
  const cluster = await TestCluster.start({ settings })
  await cluster.write('a')
  const next = cluster.followers[0]
  const other = cluster.followers[1]
  assert.ok(next && other)
  // The other follower knows of the new leader before that one does.
  cluster.deaf.add(next.id)
  cluster.changeLeader(next.id)
  await cluster.clock.pass(300)
  cluster.hearAgain(next.id)
  const beforeMs = cluster.clock.monotonicMs()
  await cluster.clock.pass(20)
  await cluster.write('b')
  assert.ok(cluster.clock.monotonicMs() - beforeMs <= 1_500, cluster.describe())
})

test('a response that comes after the role has changed changes nothing [LB 7.B2]', async () => {
  const cluster = await TestCluster.start()
  await cluster.write('a')
  const [one, two] = cluster.followers
  assert.ok(one && two)
  const leader = cluster.leader
  // Fetches of `one` reach the leader; what it answers is held up on the way.
  let late: (() => void) | undefined
  cluster.nats.tamper = (message, from, to) => {
    const isAnswer = from === leader.id && to === one.id && message.subject.startsWith('_INBOX')
    if (!isAnswer || late !== undefined || message.data.length < 100) return message
    const { replication } = leader.buses
    late = () => replication.publish(message.subject, message.data)
    return undefined
  }
  cluster.publish(leader, { value: Buffer.from('x') })
  await cluster.clock.pass(50)
  assert.ok(late)
  const release = late
  cluster.nats.tamper = (message) => message
  cluster.changeLeader(two.id)
  release()
  await cluster.clock.pass(2_000)
  await cluster.write('b')
  await assertAgreed(cluster, ['a', 'b'])
})

test('an old request that arrives again moves nothing [R7, LB 7.A5]', async () => {
  const cluster = await TestCluster.start()
  const fetches: { readonly from: string; readonly data: Uint8Array }[] = []
  cluster.nats.tamper = (message, from) => {
    if (message.subject === REPLICATE) fetches.push({ from, data: message.data.slice() })
    return message
  }
  await cluster.write('a', 'b', 'c')
  cluster.nats.tamper = (message) => message
  const first = cluster.leader.id
  cluster.changeLeader(cluster.followers[0]?.id ?? '')
  await cluster.clock.pass(500)
  const before = cluster.leader.log.highWatermark
  const bus = cluster.nats.connect('ghost')
  for (const { data } of fetches) bus.publish(REPLICATE, data, '_INBOX.ghost')
  await cluster.clock.pass(100)
  assert.equal(cluster.leader.log.highWatermark, before)
  cluster.changeLeader(first)
  await cluster.clock.pass(500)
  for (const { data } of fetches) bus.publish(REPLICATE, data, '_INBOX.ghost')
  await cluster.write('d')
  await assertAgreed(cluster, ['a', 'b', 'c', 'd'])
})

test('after a restart of NATS followers ask again at once', async () => {
  const settings = { 'clustering.replica.fetch.timeout': '60s' }
  const cluster = await TestCluster.start({ settings })
  await cluster.write('a')
  await cluster.clock.pass(100)
  // Answers to the fetches that are held now get lost.
  cluster.nats.tamper = (message) => (message.subject.startsWith('_INBOX') ? undefined : message)
  const sink = cluster.publish(cluster.leader, { value: Buffer.from('b'), ackPolicy: 1 })
  await cluster.clock.pass(50)
  cluster.nats.tamper = (message) => message
  assert.deepEqual(sink.answers, [])
  cluster.nats.restart()
  await cluster.clock.pass(120)
  assert.equal(sink.answers.length, 1, cluster.describe())
})
