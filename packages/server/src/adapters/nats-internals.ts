import type { Socket } from 'node:net'
import type { NatsConnection } from '@nats-io/transport-node'

/**
 * The parts of the NATS client that its public interface does not show and that the bus needs:
 * whether it is connected *now* (its status events come late), and the socket, so that many PUB
 * frames go out in one write. The version of the library is pinned; `internalsOf` refuses another
 * shape at start instead of failing later.
 */
export interface NatsInternals {
  /** True between a completed handshake and the first sign of a lost connection. */
  readonly connected: boolean
  /** The present transport; another object after each reconnect. */
  readonly transport: NatsTransport
  /** Sends what the library itself has gathered (SUB, UNSUB, requests). */
  flushPending(): void
}

export interface NatsTransport {
  readonly isClosed: boolean
  readonly socket: Socket | undefined
}

export function internalsOf(connection: NatsConnection): NatsInternals {
  const protocol: unknown = Reflect.get(connection, 'protocol')
  if (!isInternals(protocol)) {
    throw new Error('this version of @nats-io/nats-core is not the one the bus was written for')
  }
  return protocol
}

function isInternals(value: unknown): value is NatsInternals {
  if (typeof value !== 'object' || value === null) return false
  const transport: unknown = Reflect.get(value, 'transport')
  return (
    typeof Reflect.get(value, 'connected') === 'boolean' &&
    typeof Reflect.get(value, 'flushPending') === 'function' &&
    typeof transport === 'object' &&
    transport !== null &&
    typeof Reflect.get(transport, 'isClosed') === 'boolean' &&
    'socket' in transport
  )
}
