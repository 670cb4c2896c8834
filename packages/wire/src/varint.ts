/**
 * Varints of the hand-written codecs. Nothing here allocates, and nothing checks the room in
 * `target`: the caller has computed the size.
 */

const TWO_32 = 0x1_0000_0000
const TWO_28 = 0x1000_0000

/** Bytes of the varint of an unsigned 32-bit number. */
export function varint32Size(value: number): number {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  if (value < 0x20_0000) return 3
  return value < TWO_28 ? 4 : 5
}

/** Writes an unsigned 32-bit number and returns the position after it. */
export function writeVarint32(target: Uint8Array, at: number, value: number): number {
  let rest = value
  let position = at
  while (rest > 0x7f) {
    target[position++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  target[position++] = rest
  return position
}

/** Bytes of the varint of an int64 given as a safe integer; a negative one takes ten. */
export function varintSize(value: number): number {
  if (value < 0) return 10
  if (value < TWO_28) return varint32Size(value)
  const high = Math.floor(value / TWO_28)
  return 4 + (high < TWO_28 ? varint32Size(high) : 4 + varint32Size(Math.floor(high / TWO_28)))
}

/** Writes an int64 given as a safe integer and returns the position after it. */
export function writeVarint(target: Uint8Array, at: number, value: number): number {
  if (value >= 0 && value < TWO_28) return writeVarint32(target, at, value)
  return writeVarintWords(target, at, Math.floor(value / TWO_32) | 0, (value % TWO_32) | 0)
}

/** Bytes of the varint of a 64-bit number given as two 32-bit words, signed or not. */
export function varintWordsSize(high: number, low: number): number {
  const upper = high >>> 0
  const lower = low >>> 0
  if (upper === 0) return varint32Size(lower)
  // Bits 28 to 55 and 56 to 63.
  const middle = (((upper << 4) | (lower >>> 28)) & 0x0fff_ffff) >>> 0
  const top = upper >>> 24
  if (top === 0) return 4 + varint32Size(middle)
  return 8 + varint32Size(top)
}

/** Writes a 64-bit number given as two 32-bit words and returns the position after it. */
export function writeVarintWords(
  target: Uint8Array,
  at: number,
  high: number,
  low: number,
): number {
  const upper = high >>> 0
  const lower = low >>> 0
  if (upper === 0) return writeVarint32(target, at, lower)
  const middle = (((upper << 4) | (lower >>> 28)) & 0x0fff_ffff) >>> 0
  const top = upper >>> 24
  const next = write28(target, at, lower)
  if (top === 0) return writeVarint32(target, next, middle)
  return writeVarint32(target, write28(target, next, middle), top)
}

/** The lowest 28 bits as four bytes, each of which says that more follows. */
function write28(target: Uint8Array, at: number, bits: number): number {
  target[at] = (bits & 0x7f) | 0x80
  target[at + 1] = ((bits >>> 7) & 0x7f) | 0x80
  target[at + 2] = ((bits >>> 14) & 0x7f) | 0x80
  target[at + 3] = ((bits >>> 21) & 0x7f) | 0x80
  return at + 4
}
