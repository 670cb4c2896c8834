import type { Metadata } from './metadata.ts'

/** The status codes of gRPC, by their names in the protocol. */
export const GrpcStatus = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const

export type GrpcStatusName = keyof typeof GrpcStatus
export type GrpcStatus = (typeof GrpcStatus)[GrpcStatusName]

const NAMES = Object.keys(GrpcStatus) as readonly GrpcStatusName[]

/** The protocol's name of a code: `NOT_FOUND` for 5. */
export function statusName(code: GrpcStatus): GrpcStatusName {
  return NAMES[code] ?? 'UNKNOWN'
}

/** A code from the wire. Anything that is no code of gRPC counts as UNKNOWN, as in Go. */
export function statusFromWire(text: string): GrpcStatus {
  if (!/^\d{1,2}$/.test(text)) return GrpcStatus.UNKNOWN
  const code = Number(text)
  return code <= GrpcStatus.UNAUTHENTICATED ? (code as GrpcStatus) : GrpcStatus.UNKNOWN
}

/**
 * The one error of this package. A handler throws it to end its call with that status; a client
 * receives it for every call that did not end OK. `message` crosses the wire as it stands here.
 */
export class GrpcError extends Error {
  readonly code: GrpcStatus
  /** Trailing metadata that goes, or came, with the status. */
  readonly metadata: Metadata | undefined

  constructor(code: GrpcStatus, message: string, options: GrpcErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'GrpcError'
    this.code = code
    this.metadata = options.metadata
  }

  get codeName(): GrpcStatusName {
    return statusName(this.code)
  }
}

export interface GrpcErrorOptions {
  readonly metadata?: Metadata
  readonly cause?: unknown
}

/** The status of a response that carried no `grpc-status`, by the mapping of the gRPC project. */
export function statusFromHttp(httpStatus: number): GrpcStatus {
  switch (httpStatus) {
    case 400:
      return GrpcStatus.INTERNAL
    case 401:
      return GrpcStatus.UNAUTHENTICATED
    case 403:
      return GrpcStatus.PERMISSION_DENIED
    case 404:
      return GrpcStatus.UNIMPLEMENTED
    case 429:
    case 502:
    case 503:
    case 504:
      return GrpcStatus.UNAVAILABLE
    default:
      return GrpcStatus.UNKNOWN
  }
}

/** The status of a stream that ended by RST_STREAM before its trailers arrived. */
export function statusFromReset(http2Code: number): GrpcStatus {
  switch (http2Code) {
    case 7: // REFUSED_STREAM: the peer did no work, trying again is safe.
      return GrpcStatus.UNAVAILABLE
    case 8: // CANCEL
      return GrpcStatus.CANCELLED
    case 11: // ENHANCE_YOUR_CALM
      return GrpcStatus.RESOURCE_EXHAUSTED
    case 12: // INADEQUATE_SECURITY
      return GrpcStatus.PERMISSION_DENIED
    default:
      return GrpcStatus.INTERNAL
  }
}
