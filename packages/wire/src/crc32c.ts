/**
 * CRC-32C (Castagnoli), as the checksum of an envelope's payload: reflected polynomial 0x82F63B78,
 * start value and final xor all ones. Envelopes with a checksum are rare, so this is the plain
 * byte-by-byte form; records have a fast one of their own in `log`.
 */
const table: Uint32Array = crcTable(0x82f63b78)

/** CRC-32C of `bytes[start, end)`, as an unsigned number. "123456789" gives 0xE3069283. */
export function crc32c(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  return crcOf(table, bytes, start, end)
}

/** The 256 remainders of a reflected polynomial. */
export function crcTable(polynomial: number): Uint32Array {
  const remainders = new Uint32Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let remainder = byte
    for (let bit = 0; bit < 8; bit++) {
      remainder = (remainder & 1) === 1 ? (remainder >>> 1) ^ polynomial : remainder >>> 1
    }
    remainders[byte] = remainder
  }
  return remainders
}

/** The checksum that `remainders` describe, over `bytes[start, end)`. */
export function crcOf(
  remainders: Uint32Array,
  bytes: Uint8Array,
  start: number,
  end: number,
): number {
  let crc = 0xffffffff
  for (let at = start; at < end; at++) {
    crc = (crc >>> 8) ^ (remainders[(crc ^ (bytes[at] as number)) & 0xff] as number)
  }
  return (crc ^ 0xffffffff) >>> 0
}
