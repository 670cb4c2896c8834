/**
 * The explorer's world as plain data: servers with logs and roles, what the metadata has decided,
 * and what is still on its way. Nothing has a time: whatever may happen, may happen now.
 *
 * A request and its answer are one step, or a step whose answer is lost. That leaves no behaviour
 * out: while a follower waits it changes only by taking another role or by a crash, and then the
 * request it had sent is kept as a late one.
 */
import type {
  FollowerPhase,
  LeaderState,
  EpochStart,
  IsrProposal,
  LeaderEpoch,
  Offset,
} from '@liftbridge/replication'

/** The code under test: the package as it is, or with a planted bug. */
export type Cores = Pick<
  typeof import('@liftbridge/replication'),
  'PartitionLeader' | 'PartitionFollower' | 'decideLeadership' | 'endOfEpoch' | 'latestEpoch'
>

/** How far the exploration goes. */
export type Scope = {
  readonly replicas: number
  readonly minIsr: number
  readonly policy: 'always' | 'never'
  /** Records that clients publish. */
  readonly records: number
  /** Leaderships, the first included. */
  readonly epochs: number
  /** Changes of the ISR. */
  readonly isrChanges: number
  /** Servers that restart, with and without their unsynced tail. */
  readonly restarts: number
  /** A restarted server may begin with older metadata than it had. */
  readonly staleViews: boolean
  /** False plants a bug: changes of the ISR are applied whatever they were based on [R7]. */
  readonly compareAndSet: boolean
  /** Disks that are replaced. */
  readonly wipes: number
  /** Fetches that arrive after their sender has moved on. */
  readonly late: number
}

/** One value on one offset; the number of a value is its place in the order of publishing. */
export type ExploredRecord = { readonly epoch: LeaderEpoch; readonly value: number }

/** A decision; its place in the history, counted from 1, is its Raft index and partition epoch. */
export type Metadata = {
  readonly leader: number
  /** Index of the decision that chose the leader. */
  readonly leaderEpoch: LeaderEpoch
  /** Sorted. */
  readonly isr: readonly number[]
}

export type Role =
  | { readonly kind: 'none' }
  | { readonly kind: 'leader'; readonly birth: Offset; readonly state: LeaderState }
  | {
      readonly kind: 'follower'
      readonly phase: FollowerPhase
      readonly leaderHighWatermark: Offset
      readonly leaderNewestOffset: Offset
    }

export type Server = {
  readonly records: readonly ExploredRecord[]
  readonly epochs: readonly EpochStart[]
  readonly synced: Offset
  readonly highWatermark: Offset
  readonly incarnation: number
  readonly proven: boolean
  /** How much of the history of the metadata it has applied, and had applied when it began. */
  readonly view: number
  readonly viewAtStart: number
  readonly role: Role
}

export type LateFetch = {
  readonly from: number
  readonly to: number
  readonly leaderEpoch: LeaderEpoch
  readonly offset: Offset
  readonly syncedOffset: Offset
  readonly incarnation: number
}

export type State = {
  readonly servers: readonly Server[]
  /** Everything the metadata decided; the partition epoch is the place, counted from 1. */
  readonly history: readonly Metadata[]
  /**
   * Proposals on their way whose leader no longer waits for them. What a leader waits for, it
   * repeats: it may arrive at any time, and is not listed.
   */
  readonly proposals: readonly IsrProposal[]
  readonly late: readonly LateFetch[]
  readonly published: number
  readonly restarts: number
  readonly wipes: number
  /** What each offset must hold for ever: it was committed somewhere. */
  readonly committed: readonly ExploredRecord[]
  /** Who led which epoch, by epoch. */
  readonly led: readonly (number | undefined)[]
}

/** A rule that does not hold; ends the exploration. */
export class Violation extends Error {}

export function must(condition: boolean, rule: string): asserts condition {
  if (!condition) throw new Violation(rule)
}

export const NAMES: readonly string[] = ['A', 'B', 'C', 'D', 'E']

export function nameOf(server: number): string {
  return NAMES[server] ?? `${server}`
}

export function initialState(scope: Scope): State {
  const ids = Array.from({ length: scope.replicas }, (_, id) => id)
  return {
    servers: ids.map(() => ({
      records: [],
      epochs: [],
      synced: -1,
      highWatermark: -1,
      incarnation: 1,
      proven: true,
      view: -1,
      viewAtStart: -1,
      role: { kind: 'none' },
    })),
    history: [{ leader: 0, leaderEpoch: 1, isr: ids }],
    proposals: [],
    late: [],
    published: 0,
    restarts: 0,
    wipes: 0,
    committed: [],
    led: [],
  }
}
