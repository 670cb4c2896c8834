/**
 * What is on disk cannot be trusted, so nothing may be done on the ground of it: the server does
 * not start its metadata, and nothing is changed or removed [M6, M9]. The text is for the operator.
 */
export class RaftStoreUnreadable extends Error {
  /** The file or directory that is in the way. */
  readonly path: string
  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(
      `the metadata's Raft state cannot be used: ${path}: ${reason}. Nothing was changed, and no ` +
        'stream was touched. Restore the raft directory of this server from a copy; or, when a ' +
        'majority of the other servers is well, move it away: the server then joins them again ' +
        'and gets the metadata from them.',
      options,
    )
    this.name = 'RaftStoreUnreadable'
    this.path = path
  }
}
