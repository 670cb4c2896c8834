import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { AckEnvelopeWriter } from './ack-envelope.ts'
import { AckFields } from './ack-writer.ts'
import { decodeEnvelopeOf, EnvelopeType } from './envelope.ts'
import * as api from './messages.ts'
import { DOES_NOT_FIT } from './message.ts'
import { create, toBinary } from './protobuf.ts'
import { PublishResponseWriter } from './publish-response.ts'
import { testdataLines, toHex } from './testdata.suite.ts'
import { encodeText } from './text.ts'

const text = fc.oneof(
  fc.string({ maxLength: 10, unit: 'grapheme' }),
  fc.string({ minLength: 50, maxLength: 150 }),
)
const timestamp = fc.oneof(
  fc.constantFrom(0n, 1_700_000_000_000_000_000n, -1n),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
)
const fields = fc.record({
  stream: text,
  partitionSubject: text,
  msgSubject: text,
  offset: fc.oneof(fc.constantFrom(-1, 0, 2 ** 31, 2 ** 32), fc.maxSafeInteger(), fc.nat()),
  ackInbox: text,
  correlationId: text,
  ackPolicy: fc.nat({ max: 2 }).map((n) => n as api.AckPolicy),
  receptionTimestamp: timestamp,
  commitTimestamp: timestamp,
  ackError: fc.nat({ max: 4 }).map((n) => n as api.Ack_Error),
})
type Fields = typeof fields extends fc.Arbitrary<infer T> ? T : never

/** Texts lie somewhere in longer bytes, as correlation ids do in a request. */
function fill(ack: AckFields, from: Fields): void {
  for (const name of ['msgSubject', 'ackInbox', 'correlationId'] as const) {
    const bytes = encodeText(`<<${from[name]}>>`)
    ack[name] = bytes
    ack[`${name}Start`] = 2
    ack[`${name}End`] = bytes.length - 2
  }
  for (const name of ['receptionTimestamp', 'commitTimestamp'] as const) {
    ack[`${name}High`] = Number(from[name] >> 32n)
    ack[`${name}Low`] = Number(from[name] & 0xffffffffn)
  }
  ack.offset = from.offset
  ack.ackPolicy = from.ackPolicy
  ack.ackError = from.ackError
}

function ackOf(from: Fields): api.Ack {
  return create(api.AckSchema, { ...from, offset: BigInt(from.offset) })
}

suite('PublishResponseWriter', () => {
  const ack = new AckFields()

  test('every response is what protobuf-es writes, in exactly the size announced', () => {
    fc.assert(
      fc.property(fields, (from) => {
        fill(ack, from)
        const writer = new PublishResponseWriter(from.stream, from.partitionSubject)
        const { correlationId } = from
        const message = create(api.PublishResponseSchema, { ack: ackOf(from), correlationId })
        const bytes = toBinary(api.PublishResponseSchema, message)
        const prefix = `00${bytes.length.toString(16).padStart(8, '0')}`
        const target = new Uint8Array(writer.size(ack) + 3)
        assert.equal(writer.write(target, 2, ack), target.length - 1)
        assert.equal(toHex(target), `0000${prefix}${toHex(bytes)}00`)
      }),
      { numRuns: 500 },
    )
  })

  test('a response that does not fit by one byte leaves the target as it was', () => {
    fc.assert(
      fc.property(fields, (from) => {
        fill(ack, from)
        const writer = new PublishResponseWriter(from.stream, from.partitionSubject)
        const target = new Uint8Array(writer.size(ack))
        assert.equal(writer.write(target, 1, ack), DOES_NOT_FIT)
        assert.ok(target.every((byte) => byte === 0))
      }),
    )
  })
})

suite('AckEnvelopeWriter', () => {
  test('the golden ack is written byte for byte', () => {
    const golden = testdataLines('envelopes.txt').find((line) => line.startsWith('ack '))
    const ack = new AckFields()
    fill(ack, {
      stream: '',
      partitionSubject: '',
      msgSubject: 'foo',
      offset: 42,
      ackInbox: 'a.b',
      correlationId: 'c1',
      ackPolicy: 0,
      receptionTimestamp: 0n,
      commitTimestamp: 0n,
      ackError: 0,
    })
    const writer = new AckEnvelopeWriter('s', 'foo')
    const target = new Uint8Array(writer.size(ack))
    assert.equal(writer.write(target, 0, ack), target.length)
    assert.equal(toHex(target), golden?.split(/\s+/).slice(2).join(''))
    assert.equal(writer.write(target, 1, ack), DOES_NOT_FIT)
  })

  test('every ack is what protobuf-es writes', () => {
    const ack = new AckFields()
    fc.assert(
      fc.property(fields, (from) => {
        fill(ack, from)
        const writer = new AckEnvelopeWriter(from.stream, from.partitionSubject)
        const target = new Uint8Array(writer.size(ack))
        assert.equal(writer.write(target, 0, ack), target.length)
        assert.equal(decodeEnvelopeOf(EnvelopeType.Ack, target).kind, 'envelope')
        assert.equal(toHex(target.subarray(8)), toHex(toBinary(api.AckSchema, ackOf(from))))
      }),
      { numRuns: 300 },
    )
  })
})
