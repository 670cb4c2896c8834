import type { PeerCertificate } from 'node:tls'
import type { Metadata } from './metadata.ts'
import type { MessageChunk } from './message-chunk.ts'
import type { OutgoingStream } from './outgoing-messages.ts'

/** Path (`/package.Service/Method`) to what serves it. */
export interface MethodTable {
  readonly [path: string]: Method
}

/**
 * One method. A handler ends its call OK by resolving, and with a status by throwing a
 * GrpcError; anything else it throws becomes INTERNAL with a text that says nothing, and goes to
 * the server's `onError`.
 */
export type Method =
  | {
      readonly kind: 'unary'
      handle(request: Uint8Array, call: ServerCall): Promise<Uint8Array>
    }
  | {
      readonly kind: 'server-stream'
      handle(request: Uint8Array, call: ServerCall, responses: ResponseStream): Promise<void>
    }
  | {
      readonly kind: 'client-stream'
      handle(call: ServerCall, requests: AsyncIterable<MessageChunk>): Promise<Uint8Array>
    }
  | {
      readonly kind: 'bidi'
      handle(
        call: ServerCall,
        requests: AsyncIterable<MessageChunk>,
        responses: ResponseStream,
      ): Promise<void>
    }

/** What a handler knows of the call it serves. */
export interface ServerCall {
  readonly path: string
  /** What the client sent with the call. */
  readonly metadata: Metadata
  /** Goes out with the response headers; set it before the first response byte. */
  readonly responseMetadata: Metadata
  /** Goes out with the status. */
  readonly trailers: Metadata
  /**
   * When the client gives up, as a reading of `performance.now()`; undefined when it sent no
   * `grpc-timeout`, which for Publish means fire and forget [LB clients 2.0.3].
   */
  readonly deadlineMs: number | undefined
  /** Milliseconds until the deadline, never negative. */
  readonly remainingMs: number | undefined
  /**
   * Aborted when the call ended without the handler's doing: cancelled by the client, deadline,
   * connection lost, server stopped. Its reason is the GrpcError that tells which.
   */
  readonly signal: AbortSignal
  readonly peer: Peer
  /**
   * Ends the call at once because its client does not read: what waits for it is freed, and it sees
   * RESOURCE_EXHAUSTED. Absent where nothing can wait, as in simulation.
   */
  readonly cut?: () => void
  /** May responses be gzipped, when the client can read that? Settable before the headers go. */
  compressResponses: boolean
}

export interface Peer {
  readonly address: string
  readonly port: number
  readonly encrypted: boolean
  /** The certificate the client proved to own; undefined without TLS or client certificate. */
  readonly certificate: PeerCertificate | undefined
}

/** Where a streaming handler writes its responses. */
export interface ResponseStream extends OutgoingStream {
  /** Sends the response headers now, before any message. */
  sendHeaders(): void
}
