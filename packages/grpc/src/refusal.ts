/** How a call is answered that no handler gets to see. */
import type { ServerHttp2Stream } from 'node:http2'
import { ACCEPTED_ENCODINGS } from './compression.ts'
import { GrpcError, GrpcStatus } from './status.ts'
import { stopReceiving } from './stop-receiving.ts'
import { statusTrailers } from './trailers.ts'

/** Answers what is no gRPC with an HTTP status alone. */
export function refuseHttp(stream: ServerHttp2Stream, status: number): undefined {
  stream.respond({ ':status': status }, { endStream: true })
  stopReceiving(stream)
  return undefined
}

/** Answers with trailers only, before any handler ran. */
export function refuse(stream: ServerHttp2Stream, error: GrpcError): undefined {
  stream.respond(
    {
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-accept-encoding': ACCEPTED_ENCODINGS,
      ...statusTrailers(error.code, error.message, [error.metadata]),
    },
    { endStream: true },
  )
  stopReceiving(stream)
  return undefined
}

/** The text is Go's. */
export function unknownEncoding(name: string | undefined): GrpcError {
  return new GrpcError(
    GrpcStatus.UNIMPLEMENTED,
    `grpc: Decompressor is not installed for grpc-encoding "${name}"`,
  )
}

export const HEADERS_TOO_LARGE: GrpcError = new GrpcError(
  GrpcStatus.RESOURCE_EXHAUSTED,
  'the header list is larger than this server takes',
)

export const UNAVAILABLE_STOPPING: GrpcError = new GrpcError(
  GrpcStatus.UNAVAILABLE,
  'the server is stopping',
)
