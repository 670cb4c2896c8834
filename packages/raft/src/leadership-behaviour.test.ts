import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FAILURE_TEXTS } from './index.ts'
import { append, heartbeat, install, OneCore, positionAt, stored, vote } from './one-core.suite.ts'

/** One test a line of what a peer of the original can observe [LB 2.6]: hand-over, snapshots, and the times of [LB 2.3]. */

const refused = { kind: 'append-entries', success: false, noRetryBackoff: false } as const
const taken = { ...refused, success: true } as const

test('TimeoutNow: the follower campaigns at once, without a pre-vote and against its leader', () => {
  const core = new OneCore()
  core.ask('b', heartbeat(2))
  core.step({ kind: 'request', from: 'b', id: 9, request: { kind: 'timeout-now' } })
  assert.deepEqual(core.output.persist?.hardState, { term: 3, votedFor: 'a' })
  const { send } = core.sync()
  const [first] = send
  const asked = first?.kind === 'request' && first.request
  assert.deepEqual(asked, { ...vote(3, [1, 1]), leadershipTransfer: true })
  const answer = { kind: 'response', to: 'b', id: 9, response: { kind: 'timeout-now' } } as const
  assert.deepEqual(send.at(-1), answer)
})

test('TimeoutNow: of another than the leader it changes nothing', () => {
  const core = new OneCore()
  core.ask('b', heartbeat(2))
  core.ask('c', { kind: 'timeout-now' })
  assert.deepEqual([core.role, core.term], ['follower', 2])
})

test('transfer: the voter with most of the log, once it has all; nothing new meanwhile', () => {
  const core = new OneCore()
  core.lead('c')
  const { send } = core.step({
    kind: 'propose',
    proposals: [{ ticket: 1, data: new Uint8Array(1) }],
  })
  core.step({ kind: 'transfer-leadership', ticket: 2 })
  assert.equal(core.asked('timeout-now').length, 0)
  core.step({ kind: 'propose', proposals: [{ ticket: 3, data: new Uint8Array(1) }] })
  const change = { kind: 'remove', id: 'b' } as const
  const answers = [
    ...core.output.answers,
    ...core.step({ kind: 'change-membership', ticket: 4, change }).answers,
  ]
  assert.deepEqual(
    answers.map((answer) => answer.kind === 'failed' && [answer.ticket, answer.text]),
    [3, 4].map((ticket) => [ticket, 'leadership transfer in progress']),
  )
  core.accept('c', send)
  assert.deepEqual(
    core.asked('timeout-now').map(({ to }) => to),
    ['c'],
  )
})

test('transfer: it fails after an election timeout, and at once without another voter', () => {
  const core = new OneCore(stored([]), { leaderLeaseTimeoutMs: 1e9 })
  core.lead()
  core.step({ kind: 'transfer-leadership', ticket: 1, to: 'c' })
  core.after(1000)
  assert.deepEqual(core.output.answers, [
    { kind: 'failed', ticket: 1, ...failure('transfer-timeout') },
  ])
  const alone = new OneCore(stored([], 1, 'a'))
  alone.elect('')
  alone.step({ kind: 'transfer-leadership', ticket: 2 })
  assert.deepEqual(alone.output.answers, [{ kind: 'failed', ticket: 2, ...failure('no-peer') }])
})

test('InstallSnapshot: a lower term is refused, and nothing is installed', () => {
  const core = new OneCore(stored([], 5))
  assert.deepEqual(core.ask('b', install(4, positionAt(9, 3))), {
    kind: 'install-snapshot',
    term: 5,
    success: false,
  })
  assert.equal(core.output.install, undefined)
})

test('InstallSnapshot: answered only when it is restored and the log says so', () => {
  const core = new OneCore(stored([1, 1], 5))
  const snapshot = positionAt(9, 3)
  core.step({ kind: 'request', from: 'b', id: 4, request: install(5, snapshot) })
  assert.deepEqual(core.output.install, { id: 4, snapshot })
  assert.deepEqual(core.output.send, [])
  const { persist, send } = core.step({ kind: 'snapshot-installed' })
  assert.deepEqual([persist?.resetTo, send], [{ index: 9, term: 3 }, []])
  assert.deepEqual(core.sync().send, [
    {
      kind: 'response',
      to: 'b',
      id: 4,
      response: { kind: 'install-snapshot', term: 5, success: true },
    },
  ])
  const { commitIndex, lastIndex, configuration, snapshotIndex } = core.raft.status()
  assert.deepEqual([commitIndex, lastIndex, snapshotIndex], [9, 9, 9])
  assert.deepEqual(configuration, snapshot.configuration)
})

test('InstallSnapshot: a log that agrees keeps what follows the snapshot', () => {
  const core = new OneCore(stored([1, 1, 1], 5))
  core.step({ kind: 'request', from: 'b', id: 4, request: install(5, positionAt(3, 1)) })
  const { persist } = core.step({ kind: 'snapshot-installed' })
  assert.deepEqual([persist?.resetTo, persist?.compactThrough], [undefined, 3])
  assert.equal(core.raft.status().lastIndex, 4)
})

test('InstallSnapshot: a log that contradicts it goes as a whole', () => {
  const core = new OneCore(stored([1, 1, 1], 5))
  core.step({ kind: 'request', from: 'b', id: 4, request: install(5, positionAt(3, 2)) })
  const { persist } = core.step({ kind: 'snapshot-installed' })
  assert.deepEqual(persist?.resetTo, { index: 3, term: 2 })
  assert.equal(core.raft.status().lastIndex, 3)
})

test('InstallSnapshot: what is committed here already is not set back', () => {
  const core = new OneCore(stored([1, 1, 1], 5))
  core.ask('b', append(5, [4, 1], [], 4))
  assert.deepEqual(core.ask('b', install(5, positionAt(3, 1))), {
    kind: 'install-snapshot',
    term: 5,
    success: true,
  })
  assert.equal(core.raft.status().commitIndex, 4)
})

test('InstallSnapshot: until it is in place, no entries are taken and nobody is led', () => {
  const core = new OneCore(stored([1, 1, 1], 5))
  core.step({ kind: 'request', from: 'b', id: 4, request: install(5, positionAt(9, 1)) })
  assert.deepEqual(core.ask('b', append(5, [4, 1], [], 4)), { ...refused, term: 5, lastIndex: 4 })
  core.after(5000)
  assert.equal(core.role, 'follower')
  core.step({ kind: 'install-failed' })
  assert.deepEqual(core.ask('b', append(5, [4, 1], [], 4)), { ...taken, term: 5, lastIndex: 4 })
})

test('a leader that a quorum of voters has not answered for 500 ms steps down', () => {
  const core = new OneCore()
  core.lead('bc')
  const { now } = core
  for (let ticks = 0; ticks < 100 && core.role === 'leader'; ticks += 1) core.atDeadline()
  assert.equal(core.role, 'follower')
  assert.equal(core.now - now, 500)
})

test('a heartbeat is due between 100 and 200 ms after the one before', () => {
  for (const chance of [0, 0.5, 0.99]) {
    const core = new OneCore(stored([]), {}, chance)
    core.elect()
    const { now } = core
    const beats = core.asked('heartbeat')
    assert.equal(beats.length, 2)
    core.accept('b', beats)
    core.accept('c', beats)
    core.untilAsked('heartbeat', 'b')
    assert.ok(Math.abs(core.now - now - 100 * (1 + chance)) < 1e-6)
  }
})

test('an idle cluster exchanges heartbeats, and the commit index once a second', () => {
  const core = new OneCore()
  core.lead('bc')
  const kinds = { heartbeat: 0, 'append-entries': 0 }
  const end = core.now + 10_000
  while (core.now < end) {
    const { send } = core.atDeadline()
    for (const outgoing of send) {
      assert.ok(outgoing.kind === 'request')
      const { kind } = outgoing.request
      assert.ok(kind === 'heartbeat' || kind === 'append-entries', kind)
      kinds[kind] += 1
    }
    for (const from of 'bc') core.accept(from, send)
  }
  assert.ok(kinds.heartbeat <= 2 * 67, `${kinds.heartbeat} heartbeats in 10 s`)
  assert.ok(kinds['append-entries'] <= 2 * 10, `${kinds['append-entries']} others in 10 s`)
  assert.ok(kinds['append-entries'] >= 2 * 9)
})

test('told at the pace of the original, a new commit index is told after 50 to 100 ms', () => {
  const core = new OneCore(stored([]), { spreadCommitAtOnce: false })
  const first = core.elect()
  core.sync()
  core.accept('b', first)
  assert.equal(core.raft.status().commitIndex, 2)
  const { now } = core
  core.untilAsked('append-entries', 'b')
  assert.equal(core.now - now, 75)
})

test('the texts that callers of the original can see are its own', () => {
  assert.deepEqual(FAILURE_TEXTS, {
    'not-leader': 'node is not the leader',
    'leadership-lost': 'leadership lost while committing log',
    'transfer-in-progress': 'leadership transfer in progress',
    'transfer-timeout': 'leadership transfer timeout',
    'no-peer': 'cannot find peer',
    stopped: 'raft is already shutdown',
    overloaded: 'timed out enqueuing operation',
    'bad-configuration': 'configuration would be invalid',
  })
})

function failure(of: keyof typeof FAILURE_TEXTS) {
  return { failure: of, text: FAILURE_TEXTS[of], undecided: false }
}
