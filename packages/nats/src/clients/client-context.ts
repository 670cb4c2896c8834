import type { Authenticator } from '../auth/authenticator.ts'
import type { NatsLimits } from '../limits.ts'
import type { Router } from '../routing/router.ts'
import type { OutboxShared } from './outbox.ts'

/** What all connections of a server share. */
export interface ServerParts {
  readonly limits: NatsLimits
  readonly authenticator: Authenticator
  readonly router: Router
  readonly outboxes: OutboxShared
}

/** What a connection is given by its server. */
export interface ClientContext extends ServerParts {
  readonly id: number
  /** The JSON of INFO; undefined when it was sent already, before the TLS handshake. */
  readonly greeting: string | undefined
  /** What INFO asks to be signed, '' for nothing. */
  readonly nonce: string
  /** Where the client's certificate says who it is: the names in it. */
  readonly certificateNames: readonly string[] | undefined
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

/** What the server reports of a client over TCP. Texts a client chose are as it sent them. */
export type ClientEvent =
  | {
      readonly kind: 'client-connected'
      readonly id: number
      readonly name: string
      readonly lang: string
      readonly version: string
      /** '' where everybody may connect. */
      readonly user: string
    }
  | { readonly kind: 'unauthorized'; readonly id: number; readonly user: string }
  | {
      readonly kind: 'permission-violation'
      readonly id: number
      readonly user: string
      readonly text: string
    }
  | { readonly kind: 'slow-consumer'; readonly id: number; readonly name: string }
