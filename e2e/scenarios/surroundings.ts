import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { kill, type Scenario, underLoad } from './scenario.ts'

const LIBFAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1'
const NATS_AWAY_MS = 8_000
const HEALTHY_MS = 15_000

export const healthy: Scenario = {
  name: '24 nothing happens (Bufstream)',
  demands: 'a healthy cluster under load acknowledges each message once, at the offset it has',
  run: () =>
    underLoad(
      async (load) => {
        const before = load.acked
        await sleep(HEALTHY_MS)
        return `${Math.round(((load.acked - before) / HEALTHY_MS) * 1_000)} messages/s`
      },
      { ratePerSecond: 9_000 },
    ),
}

export const restartWithoutNats: Scenario = {
  name: 'all servers restarted while NATS is down',
  demands: 'they wait for NATS, and go on by themselves when it is there',
  run: () =>
    underLoad(async (load) => {
      const { cluster } = load
      await cluster.nats.kill()
      await Promise.all(cluster.members.map((member) => kill(load, member)))
      for (const member of cluster.members) cluster.spawn(member)
      await sleep(NATS_AWAY_MS)
      for (const { id, server } of cluster.members) {
        if (server.status !== undefined) throw new Error(`${id} ended without NATS`)
      }
      await cluster.nats.restart()
      await load.firstAck()
      return `${NATS_AWAY_MS} ms without`
    }),
}

/** One server lives an hour ago, one an hour ahead, in its wall clock alone. */
export const clocksApart: Scenario = {
  name: 'clocks two hours apart',
  demands: 'no promise hangs on what time it is somewhere',
  run: async () => {
    if (!existsSync(LIBFAKETIME)) return { skipped: 'libfaketime is not installed' }
    const hours = ['-1h', '+0', '+1h']
    return underLoad(
      async (load) => {
        for (const member of load.cluster.members) {
          await kill(load, member)
          await load.firstAck()
          await load.cluster.restart(member)
        }
        return 'each killed once'
      },
      {
        envOf: (server) => ({
          LD_PRELOAD: LIBFAKETIME,
          FAKETIME: hours[server - 1] ?? '+0',
          FAKETIME_DONT_FAKE_MONOTONIC: '1',
        }),
      },
    )
  },
}
