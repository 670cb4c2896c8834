import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { concat, fromHex, testdataLines, toHex } from '../testdata.suite.ts'
import {
  decodeConfiguration,
  decodeLogEntry,
  encodeConfiguration,
  encodeLogEntry,
} from './log-entry.ts'
import {
  encodeRaftReply,
  encodeRaftRequest,
  RaftReplyReader,
  RaftRequestReader,
  type RaftRequestEvent,
} from './rpc-frames.ts'
import {
  isHeartbeat,
  speaksOurProtocol,
  type LogEntry,
  type RaftConfiguration,
  type RaftHeader,
  type RaftRequest,
  type RaftResponse,
} from './rpc.ts'

const golden = new Map(
  testdataLines('raft-rpc.txt').map((line) => line.split('|') as [string, string]),
)
const bytesOf = (name: string): Uint8Array => fromHex(golden.get(name) ?? '')

const a: RaftHeader = { protocolVersion: 3, id: 'a', address: 'a' }

const requests: readonly (readonly [name: string, type: number, request: RaftRequest])[] = [
  [
    'heartbeat term 2',
    0,
    {
      kind: 'append-entries',
      term: 2,
      prevLogIndex: 0,
      prevLogTerm: 0,
      entries: [],
      leaderCommitIndex: 0,
    },
  ],
  [
    'append-entries without entries',
    0,
    {
      kind: 'append-entries',
      term: 2,
      prevLogIndex: 5,
      prevLogTerm: 2,
      entries: [],
      leaderCommitIndex: 5,
    },
  ],
  [
    'request-vote',
    1,
    { kind: 'request-vote', term: 3, lastLogIndex: 10, lastLogTerm: 2, leadershipTransfer: false },
  ],
  [
    'install-snapshot',
    2,
    {
      kind: 'install-snapshot',
      snapshotVersion: 1,
      term: 3,
      lastLogIndex: 10,
      lastLogTerm: 2,
      configuration: {
        servers: [
          { suffrage: 0, id: 'a', address: 'a' },
          { suffrage: 1, id: 'b', address: 'b' },
        ],
      },
      configurationIndex: 1,
      size: 200,
    },
  ],
  ['timeout-now', 3, { kind: 'timeout-now' }],
  ['request-pre-vote', 4, { kind: 'request-pre-vote', term: 3, lastLogIndex: 10, lastLogTerm: 2 }],
]

const responses: readonly (readonly [name: string, response: RaftResponse])[] = [
  [
    'append-entries response',
    { kind: 'append-entries', term: 2, lastLogIndex: 300, success: true, noRetryBackoff: false },
  ],
  ['request-vote granted', { kind: 'request-vote', term: 3, granted: true }],
  ['request-pre-vote granted', { kind: 'request-pre-vote', term: 3, granted: true }],
  ['install-snapshot response', { kind: 'install-snapshot', term: 3, success: true }],
  ['timeout-now response', { kind: 'timeout-now' }],
]

/** All that a reader makes of a stream. */
function eventsOf(stream: Uint8Array, cut = stream.length): RaftRequestEvent[] {
  const reader = new RaftRequestReader()
  const events: RaftRequestEvent[] = []
  for (const part of [stream.subarray(0, cut), stream.subarray(cut)]) {
    reader.push(part)
    for (let event = reader.next(); event !== undefined; event = reader.next()) {
      events.push(event)
      if (event.kind === 'malformed') return events
    }
  }
  return events
}

describe('golden bytes of hashicorp/raft', () => {
  for (const [name, type, request] of requests) {
    test(`${name}: written and read`, () => {
      const expected = concat(Uint8Array.of(type), bytesOf(name))
      assert.equal(toHex(encodeRaftRequest(request, a)), toHex(expected))
      assert.deepEqual(eventsOf(expected), [{ kind: 'request', header: a, request }])
    })
  }

  for (const [name, response] of responses) {
    test(`${name}: written and read`, () => {
      const expected = concat(Uint8Array.of(0xa0), bytesOf(name))
      assert.equal(toHex(encodeRaftReply({ kind: 'response', response }, a)), toHex(expected))
      const reader = new RaftReplyReader()
      reader.push(expected)
      assert.deepEqual(reader.next(response.kind), { kind: 'response', response })
      assert.ok(reader.atBoundary)
    })
  }

  test('log entry: written and read', () => {
    const entry: LogEntry = {
      index: 300,
      term: 2,
      type: 0,
      data: fromHex('0805'),
      extensions: new Uint8Array(),
      appendedAtNs: 1_700_000_000_123_456_789n,
    }
    assert.equal(toHex(encodeLogEntry(entry)), golden.get('log entry'))
    assert.deepEqual(decodeLogEntry(bytesOf('log entry')), { kind: 'message', message: entry })
  })

  test('configuration: written and read', () => {
    const value: RaftConfiguration = {
      servers: [
        { suffrage: 0, id: 'a', address: 'a' },
        { suffrage: 1, id: 'b', address: 'b' },
      ],
    }
    assert.equal(toHex(encodeConfiguration(value)), golden.get('configuration'))
    assert.deepEqual(decodeConfiguration(bytesOf('configuration')), {
      kind: 'message',
      message: value,
    })
  })

  test('every line of the file was used', () => {
    const used = new Set([
      ...requests.map(([name]) => name),
      ...responses.map(([name]) => name),
      'log entry',
      'configuration',
    ])
    assert.deepEqual([...golden.keys()].toSorted(), [...used].toSorted())
  })
})

test('requests are read alike wherever the stream is cut', () => {
  const stream = concat(
    ...requests.flatMap(([, , request]) => {
      const frame = encodeRaftRequest(request, a)
      return request.kind === 'install-snapshot' ? [frame, new Uint8Array(200).fill(7)] : [frame]
    }),
  )
  for (let cut = 0; cut <= stream.length; cut++) {
    const events = eventsOf(stream, cut)
    const body = events.filter((event) => event.kind === 'snapshot-bytes')
    assert.deepEqual(
      events.flatMap((event) => (event.kind === 'request' ? [event.request] : [])),
      requests.map(([, , request]) => request),
    )
    assert.deepEqual(concat(...body.map(({ bytes }) => bytes)), new Uint8Array(200).fill(7))
    assert.equal(body.at(-1)?.remaining, 0)
  }
})

test('replies are read alike wherever the stream is cut, errors among them', () => {
  const stream = concat(
    encodeRaftReply({ kind: 'error', error: 'node is not the leader' }, a),
    ...responses.map(([, response]) => encodeRaftReply({ kind: 'response', response }, a)),
  )
  for (let cut = 0; cut <= stream.length; cut++) {
    const reader = new RaftReplyReader()
    const replies: unknown[] = []
    const waiting = ['append-entries' as const, ...responses.map(([, { kind }]) => kind)]
    for (const part of [stream.subarray(0, cut), stream.subarray(cut)]) {
      reader.push(part)
      for (let kind = waiting[0]; kind !== undefined; kind = waiting[0]) {
        const reply = reader.next(kind)
        if (reply === undefined) break
        replies.push(reply)
        waiting.shift()
      }
    }
    assert.deepEqual(replies, [
      { kind: 'error', error: 'node is not the leader' },
      ...responses.map(([, response]) => ({ kind: 'response', response })),
    ])
    assert.ok(reader.atBoundary)
  }
})

test('an error may come with a response, whatever it is', () => {
  const reader = new RaftReplyReader()
  reader.push(concat(fromHex('a3626164'), bytesOf('append-entries response')))
  assert.deepEqual(reader.next('append-entries'), { kind: 'error', error: 'bad' })
})

test('neither error nor response is no reply', () => {
  const reader = new RaftReplyReader()
  reader.push(fromHex('a0c0'))
  const reply = reader.next('append-entries')
  assert.equal(reply?.kind, 'malformed')
})

test('an unknown type byte ends the stream, for good', () => {
  const reader = new RaftRequestReader()
  reader.push(fromHex('05'))
  assert.deepEqual(reader.next(), { kind: 'malformed', reason: 'unknown RPC type 5' })
  reader.push(encodeRaftRequest({ kind: 'timeout-now' }, a))
  assert.deepEqual(reader.next(), { kind: 'malformed', reason: 'unknown RPC type 5' })
})

test('a request beyond the bound is refused before its bytes have come', () => {
  const reader = new RaftRequestReader({ requestMaxBytes: 1000 })
  // A map of one pair: the key "Entries" and bytes of 2^31.
  reader.push(fromHex('0081a7456e7472696573db80000000'))
  assert.equal(reader.next()?.kind, 'malformed')
})

test('a snapshot of negative size, and numbers beyond 2^53, are refused', () => {
  const frame = toHex(bytesOf('install-snapshot'))
  for (const size of ['ff', 'd3ffffffffffffffff', 'cfffffffffffffffff', 'cf0020000000000000']) {
    const [event] = eventsOf(fromHex(`02${frame.replace('a453697a65d100c8', `a453697a65${size}`)}`))
    assert.equal(event?.kind, 'malformed', size)
  }
  const [event] = eventsOf(
    fromHex(`02${frame.replace('a453697a65d100c8', 'a453697a65cf001fffffffffffff')}`),
  )
  assert.ok(event?.kind === 'request' && event.request.kind === 'install-snapshot')
  assert.equal(event.request.size, Number.MAX_SAFE_INTEGER)
})

test('a snapshot of version 0 gets its configuration from the peers', () => {
  const hex = toHex(bytesOf('install-snapshot')).replace(
    'af536e617073686f7456657273696f6e01',
    'af536e617073686f7456657273696f6e00',
  )
  const [event] = eventsOf(fromHex(`02${hex}`))
  assert.ok(event?.kind === 'request' && event.request.kind === 'install-snapshot')
  assert.deepEqual(event.request.configuration.servers, [{ suffrage: 0, id: 'a', address: 'a' }])
})

test('the address of a sender without header is that of its leader field', () => {
  const hex = toHex(bytesOf('heartbeat term 2')).replace('a441646472a161', 'a441646472c0')
  const [event] = eventsOf(fromHex(`00${hex}`))
  assert.ok(event?.kind === 'request')
  assert.equal(event.header.address, 'a')
  assert.ok(isHeartbeat(event.request, event.header))
})

test('versions 2 and 3 are spoken; a heartbeat may have any', () => {
  const [, , beat] = requests[0] ?? assert.fail()
  const [, , vote] = requests[2] ?? assert.fail()
  for (const protocolVersion of [-1, 0, 1, 2, 3, 4]) {
    const header = { ...a, protocolVersion }
    assert.equal(speaksOurProtocol(beat, header), true)
    assert.equal(speaksOurProtocol(vote, header), protocolVersion === 2 || protocolVersion === 3)
  }
  assert.equal(isHeartbeat(beat, { ...a, address: '' }), false)
  assert.equal(isHeartbeat({ ...beat, term: 0 } as RaftRequest, a), false)
})
