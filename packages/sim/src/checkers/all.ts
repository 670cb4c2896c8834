/** Every checker there is. */
import { ackedMessages } from './d1-d4-acked-messages.ts'
import { refusedMessages } from './d5-refused-messages.ts'
import { storedOnce } from './d6-stored-once.ts'
import type { CheckerMaker } from './checker.ts'
import { oneLeader } from './e1-one-leader.ts'
import { metadataAgrees } from './m7-m8-metadata.ts'
import { storedOrder } from './o1-o6-stored-order.ts'
import { writeOnce } from './o2-write-once.ts'
import { publishOrder } from './o3-publish-order.ts'
import { subscriptions } from './o4-o5-subscriptions.ts'
import { expectedOffsets } from './o7-expected-offset.ts'
import { logMatching } from './r1-r2-log-matching.ts'
import { isrRules } from './r5-r7-isr.ts'
import { watermarks } from './r3-r4-watermarks.ts'

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
  metadataAgrees,
]
