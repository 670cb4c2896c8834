/**
 * Situations that chance brings about too rarely: each is where one defence of the protocol alone
 * keeps a promise. Numbers from 101 on are ours.
 */
import { ROLES } from '../workload/plan.ts'
import { Script, type Scenario } from './script.ts'

const { leader, follower, otherFollower, metadataLeader, latest } = ROLES

/** Everything of Raft, and of proposals that are forwarded, takes so much longer. */
function slowRaft(script: Script, extraDelayMs: number, forMs: number): Script {
  const still = { loss: 0, duplication: 0 }
  return script.do({
    kind: 'route',
    from: -1,
    to: -1,
    path: 'raft',
    ...still,
    extraDelayMs,
    forMs,
  })
}

export const DIRECTED_SCENARIOS: readonly Scenario[] = [
  {
    number: 101,
    name: 'R5: the ISR falls below its minimum while messages come; they wait',
    plan: (seed) => {
      const script = new Script(seed).create({ minIsr: 2 }).publish(5).wait(300)
      script.do({ kind: 'cut', server: follower, direction: 'both', path: 'data', forMs: 9_000 })
      script.do({
        kind: 'cut',
        server: otherFollower,
        direction: 'both',
        path: 'data',
        forMs: 9_000,
      })
      return script.wait(200).trickle(12, 700).wait(6_000).plan()
    },
  },
  {
    number: 102,
    name: 'R4: a replica that lags is about to leave the ISR, and the news of it takes its time',
    plan: (seed) => {
      const script = new Script(seed).create().publish(5).wait(300)
      script.do({ kind: 'cut', server: follower, direction: 'both', path: 'data', forMs: 7_000 })
      slowRaft(script.wait(3_500), 150, 2_500)
      return script.trickle(40, 50).wait(8_000).plan()
    },
  },
  {
    number: 103,
    name: 'R4: a replica is about to join the ISR, and falls behind before all know of it',
    plan: (seed) => {
      const script = new Script(seed).create().publish(5).wait(300)
      script.do({ kind: 'cut', server: follower, direction: 'both', path: 'data', forMs: 6_000 })
      script.wait(5_900)
      script.do({ kind: 'disk-slow', server: latest, forMs: 6_000, syncUs: 400_000 })
      slowRaft(script, 300, 4_000)
      return script.wait(500).trickle(80, 30).wait(8_000).plan()
    },
  },
  {
    number: 104,
    name: 'KIP-966: a replica comes back to the ISR, and its disk is slow to take what it missed',
    plan: (seed) => {
      const script = new Script(seed).create({ minIsr: 2 }).publish(5).wait(300)
      script.kill(follower, 7_000)
      script.do({ kind: 'disk-slow', server: latest, forMs: 14_000, syncUs: 900_000 })
      slowRaft(script.wait(4_500).publish(20).wait(1_500).publish(20), 100, 6_000)
      return script.wait(9_000).publish(5).wait(5_000).plan()
    },
  },
  {
    number: 105,
    name: 'Raft 5.3: a deposed leader has more entries that nobody else has than two later leaders',
    plan: (seed) => {
      const script = new Script(seed, { servers: 5 }).create({ replicas: 3 }).publish(3).wait(500)
      script.do({
        kind: 'cut',
        server: metadataLeader,
        direction: 'both',
        path: 'raft',
        forMs: 9_000,
      })
      for (let round = 0; round < 20; round++) script.readonlyAt(latest, round % 2 === 0).wait(5)
      script.wait(3_000).readonly(false).wait(500).kill(metadataLeader, 9_000).wait(8_000)
      return script.readonly(false).wait(500).publish(5).wait(5_000).plan()
    },
  },
  {
    number: 106,
    name: 'M9: the metadata is gone from all servers; what they stored is left alone',
    plan: (seed) => {
      const script = new Script(seed).create().publish(20).wait(2_000)
      script.do({ kind: 'forget-metadata', downMs: 500 })
      return script.wait(8_000).plan()
    },
  },
  {
    number: 108,
    name: 'E2: a leader that is cut off is written to, while another leads and has gone further',
    plan: (seed) => {
      const script = new Script(seed, { servers: 5 }).create({ replicas: 2 }).publish(5).wait(500)
      script.do({ kind: 'cut', server: leader, direction: 'both', path: 'raft', forMs: 14_000 })
      script.do({ kind: 'cut', server: latest, direction: 'both', path: 'data', forMs: 14_000 })
      script.wait(6_000).publish(60).wait(1_500)
      for (let round = 0; round < 8; round++) script.publishAt(latest, 2).wait(500)
      return script.wait(6_000).publish(5).wait(4_000).plan()
    },
  },
  {
    number: 109,
    name: 'R9: a leader leads anew, and a follower that hears nothing of it goes on to copy',
    plan: (seed) => {
      const script = new Script(seed, { servers: 5 }).create({ replicas: 3 }).publish(5).wait(500)
      script.do({ kind: 'cut', server: follower, direction: 'both', path: 'raft', forMs: 9_000 })
      script.wait(100).kill(leader, 200).wait(1_200)
      return script.trickle(40, 100).wait(8_000).publish(5).wait(4_000).plan()
    },
  },
  {
    number: 110,
    name: 'R8: of two replicas one comes back with an empty disk and is elected while the other is away',
    plan: (seed) =>
      new Script(seed, { servers: 5 })
        .create({ replicas: 2 })
        .publish(30)
        .wait(1_000)
        .do({ kind: 'wipe', server: follower, downMs: 150 })
        .wait(100)
        .kill(leader, 7_000)
        .wait(12_000)
        .publish(10)
        .wait(4_000)
        .plan(),
  },
]
