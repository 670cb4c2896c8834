import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2'
import { Metadata } from './metadata.ts'
import { percentDecode, percentEncode } from './percent.ts'
import { GrpcError, statusFromWire, type GrpcStatus } from './status.ts'

/** A longer text would break the peer's header limit and hide the status itself. */
const MESSAGE_MAX_CHARS = 4096

/** The trailers that end a call: status, text, and the application's metadata. */
export function statusTrailers(
  code: GrpcStatus,
  message: string,
  metadata: readonly (Metadata | undefined)[],
): OutgoingHttpHeaders {
  const trailers: OutgoingHttpHeaders = { 'grpc-status': String(code) }
  if (message !== '') trailers['grpc-message'] = percentEncode(message.slice(0, MESSAGE_MAX_CHARS))
  for (const fields of metadata) fields?.writeTo(trailers)
  return trailers
}

export interface ReceivedStatus {
  readonly code: GrpcStatus
  readonly message: string
  readonly metadata: Metadata
}

/** The status in trailers, or in headers of a trailers-only response; undefined without one. */
export function receivedStatus(headers: IncomingHttpHeaders): ReceivedStatus | undefined {
  const code = headers['grpc-status']
  if (typeof code !== 'string') return undefined
  const message = headers['grpc-message']
  return {
    code: statusFromWire(code),
    message: typeof message === 'string' ? percentDecode(message) : '',
    metadata: Metadata.fromHeaders(headers),
  }
}

export function statusError(status: ReceivedStatus): GrpcError {
  return new GrpcError(status.code, status.message, { metadata: status.metadata })
}
