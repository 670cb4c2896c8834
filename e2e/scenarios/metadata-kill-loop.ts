import { setTimeout as sleep } from 'node:timers/promises'
import { metadataLeader } from '../cluster/cluster-faults.ts'
import { viewOf } from '../cluster/cluster-process.ts'
import type { ReplicatedLoad } from '../cluster/replicated-load.ts'
import { RawConnection } from '../raw-grpc.ts'
import { encodeCreateStream } from '../raw-messages.ts'
import { kill, type Scenario, underLoad } from './scenario.ts'

const KILLS = 8

/** Whoever leads the metadata dies as soon as it does. */
export const metadataKillLoop: Scenario = {
  name: '12 kill loop on the metadata leader (NATS 6888)',
  demands: 'every stream whose creation was answered is known to every server afterwards',
  run: (random) =>
    underLoad(async (load) => {
      const { cluster } = load
      const created: string[] = []
      const over = { yes: false }
      const creating = createStreams(load, created, over)
      for (let kills = 0; kills < KILLS; kills += 1) {
        const leader = (await metadataLeader(cluster)) ?? load.leaderOf(0)
        await kill(load, leader)
        await sleep(random.between(0, 1_500))
        cluster.spawn(leader)
        await sleep(random.between(0, 2_000))
      }
      over.yes = true
      await creating
      await Promise.all(cluster.members.map(({ server }) => server.ready(60_000)))
      for (const { id, server } of cluster.members) {
        const known = new Set((await viewOf(server))?.map(({ stream }) => stream))
        const missing = created.filter((name) => !known.has(name))
        if (missing.length > 0) throw new Error(`${id} does not know ${missing.join(', ')}`)
      }
      return `${KILLS} kills, ${created.length} streams created meanwhile`
    }),
}

async function createStreams(
  { cluster }: ReplicatedLoad,
  created: string[],
  over: { readonly yes: boolean },
): Promise<void> {
  for (let number = 0; !over.yes; number += 1) {
    const member = cluster.members[number % cluster.members.length]
    if (member?.up !== true) {
      await sleep(20)
      continue
    }
    const name = `created-${number}`
    let connection: RawConnection | undefined
    try {
      connection = await RawConnection.open(member.server.address)
      const request = encodeCreateStream(name, name, 1, { factor: 3, minIsr: 2 })
      await connection.unary('CreateStream', request, '2S')
      created.push(name)
    } catch {
      // Not answered: it may exist or not.
    } finally {
      connection?.close()
    }
    await sleep(50)
  }
}
