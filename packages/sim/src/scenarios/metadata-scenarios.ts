/** What happens to clusters through their metadata: votes, snapshots, members that come and go. */
import { ROLES } from '../workload/plan.ts'
import { creating, Script, type Scenario } from './script.ts'

const { metadataLeader, follower, leader, latest } = ROLES

/** Enough operations for a snapshot or two. */
function manyOperations(script: Script, count: number): Script {
  for (let round = 0; round < count; round++) script.readonly(round % 2 === 0).wait(40)
  return script.readonly(false).wait(500)
}

export const METADATA_SCENARIOS: readonly Scenario[] = [
  {
    number: 11,
    name: 'NATS #7556: a metadata snapshot of one server is garbage; nothing may be deleted for it',
    plan: (seed) => {
      const script = new Script(seed, { snapshotsOften: true }).create().publish(20).wait(500)
      manyOperations(script, 150)
      script.kill(follower, 500).wait(100).damage(latest, 'snapshot', 'empty').wait(5_000)
      return script.publish(10).wait(5_000).plan()
    },
  },
  {
    number: 12,
    name: 'NATS #6888: metadata leaders are killed one after the other while streams come',
    plan: (seed) => {
      const script = new Script(seed).create().publish(5).wait(300)
      for (let round = 0; round < 6; round++) {
        script.do({
          kind: 'create',
          stream: `kill${round}`,
          partitions: 2,
          replicas: 3,
          minIsr: 1,
          concurrency: false,
          retentionMessages: 0,
        })
        script
          .wait(15 * round)
          .kill(metadataLeader, 700)
          .wait(2_500)
      }
      return script.publish(10).wait(8_000).plan()
    },
  },
  {
    number: 13,
    name: 'NATS #7545: one server begins anew while another is cut off and a third is killed',
    plan: (seed) =>
      new Script(seed, { servers: 5 })
        .create({ replicas: 3, minIsr: 2 })
        .publish(20)
        .wait(2_000)
        .do({ kind: 'wipe', server: follower, downMs: 800 })
        .wait(500)
        .do({ kind: 'cut', server: metadataLeader, direction: 'both', path: 'raft', forMs: 5_000 })
        .wait(1_500)
        .kill(leader, 3_000)
        .wait(9_000)
        .publish(20)
        .wait(5_000)
        .plan(),
  },
  {
    number: 22,
    name: 'Liftbridge #414: a server comes back through a snapshot, and again from its own',
    plan: (seed) => {
      const script = new Script(seed, { snapshotsOften: true }).create().publish(10).wait(500)
      // What nothing changes any more comes through the snapshot or not at all.
      script.do(creating('quiet', 3, 1)).wait(500)
      script.do({ kind: 'readonly', stream: 'quiet', partitions: [0], readonly: true }).wait(500)
      manyOperations(script.kill(follower, 9_000).wait(200), 140)
      script.wait(4_000).publish(10).wait(2_000).kill(latest, 300).wait(4_000)
      return script.publish(5).wait(3_000).plan()
    },
  },
]
