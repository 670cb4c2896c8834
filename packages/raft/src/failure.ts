/**
 * Why something asked of the core did not happen. The texts that callers of Go Liftbridge can see
 * are its own [LB 2.6].
 */
export const FAILURE_TEXTS = {
  'not-leader': 'node is not the leader',
  'leadership-lost': 'leadership lost while committing log',
  'transfer-in-progress': 'leadership transfer in progress',
  'transfer-timeout': 'leadership transfer timeout',
  'no-peer': 'cannot find peer',
  stopped: 'raft is already shutdown',
  overloaded: 'timed out enqueuing operation',
  'bad-configuration': 'configuration would be invalid',
} as const

export type Failure = keyof typeof FAILURE_TEXTS
