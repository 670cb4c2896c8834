import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import {
  decodeEnvelope,
  decodeEnvelopeOf,
  encodeCheckedEnvelope,
  encodeEnvelope,
  EnvelopeType,
} from './envelope.ts'
import * as internal from './internal-messages.ts'
import * as api from './messages.ts'
import { create, toBinary } from './protobuf.ts'
import { fromHex, testdataLines, toHex } from './testdata.suite.ts'
import { encodeText } from './text.ts'

const golden = new Map(
  testdataLines('envelopes.txt').map((line) => {
    const [name = '', type = '', ...hex] = line.split(/\s+/)
    return [name, { type: Number(type) as EnvelopeType, bytes: fromHex(hex.join('')) }]
  }),
)

function goldenOf(name: string): { type: EnvelopeType; bytes: Uint8Array } {
  const entry = golden.get(name)
  assert.ok(entry, name)
  return entry
}

const publish = toBinary(
  api.MessageSchema,
  create(api.MessageSchema, {
    key: encodeText('k1'),
    value: encodeText('hello'),
    ackInbox: 'a.b',
    correlationId: 'c1',
    ackPolicy: api.AckPolicy.ALL,
  }),
)

const ack = toBinary(
  api.AckSchema,
  create(api.AckSchema, {
    stream: 's',
    partitionSubject: 'foo',
    msgSubject: 'foo',
    offset: 42n,
    ackInbox: 'a.b',
    correlationId: 'c1',
  }),
)

/** The payload that each golden envelope holds, encoded by us. */
const payloads = new Map<string, Uint8Array>([
  ['publish', publish],
  ['publish-checked', publish],
  ['ack', ack],
  [
    'replication-request',
    toBinary(
      internal.ReplicationRequestSchema,
      create(internal.ReplicationRequestSchema, { replicaID: 'b', offset: -1n, leaderEpoch: 7n }),
    ),
  ],
  ['replication-response', fromHex('0000000000000007 0000000000000029')],
  [
    'offset-request',
    toBinary(
      internal.LeaderEpochOffsetRequestSchema,
      create(internal.LeaderEpochOffsetRequestSchema, { leaderEpoch: 7n }),
    ),
  ],
  ['offset-response-41', offsetResponse(41n)],
  ['offset-response-none', offsetResponse(-1n)],
  ['offset-response-0', offsetResponse(0n)],
  [
    'raft-join-request',
    toBinary(
      internal.RaftJoinRequestSchema,
      create(internal.RaftJoinRequestSchema, { nodeID: 'a', nodeAddr: 'a' }),
    ),
  ],
  [
    'raft-join-response',
    toBinary(internal.RaftJoinResponseSchema, create(internal.RaftJoinResponseSchema)),
  ],
  [
    'status-request',
    toBinary(
      internal.PartitionStatusRequestSchema,
      create(internal.PartitionStatusRequestSchema, { stream: 'foo' }),
    ),
  ],
  [
    'notification',
    toBinary(
      internal.PartitionNotificationSchema,
      create(internal.PartitionNotificationSchema, { stream: 's', partition: 2 }),
    ),
  ],
])

function offsetResponse(endOffset: bigint): Uint8Array {
  return toBinary(
    internal.LeaderEpochOffsetResponseSchema,
    create(internal.LeaderEpochOffsetResponseSchema, { endOffset }),
  )
}

suite('golden envelopes', () => {
  test('every golden envelope has a payload to compare with', () => {
    assert.deepEqual([...golden.keys()].toSorted(), [...payloads.keys()].toSorted())
  })
  for (const [name, payload] of payloads) {
    test(`${name} is written byte for byte and read back`, () => {
      const { type, bytes } = goldenOf(name)
      const encode = name.endsWith('-checked') ? encodeCheckedEnvelope : encodeEnvelope
      assert.equal(toHex(encode(type, payload)), toHex(bytes))
      const decoded = decodeEnvelopeOf(type, bytes)
      assert.equal(decoded.kind, 'envelope')
      if (decoded.kind !== 'envelope') return
      assert.equal(toHex(bytes.subarray(decoded.payloadStart)), toHex(payload))
    })
  }
})

function reasonFor(hex: string): string {
  const decoded = decodeEnvelope(fromHex(hex))
  return decoded.kind === 'rejected' ? decoded.reason : `accepted at ${decoded.payloadStart}`
}

suite('acceptance', () => {
  test('[D-02, G3] the 8-byte envelope with header length 255 is rejected', () => {
    assert.equal(reasonFor('b90e43b400ff0000'), 'header length outside of the message')
  })
  test('a header length one byte beyond the message is rejected, the very end is accepted', () => {
    assert.equal(reasonFor('b90e43b4000a0000 00'), 'header length outside of the message')
    assert.equal(reasonFor('b90e43b400090000 00'), 'accepted at 9')
  })
  test('a header length below 8 is rejected', () => {
    for (let length = 0; length < 8; length++) {
      const reason = reasonFor(`b90e43b4000${length}0000 0807`)
      assert.equal(reason, 'header length outside of the message')
    }
  })
  test('without a checksum a longer header is skipped', () => {
    assert.equal(reasonFor('b90e43b4000b0000 ffffff 0807'), 'accepted at 11')
  })
  test('flags other than the checksum are ignored', () => {
    assert.equal(reasonFor('b90e43b40008fe00 0807'), 'accepted at 8')
  })
  test('a checksum demands a header of 12 bytes', () => {
    assert.equal(reasonFor('b90e43b400080100 0807 0000'), 'checksum without its header length')
    assert.equal(reasonFor('b90e43b4000d0100 89ff9990 00'), 'checksum without its header length')
  })
  test('a wrong checksum is rejected', () => {
    const { bytes } = goldenOf('publish-checked')
    for (let at = 8; at < bytes.length; at++) {
      const broken = bytes.slice()
      broken[at] = (broken[at] ?? 0) ^ 0x10
      const decoded = decodeEnvelope(broken)
      assert.deepEqual(decoded, { kind: 'rejected', reason: 'wrong checksum' })
    }
  })
  test('each prefix of a header, wrong magic, version and type are rejected with their reason', () => {
    const header = 'b90e43b400080000'
    for (let length = 0; length < 16; length += 2) {
      assert.equal(reasonFor(header.slice(0, length)), 'shorter than a header')
    }
    for (const wrong of ['b80e43b4', 'b90f43b4', 'b90e42b4', 'b90e43b5']) {
      assert.equal(reasonFor(`${wrong}00080000`), 'wrong magic')
    }
    assert.equal(reasonFor('b90e43b401080000'), 'unknown version')
    assert.equal(reasonFor('b90e43b40008000f'), 'unknown type')
    const other = decodeEnvelopeOf(EnvelopeType.Ack, fromHex(header))
    assert.deepEqual(other, { kind: 'rejected', reason: 'other type than expected' })
  })
})

suite('properties', () => {
  const type = fc.constantFrom(...Object.values(EnvelopeType))
  test('what is encoded is decoded, with and without a checksum', () => {
    fc.assert(
      fc.property(type, fc.uint8Array({ maxLength: 100 }), (wanted, payload) => {
        for (const encode of [encodeEnvelope, encodeCheckedEnvelope]) {
          const bytes = encode(wanted, payload)
          const decoded = decodeEnvelope(bytes)
          assert.equal(decoded.kind, 'envelope')
          if (decoded.kind !== 'envelope') return
          assert.equal(decoded.type, wanted)
          assert.deepEqual(bytes.slice(decoded.payloadStart), payload)
        }
      }),
    )
  })
  test('no bytes make it throw, and a payload never begins outside of them', () => {
    const header = fc.tuple(
      fc.constant([0xb9, 0x0e, 0x43, 0xb4, 0]),
      fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 3, maxLength: 20 }),
    )
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 20 }),
      header.map(([magic, rest]) => Uint8Array.from([...magic, ...rest])),
    )
    fc.assert(
      fc.property(bytes, (input) => {
        const decoded = decodeEnvelope(input)
        if (decoded.kind === 'rejected') return
        assert.ok(decoded.payloadStart >= 8 && decoded.payloadStart <= input.length)
      }),
      { numRuns: 1000 },
    )
  })
})
