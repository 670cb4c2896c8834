import { setTimeout as sleep } from 'node:timers/promises'
import { kill, type Scenario, underLoad } from './scenario.ts'

const ROUNDS = 3

/** Real power cuts, which take unsynced writes along, are the simulator's. */
export const allKilled: Scenario = {
  name: '8 all servers killed at once (NATS 7564)',
  demands: 'a cluster of which nothing runs any more comes back with all that it acknowledged',
  run: (random) =>
    underLoad(async (load) => {
      const { cluster } = load
      for (let round = 0; round < ROUNDS; round += 1) {
        const alsoNats = round === 1
        const nats = alsoNats ? cluster.nats.kill() : undefined
        await Promise.all([nats, ...cluster.members.map((member) => kill(load, member))])
        if (alsoNats) await cluster.nats.restart()
        for (const member of cluster.members) {
          cluster.spawn(member)
          await sleep(random.between(0, 500))
        }
        // How long a busy machine takes to load three processes is not the cluster's matter.
        await Promise.all(cluster.members.map((member) => cluster.ready(member)))
        await load.firstAck()
      }
      return `${ROUNDS} rounds`
    }),
}

export const allKilledUnsynced: Scenario = {
  name: 'all servers killed at once, streams.sync.policy never',
  demands: 'kill -9 takes no written byte along, so that even without syncs nothing is lost',
  run: () =>
    underLoad(
      async (load) => {
        const { cluster } = load
        await Promise.all(cluster.members.map((member) => kill(load, member)))
        await Promise.all(cluster.members.map((member) => cluster.restart(member)))
        return 'once'
      },
      { settings: { 'streams.sync.policy': 'never' } },
    ),
}

export const allKilledMinIsr3: Scenario = {
  name: 'all three must have it, sync always, leader killed, then all',
  demands: 'with min ISR 3 nothing is acknowledged while one is away, and nothing is lost',
  run: () =>
    underLoad(
      async (load) => {
        const { cluster } = load
        const leader = load.leaderOf(0)
        await kill(load, leader)
        // What was on its way may still be answered.
        await sleep(2_000)
        const acked = load.acked
        await sleep(5_000)
        if (load.acked > acked) throw new Error(`${load.acked - acked} acknowledged by two`)
        await cluster.restart(leader)
        await load.firstAck()
        await Promise.all(cluster.members.map((member) => kill(load, member)))
        await Promise.all(cluster.members.map((member) => cluster.restart(member)))
        return 'nothing acknowledged by two'
      },
      { minIsr: 3, settings: { 'streams.sync.policy': 'always' } },
    ),
}
