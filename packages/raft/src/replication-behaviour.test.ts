import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  append,
  command,
  configurationOf,
  heartbeat,
  OneCore,
  positionAt,
  stored,
} from './one-core.suite.ts'

/** One test a line of what a peer of the original can observe [LB 2.6]: entries, heartbeats and membership. */

const refused = { kind: 'append-entries', success: false, noRetryBackoff: false } as const
const taken = { ...refused, success: true } as const

test('AppendEntries: a lower term is answered with the own term and no success', () => {
  const core = new OneCore(stored([], 3))
  assert.deepEqual(core.ask('b', append(2, [1, 1])), { ...refused, term: 3, lastIndex: 1 })
})

test('AppendEntries: its leader is recorded, and told', () => {
  const core = new OneCore()
  core.step({ kind: 'request', from: 'b', id: 1, request: append(2, [1, 1]) })
  assert.deepEqual(core.output.role, { kind: 'follower', term: 2, leader: 'b' })
})

test('AppendEntries: an absent or different previous entry may be retried without a pause', () => {
  const core = new OneCore(stored([1, 1]))
  const again = { ...refused, noRetryBackoff: true, term: 4, lastIndex: 3 }
  assert.deepEqual(core.ask('b', append(4, [7, 3])), again)
  assert.deepEqual(core.ask('b', append(4, [3, 3])), again)
})

test('AppendEntries: a previous entry inside a snapshot agrees, at its end it is compared', () => {
  const snapshot = positionAt(4, 2)
  const hardState = { term: 3, votedFor: undefined }
  const core = new OneCore({ hardState, snapshot, entries: [] })
  const fits = append(3, [2, 1], [command(3, 1), command(4, 2), command(5, 3)])
  assert.deepEqual(core.ask('b', fits), { ...taken, term: 3, lastIndex: 4 })
  assert.equal(core.raft.status().lastIndex, 5)
  const other = append(3, [4, 1], [command(5, 3)])
  assert.deepEqual(core.ask('b', other), {
    ...refused,
    noRetryBackoff: true,
    term: 3,
    lastIndex: 5,
  })
})

test('AppendEntries: success is told after the entries are durable, with the last index before', () => {
  const core = new OneCore(stored([]))
  core.ask('b', heartbeat(2))
  const request = append(2, [1, 1], [command(2, 2), command(3, 2)])
  const output = core.step({ kind: 'request', from: 'b', id: 77, request })
  assert.deepEqual(output.send, [])
  assert.deepEqual(core.sync().send, [
    { kind: 'response', to: 'b', id: 77, response: { ...taken, term: 2, lastIndex: 1 } },
  ])
})

test('AppendEntries: while the disk writes, a second request waits for its own entries only', () => {
  const core = new OneCore(stored([], 2))
  const first = append(2, [1, 1], [command(2, 2)])
  const second = append(2, [2, 2], [command(3, 2)])
  core.step({ kind: 'request', from: 'b', id: 1, request: first })
  core.step({ kind: 'request', from: 'b', id: 2, request: second })
  const ids = (sequence: number) =>
    core.step({ kind: 'persisted', sequence }).send.map(({ id }) => id)
  assert.deepEqual(ids(1), [1])
  assert.deepEqual(ids(2), [2])
})

test('AppendEntries: what lies beyond the entries of the request is not committed by it', () => {
  const core = new OneCore(stored([1, 1, 1], 2))
  core.ask('b', append(2, [2, 1], [command(3, 1)], 4))
  assert.equal(core.raft.status().commitIndex, 3)
})

test('AppendEntries: a configuration that is cut off gives way to the one before', () => {
  const core = new OneCore()
  const entry = {
    kind: 'configuration',
    index: 2,
    term: 2,
    configuration: configurationOf('abcd'),
  } as const
  core.ask('b', append(2, [1, 1], [entry]))
  assert.equal(core.raft.status().configurationIndex, 2)
  core.ask('c', append(3, [1, 1], [command(2, 3)]))
  assert.equal(core.raft.status().configurationIndex, 1)
})

test('heartbeat: no log is compared and no entry waited for, only the term', () => {
  const core = new OneCore(stored([], 2))
  core.step({ kind: 'request', from: 'b', id: 1, request: append(2, [1, 1], [command(2, 2)]) })
  const { send } = core.step({ kind: 'request', from: 'b', id: 2, request: heartbeat(2) })
  assert.deepEqual(send, [
    { kind: 'response', to: 'b', id: 2, response: { ...taken, term: 2, lastIndex: 2 } },
  ])
})

for (const [failures, pauseMs] of [
  [1, 10],
  [2, 10],
  [3, 20],
  [4, 40],
  [12, 10_240],
  [20, 10_240],
] as const) {
  test(`the leader leaves a peer alone for ${pauseMs} ms after ${failures} failures in a row`, () => {
    const core = new OneCore(stored([]), { leaderLeaseTimeoutMs: 1e9 })
    core.elect()
    for (let failed = 0; failed < failures; failed += 1) {
      core.fail(core.untilAsked('append-entries', 'c'))
    }
    const paused = core.now
    core.untilAsked('append-entries', 'c')
    assert.ok(Math.abs(core.now - paused - pauseMs) < 1e-6, `${core.now - paused}`)
  })
}

test('the leader leaves out heartbeats to a dead peer for at most 500 ms', () => {
  const core = new OneCore(stored([]), { leaderLeaseTimeoutMs: 1e9 })
  core.elect()
  for (let failed = 0; failed < 30; failed += 1) {
    const { now } = core
    core.fail(core.untilAsked('heartbeat', 'c'))
    assert.ok(core.now - now <= 500.001, `${core.now - now}`)
  }
})

test('a peer that answers heartbeats again is asked at once to append', () => {
  const core = new OneCore(stored([]), { leaderLeaseTimeoutMs: 1e9 })
  core.elect()
  const [beat] = core.asked('heartbeat', 'c')
  for (let failed = 0; failed < 12; failed += 1) {
    core.fail(core.untilAsked('append-entries', 'c'))
  }
  core.fail(beat ?? core.untilAsked('heartbeat', 'c'))
  const again = core.untilAsked('heartbeat', 'c')
  assert.equal(core.asked('append-entries', 'c').length, 0)
  core.accept('c', [again])
  assert.equal(core.asked('append-entries', 'c').length, 1)
})

test('a rejection sets the next index to the smaller of one less and the end of the peer', () => {
  for (const [peerLast, expected] of [
    [9, 4],
    [2, 2],
    [0, 0],
  ] as const) {
    const core = new OneCore(stored([1, 1, 1, 1]))
    const [first] = core.elect()
    const retry = { ...refused, noRetryBackoff: true, term: 2, lastIndex: peerLast }
    core.answer('b', first?.id ?? 0, retry)
    const [second] = core.asked('append-entries', 'b')
    assert.equal(second?.request.previousIndex, expected)
  }
})

test('a rejection that does not allow it is retried after a pause only', () => {
  const core = new OneCore(stored([1, 1]))
  const [first] = core.elect()
  core.answer('b', first?.id ?? 0, { ...refused, term: 2, lastIndex: 0 })
  assert.equal(core.asked('append-entries', 'b').length, 0)
  core.untilAsked('append-entries', 'b')
  assert.equal(core.now, 1510)
})

test('the first success lets two requests be in flight, of 64 entries each', () => {
  const core = new OneCore()
  core.lead('bc')
  const proposals = Array.from({ length: 200 }, (_, ticket) => ({
    ticket,
    data: Uint8Array.of(ticket),
  }))
  core.step({ kind: 'propose', proposals })
  const sizes = core.asked('append-entries', 'b').map(({ request }) => request.entries.length)
  assert.deepEqual(sizes, [64, 64])
})

test('one request holds no more bytes than allowed, but always one entry', () => {
  const core = new OneCore(stored([]), { appendMaxBytes: 1000, pipelineMax: 3 })
  core.lead('bc')
  const sizes = [100, 100, 5000, 100]
  const proposals = sizes.map((size, ticket) => ({ ticket, data: new Uint8Array(size) }))
  core.step({ kind: 'propose', proposals })
  const counts = core.asked('append-entries', 'b').map(({ request }) => request.entries.length)
  assert.deepEqual(counts, [2, 1, 1])
})

test('a missing entry makes the leader send its newest snapshot, then what follows it', () => {
  const snapshot = positionAt(5, 1)
  const hardState = { term: 1, votedFor: undefined }
  const core = new OneCore({ hardState, snapshot, entries: [command(6, 1)] })
  const [first] = core.elect()
  core.answer('b', first?.id ?? 0, { ...refused, noRetryBackoff: true, term: 2, lastIndex: 2 })
  const [asked] = core.asked('install-snapshot', 'b')
  assert.deepEqual(asked?.request.snapshot, snapshot)
  core.answer('b', asked?.id ?? 0, { kind: 'install-snapshot', term: 2, success: true })
  const [next] = core.asked('append-entries', 'b')
  assert.deepEqual([next?.request.previousIndex, next?.request.entries.length], [5, 2])
})

test('commit is the median of the voters, at least the first index of the term', () => {
  const core = new OneCore(stored([1, 1], 1, 'abcde'))
  const first = core.elect('bc')
  core.sync()
  core.accept('b', first)
  assert.equal(core.raft.status().commitIndex, 0)
  core.accept('d', first)
  assert.equal(core.raft.status().commitIndex, 4)
})

test('elected, a leader appends a Noop and tells all servers, non-voters too', () => {
  const state = stored([])
  const configuration = configurationOf('abc', 'd')
  const entries = [{ kind: 'configuration', index: 1, term: 1, configuration }] as const
  const core = new OneCore({ ...state, entries })
  core.elect()
  assert.equal(core.output.persist?.append[0]?.kind, 'noop')
  assert.deepEqual(
    core.asked('append-entries').map(({ to }) => to),
    ['b', 'c', 'd'],
  )
})

test('a change of membership waits for an entry of the term, and for the change before it', () => {
  const core = new OneCore()
  const first = core.elect()
  const add = (ticket: number, id: string): void => {
    const change = { kind: 'add-non-voter', id, address: id } as const
    core.step({ kind: 'change-membership', ticket, change })
  }
  add(1, 'd')
  add(2, 'e')
  assert.equal(core.raft.status().lastIndex, 2)
  core.sync()
  core.accept('b', first)
  assert.equal(core.raft.status().lastIndex, 3)
  assert.deepEqual(core.raft.status().configuration, configurationOf('abc', 'd'))
})

test('adding a voter that is one, or a voter as non-voter, changes nothing but is an entry', () => {
  const core = new OneCore()
  core.lead()
  for (const kind of ['add-voter', 'add-non-voter'] as const) {
    const { lastIndex } = core.raft.status()
    const change = { kind, id: 'b', address: 'b' }
    const { send } = core.step({ kind: 'change-membership', ticket: 1, change })
    assert.equal(core.raft.status().lastIndex, lastIndex + 1)
    assert.deepEqual(core.raft.status().configuration, configurationOf('abc'))
    core.sync()
    core.accept('b', send)
  }
})
