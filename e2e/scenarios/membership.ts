import { setTimeout as sleep } from 'node:timers/promises'
import { namespacePrefix } from '../cluster/namespaces.ts'
import { kill, rolesOf, type Scenario, underLoad } from './scenario.ts'

/** A member joins anew while another is cut off and a third dies: three of five are left. */
export const membership: Scenario = {
  name: '13 membership, partition and kill at once (NATS 7545)',
  demands: 'three of five servers go on, and the joiner, the cut and the killed find back',
  run: async (random) => {
    if (namespacePrefix() === undefined) return { skipped: 'no network namespaces' }
    return underLoad(
      async (load) => {
        const { cluster } = load
        const { leader, followers } = await rolesOf(load, 0)
        const others = cluster.members.filter((it) => it !== leader && !followers.includes(it))
        const [joiner] = others
        const [cut] = followers
        if (joiner === undefined || cut === undefined) throw new Error('too few servers')
        await kill(load, joiner)
        cluster.wipe(joiner)
        load.hit(cut)
        cut.up = false
        cluster.network?.cut(cut.number, 'both ways')
        cluster.spawn(joiner)
        await sleep(random.between(0, 2_000))
        await kill(load, leader)
        await sleep(5_000)
        cluster.network?.mend(cut.number)
        cut.up = true
        await cluster.restart(leader)
        await joiner.server.ready(60_000)
        return 'once'
      },
      { servers: 5 },
    )
  },
}
