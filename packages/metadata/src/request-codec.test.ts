import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeAnswer, decodeRequest, encodeAnswer, encodeRequest } from './request-codec.ts'
import type { MetadataRequest } from './requests.ts'

const ref = { stream: 's', partition: 3 }
const isrChange = { ...ref, replica: 'b', leader: 'a', leaderEpoch: 7, partitionEpoch: 9 }

const requests: readonly MetadataRequest[] = [
  {
    kind: 'create-stream',
    stream: {
      name: 's',
      subject: 'a.b',
      group: 'g',
      partitions: 3,
      replicationFactor: -1,
      config: { minIsr: 2 },
    },
  },
  { kind: 'report-leader', ...ref, replica: 'b', leader: 'a', leaderEpoch: 7, reason: 'silent' },
  { kind: 'report-leader', ...ref, replica: 'a', leader: 'a', leaderEpoch: 7, reason: 'restarted' },
  { kind: 'report-leader', ...ref, replica: 'a', leader: 'a', leaderEpoch: 7, reason: 'leaving' },
  { kind: 'report-leader', ...ref, replica: 'a', leader: 'a', leaderEpoch: 7, reason: 'unfit' },
  {
    kind: 'report-leader',
    ...ref,
    replica: 'a',
    leader: 'a',
    leaderEpoch: 7,
    reason: 'unsynced',
    tail: { epoch: 5, end: 300 },
  },
  { kind: 'read-index' },
  { kind: 'shrink-isr', ...isrChange },
  { kind: 'expand-isr', ...isrChange },
  { kind: 'delete-stream', stream: 's' },
  { kind: 'pause-stream', stream: 's', partitions: [0, 2], resumeAll: true, timestampNs: 5n },
  { kind: 'resume-stream', stream: 's', partitions: [0, 2], timestampNs: 5n },
  { kind: 'set-stream-readonly', stream: 's', partitions: [], readonly: true, timestampNs: 5n },
  { kind: 'join-consumer-group', groupId: 'g', consumerId: 'c', streams: ['s', 't'] },
  { kind: 'leave-consumer-group', groupId: 'g', consumerId: 'c', expired: true },
]

test('every request survives the way to the metadata leader', () => {
  for (const request of requests) {
    const decoded = decodeRequest(encodeRequest(request))
    assert.ok(decoded.kind === 'request', request.kind)
    if (request.kind === 'create-stream' && decoded.request.kind === 'create-stream') {
      // The configuration comes back with every key it may have.
      assert.deepEqual({ ...decoded.request.stream, config: {} }, { ...request.stream, config: {} })
      assert.equal(decoded.request.stream.config.minIsr, 2)
    } else {
      assert.deepEqual(decoded.request, request)
    }
  }
})

test('the field numbers are those of PropagatedRequest, not of the log [LB 3.1]', () => {
  const bytes = encodeRequest({ kind: 'delete-stream', stream: 's' })
  assert.deepEqual([...bytes], [0x08, 5, 0x32, 3, 0x0a, 1, 0x73])
})

test('answers survive the way back', () => {
  const [request] = requests
  assert.ok(request)
  for (const answer of [
    { kind: 'done', index: 0 },
    { kind: 'done', index: 123_456 },
    { kind: 'rejected', status: 'ALREADY_EXISTS', text: 'stream already exists' },
    { kind: 'rejected', status: 'INTERNAL', text: 'x' },
  ] as const) {
    assert.deepEqual(decodeAnswer(encodeAnswer(request, answer)), answer)
  }
})

test('whatever bytes come are a request or are refused in words [B2]', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      assert.ok(['request', 'malformed'].includes(decodeRequest(bytes).kind))
      assert.ok(['done', 'rejected'].includes(decodeAnswer(bytes).kind))
    }),
  )
})
