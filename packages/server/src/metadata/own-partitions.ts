import type { MetadataView } from '@liftbridge/metadata'
import { DataDirectoryError } from '../data-directory-error.ts'

type OwnedDirectory = {
  readonly path: string
  readonly serverId: string
  /** Ids of the cluster's servers; this one alone when absent. */
  readonly members?: readonly string[]
}

/**
 * Alone in its cluster a server holds every partition. One that its metadata gives to somebody else
 * means that its identity is not what it was: the identity file has no checksum, and after it was
 * lost an operator names the id. Throws then, for a stranger to its partitions would serve none of
 * them and find itself ready all the same [D-59]. Among others a server need not hold anything.
 */
export function assertOwnPartitions(state: MetadataView, directory: OwnedDirectory): void {
  const { path, serverId, members = [] } = directory
  if (members.some((id) => id !== serverId)) return
  for (const { name, partitions } of state.streams.values()) {
    const foreign = partitions.find(({ replicas }) => !replicas.includes(serverId))
    if (foreign === undefined) continue
    throw new DataDirectoryError(
      'identity-differs',
      path,
      `the identity file of ${path} says ${serverId}, but partition ${foreign.id} of stream ` +
        `${JSON.stringify(name)} belongs to server ${foreign.leader}: restore that file, or remove ` +
        `it and start once with clustering.server.id set to ${foreign.leader}`,
    )
  }
}
