/**
 * Ways in which replicated logs have lost records, played step by step on the model cluster, whose
 * checks look on: each names the system that it happened to.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { ModelCluster } from './testing/model-cluster.suite.ts'
import type { ModelNode } from './testing/model-node.suite.ts'
import type { SyncPolicy } from './units.ts'

/** A leads B and C, and so many messages are committed everywhere: m1, m2, … */
function cluster(more: { readonly syncPolicy?: SyncPolicy; readonly messages?: number } = {}) {
  const model = new ModelCluster({
    seed: 7,
    servers: 3,
    minIsr: 1,
    syncPolicy: more.syncPolicy ?? 'always',
    maxBatch: 10,
  })
  model.start()
  model.run(50)
  for (let i = 0; i < (more.messages ?? 0); i++) {
    model.publish()
    model.run(50)
  }
  const node = (id: string): ModelNode => model.node(id)
  return { model, node, a: node('A'), b: node('B'), c: node('C') }
}

const values = (node: ModelNode): string[] => node.log.records.map(({ value }) => value)

/** Everybody has the same log, committed to its end. */
function assertWhole(model: ModelCluster): void {
  model.start()
  model.cuts.clear()
  model.run(5000)
  assert.deepEqual(model.controller.current.isr.toSorted(), ['A', 'B', 'C'])
  for (const { id, log, fault } of model.nodes) {
    assert.equal(fault, undefined)
    assert.deepEqual(log.records, model.checks.committed, id)
    assert.equal(log.highWatermark, log.newestOffset, id)
  }
}

/** Nobody hears the leader, nor it anybody. */
function cutLeader(model: ModelCluster): void {
  model.cut('A', 'B')
  model.cut('A', 'C')
}

/** A is left alone in the ISR: nobody can have it replaced, and it has the others removed. */
function isolateLeader(model: ModelCluster): void {
  cutLeader(model)
  model.cuts.add('B>controller').add('C>controller')
  model.run(3000, () => model.controller.current.isr.length === 1)
  model.run(20)
}

/** Cuts the two followers off from the leader's answers, but not their fetches off from it. */
const dropAnswers =
  (to: readonly string[]): ModelCluster['drop'] =>
  (_, receiver, message) =>
    message.kind === 'fetched' && to.includes(receiver)

test('1 KIP-101: a follower that restarts behind the high watermark and is elected loses nothing', () => {
  const { model, a, b } = cluster({ messages: 1 })
  // Both followers hold the second record, and never hear that it is committed.
  const last = model.publish() ?? -1
  model.run(3)
  model.drop = dropAnswers(['B', 'C'])
  model.run(200, () => a.log.highWatermark >= last)
  assert.equal(a.log.highWatermark, last)
  assert.ok(b.log.highWatermark < last, 'B does not know')
  assert.equal(b.log.newestOffset, last)
  model.crash('B')
  model.start('B')
  model.run(20)
  model.crash('A')
  model.drop = () => false
  model.controller.elect('B')
  model.run(500)
  assert.deepEqual(values(b), ['m1', 'm2'])
  assertWhole(model)
})

test('2 KIP-101: after the unsynced tails of all are lost the logs do not diverge', () => {
  const { model, a, b } = cluster({ syncPolicy: 'interval', messages: 1 })
  // A writes what nobody gets; everything goes dark; B leads and writes something else there.
  cutLeader(model)
  model.publish(a)
  model.run(2)
  assert.deepEqual(values(a), ['m1', 'm2'])
  for (const id of ['A', 'B', 'C']) model.crash(id, 1)
  model.cuts.clear()
  model.controller.elect('B')
  model.start('B', 'C')
  model.run(100)
  assert.equal(model.publish(b), 1)
  model.run(50)
  model.start('A')
  model.run(500)
  assert.deepEqual(values(a), ['m1', 'm3'], 'the record that A had there is gone')
  assertWhole(model)
})

test('3 KIP-279: fast failovers back and forth leave one history', () => {
  const { model, a, b } = cluster({ messages: 1 })
  cutLeader(model)
  model.cut('B', 'C')
  // A and B lead in turn, each on its own, each writing where the other did.
  for (const id of ['A', 'B', 'A', 'B', 'A']) {
    model.controller.elect(id)
    model.run(5)
    model.publish(model.node(id))
    model.run(2)
  }
  assert.ok(new Set(values(a)).size > 2 && new Set(values(b)).size > 2)
  assert.notDeepEqual(values(a), values(b))
  model.cuts.clear()
  assertWhole(model)
  assert.deepEqual(values(a), values(b))
})

test('4 KIP-903: a replica that comes back with an empty disk does not lead, nor stay in the ISR', () => {
  const { model, a, b } = cluster({ messages: 1 })
  const before = model.controller.history.length
  model.crash('B')
  model.wipe('B')
  model.crash('C')
  model.crash('A')
  // Nobody has seen that B's disk is empty, and it is chosen.
  model.controller.elect('B')
  model.start('B', 'C')
  model.run(1000)
  assert.equal(b.leader, undefined)
  assert.equal(model.controller.current.leader, 'C', 'B declined')
  const changes = model.controller.history.slice(before)
  assert.ok(
    changes.some(({ isr }) => !isr.includes('B')),
    'B left the ISR until it had caught up',
  )
  assertWhole(model)
  assert.deepEqual(values(a), ['m1'])
})

test('4 KIP-903: an expansion that was decided before a restart with an empty disk does no harm', () => {
  const { model, a, c } = cluster()
  model.cut('A', 'C')
  model.cut('B', 'C')
  model.run(1500, () => !model.controller.current.isr.includes('C'))
  assert.deepEqual(model.controller.current.isr, ['A', 'B'])
  const { partitionEpoch, leaderEpoch } = model.controller.current
  model.publish()
  model.run(50)
  model.crash('C')
  model.wipe('C')
  const late = { kind: 'expand', replica: 'C', incarnation: 1, leaderEpoch } as const
  assert.equal(model.controller.propose({ ...late, partitionEpoch: partitionEpoch - 1 }), false)
  // Even the freshest one only puts C into the ISR, where it neither leads nor stays.
  assert.equal(model.controller.propose({ ...late, partitionEpoch }), true)
  model.crash('A')
  model.controller.elect('C')
  model.cuts.clear()
  model.start('C')
  model.run(1500)
  assert.equal(model.controller.current.leader, 'B')
  assert.equal(c.log.highWatermark, 0)
  assertWhole(model)
  assert.deepEqual(values(a), ['m1'])
})

test('5 KIP-966: the last of the ISR that has lost its tail does not lead', () => {
  const { model, a, b } = cluster({ syncPolicy: 'never' })
  isolateLeader(model)
  assert.deepEqual(model.controller.current.isr, ['A'])
  model.publish(a)
  model.run(50)
  assert.equal(a.log.highWatermark, 0, 'committed by A alone')
  model.crash('A')
  assert.equal(a.log.newestOffset, -1, 'and lost')
  model.cuts.clear()
  model.start('A')
  model.run(2000)
  assert.deepEqual([a.leader, b.log.newestOffset], [undefined, -1])
  assert.equal(model.controller.current.leader, 'A', 'nobody else may lead either')
})

test('5 KIP-966: with synced logs the last of the ISR has everything and leads', () => {
  const { model, a } = cluster()
  isolateLeader(model)
  model.publish(a)
  model.run(50)
  model.crash('A')
  model.cuts.clear()
  assertWhole(model)
  assert.deepEqual(values(a), ['m1'])
})

test('6 KAFKA-7897: a leader with a sparse epoch table does not make its followers give up records', () => {
  const { model, a, b } = cluster({ messages: 5 })
  model.controller.elect('A')
  model.run(50)
  model.publish()
  model.run(100)
  assert.equal(b.log.highWatermark, 5)
  // A has forgotten the first epoch.
  a.log.epochs = a.log.epochs.slice(1)
  model.crash('B')
  model.start('B')
  model.run(200)
  assert.equal(b.log.newestOffset, 5)
  assert.equal(b.fault, undefined)
  // It has forgotten all of them: what it then wants is refused.
  a.log.epochs = [{ epoch: 99, start: 0 }]
  model.crash('B')
  model.start('B')
  model.run(200)
  assert.equal(model.node('B').fault?.kind, 'truncation-below-high-watermark')
  assert.equal(b.log.newestOffset, 5, 'nothing is cut')
})

test('7 KAFKA-20961: epochs without records do not keep a follower asking for ever', () => {
  const { model, a, b } = cluster({ messages: 1 })
  // Leaders come and go without a record, unheard of by each other.
  cutLeader(model)
  model.cut('B', 'C')
  for (const id of ['B', 'C', 'A', 'B']) {
    model.controller.elect(id)
    model.run(5)
  }
  assert.ok(b.log.epochs.length > 2)
  model.controller.elect('A')
  model.run(5)
  model.publish(a)
  model.run(5)
  let asked = 0
  model.drop = (_, __, message) => {
    if (message.kind === 'ask') asked += 1
    return false
  }
  model.cuts.clear()
  assertWhole(model)
  assert.ok(asked < 20, `asked ${asked} times`)
  assert.deepEqual(values(b), ['m1', 'm2'])
})

test('14 Redpanda #9711: a crash in the middle of a truncation is made good by the next start', () => {
  const { model, a, b } = cluster({ messages: 1 })
  cutLeader(model)
  for (let i = 0; i < 3; i++) model.publish(a)
  model.run(10)
  model.controller.elect('B')
  model.run(20)
  model.publish(b)
  model.run(20)
  assert.deepEqual(values(a), ['m1', 'm2', 'm3', 'm4'])
  // A is stopped when a part of what had to go is gone.
  model.crash('A', 9)
  a.log.truncate(3)
  model.cuts.clear()
  model.start('A')
  assertWhole(model)
  assert.deepEqual(values(a), ['m1', 'm5'])
})

test('20 Liftbridge #354: a leader that is not in the ISR does not lead, nor adds itself', () => {
  const { model, a, b, c } = cluster({ messages: 1 })
  model.cut('A', 'C')
  model.cut('C', 'controller')
  model.cuts.delete('C>controller')
  model.run(3000, () => !model.controller.current.isr.includes('C'))
  model.publish()
  model.run(50)
  // Metadata as a defect would have left it: C is made leader all the same.
  const { current } = model.controller
  const partitionEpoch = current.partitionEpoch + 1
  const wrong = { ...current, leader: 'C', leaderEpoch: partitionEpoch, partitionEpoch }
  model.controller.history.push(wrong)
  model.cuts.clear()
  model.run(300)
  assert.equal(c.leader, undefined)
  assert.ok(!model.controller.current.isr.includes('C'))
  assert.deepEqual(
    [values(a), values(b)],
    [
      ['m1', 'm2'],
      ['m1', 'm2'],
    ],
  )
})

test('25 G1: an epoch that was learned as a follower begins at its first record', () => {
  const { model, a, b } = cluster({ messages: 3 })
  // A writes one more for itself; B leads, then C, and A returns to C, who only followed epoch 2.
  cutLeader(model)
  model.publish(a)
  model.run(5)
  model.controller.elect('B')
  model.run(20)
  model.publish(b)
  model.run(100)
  model.controller.elect('C')
  model.run(50)
  model.publish()
  model.run(50)
  model.cuts.clear()
  assertWhole(model)
  assert.deepEqual(values(a), ['m1', 'm2', 'm3', 'm5', 'm6'])
})
