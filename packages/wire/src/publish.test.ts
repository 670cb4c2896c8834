import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { decodeEnvelopeOf, EnvelopeType } from './envelope.ts'
import * as api from './messages.ts'
import { create, decodeMessage, fromBinary, toBinary } from './protobuf.ts'
import {
  decodePublishEnvelope,
  decodePublishMessage,
  PublishEnvelopeWriter,
} from './publish-envelope.ts'
import { decodePublishRequest, decodePublishToSubject } from './publish-request.ts'
import { PublishView } from './publish-view.ts'
import { concat, fromHex, toHex } from './testdata.suite.ts'
import { decodeText, encodeText } from './text.ts'

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 10 }),
  fc.uint8Array({ minLength: 40, maxLength: 300 }),
)
const text = fc.oneof(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12, unit: 'grapheme' }))
const headerName = text.filter((name) => !/^\d+$/.test(name) && name !== '__proto__')
// Twenty and more leave the way that compares each key with each.
const headers = fc.oneof(
  fc.dictionary(headerName, bytes, { maxKeys: 5, noNullPrototype: true }),
  fc.dictionary(headerName, bytes, { minKeys: 9, maxKeys: 30, noNullPrototype: true }),
)
const safe = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer(),
  fc.constantFrom(-1, 0, 2 ** 32, -(2 ** 32)),
)
const common = {
  key: bytes,
  value: bytes,
  headers,
  ackInbox: text,
  correlationId: text,
  ackPolicy: fc.oneof(fc.nat({ max: 2 }), fc.integer()).map((n) => n as api.AckPolicy),
}
const request = fc
  .record({ ...common, stream: text, partition: fc.integer(), expectedOffset: safe.map(BigInt) })
  .map((fields) => create(api.PublishRequestSchema, fields))
const toSubject = fc
  .record({ ...common, subject: text })
  .map((fields) => create(api.PublishToSubjectRequestSchema, fields))
const message = fc
  .record({
    ...common,
    offset: safe.map(BigInt),
    stream: text,
    partition: fc.integer(),
    subject: text,
    replySubject: text,
    timestamp: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  })
  .map((fields) => create(api.MessageSchema, fields))

/** An unknown field of each wire type but groups. */
const unknownField = fc.oneof(
  fc.nat({ max: 255 }).map((n) => Uint8Array.of(0xf8, 0x07, n | 0x80, 0x01)),
  bytes.map((b) => concat(fromHex('fa07'), varint(b.length), b)),
  fc.uint8Array({ minLength: 8, maxLength: 8 }).map((b) => concat(fromHex('f907'), b)),
  fc.uint8Array({ minLength: 4, maxLength: 4 }).map((b) => concat(fromHex('fd07'), b)),
)

function varint(value: number): Uint8Array {
  return value < 0x80 ? Uint8Array.of(value) : Uint8Array.of((value & 0x7f) | 0x80, value >>> 7)
}

interface Plain {
  readonly key: string
  readonly value: string
  readonly stream: string
  readonly subject: string
  readonly partition: number
  readonly ackInbox: string
  readonly correlationId: string
  readonly ackPolicy: number
  readonly expectedOffset: number
  readonly headers: readonly (readonly [string, string])[]
}

/** Everything a view shows, in comparable form; absent and empty look alike. */
function shown(view: PublishView): Plain {
  const hex = (start: number, end: number): string =>
    start < 0 ? '' : toHex(view.bytes.subarray(start, end))
  const textOf = (start: number, end: number): string => decodeText(view.bytes, start, end)
  const list: [string, string][] = []
  for (let index = 0; index < view.headers.count; index++) {
    const { keyStart, keyEnd, valueStart, valueEnd } = view.headers
    list.push([
      textOf(keyStart[index] ?? 0, keyEnd[index] ?? 0),
      hex(valueStart[index] ?? 0, valueEnd[index] ?? 0),
    ])
  }
  return {
    key: hex(view.keyStart, view.keyEnd),
    value: hex(view.valueStart, view.valueEnd),
    stream: textOf(view.streamStart, view.streamEnd),
    subject: textOf(view.subjectStart, view.subjectEnd),
    partition: view.partition,
    ackInbox: textOf(view.ackInboxStart, view.ackInboxEnd),
    correlationId: textOf(view.correlationIdStart, view.correlationIdEnd),
    ackPolicy: view.ackPolicy,
    expectedOffset: view.expectedOffset,
    headers: sorted(list),
  }
}

function sorted(list: readonly (readonly [string, string])[]): (readonly [string, string])[] {
  return list.toSorted(([a], [b]) => (a < b ? -1 : 1))
}

interface Decoded {
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly headers: { readonly [name: string]: Uint8Array }
  readonly ackInbox: string
  readonly correlationId: string
  readonly ackPolicy: number
}

function clamped(offset: bigint): number {
  if (offset > BigInt(Number.MAX_SAFE_INTEGER)) return Number.MAX_SAFE_INTEGER
  if (offset < BigInt(Number.MIN_SAFE_INTEGER)) return Number.MIN_SAFE_INTEGER
  return Number(offset)
}

/** The same of a message that protobuf-es decoded. */
function plain(decoded: Decoded, rest: Partial<Plain>, offset = 0n): Plain {
  return {
    key: toHex(decoded.key),
    value: toHex(decoded.value),
    stream: '',
    subject: '',
    partition: 0,
    ackInbox: decoded.ackInbox,
    correlationId: decoded.correlationId,
    ackPolicy: decoded.ackPolicy,
    headers: sorted(Object.entries(decoded.headers).map(([name, b]) => [name, toHex(b)])),
    ...rest,
    expectedOffset: clamped(offset),
  }
}

interface Codec {
  readonly name: string
  readonly encoded: fc.Arbitrary<Uint8Array>
  readonly decode: (view: PublishView, bytes: Uint8Array, start?: number, end?: number) => boolean
  readonly twin: (bytes: Uint8Array) => Plain | undefined
}

const codecs: readonly Codec[] = [
  {
    name: 'PublishRequest',
    encoded: request.map((fields) => toBinary(api.PublishRequestSchema, fields)),
    decode: decodePublishRequest,
    twin: (input) => {
      const decoded = decodeMessage(api.PublishRequestSchema, input)
      if (decoded.kind === 'rejected') return undefined
      const { stream, partition, expectedOffset } = decoded.message
      return plain(decoded.message, { stream, partition }, expectedOffset)
    },
  },
  {
    name: 'PublishToSubjectRequest',
    encoded: toSubject.map((fields) => toBinary(api.PublishToSubjectRequestSchema, fields)),
    decode: decodePublishToSubject,
    twin: (input) => {
      const decoded = decodeMessage(api.PublishToSubjectRequestSchema, input)
      if (decoded.kind === 'rejected') return undefined
      return plain(decoded.message, { subject: decoded.message.subject })
    },
  },
  {
    name: 'Message of a Publish envelope',
    encoded: message.map((fields) => toBinary(api.MessageSchema, fields)),
    decode: decodePublishMessage,
    twin: (input) => {
      const decoded = decodeMessage(api.MessageSchema, input)
      if (decoded.kind === 'rejected') return undefined
      const { stream, subject, partition, offset } = decoded.message
      return plain(decoded.message, { stream, subject, partition }, offset)
    },
  },
]

for (const { name, encoded, decode, twin } of codecs) {
  suite(name, () => {
    const view = new PublishView()

    test('what protobuf-es writes is read to the same values, wherever it stands', () => {
      fc.assert(
        fc.property(encoded, fc.nat({ max: 5 }), (input, before) => {
          const framed = new Uint8Array(before + input.length + 3).fill(0xff)
          framed.set(input, before)
          assert.ok(decode(view, framed, before, before + input.length), view.problem)
          assert.deepEqual(shown(view), twin(input))
        }),
        { numRuns: 300 },
      )
    })

    test('two messages in one merge as proto3 says: the last value of each field counts', () => {
      fc.assert(
        fc.property(encoded, encoded, (first, second) => {
          const both = concat(first, second)
          assert.ok(decode(view, both), view.problem)
          assert.deepEqual(shown(view), twin(both))
        }),
      )
    })

    test('unknown fields are passed over', () => {
      fc.assert(
        fc.property(unknownField, encoded, unknownField, (before, input, behind) => {
          const wrapped = concat(before, input, behind)
          assert.ok(decode(view, wrapped), view.problem)
          assert.deepEqual(shown(view), twin(input))
        }),
      )
    })

    test('cut anywhere it is malformed, or a shorter message that protobuf-es reads alike', () => {
      fc.assert(
        fc.property(encoded, (input) => {
          for (let end = 0; end < input.length; end++) {
            const accepted = decode(view, input, 0, end)
            const expected = twin(input.subarray(0, end))
            assert.equal(accepted, expected !== undefined, `cut at ${end}: ${view.problem}`)
            if (accepted) assert.deepEqual(shown(view), expected)
          }
        }),
        { numRuns: 20 },
      )
    })

    test('of mutated bytes, what is accepted is accepted by protobuf-es with the same values', () => {
      const mutations = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), {
        minLength: 1,
        maxLength: 4,
      })
      fc.assert(
        fc.property(encoded, mutations, (input, changes) => {
          for (const [at, byte] of changes) if (input.length > 0) input[at % input.length] = byte
          if (!decode(view, input)) return assert.notEqual(view.problem, '')
          assert.deepEqual(shown(view), twin(input))
        }),
        { numRuns: 1000 },
      )
    })
  })
}

suite('strictness', () => {
  const view = new PublishView()
  const problemOf = (hex: string): string =>
    decodePublishRequest(view, fromHex(hex)) ? 'accepted' : view.problem

  test('malformed bytes are rejected with a reason', () => {
    assert.equal(problemOf('00'), 'malformed tag')
    assert.equal(problemOf('0800'), 'wrong wire type')
    assert.equal(problemOf('2200'), 'wrong wire type')
    assert.equal(problemOf('0a05'), 'malformed length')
    assert.equal(problemOf('0affffffffffffffffff01'), 'malformed length')
    assert.equal(problemOf('1a02c328'), 'text is not UTF-8')
    assert.equal(problemOf('2a040a02c328'), 'malformed header')
    assert.equal(problemOf('2a0208 01'), 'malformed header')
    // The key is given twice, and only the first is bad: found by fuzzing, refused by protobuf-es too.
    assert.equal(problemOf('2a090a02c3280a01611200'), 'malformed header')
    assert.equal(problemOf('2a090a0261620a01611200'), 'accepted')
    assert.equal(problemOf('20ffffffffffffffffff02'), 'malformed number')
    assert.equal(problemOf('20ffffffffffffffffffff01'), 'malformed number')
    assert.equal(problemOf('808080807f01'), 'malformed tag')
    // Six bytes for what fits in five: found by fuzzing, refused by protobuf-es too.
    assert.equal(problemOf('ed8098808000 00000000'), 'malformed tag')
  })
  test('groups are rejected, alone and nested', () => {
    assert.equal(problemOf('fb07fc07'), 'malformed unknown field')
    assert.equal(problemOf('fb07'.repeat(1000)), 'malformed unknown field')
  })
  test('positions outside of the bytes are rejected', () => {
    for (const [start, end] of [
      [-1, 2],
      [0, 5],
      [3, 2],
    ] as const) {
      assert.equal(decodePublishRequest(view, new Uint8Array(4), start, end), false)
      assert.equal(view.problem, 'out of bounds')
    }
  })
  test('an expected offset beyond the safe integers becomes the nearest one', () => {
    assert.equal(problemOf('48ffffffffffffffff7f'), 'accepted')
    assert.equal(view.expectedOffset, Number.MAX_SAFE_INTEGER)
    assert.equal(problemOf('4880808080808080808001'), 'accepted')
    assert.equal(view.expectedOffset, Number.MIN_SAFE_INTEGER)
    assert.equal(problemOf('48ffffffffffffffffff01'), 'accepted')
    assert.equal(view.expectedOffset, -1)
  })
  test('an absent key differs from an empty one', () => {
    assert.equal(problemOf('1200'), 'accepted')
    assert.equal(view.keyStart, -1)
    assert.equal(view.valueEnd - view.valueStart, 0)
    assert.ok(view.valueStart >= 0)
  })
  test('a message of nothing but headers is read in time proportional to its length', () => {
    const entries: Uint8Array[] = []
    for (let index = 0; index < 60_000; index++) {
      const name = encodeText(`${index % 50_000}`.padStart(6, '0'))
      entries.push(Uint8Array.of(0x2a, 8, 0x0a, 6, ...name))
    }
    const input = concat(...entries)
    assert.ok(decodePublishRequest(view, input))
    assert.equal(view.headers.count, 50_000)
    assert.ok(decodePublishRequest(view, fromHex('2a00')))
    assert.ok(view.headers.keyStart.length <= 1024, 'the long arrays are let go')
  })
  test('headers are found by their key', () => {
    assert.ok(decodePublishRequest(view, fromHex('2a050a0161 1200 2a060a0162 120178')))
    assert.equal(view.headers.indexOf(encodeText('b')), 1)
    assert.equal(view.headers.indexOf(encodeText('c')), -1)
    assert.ok(view.headers.keyIs(0, encodeText('a')))
  })
})

suite('PublishEnvelopeWriter', () => {
  const view = new PublishView()

  test('a request becomes the envelope that protobuf-es would give', () => {
    fc.assert(
      fc.property(request, text, fc.option(text, { nil: undefined }), (fields, subject, inbox) => {
        assert.ok(decodePublishRequest(view, toBinary(api.PublishRequestSchema, fields)))
        const writer = new PublishEnvelopeWriter(fields.stream, subject)
        const ackInbox = inbox === undefined ? undefined : encodeText(inbox)
        const target = new Uint8Array(writer.size(view, ackInbox) + 2)
        const end = writer.write(target, 2, view, ackInbox)
        assert.equal(end, target.length)
        const envelope = target.subarray(2)
        const opened = decodeEnvelopeOf(EnvelopeType.Publish, envelope)
        assert.equal(opened.kind, 'envelope')
        const { key, value, stream, headers: entries, correlationId, ackPolicy } = fields
        const expected = toBinary(
          api.MessageSchema,
          create(api.MessageSchema, {
            key,
            value,
            stream,
            subject,
            headers: entries,
            correlationId,
            ackPolicy,
            offset: fields.expectedOffset,
            ackInbox: inbox ?? fields.ackInbox,
          }),
        )
        assert.equal(toHex(envelope.subarray(8)), toHex(expected))
        assert.ok(decodePublishEnvelope(view, envelope))
        assert.equal(shown(view).stream, stream)
      }),
      { numRuns: 300 },
    )
  })

  test('an empty key stays a key', () => {
    assert.ok(decodePublishRequest(view, fromHex('0a00')))
    const writer = new PublishEnvelopeWriter('', '')
    const target = new Uint8Array(writer.size(view))
    writer.write(target, 0, view)
    assert.equal(toHex(target), 'b90e43b4000800001200')
    assert.equal(fromBinary(api.MessageSchema, target.subarray(8)).key.length, 0)
  })

  test('what is no Publish envelope is rejected', () => {
    assert.equal(decodePublishEnvelope(view, fromHex('b90e43b400080001')), false)
    assert.equal(decodePublishEnvelope(view, fromHex('b90e43b400ff0000')), false)
    assert.equal(decodePublishEnvelope(view, fromHex('b90e43b400080000 0a')), false)
    assert.equal(decodePublishEnvelope(view, fromHex('')), false)
    assert.ok(decodePublishEnvelope(view, fromHex('b90e43b400080000')))
  })
})
