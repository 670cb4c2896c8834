/**
 * Every bound of the embedded NATS server, with its reason [reliability B1]. The names follow the
 * settings of nats-server where it has the same bound, so that a configuration file can map them.
 */
export interface NatsLimits {
  /** Largest message (headers and payload), bytes. 1 MiB is what NATS clients expect. */
  readonly maxPayloadBytes: number
  /** Longest argument part of a control line, bytes. */
  readonly maxControlLineBytes: number
  /** Connections over TCP at one time; the next is told so and closed. */
  readonly maxConnections: number
  /** Subscriptions of one connection: each costs some 500 bytes that only its owner frees. */
  readonly maxSubscriptions: number
  /** Subscriptions of all connections: without it a thousand clients could pin 50 GB. */
  readonly maxTotalSubscriptions: number
  /** Tokens of a subscribed subject; 0 is no limit, a subject is bounded by its control line. */
  readonly maxSubscriptionTokens: number
  /**
   * Bytes waiting for one connection before it is cut as a slow consumer. 64 MiB as in nats-server:
   * a subscriber that survives a burst there survives it here.
   */
  readonly maxPendingBytes: number
  /**
   * Bytes waiting for all connections together. Without it 10,000 stuck subscribers could pin
   * 640 GB; above it the connection with the most waiting bytes is cut.
   */
  readonly maxTotalPendingBytes: number
  /** Above this, connections that publish to a subscriber are not read until it has caught up. */
  readonly congestedBytes: number
  /**
   * A publisher is held back at most so long for one chunk it sent (64 KiB). Without the bound one
   * stuck subscriber would silence every publisher it listens to; with it the subscriber's own
   * bounds (bytes, write deadline) decide.
   */
  readonly holdMaxMs: number
  /**
   * A subscriber whose socket has not finished a write (256 KiB at most) for so long holds nobody
   * back any more: it is stuck, or slower than 256 KiB/s, and will be cut.
   */
  readonly stuckAfterMs: number
  /** A socket that takes none of its waiting bytes for so long is cut as a slow consumer. */
  readonly writeDeadlineMs: number
  /** A connection is asked for a sign of life so often … */
  readonly pingIntervalMs: number
  /** … and cut as stale when this many questions stay unanswered. */
  readonly pingMax: number
}

export const DEFAULT_LIMITS: NatsLimits = {
  maxPayloadBytes: 1024 * 1024,
  maxControlLineBytes: 4096,
  maxConnections: 65_536,
  maxSubscriptions: 100_000,
  maxTotalSubscriptions: 1_000_000,
  maxSubscriptionTokens: 0,
  maxPendingBytes: 64 * 1024 * 1024,
  maxTotalPendingBytes: 256 * 1024 * 1024,
  congestedBytes: 1024 * 1024,
  holdMaxMs: 250,
  stuckAfterMs: 1000,
  writeDeadlineMs: 10_000,
  pingIntervalMs: 120_000,
  pingMax: 2,
}

/** How a server sends its clients away; as nats-server's. */
export const DEFAULT_LAME_DUCK = { graceMs: 10_000, durationMs: 120_000 } as const
