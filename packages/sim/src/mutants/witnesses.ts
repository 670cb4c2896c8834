/**
 * What catches each planted bug, as `--mutants` found it: named scenarios, or seeds with the mutant's
 * own way of drawing plans, and the invariant that was found broken. All of them are tried. They
 * are to be replaced when the product or the workload has moved on and others are found.
 */
export type Witness = {
  readonly scenario?: number
  readonly seed: number
  /** The invariant's id. */
  readonly by: string
}

export function witnessText({ scenario, seed }: Witness): string {
  return scenario === undefined ? `seed ${seed}` : `scenario ${scenario} seed ${seed}`
}

export const WITNESSES: Readonly<Record<string, readonly Witness[]>> = {
  'expected-offset-ignored': [{ seed: 53, by: 'O7' }],
  'segment-sealed-unsynced': [{ scenario: 8, seed: 1, by: 'R4' }],
  'reader-sees-uncommitted': [{ seed: 7, by: 'O2' }],
  'refused-and-stored': [{ seed: 6, by: 'D5' }],
  'reader-skips': [{ scenario: 1, seed: 1, by: 'O4' }],
  'failed-sync-ignored': [{ seed: 7, by: 'D7' }],
  'streams-directory-not-synced': [{ seed: 4, by: 'R8' }],
  'offset-reused': [{ scenario: 8, seed: 1, by: 'R2' }],
  'names-not-synced': [{ scenario: 1, seed: 1, by: 'M6' }],
  'sync-does-nothing': [{ scenario: 1, seed: 1, by: 'M6' }],
  'raft-answers-before-sync': [{ scenario: 1, seed: 1, by: 'M6' }],
  'hard-state-not-written': [{ scenario: 1, seed: 1, by: 'M6' }],
  'vote-not-persisted': [{ scenario: 1, seed: 1, by: 'M6' }],
  'unproven-leads': [{ scenario: 4, seed: 1, by: 'R8' }],
  'elects-outside-the-isr': [
    { scenario: 3, seed: 1, by: 'R5' },
    { scenario: 5, seed: 1, by: 'R5' },
  ],
  'leaving-replica-not-counted': [
    { scenario: 101, seed: 1, by: 'R5' },
    { scenario: 108, seed: 1, by: 'E2' },
  ],
  'follower-reports-unsynced': [{ seed: 2, by: 'R4' }],
  'high-watermark-is-max': [{ seed: 3, by: 'R4' }],
  'stale-isr-add': [{ scenario: 20, seed: 1, by: 'R5' }],
  'never-truncates': [
    { scenario: 2, seed: 1, by: 'R2' },
    { scenario: 14, seed: 1, by: 'L1' },
  ],
  'epoch-led-twice': [{ scenario: 12, seed: 1, by: 'E1' }],
  'message-stored-twice': [{ seed: 1, by: 'D6' }],
  'votes-twice': [{ seed: 8, by: 'M1' }],
  'minority-decides': [{ seed: 1, by: 'M1' }],
  'elects-whoever-asks': [{ seed: 1, by: 'M4' }],
  'metadata-apply-differs': [{ seed: 1, by: 'M7' }],
  'time-runs-backwards': [{ seed: 1, by: 'O6' }],
  'torn-tail-kept': [{ scenario: 15, seed: 1, by: 'D1' }],
  'min-isr-ignored': [{ scenario: 101, seed: 1, by: 'R5' }],
  'joining-replica-not-counted': [{ scenario: 103, seed: 1, by: 'R4' }],
  'joins-isr-without-the-records': [{ scenario: 104, seed: 1, by: 'R4' }],
  'raft-log-not-matched': [{ scenario: 105, seed: 1, by: 'M7' }],
  'deletes-what-metadata-misses': [{ scenario: 106, seed: 1, by: 'M9' }],
  'truncates-committed': [{ scenario: 1, seed: 1, by: 'R4' }],
  'checkpoint-beyond-durable': [{ scenario: 107, seed: 1, by: 'R3' }],
  'truncates-by-high-watermark': [{ scenario: 1, seed: 1, by: 'R6' }],
  'ack-before-sync': [{ scenario: 15, seed: 1, by: 'D1' }],
  'followers-note-no-epochs': [{ scenario: 6, seed: 1, by: 'E3' }],
  'epoch-begins-one-early': [
    { scenario: 7, seed: 1, by: 'R8' },
    { scenario: 25, seed: 1, by: 'E3' },
  ],
  'stored-under-a-later-term': [{ scenario: 13, seed: 1, by: 'M3' }],
  'joining-replaces-the-silent': [{ scenario: 13, seed: 1, by: 'L1' }],
  'joining-forgets-the-others': [{ scenario: 4, seed: 1, by: 'M10' }],
  'checksums-not-compared': [
    { scenario: 10, seed: 1, by: 'O2' },
    { scenario: 16, seed: 1, by: 'O1' },
  ],
  'epoch-file-believed': [{ scenario: 21, seed: 1, by: 'E3' }],
  'garbage-stops-a-start': [{ scenario: 21, seed: 1, by: 'L1' }],
  'leader-takes-entries-back': [{ scenario: 105, seed: 1, by: 'M2' }],
  'conflicts-kept': [{ scenario: 105, seed: 1, by: 'M5' }],
  'commits-what-nobody-vouched-for': [{ scenario: 105, seed: 1, by: 'M5' }],
  'follows-any-epoch': [{ scenario: 109, seed: 1, by: 'R9' }],
  'snapshot-forgets-readonly': [{ scenario: 22, seed: 1, by: 'M7' }],
  'deposed-leaves-on-election': [{ scenario: 110, seed: 1, by: 'L1' }],
  'garbled-snapshot-stops-a-start': [{ scenario: 11, seed: 1, by: 'ALIVE' }],
}
