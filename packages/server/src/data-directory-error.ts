export type DataDirectoryProblem =
  /** Another process holds it. */
  | 'in-use'
  /** The identity file is there but cannot be understood. */
  | 'identity-unreadable'
  /** There is data, but no identity file. */
  | 'identity-missing'
  /** The configuration names another server than the identity file. */
  | 'identity-differs'
  /** It cannot be made, read or written. */
  | 'unusable'
  /** An id that cannot be part of a NATS subject. */
  | 'identity-invalid'

/** Why the server cannot start on a data directory. The message names the path and the way out. */
export class DataDirectoryError extends Error {
  readonly problem: DataDirectoryProblem
  readonly path: string

  constructor(
    problem: DataDirectoryProblem,
    path: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.name = 'DataDirectoryError'
    this.problem = problem
    this.path = path
  }
}
