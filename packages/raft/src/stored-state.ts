import type { Configuration } from './configuration.ts'
import type { Entry } from './entry.ts'
import type { SnapshotPosition } from './messages.ts'
import type { ServerId, Term } from './units.ts'

/** What must never be forgotten between two elections [Raft 5.2]. */
export interface HardState {
  readonly term: Term
  /** Whom this server voted for in `term`; undefined when nobody yet. */
  readonly votedFor: ServerId | undefined
}

/** What a store hands back after a restart. */
export interface StoredState {
  readonly hardState: HardState
  /** The newest durable snapshot, already restored into the state machine. */
  readonly snapshot: SnapshotPosition | undefined
  /**
   * Every stored entry, consecutive, in order. They may start anywhere up to one behind the
   * snapshot. A log that is empty, ends before the snapshot or contradicts it is replaced by the
   * snapshot; the first output says so in `persist`.
   */
  readonly entries: readonly Entry[]
}

/** A server that has never been part of a cluster: it waits to be added. */
export const EMPTY_STATE: StoredState = {
  hardState: { term: 0, votedFor: undefined },
  snapshot: undefined,
  entries: [],
}

/**
 * What each first member of a new cluster stores before it starts: the configuration as entry 1
 * of term 1 [LB 2.2]. All of them must do so with the same configuration.
 */
export function bootstrapState(configuration: Configuration): StoredState {
  return {
    hardState: { term: 1, votedFor: undefined },
    snapshot: undefined,
    entries: [{ kind: 'configuration', index: 1, term: 1, configuration }],
  }
}
