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
      const connection = this.#takeIdle() ?? (await this.#connect())
      return await this.#callOn(connection, call)
    } finally {
      this.#calls--
    }
  }

  close(): void {
    this.#closed = true
    for (const connection of [...this.#idle.splice(0), ...this.#busy]) connection.close()
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
