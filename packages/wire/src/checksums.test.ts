import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { crc32Ieee } from './crc32-ieee.ts'
import { crc32c } from './crc32c.ts'
import { encodeText } from './text.ts'

/** CRC-32C bit by bit, as the definition says: slow, and too plain to be wrong. */
function crc32cBitwise(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}

test('CRC-32C of "123456789" is E3069283', () => {
  assert.equal(crc32c(encodeText('123456789')), 0xe3069283)
})

test('CRC-32 (IEEE) places keys and cursors as every client does', () => {
  assert.equal(crc32Ieee(encodeText('foo')), 2356372769)
  assert.equal(crc32Ieee(encodeText('cursor,foo,0')), 3153602668)
  assert.equal(crc32Ieee(encodeText('abc,foo,2')), 0x32b56631)
  assert.equal(crc32Ieee(encodeText('abc,foo,2')) % 5, 2)
})

test('both checksums agree with their twins on any part of any bytes', () => {
  const part = fc.tuple(fc.uint8Array({ maxLength: 300 }), fc.nat(), fc.nat())
  fc.assert(
    fc.property(part, ([bytes, a, b]) => {
      const start = a % (bytes.length + 1)
      const end = start + (b % (bytes.length - start + 1))
      assert.equal(crc32c(bytes, start, end), crc32cBitwise(bytes.subarray(start, end)))
      assert.equal(crc32Ieee(bytes, start, end), crc32(bytes.subarray(start, end)))
    }),
  )
})
