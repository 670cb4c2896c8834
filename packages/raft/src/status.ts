import { isVoter } from './configuration.ts'
import type { Configuration } from './configuration.ts'
import type { Core } from './core.ts'
import type { Role } from './output.ts'
import type { Progress } from './progress.ts'
import type { Index, Moment, ServerId } from './units.ts'

/** A picture of a core for health pages and tests; nothing in it changes later. */
export interface RaftStatus {
  readonly role: Role
  readonly votedFor: ServerId | undefined
  /** Term and vote are on the disk, as far as 'persisted' has confirmed. */
  readonly hardStateDurable: boolean
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

export function statusOf(core: Core, role: Role): RaftStatus {
  const { log, memberships, role: state } = core
  return {
    role,
    votedFor: core.hardState.votedFor,
    hardStateDurable: core.durability.hardStateDurable,
    firstIndex: log.firstIndex,
    lastIndex: log.lastIndex,
    durableIndex: core.durability.durableIndex,
    commitIndex: core.commitIndex,
    snapshotIndex: core.snapshot?.index ?? 0,
    configuration: memberships.configuration,
    configurationIndex: memberships.index,
    lastContact: state.kind === 'follower' ? state.lastContact : undefined,
    peers: state.kind === 'leader' ? [...state.peers.values()].map(peerStatus) : [],
  }

  function peerStatus({ id, mode, nextIndex, matchIndex, lastContact, failures }: Progress) {
    const voter = isVoter(memberships.configuration, id)
    return { id, voter, mode, nextIndex, matchIndex, lastContact, failures }
  }
}
