/** Known ways in which replicated logs lost or tore apart what was acknowledged. */
import { ROLES } from '../workload/plan.ts'
import { Script, type Scenario } from './script.ts'

const { leader, follower, otherFollower, latest } = ROLES

export const REPLICATION_SCENARIOS: readonly Scenario[] = [
  {
    number: 1,
    name: 'KIP-101, loss: a follower comes back, and its leader dies before it has fetched again',
    plan: (seed) =>
      new Script(seed)
        .create({ minIsr: 2 })
        .publish(20)
        .wait(20)
        .kill(follower, 300)
        .wait(320)
        .kill(leader, 4_000)
        .wait(6_000)
        .publish(10)
        .wait(4_000)
        .plan(),
  },
  {
    number: 2,
    name: 'KIP-101, divergence: a leader comes back with records that nobody else ever had',
    plan: (seed) =>
      new Script(seed, { syncUs: 5_000 })
        .create()
        .publish(20)
        .wait(200)
        .do({ kind: 'cut', server: leader, direction: 'from-nats', path: 'data', forMs: 6_000 })
        .publish(20, 'leader')
        .wait(30)
        .kill(latest, 5_000)
        .wait(4_000)
        .publish(30)
        .wait(6_000)
        .publish(5)
        .wait(4_000)
        .plan(),
  },
  {
    number: 3,
    name: 'KIP-279: leaders follow one another faster than their followers hear of it',
    plan: (seed) => {
      const script = new Script(seed).create()
      for (let round = 0; round < 4; round++) {
        script
          .publish(10, 'leader')
          .wait(4)
          .kill(leader, 2_500)
          .wait(2_700)
          .publish(3, 'leader')
          .wait(300)
      }
      return script.wait(6_000).plan()
    },
  },
  {
    number: 4,
    name: 'KIP-903: a member of the ISR comes back with an empty disk, and its leader dies',
    plan: (seed) =>
      new Script(seed, { servers: 5 })
        .create({ replicas: 3, minIsr: 2 })
        .publish(30)
        .wait(1_000)
        .do({ kind: 'wipe', server: follower, downMs: 150 })
        .wait(100)
        .kill(leader, 5_000)
        .wait(9_000)
        .publish(10)
        .wait(4_000)
        .plan(),
  },
  {
    number: 5,
    name: 'KIP-966: the last replica in the ISR loses power with what it alone has',
    plan: (seed) =>
      new Script(seed)
        .create({ minIsr: 1 })
        .publish(10)
        .wait(200)
        .do({ kind: 'cut', server: follower, direction: 'both', path: 'data', forMs: 9_000 })
        .do({ kind: 'cut', server: otherFollower, direction: 'both', path: 'data', forMs: 9_000 })
        .wait(6_000)
        .publish(20)
        .wait(2_000)
        .powerCut([leader], 3_000)
        .wait(8_000)
        .publish(10)
        .wait(4_000)
        .plan(),
  },
  {
    number: 6,
    name: 'KAFKA-7897: a replica that missed several epochs has few of them in its table',
    plan: (seed) => {
      const script = new Script(seed).create().publish(10).wait(500)
      script.do({ kind: 'kill', servers: [follower], downMs: 14_000 }).wait(300)
      for (let round = 0; round < 2; round++)
        script.publish(5).wait(600).kill(leader, 1_500).wait(4_500)
      return script.publish(5).wait(9_000).plan()
    },
  },
  {
    number: 7,
    name: 'KAFKA-20961: epochs without a record between those that have some',
    plan: (seed) => {
      const script = new Script(seed).create().publish(10).wait(500)
      for (let round = 0; round < 3; round++) script.kill(leader, 1_200).wait(4_500)
      return script.publish(10).wait(4_000).plan()
    },
  },
  {
    number: 14,
    name: 'Redpanda #9711: crashes while a replica cuts off what its leader does not have',
    plan: (seed) => {
      const script = new Script(seed, { syncUs: 5_000 }).create().publish(10).wait(300)
      script.do({ kind: 'cut', server: leader, direction: 'from-nats', path: 'data', forMs: 4_000 })
      script.publish(30, 'leader').wait(40).kill(latest, 3_500).wait(3_500)
      for (let round = 0; round < 5; round++) script.wait(60 + 35 * round).powerCut([latest], 300)
      return script.wait(1_000).publish(10).wait(6_000).plan()
    },
  },
  {
    number: 20,
    name: 'Liftbridge #354: a leader that its followers have left behind leaves no ISR without itself',
    plan: (seed) =>
      new Script(seed)
        .create({ minIsr: 2 })
        .publish(10)
        .wait(300)
        .do({ kind: 'freeze', server: leader, forMs: 7_000 })
        .wait(6_000)
        .publish(10)
        .wait(1_200)
        .publish(10)
        .wait(5_000)
        .plan(),
  },
  {
    number: 25,
    name: 'an epoch boundary that was learned as a follower is told as a leader',
    plan: (seed) => {
      const script = new Script(seed, { syncUs: 5_000 }).create().publish(9).wait(300)
      for (let round = 0; round < 3; round++) {
        script
          .do({ kind: 'cut', server: leader, direction: 'from-nats', path: 'data', forMs: 3_000 })
          .publish(3, 'leader')
          .wait(25)
          .kill(latest, 4_000)
          .wait(5_500)
          .publish(3)
          .wait(500)
      }
      return script.wait(5_000).plan()
    },
  },
]
