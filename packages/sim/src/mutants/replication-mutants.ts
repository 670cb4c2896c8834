/** Planted bugs of the leader, the follower, the ISR and leadership. */
import type { Mutant } from './mutant.ts'

const LEADER = 'replication/src/leader.ts'
const REPLICA_SET = 'replication/src/replica-set.ts'
const FOLLOWER = 'replication/src/follower.ts'

export const REPLICATION_MUTANTS: readonly Mutant[] = [
  {
    name: 'ack-before-sync',
    breaks: 'ALL is acknowledged, and the high watermark moves, before the leader has synced [D2]',
    draw: {
      servers: 1,
      faults: ['power-cut'],
      faultEveryMs: 1_500,
      syncPolicy: 'interval',
      syncUs: 40_000,
    },
    edits: [
      {
        file: LEADER,
        find: `        if (this.#isShared) return this.#synced
        return this.#firstUnsyncedAll < 0 ? this.#written : this.#firstUnsyncedAll - 1`,
        replace: '        return this.#written',
      },
      {
        file: LEADER,
        find: `this.#policy === 'never' ? this.#highWatermark : Math.min(this.#highWatermark, this.#synced)`,
        replace: 'this.#highWatermark',
      },
      {
        file: LEADER,
        find: `      case 'always':\n        return this.#synced`,
        replace: `      case 'always':\n        return this.#written`,
      },
    ],
  },
  {
    name: 'high-watermark-is-max',
    breaks: 'the high watermark follows the leader alone, not the slowest of the ISR [R4]',
    draw: { servers: 3, faults: ['kill', 'cut'], faultEveryMs: 2_500 },
    edits: [
      {
        file: LEADER,
        find: 'held = Math.min(held, replicas.bound)',
        replace: 'held = Math.max(held, -1)',
      },
    ],
  },
  {
    name: 'min-isr-ignored',
    breaks: 'messages are committed though the ISR is smaller than its minimum [R5]',
    draw: { servers: 3 },
    edits: [
      {
        file: LEADER,
        find: ' || this.isrSize < this.#minIsr) return NO_OFFSET',
        replace: ') return NO_OFFSET',
      },
    ],
  },
  {
    name: 'joins-isr-without-the-records',
    breaks: 'a replica joins the ISR without what is committed [KIP-966, LB 7.A4]',
    draw: { servers: 3, faults: ['kill', 'freeze', 'cut'], faultEveryMs: 2_000 },
    edits: [
      {
        file: REPLICA_SET,
        find: 'return replica.held >= highWatermark && replica.held + 1 >= this.#epochStart',
        replace: 'return replica.held >= -1',
      },
      {
        file: 'replication/src/replicas.ts',
        find: '  const told = Math.min(fetch.offset, ',
        replace: '  noteCaughtUp(replica, fetch.now)\n  const told = Math.min(fetch.offset, ',
      },
      {
        file: REPLICA_SET,
        find: '!replica.caughtUp) return false',
        replace: 'replica.held < -1) return false',
      },
    ],
  },
  {
    name: 'stale-isr-add',
    breaks:
      'ISR changes apply whatever leadership and partition epoch they were decided under [R7]',
    draw: { servers: 3 },
    edits: [
      {
        file: 'metadata/src/operations/isr.ts',
        find: 'if (leader !== change.leader || leaderEpoch !== change.leaderEpoch) {',
        replace: 'if (leader === "" && leaderEpoch !== change.leaderEpoch) {',
      },
      {
        file: 'metadata/src/operations/isr.ts',
        find: 'change.partitionEpoch === 0 || change.partitionEpoch === partition.epoch',
        replace: 'change.partitionEpoch >= 0 || change.partitionEpoch === partition.epoch',
      },
    ],
  },
  {
    name: 'joining-replica-not-counted',
    breaks:
      'a replica that is about to join is not waited for, and may be elected without the tail [R4]',
    draw: {
      servers: 3,
      replicas: 3,
      faults: ['kill', 'cut', 'freeze', 'power-cut'],
      faultEveryMs: 2_000,
    },
    edits: [
      {
        file: 'replication/src/isr.ts',
        find: `return isr.kind === 'pending-expand' && isr.pending?.replica === replica`,
        replace: 'return false',
      },
    ],
  },
  {
    name: 'leaving-replica-not-counted',
    breaks:
      'a replica is not waited for as soon as its removal is proposed; it can still be elected [R4]',
    draw: {
      servers: 3,
      replicas: 3,
      faults: ['kill', 'cut', 'freeze', 'power-cut'],
      faultEveryMs: 2_000,
    },
    edits: [
      {
        file: 'replication/src/isr.ts',
        find: '  if (isr.members.includes(replica)) return true\n',
        replace: `  if (isr.kind === 'pending-shrink' && isr.pending?.replica === replica) return false\n  if (isr.members.includes(replica)) return true\n`,
      },
    ],
  },
  {
    name: 'follower-reports-unsynced',
    breaks: 'a follower reports what it has only written [R4, D3]',
    draw: {
      servers: 3,
      replicas: 3,
      faults: ['power-cut'],
      faultEveryMs: 2_500,
      syncPolicy: 'interval',
      syncUs: 40_000,
    },
    edits: [
      {
        file: FOLLOWER,
        find: `if (this.#options.syncPolicy === 'never' || log.syncedOffset >= log.newestOffset) {`,
        replace: 'if (log.newestOffset >= -1) {',
      },
      {
        file: FOLLOWER,
        find: `const syncedOffset = this.#options.syncPolicy === 'never' ? offset : synced`,
        replace: 'const syncedOffset = Math.max(offset, synced)',
      },
    ],
  },
  {
    name: 'truncates-by-high-watermark',
    breaks: 'a follower cuts at its own high watermark instead of asking its leader [KIP-101, G2]',
    draw: {
      servers: 3,
      replicas: 3,
      faults: ['kill', 'cut', 'freeze', 'power-cut'],
      faultEveryMs: 2_000,
    },
    edits: [
      {
        file: FOLLOWER,
        find: 'return this.#cut(step.end)',
        replace: 'return this.#cut(this.#state.log.highWatermark + 1)',
      },
    ],
  },
  {
    name: 'never-truncates',
    breaks: 'a follower keeps records that its leader never had [R1]',
    draw: {
      servers: 3,
      replicas: 3,
      faults: ['kill', 'cut', 'freeze', 'power-cut'],
      faultEveryMs: 2_000,
    },
    edits: [
      { file: FOLLOWER, find: 'return this.#cut(step.end)', replace: 'return this.#makeDurable()' },
    ],
  },
  {
    name: 'truncates-committed',
    breaks: 'a follower cuts off more than its leader lacks, committed records among it [R6]',
    draw: {
      servers: 3,
      replicas: 3,
      faults: ['kill', 'cut', 'freeze', 'power-cut'],
      faultEveryMs: 2_000,
    },
    edits: [
      {
        file: FOLLOWER,
        find: 'return this.#cut(step.end)',
        replace: 'return this.#cut(Math.max(0, step.end - 2))',
      },
    ],
  },
  {
    name: 'unproven-leads',
    breaks: 'a replica leads that may lack what it was counted for [R8, KIP-903, KIP-966]',
    draw: { servers: 3, replicas: 3, faults: ['wipe', 'kill', 'power-cut'], faultEveryMs: 3_000 },
    edits: [
      {
        file: 'replication/src/leadership.ts',
        find: `  if (!proven) return 'unproven'\n`,
        replace: '',
      },
    ],
  },
  {
    name: 'elects-outside-the-isr',
    breaks: 'any replica may be elected, whether it has what is committed or not [#354, R5]',
    draw: { servers: 3, replicas: 3, faults: ['freeze', 'cut', 'kill'], faultEveryMs: 2_000 },
    edits: [
      {
        file: 'metadata/src/failover.ts',
        find: 'for (const id of partition.isr) {\n      if (id === partition.leader) continue',
        replace:
          'for (const id of partition.replicas) {\n      if (id === partition.leader) continue',
      },
      {
        file: 'metadata/src/operations/isr.ts',
        find: 'return found.partition.isr.includes(change.leader)',
        replace: 'return found.partition.replicas.includes(change.leader)',
      },
    ],
  },
  {
    name: 'epoch-led-twice',
    breaks: 'a server leads again in an epoch that it led before a crash [E1]',
    draw: {
      servers: 3,
      replicas: 3,
      faults: ['kill', 'cut', 'freeze', 'power-cut'],
      faultEveryMs: 2_000,
    },
    edits: [
      {
        file: 'replication/src/leadership.ts',
        find: `return latestEpoch === leaderEpoch || leaderEpoch <= knownAtStart ? 'epoch-in-use' : 'lead'`,
        replace: `return 'lead'`,
      },
    ],
  },
  {
    name: 'message-stored-twice',
    breaks: 'what comes through NATS is stored twice [D6]',
    edits: [
      {
        file: 'server/src/partition/subject-router.ts',
        find: `    listener.accept(view, arrival, answered ? this.#options.natsAcks : undefined)\n    this.#dirty.add(listener)`,
        replace: `    listener.accept(view, arrival, answered ? this.#options.natsAcks : undefined)\n    listener.accept(view, arrival, undefined)\n    this.#dirty.add(listener)`,
      },
    ],
  },
  {
    name: 'follows-any-epoch',
    breaks:
      'leader and follower do not compare their epochs, and a follower takes what is newer [R9]',
    draw: { servers: 5, replicas: 3, faults: ['kill', 'cut'], faultEveryMs: 2_000 },
    edits: [
      {
        file: REPLICA_SET,
        find: `if (fetch.leaderEpoch < leaderEpoch) return 'stale-epoch'`,
        replace: `if (fetch.leaderEpoch < 0) return 'stale-epoch'`,
      },
      {
        file: 'server/src/replication/fetch-service.ts',
        find: 'if (asked.leaderEpoch !== 0 && asked.leaderEpoch !== leaderEpoch) return',
        replace: 'if (asked.leaderEpoch < 0) return',
      },
      {
        file: FOLLOWER,
        find: 'return leaderEpoch === undefined || leaderEpoch === this.#options.leaderEpoch',
        replace: 'return leaderEpoch === undefined || leaderEpoch >= this.#options.leaderEpoch',
      },
      {
        file: FOLLOWER,
        find: 'if (answer.leaderEpoch !== this.#options.leaderEpoch) return this.#fail(answer.now)',
        replace:
          'if (answer.leaderEpoch < this.#options.leaderEpoch) return this.#fail(answer.now)',
      },
      {
        file: FOLLOWER,
        find: 'return isOrdered && lastEpoch <= this.#options.leaderEpoch ? gaps : undefined',
        replace: 'return isOrdered ? gaps : undefined',
      },
      {
        file: 'server/src/replication/following.ts',
        find: 'await log.appendRaw(records, { leaderEpoch: core.leaderEpoch, gaps })',
        replace: 'await log.appendRaw(records, { leaderEpoch: Number.MAX_SAFE_INTEGER, gaps })',
      },
    ],
  },
]
