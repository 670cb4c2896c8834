import { byteAt, readInt32, readUint16, readUint32 } from '../big-endian.ts'
import { decodeText, isUtf8 } from '../text.ts'
import { WireError } from '../wire-error.ts'
import { MsgpackScanner } from './scanner.ts'

const TWO_32 = 0x1_0000_0000

/**
 * Reads MessagePack as leniently as go-msgpack v2 does where a peer may rely on it: any family of
 * integers for either kind, bytes as str or bin of any width, nil as the zero value of anything
 * [LB control plane 2.5.1]. Never a float for an integer, never an integer above 2^53 - 1: such a
 * term or index would be rounded, and no honest log gets there.
 *
 * Every method throws WireError and nothing else; nothing is allocated for a length before so many
 * bytes are known to be there.
 */
export class MsgpackReader {
  readonly #bytes: Uint8Array
  readonly #end: number
  #at: number

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
  }

  /** Bytes not yet read. */
  get remaining(): number {
    return this.#end - this.#at
  }

  /** Passes over a nil, if there is one here. */
  takeNil(): boolean {
    if (this.#peek() !== 0xc0) return false
    this.#at++
    return true
  }

  /** Whether the next value is an array. */
  isArray(): boolean {
    const head = this.#peek()
    return (head >= 0x90 && head < 0xa0) || head === 0xdc || head === 0xdd
  }

  /** Go also takes 0 and 1. */
  boolean(): boolean {
    const head = this.#head()
    if (head === 0xc2 || head === 0x00 || head === 0xc0) return false
    if (head === 0xc3 || head === 0x01) return true
    throw unexpected(head, 'a bool')
  }

  /** An integer from 0 to 2^53 - 1. */
  unsigned(): number {
    const value = this.signed()
    if (value < 0) throw new WireError('malformed', 'a negative number where none can be')
    return value
  }

  /** A safe integer. */
  signed(): number {
    const head = this.#head()
    if (head < 0x80) return head
    if (head >= 0xe0) return head - 0x100
    switch (head) {
      case 0xc0:
        return 0
      case 0xcc:
        return byteAt(this.#bytes, this.#take(1))
      case 0xcd:
        return readUint16(this.#bytes, this.#take(2))
      case 0xce:
        return readUint32(this.#bytes, this.#take(4))
      case 0xcf:
        return this.#words(readUint32)
      case 0xd0:
        return (byteAt(this.#bytes, this.#take(1)) << 24) >> 24
      case 0xd1:
        return (readUint16(this.#bytes, this.#take(2)) << 16) >> 16
      case 0xd2:
        return readInt32(this.#bytes, this.#take(4))
      case 0xd3:
        return this.#words(readInt32)
      default:
        throw unexpected(head, 'an integer')
    }
  }

  /** A view of bytes or text; nil reads as empty. */
  bytes(): Uint8Array {
    const head = this.#head()
    const length = this.#bytesLength(head)
    if (length < 0) throw unexpected(head, 'bytes')
    const start = this.#take(length)
    return this.#bytes.subarray(start, start + length)
  }

  /** Text, which must be UTF-8. */
  text(): string {
    const value = this.bytes()
    if (!isUtf8(value, 0, value.length)) throw new WireError('malformed', 'text that is not UTF-8')
    return decodeText(value)
  }

  /** Elements of an array; nil is an empty one. So many bytes at least are there. */
  array(): number {
    const head = this.#head()
    if (head === 0xc0) return 0
    if (head >= 0x90 && head < 0xa0) return this.#count(head & 0x0f, 1)
    if (head === 0xdc) return this.#count(readUint16(this.#bytes, this.#take(2)), 1)
    if (head === 0xdd) return this.#count(readUint32(this.#bytes, this.#take(4)), 1)
    throw unexpected(head, 'an array')
  }

  /** Pairs of a map; nil is an empty one. Twice as many bytes at least are there. */
  map(): number {
    const head = this.#head()
    if (head === 0xc0) return 0
    if (head >= 0x80 && head < 0x90) return this.#count(head & 0x0f, 2)
    if (head === 0xde) return this.#count(readUint16(this.#bytes, this.#take(2)), 2)
    if (head === 0xdf) return this.#count(readUint32(this.#bytes, this.#take(4)), 2)
    throw unexpected(head, 'a map')
  }

  /**
   * The bytes of an instant, whatever carries them: str, bin, or the extension -1. Returns the head
   * beside them, since the same bytes mean something else as fixstr. Undefined for nil.
   */
  instant(): { readonly head: number; readonly bytes: Uint8Array } | undefined {
    const head = this.#peek()
    if (head === 0xc0) return void this.#at++
    const extended = head === 0xd6 || head === 0xd7 || head === 0xc7
    if (!extended) return { head, bytes: this.bytes() }
    this.#at++
    const length = head === 0xd6 ? 4 : head === 0xd7 ? 8 : byteAt(this.#bytes, this.#take(1))
    if (byteAt(this.#bytes, this.#take(1)) !== 0xff) throw unexpected(head, 'a time')
    const start = this.#take(length)
    return { head, bytes: this.#bytes.subarray(start, start + length) }
  }

  /** Passes over a value of any type. */
  skip(): void {
    const length = new MsgpackScanner(this.remaining).scan(this.#bytes, this.#at, this.#end)
    if (length < 0) throw new WireError('cut', 'a value that is cut')
    this.#at += length
  }

  #peek(): number {
    if (this.#at >= this.#end) throw new WireError('cut', 'a value that is cut')
    return byteAt(this.#bytes, this.#at)
  }

  #head(): number {
    const head = this.#peek()
    this.#at++
    return head
  }

  /** Where the next `count` bytes begin, which are passed over. */
  #take(count: number): number {
    if (count > this.remaining) throw new WireError('cut', 'a value that is cut')
    const start = this.#at
    this.#at += count
    return start
  }

  #bytesLength(head: number): number {
    if (head >= 0xa0 && head < 0xc0) return head & 0x1f
    switch (head) {
      case 0xc0:
        return 0
      case 0xc4:
      case 0xd9:
        return byteAt(this.#bytes, this.#take(1))
      case 0xc5:
      case 0xda:
        return readUint16(this.#bytes, this.#take(2))
      case 0xc6:
      case 0xdb:
        return readUint32(this.#bytes, this.#take(4))
      default:
        return -1
    }
  }

  #words(readHigh: (bytes: Uint8Array, at: number) => number): number {
    const at = this.#take(8)
    const value = readHigh(this.#bytes, at) * TWO_32 + readUint32(this.#bytes, at + 4)
    if (!Number.isSafeInteger(value)) throw new WireError('too-large', 'a number beyond 2^53')
    return value
  }

  #count(count: number, bytesEach: number): number {
    if (count * bytesEach > this.remaining) throw new WireError('cut', 'more values than bytes')
    return count
  }
}

function unexpected(head: number, wanted: string): WireError {
  return new WireError('malformed', `0x${head.toString(16)} where ${wanted} belongs`)
}
