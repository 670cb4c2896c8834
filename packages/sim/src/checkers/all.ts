/** Every checker there is. */
import { ackedMessages } from './d1-d4-acked-messages.ts'
import { refusedMessages } from './d5-refused-messages.ts'
import { storedOnce } from './d6-stored-once.ts'
import type { CheckerMaker } from './checker.ts'
import { failedSyncs } from './d7-failed-syncs.ts'
import { oneLeader } from './e1-one-leader.ts'
import { leaderships } from './e2-r8-leaderships.ts'
import { epochTables } from './e3-epoch-table.ts'
import { raftLeaders } from './m1-m2-raft-leaders.ts'
import { raftLogs } from './m3-m5-raft-logs.ts'
import { raftDurable } from './m6-raft-durable.ts'
import { metadataAgrees } from './m7-m8-metadata.ts'
import { dataKept } from './m9-data-kept.ts'
import { storedOrder } from './o1-o6-stored-order.ts'
import { writeOnce } from './o2-write-once.ts'
import { publishOrder } from './o3-publish-order.ts'
import { subscriptions } from './o4-o5-subscriptions.ts'
import { expectedOffsets } from './o7-expected-offset.ts'
import { logMatching } from './r1-r2-log-matching.ts'
import { isrRules } from './r5-r7-isr.ts'
import { watermarks } from './r3-r4-watermarks.ts'
import { committedKept } from './r6-committed-kept.ts'
import { epochBound } from './r9-epoch-bound.ts'

export const CHECKERS: readonly CheckerMaker[] = [
  ackedMessages,
  refusedMessages,
  storedOnce,
  storedOrder,
  writeOnce,
  publishOrder,
  subscriptions,
  expectedOffsets,
  logMatching,
  watermarks,
  isrRules,
  oneLeader,
  leaderships,
  epochTables,
  committedKept,
  epochBound,
  failedSyncs,
  metadataAgrees,
  dataKept,
  raftLeaders,
  raftLogs,
  raftDurable,
]
