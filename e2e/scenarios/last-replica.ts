import { setTimeout as sleep } from 'node:timers/promises'
import { kill, pair, partitionOnce, rolesOf, type Scenario, underLoad } from './scenario.ts'

/** As long as others would need to be elected three times over. */
const ALONE_MS = 8_000

/** Two more servers keep the metadata's majority while two of the three replicas are away. */
export const lastReplica: Scenario = {
  name: '5 last replica standing (KIP-966)',
  demands: 'with the last member of the ISR dead, nobody else leads, until it is back',
  run: () =>
    underLoad(
      async (load) => {
        const { cluster } = load
        const { leader, followers } = await rolesOf(load, 0)
        for (const follower of pair(followers)) await kill(load, follower)
        await partitionOnce(cluster, 0, ({ isr }) => isr.length === 1)
        await load.firstAck()
        await kill(load, leader)
        const acked = load.acked
        // Not until they are ready: without a leader they are not.
        for (const follower of followers) cluster.spawn(follower)
        await sleep(ALONE_MS)
        if (load.acked > acked) throw new Error(`${load.acked - acked} acknowledged without it`)
        await cluster.restart(leader)
        return `nothing acknowledged in ${ALONE_MS} ms without it`
      },
      { servers: 5, partitions: 1, minIsr: 1 },
    ),
}
