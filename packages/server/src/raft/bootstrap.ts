import type { Configuration, Member, ServerId } from '@liftbridge/raft'

export interface BootstrapSettings {
  /** `raft.bootstrap.seed`. */
  readonly bootstrapSeed: boolean
  /** `raft.bootstrap.peers`; they win over the seed. */
  readonly bootstrapPeers: readonly ServerId[]
  /** `raft.max.quorum.size`; 0: no limit. */
  readonly maxQuorumSize: number
}

/** What a server that has never been a member of a cluster does. */
export type FirstStart =
  /** Stores this configuration as the first entry; every other first voter stores the same. */
  | { readonly kind: 'bootstrap'; readonly configuration: Configuration }
  /** Asks the others to be taken in. */
  | { readonly kind: 'join' }

/**
 * The first members: this server and its peers, by id. Those beyond the quorum's size are
 * non-voters. Unlike the original's, such a server does not put itself into a voter's place, for
 * then no two of them would store the same first entry: it stores nothing and waits to be taken in
 * [LB 2.2, D-21].
 */
export const planFirstStart = (self: ServerId, settings: BootstrapSettings): FirstStart => {
  const { bootstrapSeed, bootstrapPeers, maxQuorumSize } = settings
  if (!bootstrapSeed && bootstrapPeers.length === 0) return { kind: 'join' }
  const ids = [...new Set([self, ...bootstrapPeers])].toSorted(byBytes)
  const voters = maxQuorumSize > 0 ? Math.min(maxQuorumSize, ids.length) : ids.length
  if (ids.indexOf(self) >= voters) return { kind: 'join' }
  const servers = ids.map((id, at): Member => {
    return { id, address: id, suffrage: at < voters ? 'voter' : 'non-voter' }
  })
  return { kind: 'bootstrap', configuration: { servers } }
}

/** Ids are ASCII, where this is the order of bytes. */
const byBytes = (a: string, b: string): number => (a < b ? -1 : Number(a > b))
