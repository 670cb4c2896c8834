/** What disks do: power that goes, damage at rest, files that say nonsense. */
import { ROLES } from '../workload/plan.ts'
import { Script, type Scenario } from './script.ts'

const { leader, follower, latest } = ROLES
const ALL = [0, 1, 2]

export const DISK_SCENARIOS: readonly Scenario[] = [
  {
    number: 8,
    name: 'NATS #7564: all servers lose power at once, again and again',
    plan: (seed) => {
      const script = new Script(seed, { syncUs: 2_000 }).create({ minIsr: 2 })
      for (let round = 0; round < 4; round++) {
        script
          .publish(25)
          .wait(2 + 5 * round)
          .powerCut(ALL, 500)
          .wait(7_000)
      }
      return script.wait(3_000).plan()
    },
  },
  {
    number: 10,
    name: 'NATS #7549: bits flip on one replica, and then its leader dies',
    plan: (seed) =>
      new Script(seed, { servers: 5 })
        .create({ replicas: 3, minIsr: 2 })
        .publish(31)
        .wait(7_000)
        .kill(follower, 800)
        .wait(100)
        .damage(latest, 'log', 'flip-bit')
        .wait(650)
        .kill(leader, 6_000)
        .wait(10_000)
        .publish(10)
        .wait(5_000)
        .plan(),
  },
  {
    number: 15,
    name: 'etcd #14370: a lone server loses power right after an acknowledgement',
    plan: (seed) => {
      const script = new Script(seed, { servers: 1, syncUs: 3_000 }).create({ replicas: 1 })
      for (let round = 0; round < 8; round++) {
        script
          .publish(10)
          .wait(1 + 2 * round)
          .powerCut([0], 200)
          .wait(1_500)
      }
      return script.plan()
    },
  },
  {
    number: 16,
    name: 'etcd #5230, #6515: a torn tail, and one of zeros',
    plan: (seed) => {
      const script = new Script(seed, { syncUs: 5_000 }).create()
      for (let round = 0; round < 3; round++) {
        script.publish(20, 'leader').wait(3).powerCut([leader], 2_000).wait(100)
        script.damage(latest, 'log', 'zeros-behind').wait(6_000).publish(5).wait(500)
      }
      return script.wait(3_000).plan()
    },
  },
  {
    number: 21,
    name: 'Liftbridge #411, #243: garbage for indexes, epochs and checkpoints at start',
    plan: (seed) => {
      const script = new Script(seed, { segmentBytes: 1_024 })
        .create({ minIsr: 2 })
        .publish(40)
        .wait(7_000)
      script.do({ kind: 'kill', servers: ALL, downMs: 2_000 }).wait(100)
      for (const server of ALL) {
        script.damage(server, 'index', 'garbage').damage(server, 'checkpoint', 'garbage')
        script.damage(
          server,
          'epochs',
          server === 0 ? 'empty' : server === 1 ? 'garbage' : 'remove',
        )
      }
      return script.wait(6_000).publish(10).wait(5_000).plan()
    },
  },
  {
    number: 23,
    name: 'D7: the disk fails under the metadata of a partition leader, and then a follower dies',
    plan: (seed) => {
      const script = new Script(seed, { servers: 5 }).create({ minIsr: 2, replicas: 3 })
      script.publish(20).wait(1_000)
      script.do({ kind: 'disk-error', server: leader, operation: 'sync', lie: false, forMs: 3_000 })
      for (let round = 0; round < 10; round++) script.readonly(false).wait(100)
      script.wait(3_000).publish(3).wait(2_000).kill(follower, 60_000).wait(20_000)
      return script.publish(3).wait(10_000).plan()
    },
  },
  {
    number: 107,
    name: 'R3: power goes after the high watermark was written down, with records not yet synced',
    plan: (seed) => {
      const settings = { servers: 1, syncUs: 3_000, segmentBytes: 65_536 }
      const script = new Script(seed, settings).create({ replicas: 1 }).wait(500)
      for (let round = 0; round < 5; round++) {
        script.wait(5_200)
        for (let sent = 0; sent < 40 + round; sent++) script.publish(1, 'leader').wait(10)
        script.powerCut([0], 500).wait(5_000)
      }
      return script.publish(5).wait(3_000).plan()
    },
  },
]
