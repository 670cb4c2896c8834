import assert from 'node:assert/strict'
import test from 'node:test'
import type { Entry, Request, Response, Suffrage } from '@liftbridge/raft'
import fc from 'fast-check'
import {
  decodeFoundingAnswer,
  decodeJoinAnswer,
  decodeJoinRequest,
  encodeFoundingQuestion,
  encodeJoinAnswer,
  encodeJoinRequest,
} from './join-messages.ts'
import {
  fromWireRequest,
  fromWireResponse,
  toWireRequest,
  toWireResponse,
} from './wire-messages.ts'

const plain = { noNullPrototype: true } as const
const number = fc.nat({ max: Number.MAX_SAFE_INTEGER })
const positive = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })
const suffrage = fc.constantFrom<Suffrage>('voter', 'non-voter', 'staging')
const id = fc.stringMatching(/^[a-z]{1,8}$/)
const member = fc.record({ id, address: id, suffrage }, plain)
const configuration = fc.record({ servers: fc.array(member, { maxLength: 4 }) }, plain)
const at = { index: number, term: number }
const time = fc.bigInt({ min: 0n, max: 2n ** 60n })
const entry: fc.Arbitrary<Entry> = fc.oneof(
  fc.record(
    { kind: fc.constant('command' as const), ...at, data: fc.uint8Array(), appendedAtNs: time },
    plain,
  ),
  fc.record({ kind: fc.constantFrom('noop' as const, 'barrier' as const), ...at }, plain),
  fc.record({ kind: fc.constant('configuration' as const), ...at, configuration }, plain),
)
const leader = fc.constant('peer')
const request: fc.Arbitrary<Request> = fc.oneof(
  fc.record({ kind: fc.constant('heartbeat' as const), term: positive, leader }, plain),
  fc.record(
    {
      kind: fc.constant('append-entries' as const),
      term: positive,
      leader,
      previousIndex: positive,
      previousTerm: positive,
      entries: fc.array(entry, { maxLength: 5 }),
      commitIndex: number,
    },
    plain,
  ),
  fc.record(
    {
      kind: fc.constant('request-vote' as const),
      term: number,
      lastIndex: number,
      lastTerm: number,
      leadershipTransfer: fc.boolean(),
    },
    plain,
  ),
  fc.record(
    {
      kind: fc.constant('request-pre-vote' as const),
      term: number,
      lastIndex: number,
      lastTerm: number,
    },
    plain,
  ),
  fc.record(
    {
      kind: fc.constant('install-snapshot' as const),
      term: number,
      leader,
      snapshot: fc.record({ ...at, configuration, configurationIndex: number }, plain),
    },
    plain,
  ),
  fc.constant({ kind: 'timeout-now' as const }),
)
const response: fc.Arbitrary<Response> = fc.oneof(
  fc.record(
    {
      kind: fc.constant('append-entries' as const),
      term: number,
      lastIndex: number,
      success: fc.boolean(),
      noRetryBackoff: fc.boolean(),
    },
    plain,
  ),
  fc.record(
    {
      kind: fc.constantFrom('request-vote' as const, 'request-pre-vote' as const),
      term: number,
      granted: fc.boolean(),
    },
    plain,
  ),
)

test('every request and every answer of the core comes back from the wire’s words', () => {
  fc.assert(
    fc.property(request, (sent) => {
      assert.deepEqual(fromWireRequest('peer', toWireRequest(sent, 0)), sent)
    }),
  )
  fc.assert(
    fc.property(response, (sent) => {
      assert.deepEqual(fromWireResponse(toWireResponse(sent)), sent)
    }),
  )
})

test('entries of a type nobody knows are refused, not stored', () => {
  const unknown = { index: 5, term: 1, type: 9, data: new Uint8Array(0) }
  const sent = {
    kind: 'append-entries' as const,
    term: 1,
    prevLogIndex: 4,
    prevLogTerm: 1,
    entries: [{ ...unknown, extensions: new Uint8Array(0), appendedAtNs: undefined }],
    leaderCommitIndex: 0,
  }
  assert.equal(fromWireRequest('peer', sent), 'entry 5 has the unknown type 9')
})

test('a request to join tells its stage, and one of Go Liftbridge tells none', () => {
  for (const stage of ['joining', 'whole'] as const) {
    const decoded = decodeJoinRequest(encodeJoinRequest('b', stage))
    assert.deepEqual(decoded, { kind: 'message', message: { id: 'b', stage, founds: false } })
  }
  assert.deepEqual(decodeJoinRequest(encodeFoundingQuestion('b')), {
    kind: 'message',
    message: { id: 'b', stage: 'joining', founds: true },
  })
  const golden = Buffer.from('b90e43b4000800040a0161120161', 'hex')
  const decoded = decodeJoinRequest(golden)
  assert.deepEqual(decoded, {
    kind: 'message',
    message: { id: 'a', stage: undefined, founds: false },
  })
})

test('an answer to it tells the index, and one of Go Liftbridge tells none', () => {
  fc.assert(
    fc.property(number, (index) => {
      const decoded = decodeJoinAnswer(encodeJoinAnswer({ kind: 'joined', index }))
      assert.deepEqual(decoded, { kind: 'joined', index })
    }),
  )
  const golden = Buffer.from('b90e43b400080005', 'hex')
  assert.deepEqual(decodeJoinAnswer(golden), { kind: 'joined', index: 0 })
  const refused = { kind: 'refused', reason: 'no' } as const
  assert.deepEqual(decodeJoinAnswer(encodeJoinAnswer(refused)), refused)
})

test('what a founder hears: another is new, there is a cluster, or nothing that it understands', () => {
  assert.deepEqual(decodeFoundingAnswer(encodeFoundingQuestion('b')), { kind: 'new', id: 'b' })
  const joined = { kind: 'joined', index: 7 } as const
  assert.deepEqual(decodeFoundingAnswer(encodeJoinAnswer(joined)), joined)
  const refused = { kind: 'refused', reason: 'no' } as const
  assert.deepEqual(decodeFoundingAnswer(encodeJoinAnswer(refused)), refused)
  // Somebody who only asks to join founds nothing.
  assert.equal(decodeFoundingAnswer(encodeJoinRequest('b', 'joining')).kind, 'rejected')
  assert.equal(decodeFoundingAnswer(Uint8Array.of(1, 2, 3)).kind, 'rejected')
})

test('no bytes make the decoders of joining throw [B2]', () => {
  const envelope = Buffer.from('b90e43b4000800', 'hex')
  fc.assert(
    fc.property(fc.constantFrom(4, 5), fc.uint8Array(), (type, payload) => {
      const bytes = Buffer.concat([envelope, Uint8Array.of(type), payload])
      decodeJoinRequest(bytes)
      decodeJoinAnswer(bytes)
      decodeFoundingAnswer(bytes)
    }),
  )
})
