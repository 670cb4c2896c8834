import { byteAt, readUint16, readUint32 } from '../big-endian.ts'
import { WireError } from '../wire-error.ts'

/**
 * Finds where a MessagePack value ends, also when its bytes arrive in pieces: each byte of a head is
 * looked at once, payloads not at all. Values are counted, not nested, so depth costs nothing.
 */
export class MsgpackScanner {
  /** Where the next head begins, from the beginning of the value; may lie behind what is there. */
  #next = 0
  #valuesLeft = 1
  readonly #limit: number

  /** A value that needs more than `limitBytes` is refused as soon as that is known. */
  constructor(limitBytes: number) {
    this.#limit = limitBytes
  }

  /**
   * Goes on as far as `bytes[start, end)` allows, which begins where the value does. Returns the
   * length of the value, or -1 while more is needed. Throws WireError.
   */
  scan(bytes: Uint8Array, start: number, end: number): number {
    while (this.#valuesLeft > 0) {
      if (start + this.#next >= end) return -1
      if (!this.#passHead(bytes, start + this.#next, end)) return -1
      // Each value that is still to come takes a byte at least.
      if (this.#next + this.#valuesLeft > this.#limit) {
        throw new WireError('too-large', `a value of more than ${this.#limit} bytes`)
      }
    }
    return start + this.#next <= end ? this.#next : -1
  }

  /** Passes one head and jumps over its payload; false while the head is cut. */
  #passHead(bytes: Uint8Array, at: number, end: number): boolean {
    const head = byteAt(bytes, at)
    const lengthBytes = lengthBytesOf(head)
    if (at + 1 + lengthBytes > end) return false
    const length = lengthAt(bytes, at + 1, lengthBytes)
    this.#valuesLeft += childrenOf(head, length) - 1
    this.#next += 1 + lengthBytes + payloadOf(head, length)
    return true
  }
}

/** Bytes of the length or count that follows the head. */
function lengthBytesOf(head: number): 0 | 1 | 2 | 4 {
  switch (head) {
    case 0xc4:
    case 0xc7:
    case 0xd9:
      return 1
    case 0xc5:
    case 0xc8:
    case 0xda:
    case 0xdc:
    case 0xde:
      return 2
    case 0xc6:
    case 0xc9:
    case 0xdb:
    case 0xdd:
    case 0xdf:
      return 4
    default:
      return 0
  }
}

function lengthAt(bytes: Uint8Array, at: number, lengthBytes: 0 | 1 | 2 | 4): number {
  if (lengthBytes === 0) return 0
  if (lengthBytes === 1) return byteAt(bytes, at)
  return lengthBytes === 2 ? readUint16(bytes, at) : readUint32(bytes, at)
}

/** Values inside the value: of an array its elements, of a map its keys and values. */
function childrenOf(head: number, length: number): number {
  if (head >= 0x80 && head < 0x90) return 2 * (head & 0x0f)
  if (head >= 0x90 && head < 0xa0) return head & 0x0f
  if (head === 0xdc || head === 0xdd) return length
  return head === 0xde || head === 0xdf ? 2 * length : 0
}

const FIXED_PAYLOADS: ReadonlyMap<number, number> = new Map([
  [0xca, 4],
  [0xcb, 8],
  [0xcc, 1],
  [0xcd, 2],
  [0xce, 4],
  [0xcf, 8],
  [0xd0, 1],
  [0xd1, 2],
  [0xd2, 4],
  [0xd3, 8],
  [0xd4, 2],
  [0xd5, 3],
  [0xd6, 5],
  [0xd7, 9],
  [0xd8, 17],
])

/** Bytes behind head and length that belong to the value and are no values themselves. */
function payloadOf(head: number, length: number): number {
  if (head < 0xa0 || head >= 0xe0) return 0
  if (head < 0xc0) return head & 0x1f
  if (head === 0xc1) throw new WireError('malformed', 'a byte that begins no value')
  // An extension has its type between the length and its bytes.
  if (head >= 0xc7 && head <= 0xc9) return length + 1
  if ((head >= 0xc4 && head <= 0xc6) || (head >= 0xd9 && head <= 0xdb)) return length
  return FIXED_PAYLOADS.get(head) ?? 0
}
