import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { create, toBinary } from '@bufbuild/protobuf'
import { decodeEnvelopeOf, encodeEnvelope, EnvelopeType } from '../envelope.ts'
import { ReplicationRequestSchema } from '../gen/internal_pb.ts'
import { decodeMessage } from '../protobuf.ts'
import { concat, fromHex, toHex } from '../testdata.suite.ts'
import {
  decodeReplicationRequest,
  encodeReplicationRequest,
  type ReplicationRequest,
} from './replication-request.ts'
import {
  decodeReplicationResponse,
  encodeReplicationResponse,
  REPLICATION_HEADER_BYTES,
  REPLICATION_HEADER_WITH_BOUNDS_BYTES,
} from './replication-response.ts'

const offset = fc.oneof(
  fc.integer({ min: -1, max: 3 }),
  fc.integer({ min: -1, max: Number.MAX_SAFE_INTEGER }),
)
const number = fc.oneof(
  fc.nat(3),
  fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  fc.constant(Number.MAX_SAFE_INTEGER),
)

const requests: fc.Arbitrary<ReplicationRequest> = fc.record(
  {
    replicaId: fc.string({ unit: 'binary' }),
    offset,
    leaderEpoch: number,
    incarnation: number,
    syncedOffset: offset,
    maxWaitMs: fc.nat(2 ** 31),
  },
  { requiredKeys: ['replicaId', 'offset', 'leaderEpoch'], noNullPrototype: true },
)

describe('a replication request', () => {
  const hex = 'b90e43b4000800020a016210ffffffffffffffffff011807'
  const request: ReplicationRequest = { replicaId: 'b', offset: -1, leaderEpoch: 7 }

  test('has the bytes of Go Liftbridge', () => {
    assert.equal(toHex(encodeReplicationRequest(request)), hex)
    assert.deepEqual(decodeReplicationRequest(fromHex(hex)), { kind: 'message', message: request })
  })

  test('is what the generated code writes and reads', () => {
    fc.assert(
      fc.property(requests, (made) => {
        const bytes = encodeReplicationRequest(made)
        assert.deepEqual(decodeReplicationRequest(bytes), { kind: 'message', message: made })
        const { incarnation, syncedOffset, maxWaitMs } = made
        const twin = toBinary(
          ReplicationRequestSchema,
          create(ReplicationRequestSchema, {
            replicaID: made.replicaId,
            offset: BigInt(made.offset),
            leaderEpoch: BigInt(made.leaderEpoch),
            ...(incarnation === undefined ? {} : { incarnation: BigInt(incarnation) }),
            ...(syncedOffset === undefined ? {} : { syncedOffset: BigInt(syncedOffset) }),
            ...(maxWaitMs === undefined ? {} : { maxWaitMs }),
          }),
        )
        const expected = encodeEnvelope(EnvelopeType.ReplicationRequest, twin)
        assert.equal(toHex(bytes), toHex(expected))
      }),
    )
  })

  test('of any bytes is a message or a rejection, and never looser than the generated code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (payload) => {
        const bytes = encodeEnvelope(EnvelopeType.ReplicationRequest, payload)
        if (decodeReplicationRequest(bytes).kind === 'rejected') return
        const opened = decodeEnvelopeOf(EnvelopeType.ReplicationRequest, bytes)
        assert.equal(opened.kind, 'envelope')
        assert.equal(decodeMessage(ReplicationRequestSchema, payload).kind, 'message')
      }),
    )
  })

  test('with numbers that no log can have is rejected', () => {
    const read = (payload: string) =>
      decodeReplicationRequest(encodeEnvelope(EnvelopeType.ReplicationRequest, fromHex(payload)))
        .kind
    assert.equal(read('10feffffffffffffffff01'), 'rejected')
    assert.equal(read('108080808080808010'), 'rejected')
    assert.equal(read('10ffffffffffffff0f'), 'message')
    assert.equal(read('18ffffffffffffffffff01'), 'rejected')
  })

  test('of another type is rejected', () => {
    const bytes = fromHex(hex.replace('b90e43b400080002', 'b90e43b400080006'))
    assert.equal(decodeReplicationRequest(bytes).kind, 'rejected')
  })
})

/** A record whose body is not looked at. */
function record(offsetOf: number, epoch: number, bodyBytes = 16): Uint8Array {
  const bytes = new Uint8Array(28 + bodyBytes)
  const view = new DataView(bytes.buffer)
  view.setBigInt64(0, BigInt(offsetOf))
  view.setBigUint64(16, BigInt(epoch))
  view.setUint32(24, bodyBytes)
  return bytes
}

const EMPTY = 'b90e43b4000800030000000000000007'

describe('a replication response', () => {
  for (const [highWatermark, hex] of [
    [41, `${EMPTY}0000000000000029`],
    [-1, `${EMPTY}ffffffffffffffff`],
  ] as const) {
    test(`without records has the bytes of Go Liftbridge, high watermark ${highWatermark}`, () => {
      const header = { leaderEpoch: 7, highWatermark }
      assert.equal(toHex(encodeReplicationResponse(header)), hex)
      assert.equal(fromHex(hex).length, REPLICATION_HEADER_BYTES)
      assert.deepEqual(decodeReplicationResponse(fromHex(hex)), {
        kind: 'message',
        message: { ...header, records: new Uint8Array(), range: undefined },
      })
    })
  }

  test('holds several records as a view, and says what they range over', () => {
    const records = concat(record(5, 2), record(6, 2, 40), record(9, 7))
    const bytes = encodeReplicationResponse({ leaderEpoch: 7, highWatermark: 4 }, records)
    const read = decodeReplicationResponse(bytes)
    assert.ok(read.kind === 'message')
    assert.deepEqual(read.message.range, {
      count: 3,
      firstOffset: 5,
      lastOffset: 9,
      firstEpoch: 2,
      lastEpoch: 7,
    })
    assert.equal(read.message.records.buffer, bytes.buffer)
    assert.equal(toHex(read.message.records), toHex(records))
  })

  test('carries the bounds of the log where Go does not look', () => {
    const bounds = { oldestOffset: 3, newestOffset: Number.MAX_SAFE_INTEGER }
    const header = { leaderEpoch: 7, highWatermark: -1, bounds }
    const bytes = encodeReplicationResponse(header, record(3, 1))
    assert.equal(bytes.length, REPLICATION_HEADER_WITH_BOUNDS_BYTES + 44)
    const read = decodeReplicationResponse(bytes)
    assert.ok(read.kind === 'message')
    assert.deepEqual(read.message.bounds, bounds)
    // Go takes the payload from where the header's length says, and looks at flag bit 0 only.
    assert.equal(bytes[5], bytes.length - 44 - 16)
    assert.equal((bytes[6] ?? 0) & 1, 0)
    const asGoSees = concat(fromHex('b90e43b400080003'), bytes.subarray(bytes[5]))
    assert.deepEqual(decodeReplicationResponse(asGoSees), {
      kind: 'message',
      message: {
        leaderEpoch: 7,
        highWatermark: -1,
        records: record(3, 1),
        range: { count: 1, firstOffset: 3, lastOffset: 3, firstEpoch: 1, lastEpoch: 1 },
      },
    })
  })

  test('cut at any byte is rejected, or ends between two records', () => {
    const records = concat(record(0, 1), record(1, 1, 30))
    const bytes = encodeReplicationResponse({ leaderEpoch: 7, highWatermark: 4 }, records)
    for (let end = 0; end < bytes.length; end++) {
      const whole = end === 24 || end === 24 + 44
      const read = decodeReplicationResponse(bytes.subarray(0, end))
      assert.equal(read.kind, whole ? 'message' : 'rejected', String(end))
    }
  })

  const planted: Record<string, Uint8Array> = {
    'a size that reaches beyond the end [G5]': concat(record(0, 1), record(1, 1)).fill(
      0xff,
      24,
      28,
    ),
    'a body too small for a record': record(0, 1, 15),
    'an offset twice': concat(record(1, 1), record(1, 1)),
    'offsets that fall': concat(record(2, 1), record(1, 1)),
    'epochs that fall': concat(record(1, 2), record(2, 1)),
    'a negative offset': record(-1, 1),
    'an offset beyond 2^53': record(2 ** 53, 1),
    'an epoch beyond 2^53': record(1, 2 ** 53),
  }
  for (const [name, records] of Object.entries(planted)) {
    test(`with ${name} is rejected`, () => {
      const bytes = encodeReplicationResponse({ leaderEpoch: 7, highWatermark: 4 }, records)
      assert.equal(decodeReplicationResponse(bytes).kind, 'rejected')
    })
  }

  test('of any bytes is a message or a rejection', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (payload) => {
        const bytes = encodeEnvelope(EnvelopeType.ReplicationResponse, payload)
        const read = decodeReplicationResponse(bytes)
        if (read.kind === 'rejected') return
        assert.equal(read.message.records.length, payload.length - 16)
        assert.ok((read.message.range?.count ?? 0) * 44 <= payload.length)
      }),
    )
  })
})
