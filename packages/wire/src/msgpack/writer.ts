import { copyInto } from '../copy.ts'
import { encodeText } from '../text.ts'
import { WireError } from '../wire-error.ts'

const START_BYTES = 256
const TWO_32 = 0x1_0000_0000

/**
 * Writes MessagePack as go-msgpack v2 does with its default handle, the "old specification" that
 * hashicorp/raft speaks [LB control plane 2.5.1]:
 *
 *     bytes and text   a0|n, da n16, db n32: never str8, never bin
 *     nil              c0
 *     bool             c2, c3
 *     unsigned         00-7f, cc, cd, ce, cf by size
 *     signed           e0-7f as one byte, d0 for negative ones, d1, d2, d3: never the unsigned ones
 *     array, map       90|n, dc n16, dd n32; 80|n, de n16, df n32
 *     time             the 15 bytes of Go's Time.MarshalBinary, as text
 *
 * Throws WireError 'too-large' for a number that is no safe integer.
 */
export class MsgpackWriter {
  #bytes = new Uint8Array(START_BYTES)
  #at = 0

  /** A copy of what was written. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#at)
  }

  /** One byte as it is; frames put the type of a request before its value. */
  raw(byte: number): void {
    this.#reserve(1)
    this.#put(byte)
  }

  nil(): void {
    this.raw(0xc0)
  }

  boolean(value: boolean): void {
    this.raw(value ? 0xc3 : 0xc2)
  }

  /** An integer from 0 to 2^53 - 1. */
  unsigned(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw notAnInteger(value)
    this.#reserve(9)
    if (value < 0x80) this.#put(value)
    else if (value < 0x100) {
      this.#put(0xcc)
      this.#put(value)
    } else if (value < 0x1_0000) this.#put16(0xcd, value)
    else if (value < TWO_32) this.#put32(0xce, value)
    else this.#put64(0xcf, value)
  }

  /** A safe integer, in the family of signed ones: a Go `int` or `int64`. */
  signed(value: number): void {
    if (!Number.isSafeInteger(value)) throw notAnInteger(value)
    this.#reserve(9)
    if (value >= -32 && value < 0x80) this.#put(value & 0xff)
    else if (value >= -0x80 && value < 0) {
      this.#put(0xd0)
      this.#put(value & 0xff)
    } else if (value >= -0x8000 && value < 0x8000) this.#put16(0xd1, value)
    else if (value >= -0x8000_0000 && value < 0x8000_0000) this.#put32(0xd2, value)
    else this.#put64(0xd3, value)
  }

  bytes(value: Uint8Array): void {
    this.#reserve(5 + value.length)
    if (value.length < 32) this.#put(0xa0 | value.length)
    else if (value.length < 0x1_0000) this.#put16(0xda, value.length)
    else this.#put32(0xdb, value.length)
    this.#at = copyInto(this.#bytes, this.#at, value)
  }

  text(value: string): void {
    this.bytes(encodeText(value))
  }

  array(count: number): void {
    this.#reserve(5)
    if (count < 16) this.#put(0x90 | count)
    else if (count < 0x1_0000) this.#put16(0xdc, count)
    else this.#put32(0xdd, count)
  }

  map(count: number): void {
    this.#reserve(5)
    if (count < 16) this.#put(0x80 | count)
    else if (count < 0x1_0000) this.#put16(0xde, count)
    else this.#put32(0xdf, count)
  }

  #put(byte: number): void {
    this.#bytes[this.#at++] = byte
  }

  #put16(head: number, value: number): void {
    this.#put(head)
    this.#put((value >>> 8) & 0xff)
    this.#put(value & 0xff)
  }

  #put32(head: number, value: number): void {
    this.#put(head)
    this.#putWord(value | 0)
  }

  #put64(head: number, value: number): void {
    this.#put(head)
    // Floor, so that the lower word of a negative number comes out as in two's complement.
    const high = Math.floor(value / TWO_32)
    this.#putWord(high)
    this.#putWord(value - high * TWO_32)
  }

  #putWord(word: number): void {
    this.#put((word >>> 24) & 0xff)
    this.#put((word >>> 16) & 0xff)
    this.#put((word >>> 8) & 0xff)
    this.#put(word & 0xff)
  }

  #reserve(count: number): void {
    const needed = this.#at + count
    if (needed <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
    larger.set(this.#bytes.subarray(0, this.#at))
    this.#bytes = larger
  }
}

function notAnInteger(value: number): WireError {
  return new WireError('too-large', `${value} is not an integer that can be written`)
}
