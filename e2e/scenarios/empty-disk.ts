import { setTimeout as sleep } from 'node:timers/promises'
import { kill, pair, rolesOf, type Scenario, underLoad } from './scenario.ts'

const ROUNDS = 3

/** The ISR may still name a server that has lost its disk. */
export const emptyDisk: Scenario = {
  name: '4 empty disk and a stale ISR (KIP-903)',
  demands:
    'a server that came back empty is not elected, and counts for nothing until it caught up',
  run: (random) =>
    underLoad(async (load) => {
      const { cluster } = load
      for (let round = 0; round < ROUNDS; round += 1) {
        const { leader, followers } = await rolesOf(load, round)
        const [empty] = pair(followers)
        await kill(load, empty)
        cluster.wipe(empty)
        cluster.spawn(empty)
        await sleep(random.between(0, 3_000))
        await kill(load, leader)
        await sleep(random.between(0, 3_000))
        cluster.spawn(leader)
        await Promise.all([empty, leader].map(({ server }) => server.ready(60_000)))
        await cluster.healed(load.replicas, 30_000)
      }
      return `${ROUNDS} rounds`
    }),
}
