import { crcOf, crcTable } from './crc32c.ts'

/**
 * CRC-32 with the IEEE polynomial, as in zip and Ethernet: what maps a message key or a cursor to
 * its partition. Every client computes the same, so it may never change.
 */
const table: Uint32Array = crcTable(0xedb88320)

/** CRC-32 (IEEE) of `bytes[start, end)`, as an unsigned number. "foo" gives 2356372769. */
export function crc32Ieee(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  return crcOf(table, bytes, start, end)
}
