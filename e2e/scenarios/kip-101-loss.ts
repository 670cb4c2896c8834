import { setTimeout as sleep } from 'node:timers/promises'
import { kill, pair, rolesOf, type Scenario, underLoad } from './scenario.ts'

const ROUNDS = 3

/** The follower returns, may not know what was committed, and its leader dies. */
export const kip101Loss: Scenario = {
  name: '1 loss by high watermark (KIP-101)',
  demands:
    'a follower that has just returned cuts nothing that was acknowledged, though its leader dies',
  run: (random) =>
    underLoad(async (load) => {
      for (let round = 0; round < ROUNDS; round += 1) {
        const { leader, followers } = await rolesOf(load, round)
        const [back] = pair(followers)
        await kill(load, back)
        load.cluster.spawn(back)
        await back.server.ready(60_000)
        await sleep(random.between(0, 300))
        await kill(load, leader)
        await sleep(random.between(200, 2_000))
        await load.cluster.restart(leader)
        await load.firstAck()
      }
      return `${ROUNDS} rounds`
    }),
}
