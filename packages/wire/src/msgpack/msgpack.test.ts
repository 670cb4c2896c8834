import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { concat, fromHex, toHex } from '../testdata.suite.ts'
import { decodeText, encodeText } from '../text.ts'
import { WireError } from '../wire-error.ts'
import { boolean, bytes, signed, struct, textBytes, unsigned, type Codec } from './codec.ts'
import { read, written } from './hex.suite.ts'
import { MsgpackReader } from './reader.ts'
import { MsgpackScanner } from './scanner.ts'
import { time } from './time.ts'
import { MsgpackWriter } from './writer.ts'

describe('what is written', () => {
  const unsignedCases: [number, string][] = [
    [0, '00'],
    [127, '7f'],
    [128, 'cc80'],
    [255, 'ccff'],
    [256, 'cd0100'],
    [65_535, 'cdffff'],
    [65_536, 'ce00010000'],
    [2 ** 32 - 1, 'ceffffffff'],
    [2 ** 32, 'cf0000000100000000'],
    [2 ** 53 - 1, 'cf001fffffffffffff'],
  ]
  for (const [value, hex] of unsignedCases) {
    test(`unsigned ${value}`, () => {
      assert.equal(
        written((writer) => writer.unsigned(value)),
        hex,
      )
      assert.equal(read(hex).unsigned(), value)
    })
  }

  const signedCases: [number, string][] = [
    [127, '7f'],
    [128, 'd10080'],
    [200, 'd100c8'],
    [32_767, 'd17fff'],
    [32_768, 'd200008000'],
    [2 ** 31, 'd30000000080000000'],
    [2 ** 53 - 1, 'd3001fffffffffffff'],
    [-1, 'ff'],
    [-32, 'e0'],
    [-33, 'd0df'],
    [-128, 'd080'],
    [-129, 'd1ff7f'],
    [-32_769, 'd2ffff7fff'],
    [-(2 ** 31) - 1, 'd3ffffffff7fffffff'],
    [-(2 ** 53) + 1, 'd3ffe0000000000001'],
  ]
  for (const [value, hex] of signedCases) {
    test(`signed ${value}`, () => {
      assert.equal(
        written((writer) => writer.signed(value)),
        hex,
      )
      assert.equal(read(hex).signed(), value)
    })
  }

  test('bytes: fixstr below 32, then 16 bits, never 8', () => {
    const sizes: [number, string][] = [
      [0, 'a0'],
      [31, 'bf'],
      [32, 'da0020'],
      [255, 'da00ff'],
      [65_535, 'daffff'],
      [65_536, 'db00010000'],
    ]
    for (const [size, head] of sizes) {
      const value = new Uint8Array(size).fill(0xff)
      const hex = written((writer) => writer.bytes(value))
      assert.equal(hex, head + toHex(value))
      assert.deepEqual(read(hex).bytes(), value)
    }
  })

  test('numbers that are no safe integers are refused', () => {
    const writer = new MsgpackWriter()
    for (const value of [2 ** 53, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.throws(() => writer.unsigned(value), { name: 'WireError', code: 'too-large' })
      assert.throws(() => writer.signed(value), { name: 'WireError', code: 'too-large' })
    }
    assert.throws(() => writer.unsigned(-1), { code: 'too-large' })
  })
})

describe('what is accepted', () => {
  test('any family of integers for either kind, but no float and no negative for an unsigned', () => {
    for (const hex of ['05', 'cc05', 'cd0005', 'ce00000005', 'cf0000000000000005', 'd005']) {
      assert.equal(read(hex).signed(), 5)
      assert.equal(read(hex).unsigned(), 5)
    }
    for (const hex of ['ff', 'd0ff', 'd1ffff', 'd2ffffffff', 'd3ffffffffffffffff']) {
      assert.equal(read(hex).signed(), -1)
      assert.throws(() => read(hex).unsigned(), { code: 'malformed' })
    }
    for (const hex of ['ca40a00000', 'cb4014000000000000', 'a135', 'c3', '90', '80']) {
      assert.throws(() => read(hex).signed(), { code: 'malformed' })
    }
  })

  test('integers above 2^53 - 1 are refused, not rounded', () => {
    for (const hex of ['cf0020000000000000', 'cfffffffffffffffff', 'd3ffe0000000000000']) {
      assert.throws(() => read(hex).signed(), { code: 'too-large' })
    }
  })

  test('bytes of every width, as str and bin', () => {
    for (const head of ['a1', 'd901', 'da0001', 'db00000001', 'c401', 'c50001', 'c600000001']) {
      assert.deepEqual(read(`${head}ff`).bytes(), Uint8Array.of(0xff))
      assert.throws(() => read(head).bytes(), { code: 'cut' })
    }
  })

  test('text must be UTF-8', () => {
    assert.equal(read('a3e282ac').text(), '€')
    assert.throws(() => read('a1ff').text(), { code: 'malformed' })
  })

  test('0 and 1 for bools', () => {
    assert.deepEqual(
      ['c2', '00', 'c3', '01'].map((hex) => read(hex).boolean()),
      [false, false, true, true],
    )
    assert.throws(() => read('02').boolean(), { code: 'malformed' })
  })

  test('nil for anything', () => {
    assert.equal(read('c0').signed(), 0)
    assert.equal(read('c0').boolean(), false)
    assert.equal(read('c0').bytes().length, 0)
    assert.equal(read('c0').array(), 0)
    assert.equal(read('c0').map(), 0)
  })

  test('a count needs as many bytes as it promises values', () => {
    assert.throws(() => read('ddffffffff').array(), { code: 'cut' })
    assert.throws(() => read('dfffffffff').map(), { code: 'cut' })
    assert.equal(read('dc0002c0c0').array(), 2)
    assert.equal(read('de0001c0c0').map(), 1)
  })
})

type Sample = {
  readonly number: number
  readonly delta: number
  readonly flag: boolean
  readonly blob: Uint8Array
  readonly name: string
}

const sample: Codec<Sample> = struct<Sample>({
  number: ['Zed', unsigned],
  delta: ['Delta', signed],
  flag: ['Flag', boolean],
  blob: ['Blob', bytes],
  name: ['Name', textBytes],
})

const samples: fc.Arbitrary<Sample> = fc.record(
  {
    number: fc.maxSafeNat(),
    delta: fc.maxSafeInteger(),
    flag: fc.boolean(),
    blob: fc.uint8Array({ maxLength: 70 }),
    name: fc.string({ unit: 'binary', maxLength: 40 }),
  },
  { noNullPrototype: true },
)

describe('structs', () => {
  const value: Sample = {
    number: 7,
    delta: -1,
    flag: true,
    blob: Uint8Array.of(9),
    name: 'n',
  }

  test('are maps with their keys in bytewise order', () => {
    assert.equal(
      written((writer) => sample.write(writer, value)),
      '85a4426c6f62a109a544656c7461ffa4466c6167c3a44e616d65a16ea35a656407',
    )
  })

  test('are read back', () => {
    fc.assert(
      fc.property(samples, (made) => {
        const reader = read(written((writer) => sample.write(writer, made)))
        assert.deepEqual(sample.read(reader), made)
        assert.equal(reader.remaining, 0)
      }),
    )
  })

  test('may have unknown keys, lack keys, and have nil in any of them', () => {
    // {"Other": [[], {"x": 1.0}], bin "Zed": 7, str8 "Name": nil}
    const hex =
      '83a54f746865729290' + '81a178cb3ff0000000000000' + 'c4035a656407' + 'd9044e616d65c0'
    assert.deepEqual(sample.read(read(hex)), { ...sample.zero, number: 7 })
    assert.deepEqual(sample.read(read('80')), sample.zero)
  })

  test('may be arrays, with the fields as Go declares them', () => {
    assert.deepEqual(sample.read(read('9507ffc3a109a16e')), value)
    assert.deepEqual(sample.read(read('9207ff')), { ...sample.zero, number: 7, delta: -1 })
    const reader = read('9607ffc3a109a16e9101')
    assert.deepEqual(sample.read(reader), value)
    assert.equal(reader.remaining, 0)
  })

  test('a key of the prototype is an unknown key like any other', () => {
    const key = toHex(encodeText('__proto__'))
    const made = sample.read(read(`81a9${key}01`))
    assert.deepEqual(made, sample.zero)
    assert.equal(Object.getPrototypeOf(made), Object.prototype)
  })
})

/** Builds any value of MessagePack, and knows how long it is. */
const anyValue: fc.Arbitrary<Uint8Array> = fc.letrec<{ value: Uint8Array }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom('c0', 'c2', 'c3', '00', '7f', 'e0', 'ff').map(fromHex),
    fc
      .constantFrom(
        'ca00000000',
        'cbff00000000000000',
        'cc01',
        'cd0102',
        'ce01020304',
        'cf0102030405060708',
        'd0ff',
        'd10102',
        'd201020304',
        'd30102030405060708',
        'd40102',
        'd5010203',
        'd60102030405',
        'd7010203040506070809',
        'd80102030405060708090a0b0c0d0e0f1011',
        'c7010105',
        'c800010105',
        'c9000000010105',
        'a161',
        'd90161',
        'da000161',
        'db0000000161',
        'c401c1',
        'c50001c1',
        'c600000001c1',
      )
      .map(fromHex),
    fc
      .array(tie('value'), { maxLength: 4 })
      .map((values) => concat(Uint8Array.of(0x90 | values.length), ...values)),
    fc
      .array(tie('value'), { maxLength: 4 })
      .map((values) => concat(Uint8Array.of(0xdc, 0, values.length), ...values)),
    fc
      .array(fc.tuple(tie('value'), tie('value')), { maxLength: 3 })
      .map((pairs) => concat(Uint8Array.of(0xde, 0, pairs.length), ...pairs.flat())),
  ),
})).value

describe('the scanner', () => {
  test('finds the end of every value, however it is cut', () => {
    fc.assert(
      fc.property(anyValue, fc.uint8Array({ maxLength: 3 }), (value, rest) => {
        const stream = concat(Uint8Array.of(0xc1), value, rest)
        const scanner = new MsgpackScanner(1000)
        for (let end = 1; end < 1 + value.length; end++) {
          assert.equal(scanner.scan(stream, 1, end), -1)
        }
        assert.equal(scanner.scan(stream, 1, stream.length), value.length)
        const reader = new MsgpackReader(stream, 1)
        reader.skip()
        assert.equal(reader.remaining, rest.length)
      }),
    )
  })

  test('depth costs nothing', () => {
    const deep = new Uint8Array(1_000_000).fill(0x91)
    deep[deep.length - 1] = 0xc0
    assert.equal(new MsgpackScanner(deep.length).scan(deep, 0, deep.length), deep.length)
  })

  test('refuses what cannot stay within the bound as soon as it is known', () => {
    for (const hex of ['dbffffffff', 'ddffffffff', 'dfffffffff', 'da03e9', 'dc03e9', 'de01f5']) {
      const head = fromHex(hex)
      assert.throws(() => new MsgpackScanner(1000).scan(head, 0, head.length), {
        code: 'too-large',
      })
    }
    assert.throws(() => new MsgpackScanner(9).scan(fromHex('c1'), 0, 1), { code: 'malformed' })
  })
})

test('any bytes give a value or a WireError, from every method', () => {
  const methods: ((reader: MsgpackReader) => unknown)[] = [
    (reader) => reader.signed(),
    (reader) => reader.unsigned(),
    (reader) => reader.boolean(),
    (reader) => reader.bytes(),
    (reader) => reader.text(),
    (reader) => reader.array(),
    (reader) => reader.map(),
    (reader) => reader.skip(),
    (reader) => time.read(reader),
    (reader) => sample.read(reader),
  ]
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(methods.length - 1), (input, index) => {
      try {
        methods[index]?.(new MsgpackReader(input))
      } catch (error) {
        assert.ok(error instanceof WireError, decodeText(input))
      }
    }),
    { numRuns: 2000 },
  )
})
