/**
 * Just enough protobuf, written by hand, to make load: encoders of the requests and a reader of
 * the few fields that matter in replies. Independent of package `wire` on purpose.
 */
const VARINT = 0
const FIXED64 = 1
const BYTES = 2
const FIXED32 = 5

export type AckPolicy = 'LEADER' | 'ALL' | 'NONE'

export const ackPolicyNumber: Readonly<Record<AckPolicy, number>> = { LEADER: 0, ALL: 1, NONE: 2 }

/** An unsigned number up to 2^53; negative 32-bit values are not needed here. */
export function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest >= 128) {
    bytes.push((rest % 128) | 128)
    rest = Math.floor(rest / 128)
  }
  bytes.push(rest)
  return Buffer.from(bytes)
}

export function varintField(field: number, value: number): Buffer {
  return value === 0 ? Buffer.alloc(0) : Buffer.concat([varint(field * 8 + VARINT), varint(value)])
}

export function bytesField(field: number, value: Uint8Array | string): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value
  if (bytes.length === 0) return Buffer.alloc(0)
  return Buffer.concat([varint(field * 8 + BYTES), varint(bytes.length), bytes])
}

export type PublishFields = {
  readonly stream: string
  readonly partition: number
  readonly key?: Uint8Array
  readonly value: Uint8Array
  readonly correlationId: string
  readonly ackPolicy: AckPolicy
}

export function encodePublish(fields: PublishFields): Buffer {
  return Buffer.concat([
    bytesField(1, fields.key ?? ''),
    bytesField(2, fields.value),
    bytesField(3, fields.stream),
    varintField(4, fields.partition),
    bytesField(7, fields.correlationId),
    varintField(8, ackPolicyNumber[fields.ackPolicy]),
  ])
}

export function encodeCreateStream(
  name: string,
  subject: string,
  partitions: number,
  replicas: { readonly factor: number; readonly minIsr: number } = { factor: 0, minIsr: 0 },
): Buffer {
  return Buffer.concat([
    bytesField(1, subject),
    bytesField(2, name),
    varintField(4, replicas.factor),
    varintField(5, partitions),
    bytesField(16, varintField(1, replicas.minIsr)),
  ])
}

export type SubscribeFields = {
  readonly stream: string
  readonly partition: number
  /** 0 NEW_ONLY, 1 OFFSET, 2 EARLIEST, 3 LATEST. */
  readonly startPosition: number
  readonly startOffset?: number
  /** Read from a follower in the ISR. */
  readonly readIsrReplica?: boolean
  /** 0 on cancel, 2 STOP_LATEST. */
  readonly stopPosition?: number
}

export function encodeSubscribe(fields: SubscribeFields): Buffer {
  return Buffer.concat([
    bytesField(1, fields.stream),
    varintField(2, fields.partition),
    varintField(3, fields.startPosition),
    varintField(4, fields.startOffset ?? 0),
    varintField(6, fields.readIsrReplica === true ? 1 : 0),
    varintField(8, fields.stopPosition ?? 0),
  ])
}

/** Walks the fields of one message without allocating; reuse one reader for many messages. */
export class FieldReader {
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  #end = 0
  /** The field that `next` found. */
  field = 0
  /** Its value when it is a number; exact up to 2^53, which offsets and counts are. */
  value = 0
  /** Its range when it is bytes. */
  start = 0
  end = 0

  reset(bytes: Buffer, start: number, end: number): void {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
  }

  /** Steps to the next field; false at the end. Throws on bytes that are no protobuf. */
  next(): boolean {
    if (this.#at >= this.#end) return false
    const tag = this.#varint()
    this.field = Math.floor(tag / 8)
    const type = tag % 8
    if (type === VARINT) {
      this.value = this.#varint()
    } else if (type === BYTES) {
      const length = this.#varint()
      this.start = this.#at
      this.end = this.#at + length
      this.#at = this.end
    } else if (type === FIXED64 || type === FIXED32) {
      this.#at += type === FIXED64 ? 8 : 4
    } else {
      throw new Error(`wire type ${type}`)
    }
    if (this.#at > this.#end) throw new Error('a field ends beyond its message')
    return true
  }

  #varint(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined || this.#at > this.#end) throw new Error('a varint has no end')
      value += (byte & 127) * scale
      if (byte < 128) return value
      scale *= 128
    }
  }
}
