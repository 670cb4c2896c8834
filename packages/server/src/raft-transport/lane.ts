import type { RaftResponse } from '@liftbridge/wire'
import type { ClientConnection, RaftCall } from './client-connection.ts'
import { WAITING_CALLS_PER_PEER } from './limits.ts'
import { asTransportError, RaftTransportError } from './transport-error.ts'

type Waiting = RaftCall & {
  readonly resolve: (response: Promise<RaftResponse>) => void
  readonly reject: (error: RaftTransportError) => void
}

export type LaneOptions = {
  readonly connect: () => Promise<ClientConnection>
  /** Requests under way at a time. */
  readonly depth: number
}

/**
 * One connection of its own, for requests whose order matters: they go out in the order of `send`.
 * When the connection fails, those that wait fail with it, since they build on what was lost; the
 * next one to come dials again.
 */
export class Lane {
  readonly #options: LaneOptions
  readonly #waiting: Waiting[] = []
  #connection: ClientConnection | undefined
  #dialing = false
  #closed = false

  constructor(options: LaneOptions) {
    this.#options = options
  }

  /** Rejects with RaftTransportError only. */
  send(call: RaftCall): Promise<RaftResponse> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new RaftTransportError('closed', 'the transport is closed'))
      if (this.#waiting.length >= WAITING_CALLS_PER_PEER) {
        return reject(new RaftTransportError('busy', 'too many requests wait'))
      }
      this.#waiting.push({ ...call, resolve, reject })
      this.#advance()
    })
  }

  close(): void {
    this.#closed = true
    this.#connection?.close()
    this.#rejectWaiting(new RaftTransportError('closed', 'the transport is closed'))
  }

  /** Sends what may go out now; dials when there is no connection. */
  #advance(): void {
    if (this.#waiting.length === 0 || this.#dialing) return
    const connection = this.#connection
    if (connection === undefined || !connection.usable) {
      connection?.close()
      this.#connection = undefined
      void this.#dial()
      return
    }
    while (connection.outstanding < this.#options.depth) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      next.resolve(this.#call(connection, next))
    }
  }

  async #call(connection: ClientConnection, call: Waiting): Promise<RaftResponse> {
    try {
      return await connection.call(call)
    } catch (error) {
      const failure = asTransportError(error, 'closed', 'calling')
      if (!connection.open) this.#lose(connection, failure)
      throw failure
    } finally {
      this.#advance()
    }
  }

  #lose(connection: ClientConnection, error: RaftTransportError): void {
    if (this.#connection !== connection) return
    this.#connection = undefined
    this.#rejectWaiting(
      new RaftTransportError('closed', 'a request before this one failed', { cause: error }),
    )
  }

  async #dial(): Promise<void> {
    this.#dialing = true
    try {
      const connection = await this.#options.connect()
      if (this.#closed) return connection.close()
      this.#connection = connection
    } catch (error) {
      this.#rejectWaiting(asTransportError(error, 'unreachable', 'dialing'))
    } finally {
      this.#dialing = false
    }
    this.#advance()
  }

  #rejectWaiting(error: RaftTransportError): void {
    for (const call of this.#waiting.splice(0)) call.reject(error)
  }
}
