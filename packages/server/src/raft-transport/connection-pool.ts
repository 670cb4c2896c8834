import type { RaftResponse } from '@liftbridge/wire'
import type { ClientConnection, RaftCall } from './client-connection.ts'
import { IDLE_STREAMS_PER_PEER, WAITING_CALLS_PER_PEER } from './limits.ts'
import { RaftTransportError } from './transport-error.ts'

/** Connections for calls that wait for nobody: votes, snapshots, TimeoutNow. One call on each. */
export class ConnectionPool {
  readonly #connect: () => Promise<ClientConnection>
  readonly #idle: ClientConnection[] = []
  readonly #busy = new Set<ClientConnection>()
  #calls = 0
  #closed = false

  constructor(connect: () => Promise<ClientConnection>) {
    this.#connect = connect
  }

  /** Rejects with RaftTransportError only. */
  async send(call: RaftCall): Promise<RaftResponse> {
    if (this.#closed) throw new RaftTransportError('closed', 'the transport is closed')
    if (this.#calls >= WAITING_CALLS_PER_PEER) {
      throw new RaftTransportError('busy', 'too many requests wait')
    }
    this.#calls++
    try {
      const idle = this.#takeIdle()
      const answer = idle === undefined ? undefined : await this.#tryOn(idle, call)
      return answer ?? (await this.#callOn(await this.#connect(), call))
    } finally {
      this.#calls--
    }
  }

  close(): void {
    this.#closed = true
    for (const connection of [...this.#idle.splice(0), ...this.#busy]) connection.close()
  }

  /** Undefined when the peer had gone: it may have come back since, under a new stream. */
  async #tryOn(connection: ClientConnection, call: RaftCall): Promise<RaftResponse | undefined> {
    try {
      return await this.#callOn(connection, call)
    } catch (error) {
      const gone = error instanceof RaftTransportError && error.code === 'unreachable'
      // The body of a snapshot has been read and cannot be had again.
      if (gone && call.body === undefined) return undefined
      throw error
    }
  }

  async #callOn(connection: ClientConnection, call: RaftCall): Promise<RaftResponse> {
    if (this.#closed) {
      connection.close()
      throw new RaftTransportError('closed', 'the transport is closed')
    }
    this.#busy.add(connection)
    try {
      return await connection.call(call)
    } finally {
      this.#busy.delete(connection)
      this.#giveBack(connection)
    }
  }

  #takeIdle(): ClientConnection | undefined {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (idle.usable) return idle
      idle.close()
    }
    return undefined
  }

  #giveBack(connection: ClientConnection): void {
    const kept = !this.#closed && connection.usable && this.#idle.length < IDLE_STREAMS_PER_PEER
    if (kept) this.#idle.push(connection)
    else connection.close()
  }
}
