/**
 * Bugs that the explorer must find, each within a scope that closes quickly when there is none:
 * a text of the replication package and what it is replaced with, or a rule of the metadata that
 * is left out. What is here was a bug of a real system, or the lack of one rule of ours.
 */
import { SMALL } from './scopes.ts'
import type { Scope } from './state.ts'

export type PlantedBug = {
  readonly name: string
  /** What is replaced in the replication package; the text stands in its file exactly once. */
  readonly edit?: { readonly file: string; readonly find: string; readonly put: string }
  /** How it differs from a scope of one record and one leadership. */
  readonly scope?: Partial<Scope>
  /** What has happened before the exploration begins. */
  readonly prefix?: readonly string[]
  /** True when finding it takes long: left out unless all are asked for. */
  readonly slow?: true
  /** The rule that is broken first; without it one of those that something committed is lost. */
  readonly breaks?: RegExp
}

/** Where a bug is looked for. */
export function scopeOf({ scope }: PlantedBug): Scope {
  return { ...SMALL, epochs: 1, ...scope }
}

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: 'a follower truncates to its high watermark [KIP-101, G2]',
    edit: {
      file: 'truncation.ts',
      find: 'const { epoch: answered, endOffset } = answer\n',
      put: 'const { epoch: answered, endOffset } = answer\n  if (answered !== -2) return agreed(log.highWatermark + 1)\n',
    },
    scope: { restarts: 1 },
  },
  {
    name: 'a follower does not truncate at all [KIP-101]',
    edit: {
      file: 'follower.ts',
      find: "if (log.newestOffset === NO_OFFSET && log.epochs.length === 0) return { kind: 'fetching' }",
      put: "if (log.newestOffset >= NO_OFFSET) return { kind: 'fetching' }",
    },
    scope: { records: 2, epochs: 2 },
    prefix: ['A publishes', 'B is elected', 'B learns 2'],
    breaks: /^(R1|R2|D1)/,
  },
  {
    name: 'an epoch ends one record too late [G1, LB 7.A2]',
    edit: {
      file: 'truncation.ts',
      find: 'agreed(Math.min(search.limit, endOffset, own.endOffset))',
      put: 'agreed(Math.min(search.limit, endOffset + 1))',
    },
    scope: { records: 3, epochs: 2 },
    prefix: ['A publishes', 'B fetches from A', 'A publishes', 'B is elected', 'B learns 2'],
    breaks: /^(R1|R2|D1)/,
  },
  {
    name: 'an unknown epoch is not asked about again [KIP-279]',
    edit: {
      file: 'truncation.ts',
      find: "return { kind: 'ask', search: { epoch: own.epoch, limit } }",
      put: 'return agreed(search.limit)',
    },
    scope: { records: 3, epochs: 4 },
    prefix: [
      'A publishes',
      'B fetches from A',
      'A is elected',
      'A learns 2',
      'A publishes',
      'B is elected',
      'B learns 2',
      'B learns 3',
      'B publishes',
      'A is elected',
    ],
    breaks: /^(R1|R2|D1|E3)/,
  },
  {
    name: 'the high watermark does not wait for the replicas',
    edit: {
      file: 'leader.ts',
      find: 'held = Math.min(held, replicas.bound)',
      put: 'held = Math.min(held, Number.POSITIVE_INFINITY)',
    },
  },
  {
    name: 'the leader is counted for what it has not synced',
    edit: {
      file: 'leader.ts',
      find: "case 'always':\n        return this.#synced",
      put: "case 'always':\n        return this.#written",
    },
  },
  {
    name: 'a replica is counted before its first fetch in a leadership [LB 7.A5]',
    edit: {
      file: 'replicas.ts',
      find: 'held: NO_OFFSET,\n    known: false',
      put: 'held: Number.MAX_SAFE_INTEGER,\n    known: false',
    },
  },
  {
    name: 'a fetch of an earlier leadership is counted [G9]',
    edit: {
      file: 'replica-set.ts',
      find: "if (fetch.leaderEpoch < leaderEpoch) return 'stale-epoch'",
      put: '',
    },
    scope: { records: 2, epochs: 3, late: 1 },
    slow: true,
    breaks: /^(R4|D1|R2)/,
  },
  {
    name: 'a replica of a pending shrink is not counted any more',
    edit: {
      file: 'isr.ts',
      find: 'if (isr.members.includes(replica)) return true',
      put: "if (isr.members.includes(replica)) return isr.kind !== 'pending-shrink' || isr.pending?.replica !== replica",
    },
    scope: { isrChanges: 1 },
  },
  {
    name: 'a replica of a pending expand is not counted yet',
    edit: {
      file: 'isr.ts',
      find: "return isr.kind === 'pending-expand' && isr.pending?.replica === replica",
      put: 'return false',
    },
    scope: { isrChanges: 2 },
  },
  {
    name: 'a replica joins the ISR without what is committed [LB 7.A4]',
    edit: {
      file: 'replica-set.ts',
      find: 'return replica.held >= highWatermark && replica.held + 1 >= this.#epochStart',
      put: 'return replica.held + 1 >= this.#epochStart',
    },
    scope: { isrChanges: 2 },
  },
  {
    name: 'a replica joins without what the leadership began with [KIP-966]',
    edit: {
      file: 'replica-set.ts',
      find: 'return replica.held >= highWatermark && replica.held + 1 >= this.#epochStart',
      put: 'return replica.held >= highWatermark',
    },
    scope: { epochs: 2, isrChanges: 2 },
    prefix: ['A publishes', 'A syncs', 'B fetches from A', 'A finds C lagging'],
    breaks: /^(D1|R2|R4)/,
  },
  {
    name: 'a change of the ISR is applied on whatever there is [KIP-903, R7]',
    scope: { isrChanges: 4, compareAndSet: false },
  },
  {
    name: 'an epoch is led again after a restart [LB 7.A3]',
    edit: {
      file: 'leadership.ts',
      find: "return latestEpoch === leaderEpoch || leaderEpoch <= knownAtStart ? 'epoch-in-use' : 'lead'",
      put: "return 'lead'",
    },
    scope: { restarts: 1 },
    breaks: /^E1/,
  },
  {
    name: 'a replica with an empty disk may lead [KIP-903, R8]',
    edit: {
      file: 'leadership.ts',
      find: "if (!proven) return 'unproven'",
      put: '',
    },
    scope: { epochs: 2, wipes: 1 },
    breaks: /^D1/,
  },
  {
    name: 'records are committed below min ISR [R5]',
    edit: {
      file: 'leader.ts',
      find: 'if (held <= this.#highWatermark || this.isrSize < this.#minIsr) return NO_OFFSET',
      put: 'if (held <= this.#highWatermark) return NO_OFFSET',
    },
    scope: { minIsr: 2, isrChanges: 2 },
    breaks: /^R5/,
  },
  {
    name: 'a follower takes the high watermark of its leader as it is [LB 7.A6]',
    edit: {
      file: 'follower.ts',
      find: 'const highWatermark = Math.min(leaderHighWatermark, log.newestOffset)',
      put: 'const highWatermark = leaderHighWatermark',
    },
    scope: { isrChanges: 2 },
    breaks: /^R3/,
  },
]
