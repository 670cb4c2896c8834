import { DataDirectoryError } from '../data-directory-error.ts'

type OwnedDirectory = { readonly path: string; readonly serverId: string }

/**
 * A server is a member of the cluster that its data directory is of. One that is not has another
 * identity than it had: the identity file has no checksum, and after it was lost an operator names
 * the id. Throws then, for such a server would wait for ever to be taken in, or hold nothing of
 * what lies in its directory [D-59]. `members` are those that the directory itself knows of; there
 * are none while it is new.
 */
export function assertOwnDirectory(members: readonly string[], directory: OwnedDirectory): void {
  const { path, serverId } = directory
  if (members.length === 0 || members.includes(serverId)) return
  const others = members.join(' or ')
  throw new DataDirectoryError(
    'identity-differs',
    path,
    `the identity file of ${path} says ${serverId}, but its metadata belongs to server ${others}: ` +
      `restore that file, or remove it and start once with clustering.server.id set to ${others}`,
  )
}
