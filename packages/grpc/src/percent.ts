/*
 * The coding of grpc-message. Wire grammar: bytes 0x20-0x7E except '%' stand for themselves, every
 * other byte of the UTF-8 text is '%' and two hexadecimal digits. A decoder never fails: a broken
 * escape stands for itself, so a bad peer cannot hide the status behind its own bad text.
 */

const UNSAFE = /[^\x20-\x24\x26-\x7e]/
const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function percentEncode(text: string): string {
  if (!UNSAFE.test(text)) return text
  let out = ''
  for (const byte of encoder.encode(text)) {
    if (byte >= 0x20 && byte <= 0x7e && byte !== 0x25) out += String.fromCharCode(byte)
    else out += '%' + byte.toString(16).toUpperCase().padStart(2, '0')
  }
  return out
}

export function percentDecode(text: string): string {
  if (!text.includes('%')) return text
  const bytes: number[] = []
  for (let i = 0; i < text.length; i++) {
    const escaped = text[i] === '%' ? hexByte(text, i + 1) : -1
    if (escaped >= 0) {
      bytes.push(escaped)
      i += 2
    } else {
      // HTTP/2 header text is Latin-1 in Node; anything else is replaced by the decoder below.
      bytes.push(text.charCodeAt(i) & 0xff)
    }
  }
  return decoder.decode(Uint8Array.from(bytes))
}

function hexByte(text: string, at: number): number {
  const digits = text.slice(at, at + 2)
  return /^[0-9a-fA-F]{2}$/.test(digits) ? Number.parseInt(digits, 16) : -1
}
