/**
 * Messages that name themselves: the value is `writer-sequence-` and a filler whose length and
 * byte follow from the two numbers, the key likewise, so that a reader can tell each message and
 * whether a single byte of it was changed.
 */
const DASH = 0x2d
const DIGIT_0 = 0x30
const LETTER_A = 0x61
/** Values are between these two sizes, in bytes. */
const VALUE_MIN_BYTES = 64
const VALUE_SPREAD_BYTES = 160

function fillerByte(writer: number, sequence: number): number {
  return LETTER_A + ((writer * 31 + sequence) % 26)
}

export function valueOf(writer: number, sequence: number): Buffer {
  const size = VALUE_MIN_BYTES + ((writer * 7 + sequence * 13) % VALUE_SPREAD_BYTES)
  const value = Buffer.alloc(size, fillerByte(writer, sequence))
  value.write(`${writer}-${sequence}-`, 0, 'latin1')
  return value
}

/** Every second message has a key. */
export function keyOf(writer: number, sequence: number): Buffer {
  return sequence % 2 === 0 ? Buffer.alloc(0) : Buffer.from(`k${writer}-${sequence % 100}`)
}

/** Who a value says it is; undefined when it says nothing that we wrote. */
export type Identity = { readonly writer: number; readonly sequence: number }

export function identify(bytes: Buffer, start: number, end: number): Identity | undefined {
  const first = number(bytes, start, end)
  if (first === undefined) return undefined
  const second = number(bytes, first.next, end)
  if (second === undefined) return undefined
  return { writer: first.value, sequence: second.value }
}

/** Whether the range holds exactly the value of that message. */
export function isIntact(bytes: Buffer, range: readonly [number, number], id: Identity): boolean {
  const expected = valueOf(id.writer, id.sequence)
  return bytes.compare(expected, 0, expected.length, range[0], range[1]) === 0
}

/** A decimal number that a dash ends. */
function number(
  bytes: Buffer,
  start: number,
  end: number,
): { readonly value: number; readonly next: number } | undefined {
  let value = 0
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0
    if (byte === DASH && at > start) return { value, next: at + 1 }
    const digit = byte - DIGIT_0
    if (digit < 0 || digit > 9 || value > 1e12) return undefined
    value = value * 10 + digit
  }
  return undefined
}
