import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { crc32c } from './crc32c.ts'
import * as api from './messages.ts'
import { DOES_NOT_FIT, MALFORMED_RECORD, MessageWriter, type StoredRecord } from './message.ts'
import { create, toBinary } from './protobuf.ts'
import { concat, fromHex, testdataLines, toHex } from './testdata.suite.ts'
import { decodeText, encodeText } from './text.ts'

interface Content {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly (readonly [string, Uint8Array])[]
}

/** The body of a stored record, written the plain way. */
function storedBody({ key, value, headers }: Content): Uint8Array {
  const parts: Uint8Array[] = [Uint8Array.of(1, 0)]
  const number = (size: number, digits: number): void => {
    parts.push(fromHex((size >>> 0).toString(16).padStart(digits, '0')))
  }
  for (const part of [key, value]) {
    number(part?.length ?? -1, 8)
    if (part !== null) parts.push(part)
  }
  number(headers.length, 4)
  for (const [name, content] of headers) {
    const text = encodeText(name)
    number(text.length, 4)
    parts.push(text)
    number(content.length, 8)
    parts.push(content)
  }
  const checked = concat(...parts)
  return concat(fromHex(crc32c(checked).toString(16).padStart(8, '0')), checked)
}

function recordOf(body: Uint8Array, offset: number, timestamp: bigint): StoredRecord {
  // Something before and behind the body shows that its bounds are respected.
  const bytes = new Uint8Array(body.length + 20).fill(0xee)
  bytes.set(body, 10)
  return {
    bytes,
    bodyStart: 10,
    bodyEnd: 10 + body.length,
    offset,
    timestampHigh: Number(timestamp >> 32n),
    timestampLow: Number(timestamp & 0xffffffffn),
  }
}

interface Subscription {
  readonly stream: string
  readonly partition: number
}

/** What protobuf-es makes of the same, with the gRPC prefix. */
function expectedOf(subscription: Subscription, content: Content, record: StoredRecord): string {
  const header = (name: string): string =>
    decodeText(content.headers.find(([key]) => key === name)?.[1] ?? new Uint8Array())
  const message = create(api.MessageSchema, {
    offset: BigInt(record.offset),
    key: content.key ?? new Uint8Array(),
    value: content.value ?? new Uint8Array(),
    timestamp: (BigInt(record.timestampHigh) << 32n) | BigInt(record.timestampLow),
    stream: subscription.stream,
    partition: subscription.partition,
    subject: header('subject'),
    replySubject: header('reply'),
    headers: Object.fromEntries(content.headers),
  })
  const bytes = toBinary(api.MessageSchema, message)
  return `00${bytes.length.toString(16).padStart(8, '0')}${toHex(bytes)}`
}

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 12 }),
  fc.uint8Array({ minLength: 40, maxLength: 60 }),
  fc.uint8Array({ minLength: 120, maxLength: 300 }),
)
// Names like "1" would change their place in an object, "__proto__" would not become a key of it.
const headerName = fc
  .oneof(fc.string({ maxLength: 9 }), fc.string({ maxLength: 9, unit: 'grapheme' }))
  .filter((name) => name.isWellFormed() && !/^\d+$/.test(name) && name !== '__proto__')
const text = bytes.map((content) => encodeText(decodeText(content)))
const header = fc.oneof(
  fc.tuple(fc.constantFrom('subject', 'reply', 'subjecT', 'replx'), text),
  fc.tuple(headerName, text),
)
const content = fc.record({
  key: fc.option(bytes),
  value: fc.option(bytes),
  headers: fc.uniqueArray(header, { maxLength: 6, selector: ([name]) => name }),
})
const offset = fc.oneof(
  fc.maxSafeNat(),
  fc.nat(),
  fc.constantFrom(0, 127, 128, 2 ** 28 - 1, 2 ** 28, 2 ** 32 - 1, 2 ** 32, 2 ** 49, 2 ** 53 - 1),
)
const timestamp = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.integer({ min: 0, max: 63 }).map((shift) => (shift === 63 ? -1n : 1n << BigInt(shift))),
  fc.constantFrom(0n, 1_700_000_000_000_000_000n),
)
const subscription = fc.record({
  stream: fc.string({ unit: 'grapheme', maxLength: 40 }),
  partition: fc.oneof(fc.nat({ max: 300 }), fc.integer({ min: 0, max: 2 ** 31 - 1 })),
})

suite('MessageWriter', () => {
  test('golden records become golden messages', () => {
    const writer = new MessageWriter('s', 3)
    for (const line of testdataLines('records.txt')) {
      const [stored = '', message = ''] = line.slice(line.indexOf(' ')).split('|')
      const record = fromHex(stored)
      const view = new DataView(record.buffer)
      const bodyEnd = 28 + view.getUint32(24)
      assert.equal(bodyEnd, record.length)
      assert.equal(crc32c(record, 32), view.getUint32(28))
      const target = new Uint8Array(200)
      const end = writer.write(target, 0, {
        bytes: record,
        bodyStart: 28,
        bodyEnd,
        offset: Number(view.getBigInt64(0)),
        timestampHigh: view.getInt32(8),
        timestampLow: view.getInt32(12),
      })
      assert.equal(toHex(target.subarray(5, end)), message.replaceAll(/\s/g, ''))
      assert.equal(new DataView(target.buffer).getUint32(1), end - 5)
    }
  })

  test('every record becomes what protobuf-es writes, in exactly the size announced', () => {
    fc.assert(
      fc.property(subscription, content, offset, timestamp, (where, what, number, time) => {
        const writer = new MessageWriter(where.stream, where.partition)
        const record = recordOf(storedBody(what), number, time)
        const expected = expectedOf(where, what, record)
        const size = writer.size(record)
        assert.equal(size * 2, expected.length)
        const target = new Uint8Array(size + 7).fill(0xaa)
        assert.equal(writer.write(target, 3, record), 3 + size)
        assert.equal(toHex(target), `aaaaaa${expected}aaaaaaaa`)
      }),
      { numRuns: 500 },
    )
  })

  test('a message that does not fit by one byte leaves the target as it was', () => {
    const writer = new MessageWriter('s', 0)
    const record = recordOf(storedBody({ key: null, value: encodeText('v'), headers: [] }), 5, 9n)
    const size = writer.size(record)
    const target = new Uint8Array(size)
    assert.equal(writer.write(target, 1, record), DOES_NOT_FIT)
    assert.deepEqual(target, new Uint8Array(size))
    assert.equal(writer.write(target, 0, record), size)
  })

  test('one writer forgets the subject of the record before', () => {
    const writer = new MessageWriter('s', 0)
    const plain = recordOf(storedBody({ key: null, value: null, headers: [] }), 1, 0n)
    const before = writer.size(plain)
    const headers = [['subject', encodeText('foo')] as const, ['reply', encodeText('r')] as const]
    assert.ok(writer.size(recordOf(storedBody({ key: null, value: null, headers }), 1, 0n)) > 0)
    assert.equal(writer.size(plain), before)
  })

  test('a body cut anywhere, or longer than its parts, is malformed and never throws', () => {
    fc.assert(
      fc.property(content, (what) => {
        const writer = new MessageWriter('s', 0)
        const body = storedBody(what)
        const record = recordOf(body, 1, 1n)
        const whole = record.bodyEnd
        const target = new Uint8Array(4096)
        for (let end = record.bodyStart; end < whole; end++) {
          record.bodyEnd = end
          assert.equal(writer.write(target, 0, record), MALFORMED_RECORD)
        }
        record.bodyEnd = whole + 1
        assert.equal(writer.write(target, 0, record), MALFORMED_RECORD)
        record.bodyEnd = record.bytes.length + 1
        assert.equal(writer.write(target, 0, record), MALFORMED_RECORD)
      }),
      { numRuns: 50 },
    )
  })

  test('mutated bodies never throw, and what is written has the size announced', () => {
    fc.assert(
      fc.property(content, fc.nat(), fc.integer({ min: 0, max: 255 }), (what, at, byte) => {
        const writer = new MessageWriter('s', 0)
        const body = storedBody(what)
        body[at % body.length] = byte
        const target = new Uint8Array(4096)
        const record = recordOf(body, 1, 1n)
        assert.equal(writer.write(target, 0, record), writer.size(record))
      }),
      { numRuns: 500 },
    )
  })
})
