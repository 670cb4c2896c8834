import { byteAt } from './big-endian.ts'

/**
 * Text and bytes. The compiler's library for this package has no DOM and no Node types, so the two
 * classes of the Encoding Standard, which every JavaScript runtime has, are declared here.
 */
declare const TextEncoder: new () => { encode(text: string): Uint8Array<ArrayBuffer> }
declare const TextDecoder: new (
  label: string,
  options: { readonly fatal: boolean; readonly ignoreBOM: boolean },
) => { decode(bytes: Uint8Array): string }

const encoder = new TextEncoder()
// A leading U+FEFF is text, not a byte-order mark: it must come out as it went in.
const lenient = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true })

/** UTF-8 of `text`; a lone surrogate becomes U+FFFD. */
export function encodeText(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text)
}

/** Text of UTF-8 bytes; malformed sequences become U+FFFD. Check with `isUtf8` where that matters. */
export function decodeText(bytes: Uint8Array, start = 0, end: number = bytes.length): string {
  return lenient.decode(bytes.subarray(start, end))
}

/**
 * Whether `bytes[start, end)` is well-formed UTF-8 in the sense of Unicode table 3-7: no overlong
 * forms, no surrogates, nothing above U+10FFFF. No allocation; ASCII costs one comparison a byte.
 */
export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start
  while (at < end) {
    const lead = byteAt(bytes, at)
    if (lead < 0x80) {
      at++
      continue
    }
    const length = sequenceLength(bytes, at, end)
    if (length === 0) return false
    at += length
  }
  return true
}

/** Length of the well-formed multi-byte sequence at `at`, or 0 when it is not well-formed. */
function sequenceLength(bytes: Uint8Array, at: number, end: number): number {
  const lead = byteAt(bytes, at)
  if (lead < 0xc2 || lead > 0xf4) return 0
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
  if (at + length > end) return 0
  const second = byteAt(bytes, at + 1)
  if ((second & 0xc0) !== 0x80) return 0
  if (lead === 0xe0 && second < 0xa0) return 0
  if (lead === 0xed && second > 0x9f) return 0
  if (lead === 0xf0 && second < 0x90) return 0
  if (lead === 0xf4 && second > 0x8f) return 0
  if (length > 2 && (byteAt(bytes, at + 2) & 0xc0) !== 0x80) return 0
  if (length > 3 && (byteAt(bytes, at + 3) & 0xc0) !== 0x80) return 0
  return length
}
