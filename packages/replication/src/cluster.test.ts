/**
 * A cluster of cores under a seed: servers crash and lose what they had not synced, disks are
 * replaced, messages are lost, doubled, late and out of order, servers are cut off from each other
 * and from the metadata. Everything that must hold is checked after every event; in the end
 * everything is healed, and must then be whole [L1].
 */
import assert from 'node:assert/strict'
import { env } from 'node:process'
import test from 'node:test'
import { ModelCluster } from './testing/model-cluster.suite.ts'
import type { SyncPolicy } from './units.ts'

const SEEDS = Number(env['REPLICATION_SEEDS'] ?? 60)
const FIRST = Number(env['REPLICATION_FIRST_SEED'] ?? 1)

const POLICIES: readonly SyncPolicy[] = ['always', 'interval', 'never']

test(`${SEEDS} seeded clusters lose, reorder and change nothing committed, and heal`, () => {
  const totals = { committed: 0, epochs: 0 }
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const cluster = birth(seed)
    try {
      storm(cluster)
      heal(cluster)
    } catch (error) {
      const story = cluster.steps.slice(-80).join('\n')
      throw new Error(
        `seed ${seed} (REPLICATION_FIRST_SEED=${seed} REPLICATION_SEEDS=1)\n${story}`,
        {
          cause: error,
        },
      )
    }
    totals.committed += cluster.checks.committed.length
    totals.epochs += cluster.controller.history.length
  }
  assert.ok(totals.committed > SEEDS * 10, `too little happened: ${JSON.stringify(totals)}`)
})

function birth(seed: number): ModelCluster {
  const servers = 3 + (seed % 3)
  const syncPolicy = POLICIES[seed % POLICIES.length] ?? 'always'
  return new ModelCluster({
    seed,
    servers,
    minIsr: 1 + ((seed >> 2) % 2),
    syncPolicy,
    maxBatch: 1 + ((seed >> 3) % 4),
  })
}

function storm(cluster: ModelCluster): void {
  const { random, weather } = cluster
  weather.loss = random.pick([0, 0.02, 0.2]) ?? 0
  weather.duplication = random.pick([0, 0.1]) ?? 0
  weather.maxDelayMs = random.pick([1, 5, 40]) ?? 1
  weather.syncMs = random.pick([0, 2, 30, 200]) ?? 0
  cluster.start()
  const rounds = 40 + random.below(80)
  for (let round = 0; round < rounds; round++) {
    cluster.run(random.below(random.chance(0.1) ? 1500 : 60))
    for (let i = random.below(4); i > 0; i--) cluster.publish(random.pick(cluster.nodes))
    cluster.publish()
    trouble(cluster)
  }
}

function trouble(cluster: ModelCluster): void {
  const { random, nodes, cuts } = cluster
  const node = random.pick(nodes)
  const other = random.pick([...nodes.map(({ id }) => id), 'controller'])
  if (node === undefined || other === undefined) return
  const dice = random.below(100)
  if (dice < 4) cluster.kill(node.id)
  else if (dice < 8) powerCut(cluster, node.id)
  else if (dice < 10) powerCut(cluster, cluster.leader.id)
  else if (dice < 26) cluster.start(node.id)
  else if (dice < 31 && other !== node.id) cluster.cut(node.id, other)
  else if (dice < 33) cuts.add(`${other}>${node.id}`)
  else if (dice < 45) cuts.clear()
  else if (dice < 48 && mayLose(cluster, node.id)) {
    cluster.crash(node.id)
    cluster.wipe(node.id)
  } else if (dice < 49) for (const { id } of nodes) powerCut(cluster, id)
}

function powerCut(cluster: ModelCluster, id: string): void {
  // With sync policy `never` nothing is promised to survive the power cut of the whole ISR.
  if (cluster.options.syncPolicy === 'never' && !mayLose(cluster, id)) cluster.kill(id)
  else cluster.crash(id, cluster.random.below(4))
}

/**
 * Some member of the ISR must survive for the promise to stand [D1]; and not only the leader, which
 * may have a proposal on its way that leaves it alone in the ISR.
 */
function mayLose(cluster: ModelCluster, id: string): boolean {
  const { isr, leader } = cluster.controller.current
  if (id === leader) return false
  return isr.some((member) => member !== id && cluster.node(member).isProven)
}

function heal(cluster: ModelCluster): void {
  const { weather, cuts, controller, nodes, checks } = cluster
  Object.assign(weather, { loss: 0, duplication: 0, maxDelayMs: 2, syncMs: 1 })
  cuts.clear()
  cluster.start()
  const isWhole = (): boolean =>
    controller.current.isr.length === nodes.length && cluster.leader.leader !== undefined
  // Reports that are still on their way may depose one more leader.
  cluster.run(1_000)
  cluster.run(30_000, isWhole)
  for (const { id, fault } of nodes) assert.equal(fault, undefined, `${id} has a fault`)
  assert.ok(isWhole(), `L1: not whole: ${JSON.stringify(controller.current)}`)
  const last = cluster.publish() ?? -1
  assert.ok(last >= 0, 'L1: the leader takes records')
  cluster.run(30_000, () => checks.acked >= last && nodes.every((n) => n.log.highWatermark >= last))
  assert.ok(checks.acked >= last, 'L1: the record is acknowledged')
  for (const { id, log } of nodes) {
    assert.equal(log.highWatermark, last, `L1: ${id} knows that it is committed`)
    assert.deepEqual(log.records, checks.committed, `D1: the log of ${id}`)
  }
}
