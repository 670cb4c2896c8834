/**
 * CRC-64 as the original seals its snapshots with it: polynomial of ECMA-182, reflected, all ones
 * before and after [LB 2.1]. The register is kept as two words of 32 bits, since bigints would cost
 * some fifty times as much per byte.
 */
const POLYNOMIAL = 0xc96c5795d7870f42n

/** Upper and lower word of each entry of the table, by the byte that leaves the register. */
const HIGH = new Uint32Array(256)
const LOW = new Uint32Array(256)
for (let byte = 0; byte < 256; byte++) {
  let value = BigInt(byte)
  for (let bit = 0; bit < 8; bit++) {
    value = (value & 1n) === 1n ? (value >> 1n) ^ POLYNOMIAL : value >> 1n
  }
  HIGH[byte] = Number(value >> 32n)
  LOW[byte] = Number(value & 0xffffffffn)
}

/** The checksum as eight bytes, the most significant first. */
export const crc64 = (bytes: Uint8Array): Uint8Array => {
  let high = 0xffffffff
  let low = 0xffffffff
  for (let i = 0; i < bytes.length; i++) {
    const at = (low ^ (bytes[i] ?? 0)) & 0xff
    low = ((low >>> 8) | (high << 24)) ^ (LOW[at] ?? 0)
    high = (high >>> 8) ^ (HIGH[at] ?? 0)
  }
  const sum = new Uint8Array(8)
  const view = new DataView(sum.buffer)
  view.setUint32(0, ~high >>> 0)
  view.setUint32(4, ~low >>> 0)
  return sum
}
