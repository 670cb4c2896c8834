/**
 * What catches each planted bug, as `--mutants` found it: a named scenario, or a seed with the
 * mutant's own way of drawing plans. To be replaced when the product or the workload has moved on
 * and the search finds another.
 */
export type Witness = {
  readonly scenario?: number
  readonly seed: number
}

export function witnessText({ scenario, seed }: Witness): string {
  return scenario === undefined ? `seed ${seed}` : `scenario ${scenario} seed ${seed}`
}

export const WITNESSES: Readonly<Record<string, Witness>> = {
  'expected-offset-ignored': { seed: 53 },
  'segment-sealed-unsynced': { scenario: 8, seed: 1 },
  'reader-sees-uncommitted': { seed: 7 },
  'refused-and-stored': { seed: 6 },
  'reader-skips': { scenario: 1, seed: 1 },
  'failed-sync-ignored': { seed: 7 },
  'streams-directory-not-synced': { seed: 4 },
  'offset-reused': { scenario: 8, seed: 1 },
  'names-not-synced': { scenario: 1, seed: 1 },
  'sync-does-nothing': { scenario: 1, seed: 1 },
  'raft-answers-before-sync': { scenario: 1, seed: 1 },
  'hard-state-not-written': { scenario: 1, seed: 1 },
  'vote-not-persisted': { scenario: 1, seed: 1 },
  'unproven-leads': { seed: 7 },
  'elects-outside-the-isr': { scenario: 3, seed: 1 },
  'leaving-replica-not-counted': { scenario: 101, seed: 1 },
  'follower-reports-unsynced': { seed: 2 },
  'high-watermark-is-max': { seed: 3 },
  'stale-isr-add': { scenario: 20, seed: 1 },
  'never-truncates': { seed: 7 },
  'epoch-led-twice': { seed: 1 },
  'message-stored-twice': { seed: 1 },
  'votes-twice': { seed: 8 },
  'minority-decides': { seed: 1 },
  'elects-whoever-asks': { seed: 1 },
  'metadata-apply-differs': { seed: 1 },
  'time-runs-backwards': { seed: 1 },
  'torn-tail-kept': { scenario: 15, seed: 1 },
  'min-isr-ignored': { scenario: 101, seed: 1 },
  'joining-replica-not-counted': { scenario: 103, seed: 1 },
  'joins-isr-without-the-records': { scenario: 104, seed: 1 },
  'raft-log-not-matched': { scenario: 105, seed: 1 },
  'deletes-what-metadata-misses': { scenario: 106, seed: 1 },
  'truncates-committed': { scenario: 1, seed: 1 },
  'checkpoint-beyond-durable': { scenario: 107, seed: 1 },
  'truncates-by-high-watermark': { scenario: 1, seed: 1 },
  'ack-before-sync': { scenario: 15, seed: 1 },
}
