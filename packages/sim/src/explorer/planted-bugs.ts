/**
 * Bugs that the explorer must find, each within a scope that closes quickly when there is none:
 * a text of the replication package and what it is replaced with, or a rule of the metadata that
 * is left out. What is here was a bug of a real system, or the lack of one rule of ours.
 */
import { SMALL } from './scopes.ts'
import type { Scope } from './state.ts'

export type PlantedBug = {
  readonly name: string
  /** Replacements in files of the replication package; each text stands there exactly once. */
  readonly edits: readonly { readonly file: string; readonly find: string; readonly put: string }[]
  readonly scope: Scope
  /** What has happened before the exploration begins. */
  readonly prefix?: readonly string[]
  /** True when finding it takes long: left out unless all are asked for. */
  readonly slow?: true
  /** The rule that is broken first. */
  readonly breaks: RegExp
}

const scope = (change: Partial<Scope>): Scope => ({ ...SMALL, ...change })

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: 'a follower truncates to its high watermark [KIP-101, G2]',
    edits: [
      {
        file: 'truncation.ts',
        find: 'const { epoch: answered, endOffset } = answer\n',
        put: 'const { epoch: answered, endOffset } = answer\n  if (answered !== -2) return agreed(log, log.highWatermark + 1)\n',
      },
    ],
    scope: scope({ records: 1, epochs: 1, restarts: 1 }),
    breaks: /^(R4|D1)/,
  },
  {
    name: 'a follower does not truncate at all [KIP-101]',
    edits: [
      {
        file: 'follower.ts',
        find: "if (log.newestOffset === NO_OFFSET && log.epochs.length === 0) return { kind: 'fetching' }",
        put: "if (log.newestOffset >= NO_OFFSET) return { kind: 'fetching' }",
      },
    ],
    scope: scope({ records: 2, epochs: 2 }),
    prefix: ['A publishes', 'B is elected', 'B learns 2'],
    breaks: /^(R1|R2|D1)/,
  },
  {
    name: 'an epoch ends one record too late [G1, LB 7.A2]',
    edits: [
      {
        file: 'truncation.ts',
        find: 'agreed(log, Math.min(search.limit, endOffset, own.endOffset))',
        put: 'agreed(log, Math.min(search.limit, endOffset + 1))',
      },
    ],
    scope: scope({ records: 3, epochs: 2 }),
    prefix: ['A publishes', 'B fetches from A', 'A publishes', 'B is elected', 'B learns 2'],
    breaks: /^(R1|R2|D1)/,
  },
  {
    name: 'an unknown epoch is not asked about again [KIP-279]',
    edits: [
      {
        file: 'truncation.ts',
        find: "return { kind: 'ask', search: { epoch: own.epoch, limit } }",
        put: 'return agreed(log, search.limit)',
      },
    ],
    scope: scope({ records: 3, epochs: 4 }),
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
    edits: [
      {
        file: 'leader.ts',
        find: 'held = Math.min(held, replicas.bound)',
        put: 'held = Math.min(held, Number.POSITIVE_INFINITY)',
      },
    ],
    scope: scope({ records: 1, epochs: 1 }),
    breaks: /^(R4|D1)/,
  },
  {
    name: 'the leader is counted for what it has not synced',
    edits: [
      {
        file: 'leader.ts',
        find: "case 'always':\n        return this.#synced",
        put: "case 'always':\n        return this.#written",
      },
    ],
    scope: scope({ records: 1, epochs: 1 }),
    breaks: /^(R4|D1)/,
  },
  {
    name: 'a replica is counted before its first fetch in a leadership [LB 7.A5]',
    edits: [
      {
        file: 'replicas.ts',
        find: 'held: NO_OFFSET,\n    known: false',
        put: 'held: Number.MAX_SAFE_INTEGER,\n    known: false',
      },
    ],
    scope: scope({ records: 1, epochs: 1 }),
    breaks: /^(R4|D1)/,
  },
  {
    name: 'a fetch of an earlier leadership is counted [G9]',
    edits: [
      {
        file: 'replica-set.ts',
        find: "if (fetch.leaderEpoch < leaderEpoch) return 'stale-epoch'",
        put: '',
      },
    ],
    scope: scope({ records: 2, epochs: 3, late: 1 }),
    slow: true,
    breaks: /^(R4|D1|R2)/,
  },
  {
    name: 'a replica of a pending shrink is not counted any more',
    edits: [
      {
        file: 'isr.ts',
        find: 'if (isr.members.includes(replica)) return true',
        put: "if (isr.members.includes(replica)) return isr.kind !== 'pending-shrink' || isr.pending?.replica !== replica",
      },
    ],
    scope: scope({ records: 1, epochs: 1, isrChanges: 1 }),
    breaks: /^(R4|D1)/,
  },
  {
    name: 'a replica of a pending expand is not counted yet',
    edits: [
      {
        file: 'isr.ts',
        find: "return isr.kind === 'pending-expand' && isr.pending?.replica === replica",
        put: 'return false',
      },
    ],
    scope: scope({ records: 1, epochs: 1, isrChanges: 2 }),
    breaks: /^(R4|D1)/,
  },
  {
    name: 'a replica joins the ISR without what is committed [LB 7.A4]',
    edits: [
      {
        file: 'replica-set.ts',
        find: 'return replica.held >= highWatermark && replica.held + 1 >= this.#epochStart',
        put: 'return replica.held + 1 >= this.#epochStart',
      },
    ],
    scope: scope({ records: 1, epochs: 1, isrChanges: 2 }),
    breaks: /^(R4|D1)/,
  },
  {
    name: 'a replica joins without what the leadership began with [KIP-966]',
    edits: [
      {
        file: 'replica-set.ts',
        find: 'return replica.held >= highWatermark && replica.held + 1 >= this.#epochStart',
        put: 'return replica.held >= highWatermark',
      },
    ],
    scope: scope({ records: 1, epochs: 2, isrChanges: 2 }),
    prefix: ['A publishes', 'A syncs', 'B fetches from A', 'A finds C lagging'],
    breaks: /^(D1|R2|R4)/,
  },
  {
    name: 'a change of the ISR is applied on whatever there is [KIP-903, R7]',
    edits: [],
    scope: scope({ records: 1, epochs: 1, isrChanges: 4, compareAndSet: false }),
    breaks: /^(R4|D1)/,
  },
  {
    name: 'an epoch is led again after a restart [LB 7.A3]',
    edits: [
      {
        file: 'leadership.ts',
        find: "return latestEpoch === leaderEpoch || leaderEpoch <= knownAtStart ? 'epoch-in-use' : 'lead'",
        put: "return 'lead'",
      },
    ],
    scope: scope({ records: 1, epochs: 1, restarts: 1 }),
    breaks: /^E1/,
  },
  {
    name: 'a replica with an empty disk may lead [KIP-903, R8]',
    edits: [
      {
        file: 'leadership.ts',
        find: "if (!proven) return 'unproven'",
        put: '',
      },
    ],
    scope: scope({ records: 1, epochs: 2, wipes: 1 }),
    breaks: /^D1/,
  },
  {
    name: 'records are committed below min ISR [R5]',
    edits: [
      {
        file: 'leader.ts',
        find: 'if (held <= this.#highWatermark || this.isrSize < this.#minIsr) return NO_OFFSET',
        put: 'if (held <= this.#highWatermark) return NO_OFFSET',
      },
    ],
    scope: scope({ minIsr: 2, records: 1, epochs: 1, isrChanges: 2 }),
    breaks: /^R5/,
  },
  {
    name: 'a follower takes the high watermark of its leader as it is [LB 7.A6]',
    edits: [
      {
        file: 'follower.ts',
        find: 'const highWatermark = Math.min(leaderHighWatermark, log.newestOffset)',
        put: 'const highWatermark = leaderHighWatermark',
      },
    ],
    scope: scope({ records: 1, epochs: 1, isrChanges: 2 }),
    breaks: /^R3/,
  },
]
