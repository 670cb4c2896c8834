import assert from 'node:assert/strict'
import {
  AckFields,
  api,
  create,
  decodeEnvelope,
  decodeMessage,
  decodePublishEnvelope,
  decodePublishMessage,
  decodePublishRequest,
  decodePublishToSubject,
  DOES_NOT_FIT,
  EnvelopeType,
  encodeEnvelope,
  encodeCheckedEnvelope,
  encodeText,
  internal,
  MALFORMED_RECORD,
  MessageWriter,
  isSubject,
  PublishEnvelopeWriter,
  PublishResponseWriter,
  PublishView,
  partitionSubject,
  streamSubjectProblem,
  subjectMatches,
  targetSubjectProblem,
  toBinary,
  type DescMessage,
} from '@liftbridge/wire'
import type { FuzzTarget } from './target.ts'

const view = new PublishView()
const again = new PublishView()
const scratch = new Uint8Array(1 << 17)

const request = toBinary(
  api.PublishRequestSchema,
  create(api.PublishRequestSchema, {
    key: encodeText('k1'),
    value: encodeText('hello'),
    stream: 'foo',
    partition: 3,
    headers: { a: encodeText('1'), b: encodeText('2') },
    ackInbox: 'a.b',
    correlationId: 'c1',
    ackPolicy: api.AckPolicy.ALL,
    expectedOffset: 1n << 40n,
  }),
)
const toSubject = toBinary(
  api.PublishToSubjectRequestSchema,
  create(api.PublishToSubjectRequestSchema, {
    key: encodeText('k1'),
    value: encodeText('hello'),
    subject: 'foo.bar',
    headers: { é: encodeText('1') },
    ackInbox: 'a.b',
    correlationId: 'c1',
  }),
)
const message = toBinary(
  api.MessageSchema,
  create(api.MessageSchema, {
    offset: 7n,
    key: encodeText('k1'),
    value: encodeText('hello'),
    timestamp: 1_700_000_000_000_000_000n,
    stream: 'foo',
    subject: 'foo',
    replySubject: 'r',
    headers: { a: encodeText('1') },
    ackInbox: 'a.b',
    correlationId: 'c1',
  }),
)

/** Tags, lengths and text that lead deeper. */
const dictionary = [
  Uint8Array.of(0x0a, 0x00),
  Uint8Array.of(0x2a, 0x04, 0x0a, 0x00, 0x12, 0x00),
  Uint8Array.of(0x4a, 0x06, 0x0a, 0x01, 0x61, 0x12, 0x01, 0x62),
  Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01),
  Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x10),
  Uint8Array.of(0xf0, 0x9f, 0x98, 0x80),
  Uint8Array.of(0xed, 0xa0, 0x80),
  Uint8Array.of(0x0b, 0x0c),
]

/** Every position that a view gives lies within the bytes it was given. */
function checkView(bytes: Uint8Array): void {
  const { headers } = view
  const parts: [number, number][] = [
    [view.streamStart, view.streamEnd],
    [view.subjectStart, view.subjectEnd],
    [view.ackInboxStart, view.ackInboxEnd],
    [view.correlationIdStart, view.correlationIdEnd],
  ]
  if (view.keyStart !== -1) parts.push([view.keyStart, view.keyEnd])
  if (view.valueStart !== -1) parts.push([view.valueStart, view.valueEnd])
  for (let index = 0; index < headers.count; index++) {
    parts.push([headers.keyStart[index] ?? -1, headers.keyEnd[index] ?? -1])
    parts.push([headers.valueStart[index] ?? -1, headers.valueEnd[index] ?? -1])
  }
  for (const [start, end] of parts) {
    assert.ok(start >= 0 && start <= end && end <= bytes.length, `${start} to ${end}`)
  }
  assert.ok(Number.isSafeInteger(view.expectedOffset))
}

const writer = new PublishEnvelopeWriter('foo', 'foo.1')

/** What was accepted survives the way through a Publish envelope. */
function checkEnvelopeOf(bytes: Uint8Array): void {
  checkView(bytes)
  const size = writer.size(view)
  assert.equal(writer.write(scratch, 0, view), size)
  const envelope = scratch.slice(0, size)
  assert.ok(decodePublishEnvelope(again, envelope), again.problem)
  assert.equal(again.headers.count, view.headers.count)
  assert.equal(again.expectedOffset, view.expectedOffset)
  assert.equal(again.ackPolicy, view.ackPolicy)
  assert.equal(again.keyEnd - again.keyStart, view.keyEnd - view.keyStart)
  assert.equal(again.valueEnd - again.valueStart, view.valueEnd - view.valueStart)
}

/** What our strict reader accepts, the lenient one of protobuf-es accepts too. */
function publishTarget(
  name: string,
  seed: Uint8Array,
  schema: DescMessage,
  decode: (into: PublishView, bytes: Uint8Array) => boolean,
): FuzzTarget {
  return {
    name,
    seeds: [seed],
    dictionary,
    run: (bytes) => {
      if (!decode(view, bytes)) return assert.notEqual(view.problem, '')
      checkEnvelopeOf(bytes)
      const twin = decodeMessage(schema, bytes)
      assert.equal(twin.kind, 'message')
    },
  }
}

const record = Buffer.from(
  '91c3f3380100000000026b310000000568656c6c6f000200077375626a65637400000003666f6f00057265706c7900000000',
  'hex',
)
const messages = new MessageWriter('foo', 3)
const responses = new PublishResponseWriter('foo', 'foo')
const ack = new AckFields()

/** A body either does not add up, or becomes a Message that protobuf-es reads. */
function runRecord(bytes: Uint8Array): void {
  const stored = {
    bytes,
    bodyStart: 0,
    bodyEnd: bytes.length,
    offset: 42,
    timestampHigh: 395_812_094,
    timestampLow: 908_722_176,
  }
  const size = messages.size(stored)
  const end = messages.write(scratch, 0, stored)
  assert.equal(end, size)
  if (end === MALFORMED_RECORD) return
  assert.equal(messages.write(scratch.subarray(0, size - 1), 0, stored), DOES_NOT_FIT)
  // Text of other servers may be no UTF-8 here; the structure must stand all the same.
  const read = decodeMessage(api.MessageSchema, scratch.slice(5, end))
  if (read.kind === 'rejected') assert.match(read.reason, /UTF-8|utf-8|encoded data/)
}

function runResponse(bytes: Uint8Array): void {
  ack.correlationId = bytes
  ack.correlationIdEnd = bytes.length
  ack.msgSubject = bytes
  ack.msgSubjectEnd = bytes.length >>> 1
  ack.offset = bytes.reduce((sum, byte) => (sum * 131 + byte) % Number.MAX_SAFE_INTEGER, 0)
  const size = responses.size(ack)
  assert.equal(responses.write(scratch, 0, ack), size)
}

function runEnvelope(bytes: Uint8Array): void {
  const decoded = decodeEnvelope(bytes)
  if (decoded.kind === 'rejected') return
  assert.ok(decoded.payloadStart >= 8 && decoded.payloadStart <= bytes.length)
  const schema = payloadSchemas.get(decoded.type)
  if (schema !== undefined) decodeMessage(schema, bytes.subarray(decoded.payloadStart))
}

const payloadSchemas = new Map<number, DescMessage>([
  [EnvelopeType.Publish, api.MessageSchema],
  [EnvelopeType.Ack, api.AckSchema],
  [EnvelopeType.ReplicationRequest, internal.ReplicationRequestSchema],
  [EnvelopeType.RaftJoinRequest, internal.RaftJoinRequestSchema],
  [EnvelopeType.LeaderEpochOffsetRequest, internal.LeaderEpochOffsetRequestSchema],
  [EnvelopeType.PropagatedRequest, internal.PropagatedRequestSchema],
  [EnvelopeType.PropagatedResponse, internal.PropagatedResponseSchema],
  [EnvelopeType.PartitionNotification, internal.PartitionNotificationSchema],
])

/** Whatever is accepted as a subject of a stream or a target keeps its promises [A4]. */
function runSubject(bytes: Uint8Array): void {
  const subject = Buffer.from(bytes).toString('utf8')
  if (streamSubjectProblem('ns', subject, 3) === undefined) {
    for (const partition of [0, 1, 2]) {
      const own = partitionSubject(subject, partition)
      assert.ok(isSubject(own))
      for (const inner of ['ns.ack.x', 'ns.foo.0.replicate', '$JS.API.x', '$SYS.x', '_INBOX.a.b']) {
        assert.ok(!subjectMatches(own, inner), `${own} hears ${inner}`)
      }
    }
  }
  if (targetSubjectProblem('ns', subject) === undefined) {
    assert.ok(!/^(?:ns|\$SYS|\$JS)\./.test(subject))
    assert.ok(!/[\s\0]/.test(subject.replaceAll(/[^\0-\x7f]/g, '')))
  }
}

export const targets: readonly FuzzTarget[] = [
  {
    name: 'wire: envelope of any type',
    seeds: [
      encodeEnvelope(EnvelopeType.Publish, message),
      encodeCheckedEnvelope(EnvelopeType.Publish, message),
      encodeEnvelope(EnvelopeType.PropagatedRequest, new Uint8Array()),
      // [D-02, G3]: ends a Go server.
      Uint8Array.of(0xb9, 0x0e, 0x43, 0xb4, 0x00, 0xff, 0x00, 0x00),
    ],
    dictionary: [Uint8Array.of(0xb9, 0x0e, 0x43, 0xb4, 0x00, 0x08, 0x00), ...dictionary],
    run: runEnvelope,
  },
  publishTarget('wire: PublishRequest', request, api.PublishRequestSchema, decodePublishRequest),
  publishTarget(
    'wire: PublishToSubjectRequest',
    toSubject,
    api.PublishToSubjectRequestSchema,
    decodePublishToSubject,
  ),
  publishTarget('wire: Message of a publish', message, api.MessageSchema, decodePublishMessage),
  {
    name: 'wire: stored record to Message',
    seeds: [new Uint8Array(record)],
    dictionary: [encodeText('\0\u0007subject'), encodeText('\0\u0005reply')],
    run: runRecord,
  },
  {
    name: 'wire: PublishResponse',
    seeds: [encodeText('0123456789abcdef')],
    run: runResponse,
  },
  {
    name: 'wire: subjects that clients choose',
    seeds: ['foo.bar', 'foo.*', 'foo.>', 'ns.x', '_INBOX.x', '*'].map((text) => encodeText(text)),
    dictionary: ['.', '*', '>', 'ns', '$SYS', '$JS', '_INBOX', ' ', '\r\n'].map((text) =>
      encodeText(text),
    ),
    inputMaxBytes: 300,
    run: runSubject,
  },
]
