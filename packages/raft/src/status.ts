import type { Configuration } from './configuration.ts'
import type { Role } from './output.ts'
import type { Index, Moment, ServerId } from './units.ts'

/** A picture of a core for health pages and tests; nothing in it changes later. */
export interface RaftStatus {
  readonly role: Role
  readonly votedFor: ServerId | undefined
  readonly firstIndex: Index
  readonly lastIndex: Index
  /** The end of what 'persisted' has confirmed. */
  readonly durableIndex: Index
  readonly commitIndex: Index
  readonly snapshotIndex: Index
  /** In effect since it was appended, committed or not. */
  readonly configuration: Configuration
  readonly configurationIndex: Index
  /** Last sign of life of the leader, on a follower. */
  readonly lastContact: Moment | undefined
  /** On a leader only. */
  readonly peers: readonly PeerStatus[]
}

export interface PeerStatus {
  readonly id: ServerId
  readonly voter: boolean
  readonly mode: 'probe' | 'pipeline' | 'snapshot'
  readonly nextIndex: Index
  readonly matchIndex: Index
  readonly lastContact: Moment
  /** Requests that failed in a row. */
  readonly failures: number
}
