/*
 * The two messages of grpc.health.v1, by hand:
 *   HealthCheckRequest  { string service = 1; }
 *   HealthCheckResponse { ServingStatus status = 1; }
 */
import { GrpcError, GrpcStatus } from './status.ts'

export const ServingStatus = {
  UNKNOWN: 0,
  SERVING: 1,
  NOT_SERVING: 2,
  /** Only in Watch: the service is not known now, but may become so. */
  SERVICE_UNKNOWN: 3,
} as const

export type ServingStatus = (typeof ServingStatus)[keyof typeof ServingStatus]

const utf8 = new TextDecoder('utf-8', { fatal: true })

export function encodeHealthRequest(service: string): Uint8Array {
  const name = Buffer.from(service)
  if (name.length === 0) return name
  return Buffer.concat([Buffer.from([0x0a]), varint(name.length), name])
}

/** @throws GrpcError INTERNAL for bytes that are no HealthCheckRequest. */
export function decodeHealthRequest(bytes: Uint8Array): string {
  let service = ''
  const reader = new FieldReader(bytes)
  while (!reader.done) {
    const tag = reader.varint()
    if (tag === 0x0a) service = decodeText(reader.bytes())
    else reader.skip(tag)
  }
  return service
}

export function encodeHealthResponse(status: ServingStatus): Uint8Array {
  return status === ServingStatus.UNKNOWN ? new Uint8Array(0) : Uint8Array.of(0x08, status)
}

/** @throws GrpcError INTERNAL for bytes that are no HealthCheckResponse. */
export function decodeHealthResponse(bytes: Uint8Array): ServingStatus {
  let status: ServingStatus = ServingStatus.UNKNOWN
  const reader = new FieldReader(bytes)
  while (!reader.done) {
    const tag = reader.varint()
    if (tag === 0x08) {
      const value = reader.varint()
      status = value >= 0 && value <= 3 ? (value as ServingStatus) : ServingStatus.UNKNOWN
    } else reader.skip(tag)
  }
  return status
}

/** Reads the fields of a protobuf message; every length is checked against what is there. */
class FieldReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length
  }

  /** Values beyond 32 bits are cut to them; tags, lengths and statuses never need more. */
  varint(): number {
    let value = 0
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) throw malformed('unexpected EOF')
      if (shift < 32) value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value >>> 0
    }
    throw malformed('variable length integer overflow')
  }

  bytes(): Uint8Array {
    const length = this.varint()
    return this.#take(length)
  }

  skip(tag: number): void {
    if (tag >>> 3 === 0) throw malformed('invalid field number')
    switch (tag & 7) {
      case 0:
        this.varint()
        return
      case 1:
        this.#take(8)
        return
      case 2:
        this.bytes()
        return
      case 5:
        this.#take(4)
        return
      default:
        throw malformed(`cannot skip wire type ${tag & 7}`)
    }
  }

  #take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#at) throw malformed('unexpected EOF')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
}

function decodeText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw malformed('string field contains invalid UTF-8')
  }
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  return Buffer.from([...bytes, rest])
}

function malformed(why: string): GrpcError {
  return new GrpcError(GrpcStatus.INTERNAL, `grpc: error unmarshalling request: ${why}`)
}
