/**
 * Why a call to a peer gave no response:
 *
 * - `unreachable`: nobody answers at the peer's address, nobody listens to its stream any more, or
 *   NATS is away;
 * - `timeout`: the time for it passed; it may have been carried out;
 * - `closed`: the stream ended under it; it may have been carried out;
 * - `remote`: the peer answered with an error, whose text is the message;
 * - `busy`: too many calls to this peer wait already; nothing was sent.
 */
export type RaftTransportErrorCode = 'unreachable' | 'timeout' | 'closed' | 'remote' | 'busy'

export class RaftTransportError extends Error {
  readonly code: RaftTransportErrorCode

  constructor(code: RaftTransportErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'RaftTransportError'
    this.code = code
  }
}

/** The same error when it is one of ours, otherwise one with `code` around it. */
export function asTransportError(
  error: unknown,
  code: RaftTransportErrorCode,
  what: string,
): RaftTransportError {
  if (error instanceof RaftTransportError) return error
  const reason = error instanceof Error ? error.message : String(error)
  return new RaftTransportError(code, `${what}: ${reason}`, { cause: error })
}
