import { setTimeout as sleep } from 'node:timers/promises'
import type { ReplicatedLoad } from '../cluster/replicated-load.ts'
import type { Member } from '../cluster/cluster-process.ts'
import { kill, pair, rolesOf, type Scenario, underLoad } from './scenario.ts'

/** The one that slept wakes beside the one that was killed, and the one that knows sleeps. */
export const pauseChoreography: Scenario = {
  name: '9 one sleeps, one is killed, the sleepers change (NATS 7567)',
  demands: 'the one that slept does not lead beside one that returned, without what they missed',
  run: () =>
    underLoad(async (load) => {
      const { leader, followers } = await rolesOf(load, 0)
      const [asleep, awake] = pair(followers)
      stop(load, asleep)
      // Until it is out of the ISR, so that the other two acknowledge without it.
      await load.firstAck()
      await sleep(7_000)
      await kill(load, leader)
      stop(load, awake)
      wake(asleep)
      load.cluster.spawn(leader)
      await sleep(8_000)
      wake(awake)
      return 'once'
    }),
}

/** As a machine that hangs: longer than it takes to be deposed. */
export const twoAsleep: Scenario = {
  name: 'two of three stopped for 20 s',
  demands: 'all goes on by itself when they wake',
  run: () =>
    underLoad(async (load) => {
      const { leader, followers } = await rolesOf(load, 0)
      const [other] = pair(followers)
      for (const member of [leader, other]) stop(load, member)
      await sleep(20_000)
      for (const member of [leader, other]) wake(member)
      await load.firstAck()
      return 'once'
    }),
}

function stop(load: ReplicatedLoad, member: Member): void {
  load.hit(member)
  member.up = false
  member.server.signal('SIGSTOP')
}

function wake(member: Member): void {
  member.server.signal('SIGCONT')
  member.up = true
}
