import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_PARAMETERS } from './index.ts'
import {
  append,
  command,
  configurationOf,
  heartbeat,
  OneCore,
  stored,
  vote,
} from './one-core.suite.ts'

/** One test a rule of section 5 of "In Search of an Understandable Consensus Algorithm". */

const success = { kind: 'append-entries', success: true, noRetryBackoff: false } as const
const failure = { ...success, success: false } as const

test('5.1: a server that meets a later term adopts it, and persists it before it answers', () => {
  const core = new OneCore(stored([]))
  const output = core.step({ kind: 'request', from: 'b', id: 1, request: heartbeat(7) })
  assert.deepEqual(output.persist?.hardState, { term: 7, votedFor: undefined })
  assert.deepEqual(output.send, [])
  assert.equal(core.sync().send.length, 1)
  assert.equal(core.term, 7)
})

test('5.1: a candidate that meets a later term follows', () => {
  const core = new OneCore()
  core.atDeadline()
  assert.equal(core.role, 'candidate')
  core.ask('b', heartbeat(9))
  assert.deepEqual([core.role, core.term], ['follower', 9])
})

test('5.1: a leader that meets a later term in a request or in an answer follows', () => {
  const asked = new OneCore()
  asked.elect()
  asked.ask('c', heartbeat(9, 'c'))
  assert.deepEqual([asked.role, asked.term], ['follower', 9])
  const answered = new OneCore()
  const [outgoing] = answered.elect()
  answered.answer('b', outgoing?.id ?? 0, { ...failure, term: 9, lastIndex: 0 })
  assert.deepEqual([answered.role, answered.term], ['follower', 9])
})

test('5.1: a request of an earlier term is rejected with the own term', () => {
  const core = new OneCore(stored([], 5))
  assert.deepEqual(core.ask('b', append(4, [1, 1], [command(2, 4)])), {
    ...failure,
    term: 5,
    lastIndex: 1,
  })
  assert.deepEqual(core.ask('b', vote(4, [9, 4])), {
    kind: 'request-vote',
    term: 5,
    granted: false,
  })
  assert.equal(core.raft.status().lastIndex, 1)
})

test('5.2: a server starts as follower, and stays one while it hears a leader', () => {
  const core = new OneCore()
  for (let beat = 0; beat < 100; beat += 1) {
    core.now += 900
    core.ask('b', heartbeat(1))
    assert.equal(core.role, 'follower')
  }
})

test('5.2: without a leader it campaigns: a new term, its own vote, and a request to each', () => {
  const core = new OneCore(stored([1]), { preVote: false })
  const output = core.atDeadline()
  assert.deepEqual(output.persist?.hardState, { term: 2, votedFor: 'a' })
  assert.deepEqual(output.send, [])
  const { send } = core.sync()
  assert.deepEqual(
    send.map((outgoing) => [outgoing.to, outgoing.kind === 'request' && outgoing.request]),
    ['b', 'c'].map((to) => [to, vote(2, [2, 1])]),
  )
})

for (const [voters, needed] of [
  ['a', 0],
  ['ab', 1],
  ['abc', 1],
  ['abcd', 2],
  ['abcde', 2],
] as const) {
  test(`5.2: of ${voters.length} voters, ${needed} beside itself elect a leader`, () => {
    const core = new OneCore(stored([], 1, voters), { preVote: false })
    core.atDeadline()
    const { send } = core.sync()
    const others = voters.slice(1, 1 + needed)
    for (const [at, from] of Array.from(others).entries()) {
      assert.equal(core.role, 'candidate', `${at} votes`)
      core.accept(from, send)
    }
    assert.equal(core.role, 'leader')
  })
}

test('5.2: the own vote counts only when it is durable', () => {
  const core = new OneCore(stored([], 1, 'a'))
  core.atDeadline()
  assert.equal(core.role, 'candidate')
  core.sync()
  assert.equal(core.role, 'leader')
})

test('5.2: one answer counts once, and one that was not asked for not at all', () => {
  const core = new OneCore(stored([], 1, 'abcde'), { preVote: false })
  core.atDeadline()
  const [first] = core.sync().send
  for (let times = 0; times < 5; times += 1) {
    const id = first?.id ?? 0
    core.answer('b', id, { kind: 'request-vote', term: 2, granted: true })
    core.answer('c', 999 + times, { kind: 'request-vote', term: 2, granted: true })
  }
  assert.equal(core.role, 'candidate')
})

test('5.2: in one term a server votes for one candidate, the first, however often it asks', () => {
  const core = new OneCore()
  const granted = { kind: 'request-vote', term: 2, granted: true }
  assert.deepEqual(core.ask('b', vote(2, [1, 1])), granted)
  assert.deepEqual(core.ask('c', vote(2, [1, 1])), { ...granted, granted: false })
  assert.deepEqual(core.ask('b', vote(2, [1, 1])), granted)
  assert.deepEqual(core.ask('c', vote(3, [1, 1])), { ...granted, term: 3 })
})

test('5.2: the vote is remembered over a restart', () => {
  const state = { ...stored([]), hardState: { term: 2, votedFor: 'b' } }
  const core = new OneCore(state)
  assert.deepEqual(core.ask('c', vote(2, [1, 1])), {
    kind: 'request-vote',
    term: 2,
    granted: false,
  })
  assert.equal(core.raft.status().votedFor, 'b')
})

test('5.2: a candidate follows a leader of its own term and refuses one of an earlier term', () => {
  const core = new OneCore(stored([], 4), { preVote: false })
  core.atDeadline()
  core.sync()
  core.ask('b', append(4, [1, 1]))
  assert.deepEqual([core.role, core.term], ['candidate', 5])
  core.ask('b', append(5, [1, 1]))
  assert.deepEqual([core.role, core.term], ['follower', 5])
})

test('5.2: a candidate that nobody elects starts over in a new term', () => {
  const core = new OneCore(stored([]), { preVote: false })
  core.atDeadline()
  core.sync()
  const campaigned = core.now
  core.atDeadline()
  assert.deepEqual(core.output.persist?.hardState, { term: 3, votedFor: 'a' })
  assert.equal(core.now - campaigned, 1500)
})

test('5.2: timeouts are drawn from one to two seconds', () => {
  for (const chance of [0, 0.25, 0.999]) {
    const core = new OneCore(stored([]), {}, chance)
    assert.equal(core.output.deadline, 1000 * (1 + chance))
    core.atDeadline()
    assert.equal(core.output.deadline, 2 * core.now)
  }
})

test('5.2: a leader asserts itself at once to all, and again before they lose patience', () => {
  const core = new OneCore(stored([]))
  core.elect()
  assert.deepEqual(
    core.asked('heartbeat').map(({ to }) => to),
    ['b', 'c'],
  )
  const first = core.now
  const beats = core.asked('heartbeat')
  for (const from of 'bc') core.accept(from, beats)
  core.untilAsked('heartbeat', 'c')
  assert.ok(core.now - first < 200, `${core.now - first} ms`)
})

test('5.3: a leader appends a command, sends it to all, and commits it on a majority', () => {
  const core = new OneCore(stored([], 1, 'abcde'))
  core.lead('bcde')
  const data = Uint8Array.of(1, 2)
  const { send } = core.step({ kind: 'propose', proposals: [{ ticket: 5, data }] })
  assert.deepEqual(
    send.map(({ to }) => to),
    ['b', 'c', 'd', 'e'],
  )
  core.sync()
  core.accept('b', send)
  assert.deepEqual(core.output.apply, [])
  core.accept('c', send)
  assert.deepEqual(core.output.apply, [{ kind: 'command', index: 3, term: 2, data }])
  assert.deepEqual(core.output.answers, [{ kind: 'committed', ticket: 5, index: 3 }])
})

test('5.3: a follower applies what its leader says is committed, as far as it has it', () => {
  const core = new OneCore()
  core.ask('b', append(2, [1, 1], [command(2, 2), command(3, 2)], 2))
  assert.equal(core.raft.status().commitIndex, 2)
  core.ask('b', append(2, [3, 2], [], 9))
  assert.equal(core.raft.status().commitIndex, 3)
})

test('5.3: the leader tells its commit index with every AppendEntries', () => {
  const core = new OneCore()
  core.lead()
  const { commitIndex } = core.raft.status()
  const proposals = [{ ticket: 1, data: Uint8Array.of(1) }]
  const { send } = core.step({ kind: 'propose', proposals })
  for (const outgoing of send) {
    assert.ok(outgoing.kind === 'request' && outgoing.request.kind === 'append-entries')
    assert.equal(outgoing.request.commitIndex, commitIndex)
  }
  assert.equal(commitIndex, 2)
})

test('5.3: entries are asked for again for ever, with pauses, until the peer has them', () => {
  const core = new OneCore(stored([]), { leaderLeaseTimeoutMs: 1e9 })
  core.elect()
  for (let tries = 0; tries < 30; tries += 1) {
    const outgoing = core.untilAsked('append-entries', 'c')
    assert.equal(outgoing.request.entries[0]?.index, 2)
    core.fail(outgoing)
  }
})

test('5.3: a follower refuses entries whose predecessor it does not have', () => {
  const core = new OneCore(stored([1, 1]))
  const refused = { ...failure, term: 2, lastIndex: 3, noRetryBackoff: true }
  assert.deepEqual(core.ask('b', append(2, [4, 1], [command(5, 2)])), refused)
  assert.deepEqual(core.ask('b', append(2, [3, 2], [command(4, 2)])), refused)
  assert.deepEqual(core.ask('b', append(2, [3, 1], [command(4, 2)])), {
    ...success,
    term: 2,
    lastIndex: 3,
  })
})

test('5.3: a conflicting entry and all that follow it go; what agrees stays', () => {
  const core = new OneCore(stored([1, 1, 2, 2]))
  core.step({
    kind: 'request',
    from: 'b',
    id: 1,
    request: append(3, [2, 1], [command(3, 1), command(4, 3)]),
  })
  const { truncateFrom, append: appended } = core.output.persist ?? {}
  assert.equal(truncateFrom, 4)
  assert.deepEqual(appended, [command(4, 3)])
  assert.equal(core.raft.status().lastIndex, 4)
})

test('5.3: an older request that arrives late cuts nothing off', () => {
  const core = new OneCore(stored([1, 1, 1]))
  core.ask('b', append(1, [1, 1], [command(2, 1)]))
  assert.equal(core.raft.status().lastIndex, 4)
  assert.equal(core.output.persist, undefined)
})

test('5.3: a leader goes back, entry by entry or to the end of the peer, until the logs meet', () => {
  const core = new OneCore(stored([1, 1, 1, 1, 1, 1, 1, 1]))
  const [first] = core.elect()
  assert.ok(first?.kind === 'request' && first.request.kind === 'append-entries')
  assert.equal(first.request.previousIndex, 9)
  const refused = { ...failure, term: 2, noRetryBackoff: true }
  core.answer('b', first.id, { ...refused, lastIndex: 4 })
  const [second] = core.asked('append-entries', 'b')
  assert.equal(second?.request.previousIndex, 4)
  core.answer('b', second?.id ?? 0, { ...refused, lastIndex: 4 })
  const [third] = core.asked('append-entries', 'b')
  assert.equal(third?.request.previousIndex, 3)
  assert.equal(third?.request.entries.length, 7)
})

test('5.3: a leader never cuts its own log', () => {
  const core = new OneCore(stored([1, 1]))
  core.lead()
  const { lastIndex } = core.raft.status()
  core.ask('c', append(core.term, [1, 1], [command(2, core.term)]))
  assert.equal(core.role, 'leader')
  assert.equal(core.raft.status().lastIndex, lastIndex)
})

for (const [own, candidate, granted] of [
  [[1], [2, 1], true],
  [[1], [3, 1], true],
  [[1, 1], [2, 1], false],
  [[1, 1], [2, 2], true],
  [[2], [9, 1], false],
  [[1, 2], [3, 2], true],
  [[1, 3], [4, 2], false],
] as const) {
  const verb = granted ? 'gets' : 'does not get'
  const [index, term] = candidate
  test(`5.4.1: a candidate at ${index}/${term} ${verb} the vote of a log of terms 1,${own.join()}`, () => {
    const core = new OneCore(stored(own, 5))
    const answer = core.ask('b', vote(6, candidate))
    assert.deepEqual(answer, { kind: 'request-vote', term: 6, granted })
  })
}

test('5.4.2: an entry of an earlier term does not commit by being on a majority, but with the Noop', () => {
  const core = new OneCore(stored([1, 1]), { appendEntriesMax: 1 })
  const [first] = core.elect()
  core.sync()
  const refused = { ...failure, term: 2, noRetryBackoff: true }
  core.answer('b', first?.id ?? 0, { ...refused, lastIndex: 2 })
  // Entry 3, of term 1, is on a and b then.
  core.accept('b', core.output.send)
  assert.equal(core.raft.status().commitIndex, 0)
  core.accept('b', core.output.send)
  assert.equal(core.raft.status().commitIndex, 4)
})

test('5.5: a request that arrives twice does nothing the second time', () => {
  const core = new OneCore()
  const request = append(2, [1, 1], [command(2, 2)], 2)
  core.ask('b', request)
  const before = core.raft.status()
  assert.deepEqual(core.ask('b', request), { ...success, term: 2, lastIndex: 2 })
  assert.deepEqual(core.raft.status(), before)
})

test('5.6: a leader gives up before its followers may elect another', () => {
  const { leaderLeaseTimeoutMs, heartbeatTimeoutMs, heartbeatIntervalMs } = DEFAULT_PARAMETERS
  assert.ok(2 * heartbeatIntervalMs < leaderLeaseTimeoutMs)
  assert.ok(leaderLeaseTimeoutMs < heartbeatTimeoutMs)
})

test('6: a configuration is in effect from its append on', () => {
  const core = new OneCore()
  const entry = {
    kind: 'configuration',
    index: 2,
    term: 2,
    configuration: configurationOf('ab'),
  } as const
  core.ask('b', append(2, [1, 1], [entry]))
  assert.deepEqual(core.raft.status().configuration, configurationOf('ab'))
  core.ask('c', append(3, [1, 1], [command(2, 3)]))
  assert.deepEqual(core.raft.status().configuration, configurationOf('abc'))
})
