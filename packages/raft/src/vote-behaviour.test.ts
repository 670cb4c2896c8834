import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EMPTY_STATE } from './index.ts'
import type { Request } from './index.ts'
import { configurationOf, heartbeat, OneCore, preVote, stored, vote } from './one-core.suite.ts'

/** One test a line of what a peer of the original can observe [LB 2.6]: votes and pre-votes. */

test('RequestVote: a stranger is refused without a trace, unless its log is ahead', () => {
  const core = new OneCore(stored([1]))
  const stranger = { kind: 'request-vote', granted: false }
  assert.deepEqual(core.ask('x', vote(9, [2, 1])), { ...stranger, term: 1 })
  assert.equal(core.output.persist, undefined)
  assert.deepEqual(core.ask('x', vote(9, [3, 1])), { ...stranger, granted: true, term: 9 })
})

test('RequestVote: who hears a leader refuses others without a trace, not its leader', () => {
  const core = new OneCore()
  core.ask('b', heartbeat(2))
  assert.deepEqual(core.ask('c', vote(9, [5, 2])), {
    kind: 'request-vote',
    term: 2,
    granted: false,
  })
  assert.deepEqual(core.ask('b', vote(9, [5, 2])), {
    kind: 'request-vote',
    term: 9,
    granted: true,
  })
})

test('RequestVote: a leader is no reason to refuse when it asked for the election itself', () => {
  const core = new OneCore()
  core.ask('b', heartbeat(2))
  const request = { ...vote(3, [1, 1]), leadershipTransfer: true } as Request
  assert.deepEqual(core.ask('c', request), { kind: 'request-vote', term: 3, granted: true })
})

test('RequestVote: a leader unheard of for a second is no reason to refuse', () => {
  const core = new OneCore(stored([]), {}, 0.9)
  core.ask('b', heartbeat(2))
  core.after(999)
  assert.deepEqual(core.ask('c', vote(3, [1, 1])), {
    kind: 'request-vote',
    term: 2,
    granted: false,
  })
  core.after(1)
  assert.deepEqual(core.ask('c', vote(3, [1, 1])), {
    kind: 'request-vote',
    term: 3,
    granted: true,
  })
})

test('RequestVote: a later term is adopted before a non-voter is refused', () => {
  const state = stored([])
  const configuration = configurationOf('abc', 'd')
  const entries = [{ kind: 'configuration', index: 1, term: 1, configuration }] as const
  const core = new OneCore({ ...state, entries })
  assert.deepEqual(core.ask('d', vote(6, [1, 1])), {
    kind: 'request-vote',
    term: 6,
    granted: false,
  })
  assert.equal(core.term, 6)
})

test('RequestVote: term and vote are durable before the vote is told, and it is contact', () => {
  const core = new OneCore()
  core.after(1400)
  const output = core.step({ kind: 'request', from: 'b', id: 1, request: vote(2, [1, 1]) })
  assert.deepEqual(output.persist?.hardState, { term: 2, votedFor: 'b' })
  assert.deepEqual(output.send, [])
  assert.equal(core.sync().send.length, 1)
  core.after(1000)
  assert.equal(core.role, 'follower')
})

test('RequestVote: without a configuration there are no strangers', () => {
  const core = new OneCore(EMPTY_STATE)
  assert.deepEqual(core.ask('x', vote(3, [1, 1])), {
    kind: 'request-vote',
    term: 3,
    granted: true,
  })
})

test('PreVote: it is answered like a vote and leaves nothing behind', () => {
  const core = new OneCore(stored([1], 3))
  const answer = (request: Request, from = 'b') => core.ask(from, request)
  const kind = 'request-pre-vote'
  assert.deepEqual(answer(preVote(4, [2, 1])), { kind, term: 4, granted: true })
  assert.deepEqual(answer(preVote(4, [2, 1]), 'c'), { kind, term: 4, granted: true })
  assert.deepEqual(answer(preVote(9, [1, 1])), { kind, term: 9, granted: false })
  assert.deepEqual(answer(preVote(2, [2, 1])), { kind, term: 3, granted: false })
  assert.deepEqual(answer(preVote(9, [2, 1]), 'x'), { kind, term: 3, granted: false })
  assert.equal(core.term, 3)
  core.ask('c', heartbeat(3, 'c'))
  assert.deepEqual(answer(preVote(4, [2, 1])), { kind, term: 3, granted: false })
})

test('PreVote: the sender proposes the next term, and campaigns once a majority would agree', () => {
  const core = new OneCore()
  const { send, persist } = core.atDeadline()
  assert.equal(persist, undefined)
  assert.deepEqual(
    send.map((outgoing) => outgoing.kind === 'request' && outgoing.request),
    [preVote(2, [1, 1]), preVote(2, [1, 1])],
  )
  const later = core.answer('b', send[0]?.id ?? 0, {
    kind: 'request-pre-vote',
    term: 2,
    granted: true,
  })
  assert.deepEqual(later.persist?.hardState, { term: 2, votedFor: 'a' })
})

test('PreVote: an answer of a later term than proposed makes the sender follow in that term', () => {
  const core = new OneCore()
  const [first] = core.atDeadline().send
  core.answer('b', first?.id ?? 0, { kind: 'request-pre-vote', term: 8, granted: false })
  assert.deepEqual([core.role, core.term], ['follower', 8])
})

test('PreVote: a peer that does not know the request counts as one that agrees', () => {
  const core = new OneCore()
  const [first, second] = core.atDeadline().send
  const failed = (id: number, from: string, text: string) =>
    core.step({ kind: 'request-failed', from, id, text })
  const closed = failed(second?.id ?? 0, 'c', 'connection closed')
  assert.equal(closed.persist, undefined)
  const unknown = failed(first?.id ?? 0, 'b', 'unexpected command')
  assert.deepEqual(unknown.persist?.hardState, { term: 2, votedFor: 'a' })
})

test('non-voters and servers without a configuration never campaign', () => {
  const configuration = configurationOf('bc', 'a')
  const entries = [{ kind: 'configuration', index: 1, term: 1, configuration }] as const
  for (const state of [EMPTY_STATE, { ...stored([]), entries }]) {
    const core = new OneCore(state)
    for (let times = 0; times < 10; times += 1) {
      core.atDeadline()
      assert.equal(core.role, 'follower')
      assert.deepEqual(core.output.send, [])
    }
  }
})
