import type { Authenticator } from '../auth/authenticator.ts'
import type { NatsLimits } from '../limits.ts'
import type { Router } from '../routing/router.ts'
import type { ClientEvent } from './client-event.ts'
import type { OutboxShared } from './outbox.ts'

/** What a connection is given by its server. */
export interface ClientContext {
  readonly id: number
  /** The JSON of INFO; undefined when it was sent already, before the TLS handshake. */
  readonly greeting: string | undefined
  /** What INFO asks to be signed, '' for nothing. */
  readonly nonce: string
  /** Where the client's certificate says who it is: the names in it. */
  readonly certificateNames: readonly string[] | undefined
  readonly authenticator: Authenticator
  readonly router: Router
  readonly limits: NatsLimits
  readonly outboxes: OutboxShared
  readonly onEnd: (reason: string) => void
  readonly onEvent: (event: ClientEvent) => void
}

/** What went through one connection, for monitoring. */
export interface ClientTraffic {
  inMessages: number
  inBytes: number
  outMessages: number
  outBytes: number
  /** Unix time. */
  readonly startedAtMs: number
  /** How long the last ping took to be answered; undefined before the first. */
  rttMs: number | undefined
}
