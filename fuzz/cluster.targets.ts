/**
 * What servers of a cluster send to each other: Raft's calls on a stream of bytes, the answers to
 * fetches, envelopes, and the handshake of a stream.
 */
import assert from 'node:assert/strict'
import {
  clusterMessageNames,
  ClusterSubjects,
  decodeClusterMessage,
  decodeConfiguration,
  decodeLeaderEpochOffsetRequest,
  decodeLeaderEpochOffsetResponse,
  decodeLogEntry,
  decodeReplicationRequest,
  decodeReplicationResponse,
  encodeClusterMessage,
  encodeConfiguration,
  encodeLeaderEpochOffsetRequest,
  encodeLeaderEpochOffsetResponse,
  encodeLogEntry,
  encodeRaftReply,
  encodeRaftRequest,
  encodeReplicationRequest,
  encodeReplicationResponse,
  encodeText,
  isLiteralSubject,
  MsgpackReader,
  MsgpackScanner,
  RaftReplyReader,
  RaftRequestReader,
  WireError,
  type Decoded,
  type LogEntry,
  type RaftConfiguration,
  type RaftHeader,
  type RaftReply,
  type RaftReplyEvent,
  type RaftRequest,
  type RaftRequestEvent,
} from '@liftbridge/wire'
import {
  decodeAccepted,
  decodeDial,
  encodeAccepted,
  encodeDial,
} from '../packages/server/src/raft-transport/handshake.ts'
import type { FuzzTarget } from './target.ts'

const a: RaftHeader = { protocolVersion: 3, id: 'a', address: 'a' }

const entry: LogEntry = {
  index: 300,
  term: 2,
  type: 0,
  data: Uint8Array.of(8, 5),
  extensions: new Uint8Array(),
  appendedAtNs: 1_700_000_000_123_456_789n,
}

const configuration: RaftConfiguration = {
  servers: [
    { suffrage: 0, id: 'a', address: 'a' },
    { suffrage: 1, id: 'b', address: 'b' },
  ],
}

const noEntries = { prevLogIndex: 0, prevLogTerm: 0, entries: [], leaderCommitIndex: 0 }

const requests: readonly RaftRequest[] = [
  { kind: 'append-entries', term: 2, ...noEntries },
  { kind: 'append-entries', term: 2, ...noEntries, prevLogIndex: 299, entries: [entry] },
  { kind: 'request-vote', term: 3, lastLogIndex: 10, lastLogTerm: 2, leadershipTransfer: true },
  { kind: 'request-pre-vote', term: 3, lastLogIndex: 10, lastLogTerm: 2 },
  {
    kind: 'install-snapshot',
    snapshotVersion: 1,
    term: 3,
    lastLogIndex: 10,
    lastLogTerm: 2,
    configuration,
    configurationIndex: 1,
    size: 5,
  },
  { kind: 'timeout-now' },
]

const replies: readonly RaftReply[] = [
  { kind: 'error', error: 'node is not the leader' },
  {
    kind: 'response',
    response: {
      kind: 'append-entries',
      term: 2,
      lastLogIndex: 300,
      success: true,
      noRetryBackoff: false,
    },
  },
]

/** Heads of values, names of fields, and numbers at the edges. */
const dictionary = [
  'Entries',
  'Configuration',
  'Peers',
  'Size',
  'AppendedAt',
  'Data',
  'Servers',
  'SnapshotVersion',
]
  .map((name) => encodeText(name))
  .concat(
    [
      [0xdb, 0xff, 0xff, 0xff, 0xff],
      [0xdd, 0x00, 0x00, 0x00, 0x02],
      [0xdf, 0xff, 0xff, 0xff, 0xff],
      [0xcf, 0x00, 0x20, 0, 0, 0, 0, 0, 0],
      [0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
      [0xc0],
      [0x91],
      [0xd6, 0xff, 0, 0, 0, 0],
    ].map((bytes) => Uint8Array.from(bytes)),
  )

/** A value is skipped, found in pieces, or refused, and always the same way. */
function runMsgpack(bytes: Uint8Array): void {
  const whole = lengthOf(() => new MsgpackScanner(bytes.length).scan(bytes, 0, bytes.length))
  const scanner = new MsgpackScanner(bytes.length)
  const pieces = lengthOf(() => {
    for (let end = 1; end < bytes.length; end++) {
      const length = scanner.scan(bytes, 0, end)
      if (length >= 0) return length
    }
    return scanner.scan(bytes, 0, bytes.length)
  })
  assert.equal(pieces, whole)
  const reader = new MsgpackReader(bytes)
  const skipped = lengthOf(() => {
    reader.skip()
    return bytes.length - reader.remaining
  })
  assert.equal(skipped >= 0 ? skipped : -1, whole >= 0 ? whole : -1)
}

/** What a scan gives, or -2 when it refuses. */
function lengthOf(scan: () => number): number {
  try {
    return scan()
  } catch (error) {
    assert.ok(error instanceof WireError, String(error))
    return -2
  }
}

/** What a reader makes of a stream in pieces of `step` bytes. */
function eventsOf(stream: Uint8Array, step: number): RaftRequestEvent[] {
  const reader = new RaftRequestReader({ requestMaxBytes: 1 << 16 })
  const events: RaftRequestEvent[] = []
  for (let at = 0; at < stream.length; at += step) {
    reader.push(stream.subarray(at, at + step))
    for (let event = reader.next(); event !== undefined; event = reader.next()) {
      events.push(event)
      if (event.kind === 'malformed') return events
    }
  }
  return events
}

function runRequests(stream: Uint8Array): void {
  const events = eventsOf(stream, stream.length)
  const requestsOf = (all: RaftRequestEvent[]): RaftRequestEvent[] =>
    all.filter(({ kind }) => kind !== 'snapshot-bytes')
  assert.deepEqual(requestsOf(eventsOf(stream, 7)), requestsOf(events))
  for (const event of events) {
    if (event.kind !== 'request') continue
    const again = eventsOf(encodeRaftRequest(event.request, event.header), 1 << 20)
    assert.deepEqual(again, [event])
  }
}

function repliesOf(stream: Uint8Array, step: number): RaftReplyEvent[] {
  const reader = new RaftReplyReader()
  const events: RaftReplyEvent[] = []
  for (let at = 0; at < stream.length; at += step) {
    reader.push(stream.subarray(at, at + step))
    for (;;) {
      const event = reader.next('append-entries')
      if (event === undefined) break
      events.push(event)
      if (event.kind === 'malformed') return events
    }
  }
  return events
}

function runReplies(stream: Uint8Array): void {
  const events = repliesOf(stream, stream.length)
  assert.deepEqual(repliesOf(stream, 3), events)
  for (const event of events) {
    if (event.kind === 'malformed') continue
    assert.deepEqual(repliesOf(encodeRaftReply(event, a), 1 << 20), [event])
  }
}

/** What is accepted is written and read again as the same. */
function survives<Value>(
  decode: (bytes: Uint8Array) => Decoded<Value>,
  encode: (value: Value) => Uint8Array,
): (bytes: Uint8Array) => void {
  return (bytes) => {
    const decoded = decode(bytes)
    if (decoded.kind === 'rejected') return assert.notEqual(decoded.reason, '')
    assert.deepEqual(decode(encode(decoded.message)), decoded)
  }
}

function runReplicationResponse(bytes: Uint8Array): void {
  const decoded = decodeReplicationResponse(bytes)
  if (decoded.kind === 'rejected') return
  const { records, range, ...header } = decoded.message
  assert.ok((range?.count ?? 0) * 44 <= records.length)
  const again = decodeReplicationResponse(encodeReplicationResponse(header, records))
  assert.deepEqual(again, decoded)
}

/** On the subject of one message, any bytes. */
function runClusterMessages(bytes: Uint8Array): void {
  const accepted = clusterMessageNames.filter((name) => {
    const decoded = decodeClusterMessage(name, bytes)
    if (decoded.kind === 'rejected') return false
    const again = decodeClusterMessage(name, encodeClusterMessage(name, decoded.message))
    return assert.equal(again.kind, 'message') === undefined
  })
  assert.ok(accepted.length <= 1, accepted.join())
}

const subjects = new ClusterSubjects('ns')
const inbox = subjects.raftStream('a', 'N')

/** Whoever is answered listens where streams of the cluster do. */
function runHandshake(bytes: Uint8Array): void {
  for (const found of [decodeDial(bytes, subjects), decodeAccepted(bytes, subjects)]) {
    if (found === undefined) continue
    assert.ok(isLiteralSubject(found.inbox))
    assert.match(found.inbox, /^ns\.raft\.metadata\.[^.]+\.request\./)
    assert.ok(found.window === undefined || found.window > 0)
  }
}

export const targets: readonly FuzzTarget[] = [
  {
    name: 'wire: any value of MessagePack',
    seeds: [encodeLogEntry(entry), encodeConfiguration(configuration)],
    dictionary,
    run: runMsgpack,
  },
  {
    name: "wire: Raft's requests on a stream",
    seeds: requests.map((request) =>
      Buffer.concat([encodeRaftRequest(request, a), Buffer.alloc(5), Buffer.from([3, 0x80])]),
    ),
    dictionary,
    run: runRequests,
    share: 0.5,
  },
  {
    name: "wire: Raft's replies on a stream",
    seeds: replies.map((reply) => encodeRaftReply(reply, a)),
    dictionary,
    run: runReplies,
    share: 0.5,
  },
  {
    name: 'wire: entry of the Raft log',
    seeds: [encodeLogEntry(entry)],
    dictionary,
    run: survives(decodeLogEntry, encodeLogEntry),
  },
  {
    name: 'wire: configuration of Raft',
    seeds: [encodeConfiguration(configuration)],
    dictionary,
    run: survives(decodeConfiguration, encodeConfiguration),
  },
  {
    name: 'wire: replication request',
    seeds: [
      encodeReplicationRequest({ replicaId: 'b', offset: -1, leaderEpoch: 7 }),
      encodeReplicationRequest({
        replicaId: 'b',
        offset: 2 ** 40,
        leaderEpoch: 7,
        incarnation: 3,
        syncedOffset: -1,
        maxWaitMs: 500,
      }),
    ],
    run: survives(decodeReplicationRequest, encodeReplicationRequest),
  },
  {
    name: 'wire: replication response',
    seeds: [
      encodeReplicationResponse({ leaderEpoch: 7, highWatermark: -1 }),
      encodeReplicationResponse(
        { leaderEpoch: 7, highWatermark: 4, bounds: { oldestOffset: 0, newestOffset: 9 } },
        recordsOfZeros(2),
      ),
    ],
    run: runReplicationResponse,
  },
  {
    name: 'wire: question about a leader epoch',
    seeds: [
      encodeLeaderEpochOffsetRequest({ epoch: 7, replicaId: 'b', leaderEpoch: 9, incarnation: 1 }),
    ],
    run: survives(decodeLeaderEpochOffsetRequest, encodeLeaderEpochOffsetRequest),
  },
  {
    name: 'wire: answer about a leader epoch',
    seeds: [
      encodeLeaderEpochOffsetResponse({ endOffset: 42 }),
      encodeLeaderEpochOffsetResponse({
        endOffset: 0,
        fence: { leaderId: 'a', leaderEpoch: 9, epoch: -1 },
      }),
    ],
    run: survives(decodeLeaderEpochOffsetResponse, encodeLeaderEpochOffsetResponse),
  },
  {
    name: 'wire: messages between servers',
    seeds: [
      encodeClusterMessage('RaftJoinRequest', { nodeID: 'a', nodeAddr: 'a' }),
      encodeClusterMessage('PropagatedRequest', { deleteStreamOp: { stream: 's' } }),
      encodeClusterMessage('PropagatedResponse', { error: { code: 9, msg: 'no' } }),
      encodeClusterMessage('ServerInfoResponse', { id: 'a', host: 'h', port: 9292 }),
      encodeClusterMessage('PartitionNotification', { stream: 's', partition: 2 }),
    ],
    run: runClusterMessages,
  },
  {
    name: 'server: handshake of a Raft stream',
    seeds: [encodeDial('a', inbox, 4096), encodeAccepted(inbox, undefined)],
    dictionary: ['inbox', 'window', 'ns.raft.metadata.', '.request.', '*', '>', ' ', '\\n'].map(
      (text) => encodeText(text),
    ),
    run: runHandshake,
  },
]

/** Records of the smallest size, from offset 0 on. */
function recordsOfZeros(count: number): Uint8Array {
  const bytes = new Uint8Array(44 * count)
  for (let offset = 0; offset < count; offset++) {
    bytes[44 * offset + 7] = offset
    bytes[44 * offset + 27] = 16
  }
  return bytes
}
