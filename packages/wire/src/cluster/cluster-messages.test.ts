import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fromHex, toHex } from '../testdata.suite.ts'
import { encodeEnvelope, EnvelopeType } from '../envelope.ts'
import {
  clusterMessageNames,
  decodeClusterMessage,
  encodeClusterMessage,
} from './cluster-messages.ts'
import {
  decodeLeaderEpochOffsetRequest,
  decodeLeaderEpochOffsetResponse,
  encodeLeaderEpochOffsetRequest,
  encodeLeaderEpochOffsetResponse,
} from './leader-epoch-offset.ts'

describe('bytes of Go Liftbridge', () => {
  test('RaftJoinRequest', () => {
    const hex = 'b90e43b4000800040a0161120161'
    assert.equal(
      toHex(encodeClusterMessage('RaftJoinRequest', { nodeID: 'a', nodeAddr: 'a' })),
      hex,
    )
    const read = decodeClusterMessage('RaftJoinRequest', fromHex(hex))
    assert.ok(read.kind === 'message')
    assert.deepEqual([read.message.nodeID, read.message.nodeAddr], ['a', 'a'])
  })

  test('RaftJoinResponse without error', () => {
    assert.equal(toHex(encodeClusterMessage('RaftJoinResponse', {})), 'b90e43b400080005')
    const read = decodeClusterMessage('RaftJoinResponse', fromHex('b90e43b400080005'))
    assert.equal(read.kind === 'message' && read.message.error, '')
  })

  test('PartitionStatusRequest', () => {
    const hex = 'b90e43b40008000c0a03666f6f'
    const bytes = encodeClusterMessage('PartitionStatusRequest', { stream: 'foo', partition: 0 })
    assert.equal(toHex(bytes), hex)
  })

  test('PartitionNotification', () => {
    const hex = 'b90e43b40008000e0a01731002'
    const bytes = encodeClusterMessage('PartitionNotification', { stream: 's', partition: 2 })
    assert.equal(toHex(bytes), hex)
    const read = decodeClusterMessage('PartitionNotification', fromHex(hex))
    assert.equal(read.kind === 'message' && read.message.partition, 2)
  })

  for (const [last, hex] of [
    [41, 'b90e43b4000800070829'],
    [-1, 'b90e43b40008000708ffffffffffffffffff01'],
    [0, 'b90e43b400080007'],
  ] as const) {
    test(`LeaderEpochOffsetResponse ${last}: the offset after it is meant`, () => {
      assert.equal(toHex(encodeLeaderEpochOffsetResponse({ endOffset: last + 1 })), hex)
      assert.deepEqual(decodeLeaderEpochOffsetResponse(fromHex(hex)), {
        kind: 'message',
        message: { endOffset: last + 1 },
      })
    })
  }

  test('LeaderEpochOffsetRequest', () => {
    const request = { epoch: 7, replicaId: '', leaderEpoch: 0, incarnation: 0 }
    assert.equal(toHex(encodeLeaderEpochOffsetRequest(request)), 'b90e43b4000800060807')
    assert.deepEqual(decodeLeaderEpochOffsetRequest(fromHex('b90e43b4000800060807')), {
      kind: 'message',
      message: request,
    })
  })
})

test('on a subject only its own type is at home', () => {
  for (const wanted of clusterMessageNames) {
    for (const [name, type] of Object.entries(EnvelopeType)) {
      const read = decodeClusterMessage(wanted, encodeEnvelope(type, new Uint8Array()))
      if (name === wanted) assert.equal(read.kind, 'message')
      else {
        assert.deepEqual(read, { kind: 'rejected', reason: 'other type than expected' })
      }
    }
  }
})

test('a payload that is no protobuf is rejected with its reason', () => {
  const bytes = encodeEnvelope(EnvelopeType.RaftJoinRequest, Uint8Array.of(0x0a, 0x05, 0x61))
  assert.equal(decodeClusterMessage('RaftJoinRequest', bytes).kind, 'rejected')
})

test('the answer about an epoch carries its fence', () => {
  const fence = { leaderId: 'a', leaderEpoch: 9, epoch: -1 }
  const bytes = encodeLeaderEpochOffsetResponse({ endOffset: 5, fence })
  assert.deepEqual(decodeLeaderEpochOffsetResponse(bytes), {
    kind: 'message',
    message: { endOffset: 5, fence },
  })
})

test('numbers that no log can have are rejected', () => {
  const offset = (value: bigint) =>
    decodeLeaderEpochOffsetResponse(
      encodeClusterMessage('LeaderEpochOffsetResponse', { endOffset: value }),
    ).kind
  assert.equal(offset(-2n), 'rejected')
  assert.equal(offset(2n ** 53n), 'rejected')
  assert.equal(offset(2n ** 53n - 2n), 'message')
  const epoch = (value: bigint) =>
    decodeLeaderEpochOffsetRequest(
      encodeClusterMessage('LeaderEpochOffsetRequest', { leaderEpoch: value }),
    ).kind
  assert.equal(epoch(2n ** 53n), 'rejected')
  assert.equal(epoch(2n ** 53n - 1n), 'message')
})
