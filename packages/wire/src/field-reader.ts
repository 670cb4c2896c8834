import { byteAt } from './big-endian.ts'

export const WireType = { Varint: 0, Fixed64: 1, Bytes: 2, Fixed32: 5 } as const

const TWO_32 = 0x1_0000_0000

/**
 * Walks the fields of protobuf messages without building anything: values come as positions and as
 * two 32-bit words. One reader serves any number of messages, one after another. Bounds are
 * strict: nothing at or behind `end` is looked at.
 */
export class FieldReader {
  bytes: Uint8Array = new Uint8Array()
  /** Position of the next byte. */
  at = 0
  /** Where the message ends. */
  end = 0
  /** The last varint, as two words of 32 bits. */
  low = 0
  high = 0

  open(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes
    this.at = start
    this.end = end
  }

  /** Reads a varint into `low` and `high`; false when it is cut or exceeds 64 bits. */
  readVarint(): boolean {
    if (this.at >= this.end) return false
    const first = byteAt(this.bytes, this.at)
    this.high = 0
    this.low = first
    if (first < 0x80) {
      this.at++
      return true
    }
    return this.#readLongVarint()
  }

  /**
   * Reads the tag of a field; 0 when it is malformed: cut, above 32 bits or five bytes, or of
   * field 0. The field number is `tag >>> 3`, the wire type `tag & 7`.
   */
  readTag(): number {
    const start = this.at
    if (!this.readVarint() || this.high !== 0 || this.at - start > 5) return 0
    return this.low >>> 3 === 0 ? 0 : this.low >>> 0
  }

  /** Reads a length and checks that so many bytes follow; -1 when they do not. */
  readLength(): number {
    if (!this.readVarint() || this.high !== 0) return -1
    const length = this.low >>> 0
    return length > this.end - this.at ? -1 : length
  }

  /** Passes over a value of an unknown field; false when it is cut, or a group. */
  skip(wireType: number): boolean {
    switch (wireType) {
      case WireType.Varint:
        return this.readVarint()
      case WireType.Fixed64:
        return this.#advance(8)
      case WireType.Fixed32:
        return this.#advance(4)
      case WireType.Bytes: {
        const length = this.readLength()
        return length >= 0 && this.#advance(length)
      }
      default:
        // Groups went out of use before proto3: no message of ours ever held one, and nesting
        // without bound is what they are good for.
        return false
    }
  }

  /**
   * The last varint as an int64 in a number. What is not a safe integer becomes the nearest one:
   * no offset ever reaches it, so as an expected offset it is refused like any other wrong one.
   */
  get int64(): number {
    const value = (this.high | 0) * TWO_32 + (this.low >>> 0)
    if (value > Number.MAX_SAFE_INTEGER) return Number.MAX_SAFE_INTEGER
    return value < Number.MIN_SAFE_INTEGER ? Number.MIN_SAFE_INTEGER : value
  }

  /** The last varint as an int32: the upper bits are dropped, as every decoder does. */
  get int32(): number {
    return this.low | 0
  }

  #advance(count: number): boolean {
    if (count > this.end - this.at) return false
    this.at += count
    return true
  }

  #readLongVarint(): boolean {
    let low = 0
    let high = 0
    for (let index = 0; index < 10; index++) {
      if (this.at >= this.end) return false
      const byte = byteAt(this.bytes, this.at++)
      const bits = byte & 0x7f
      if (index < 4) low |= bits << (7 * index)
      else if (index === 4) {
        low |= bits << 28
        high = bits >>> 4
      } else if (index < 9) high |= bits << (7 * index - 32)
      else {
        // The tenth byte holds the last of 64 bits and nothing else.
        if (byte > 1) return false
        high |= bits << 31
      }
      if (byte < 0x80) {
        this.low = low
        this.high = high
        return true
      }
    }
    return false
  }
}
