import type { LogIndex, ServerId } from '@liftbridge/metadata'

/**
 * The seam between the metadata and what brings its operations into one order: Raft. `Result` is
 * what applying an entry returns.
 */
export interface Consensus<Result> {
  /**
   * Hands every entry committed so far to the machine, in order, then opens for proposals.
   * Called once. Rejects when what is stored cannot be trusted; nothing has been changed then.
   */
  start(machine: StateMachine<Result>): Promise<void>
  /**
   * Brings an entry into the order. Resolves, with what the machine returned, after the entry is
   * durable and applied here. Rejects with a ConsensusError; after 'failed' the entry may still
   * turn out to be committed, after the other codes it is not.
   */
  propose(entry: Uint8Array): Promise<Result>
  /** Resolves when everything committed before the call has been applied here. */
  barrier(): Promise<void>
  readonly leadership: MetadataLeadership
  /** Why nothing can be proposed any more; undefined while it can. */
  readonly failure: string | undefined
  /** What an operator should know of this server's place in the cluster; undefined: all is well. */
  readonly notice: string | undefined
  onLeadership(listener: (leadership: MetadataLeadership) => void): void
  /** The servers of the latest configuration, in its order; empty while there is none. */
  readonly members: readonly ClusterMember[]
  /**
   * Milliseconds since that server answered; 0 for this one. Undefined where it is not known: only
   * the leader hears of all.
   */
  silenceMs(server: ServerId): number | undefined
  /** Lets another voter lead, if there is one that can. Resolves after at most a few seconds. */
  handOver(): Promise<void>
  /** Finishes what is in flight, refuses the rest. Idempotent. */
  close(): Promise<void>
}

/** Called for each committed entry, one at a time, in ascending order of their indexes. */
export interface StateMachine<Result> {
  /** Must not throw: a throw fences the consensus for good. */
  apply(index: LogIndex, entry: Uint8Array): Result
  /** Everything applied so far, in bytes of its own. Equal states give equal bytes [M7]. */
  snapshot(): Uint8Array
  /** Why `restore` cannot take these bytes; undefined when it can. */
  whyUnreadable(state: Uint8Array): string | undefined
  /** Replaces everything by the state after the entry at `index`, as another server wrote it down. */
  restore(index: LogIndex, state: Uint8Array): void
}

export interface ClusterMember {
  readonly id: ServerId
  /** Counts for elections and commits. */
  readonly voter: boolean
}

/** Who may propose. */
export type MetadataLeadership =
  | { readonly kind: 'here' }
  | { readonly kind: 'elsewhere'; readonly leader: string }
  | { readonly kind: 'unknown' }

export type ConsensusErrorCode = 'closed' | 'overloaded' | 'not-leader' | 'failed'

export class ConsensusError extends Error {
  readonly code: ConsensusErrorCode
  constructor(code: ConsensusErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ConsensusError'
    this.code = code
  }
}
