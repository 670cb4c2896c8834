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

export function valueBytes(writer: number, sequence: number): number {
  return VALUE_MIN_BYTES + ((writer * 7 + sequence * 13) % VALUE_SPREAD_BYTES)
}

/** Writes the value at a place of a buffer; where it ends. */
export function writeValue(bytes: Buffer, at: number, id: Identity): number {
  const end = at + valueBytes(id.writer, id.sequence)
  bytes.fill(fillerByte(id.writer, id.sequence), at, end)
  bytes.write(`${id.writer}-${id.sequence}-`, at, 'latin1')
  return end
}

/** The message's key; empty, which is none, for every second message. */
export function keyText(id: Identity): string {
  return id.sequence % 2 === 0 ? '' : `k${id.writer}-${id.sequence % 100}`
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
  const expectedBytes = writeValue(expected, 0, id)
  return bytes.compare(expected, 0, expectedBytes, range[0], range[1]) === 0
}

const expected = Buffer.alloc(VALUE_MIN_BYTES + VALUE_SPREAD_BYTES)

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
