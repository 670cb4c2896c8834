import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FieldReader } from './field-reader.ts'
import { varintSize, varintWordsSize, writeVarint, writeVarintWords } from './varint.ts'

/** A varint the plain way: seven bits of a 64-bit number at a time, lowest first. */
function plainVarint(value: bigint): number[] {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, value)
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128)
    rest >>= 7n
  }
  return [...bytes, Number(rest)]
}

const powers = fc.integer({ min: 0, max: 63 }).map((shift) => 1n << BigInt(shift))
const nearPower = fc.tuple(powers, fc.integer({ min: -2, max: 2 })).map(([n, d]) => n + BigInt(d))
const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  nearPower.map((n) => BigInt.asIntN(64, n)),
  nearPower.map((n) => BigInt.asIntN(64, -n)),
)

test('two words are written as the plain twin does, and read back', () => {
  const reader = new FieldReader()
  fc.assert(
    fc.property(int64, (value) => {
      const expected = plainVarint(value)
      const high = Number(value >> 32n)
      const low = Number(value & 0xffffffffn)
      const target = new Uint8Array(12)
      for (const words of [
        [high, low],
        [high >>> 0, low | 0],
      ] as const) {
        assert.equal(writeVarintWords(target, 1, ...words), 1 + expected.length)
        assert.equal(varintWordsSize(...words), expected.length)
        assert.deepEqual([...target.subarray(1, 1 + expected.length)], expected)
      }
      reader.open(target, 1, 1 + expected.length)
      assert.ok(reader.readVarint())
      assert.equal(reader.at, 1 + expected.length)
      assert.equal((BigInt(reader.high | 0) << 32n) | BigInt(reader.low >>> 0), value)
    }),
    { numRuns: 2000 },
  )
})

test('every safe integer is written as the plain twin does, and read back', () => {
  const reader = new FieldReader()
  const safe = fc.oneof(
    fc.maxSafeInteger(),
    int64.map((n) => Number(BigInt.asIntN(53, n))),
  )
  fc.assert(
    fc.property(safe, (value) => {
      const expected = plainVarint(BigInt(value))
      const target = new Uint8Array(12)
      assert.equal(writeVarint(target, 0, value), expected.length)
      assert.equal(varintSize(value), expected.length)
      assert.deepEqual([...target.subarray(0, expected.length)], expected)
      reader.open(target, 0, expected.length)
      assert.ok(reader.readVarint())
      assert.equal(reader.int64, value)
    }),
    { numRuns: 2000 },
  )
})
