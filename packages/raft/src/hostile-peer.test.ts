import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { EMPTY_STATE } from './index.ts'
import type { Entry, InputEvent, Request, Response, SnapshotPosition } from './index.ts'
import { TERM_LEAP_MAX } from './dispatch.ts'
import {
  append,
  command,
  configurationOf,
  heartbeat,
  OneCore,
  stored,
  vote,
} from './one-core.suite.ts'

/** Numbers where something could break: around the log of the core, and at the far end. */
const number = fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 9, 2 ** 53 - 1)
const id = fc.constantFrom('a', 'b', 'c', 'x', '')
const configuration = fc.constantFrom(
  configurationOf(''),
  configurationOf('abc'),
  configurationOf('xyz'),
  configurationOf('aab'),
)

const entry: fc.Arbitrary<Entry> = fc.oneof(
  fc.record({ kind: fc.constant('noop' as const), index: number, term: number }),
  fc.record({
    kind: fc.constant('configuration' as const),
    index: number,
    term: number,
    configuration,
  }),
)

const consecutive = fc
  .tuple(number, fc.array(number, { maxLength: 5 }))
  .map(([first, terms]) => terms.map((term, at) => command(first + at, term)))

const snapshot: fc.Arbitrary<SnapshotPosition> = fc.record({
  index: number,
  term: number,
  configuration,
  configurationIndex: number,
})

const request: fc.Arbitrary<Request> = fc.oneof(
  fc.record({
    kind: fc.constant('append-entries' as const),
    term: number,
    leader: id,
    previousIndex: number,
    previousTerm: number,
    entries: fc.oneof(fc.array(entry, { maxLength: 4 }), consecutive),
    commitIndex: number,
  }),
  fc.record({ kind: fc.constant('heartbeat' as const), term: number, leader: id }),
  fc.record({
    kind: fc.constantFrom('request-vote' as const),
    term: number,
    lastIndex: number,
    lastTerm: number,
    leadershipTransfer: fc.boolean(),
  }),
  fc.record({
    kind: fc.constantFrom('request-pre-vote' as const),
    term: number,
    lastIndex: number,
    lastTerm: number,
  }),
  fc.record({
    kind: fc.constant('install-snapshot' as const),
    term: number,
    leader: id,
    snapshot,
  }),
  fc.constant<Request>({ kind: 'timeout-now' }),
)

const response: fc.Arbitrary<Response> = fc.oneof(
  fc.record({
    kind: fc.constant('append-entries' as const),
    term: number,
    lastIndex: number,
    success: fc.boolean(),
    noRetryBackoff: fc.boolean(),
  }),
  fc.record({
    kind: fc.constantFrom('request-vote' as const, 'request-pre-vote' as const),
    term: number,
    granted: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('install-snapshot' as const),
    term: number,
    success: fc.boolean(),
  }),
)

const event: fc.Arbitrary<InputEvent> = fc.oneof(
  fc.record({ kind: fc.constant('request' as const), from: id, id: fc.nat(), request }),
  fc.record({ kind: fc.constant('response' as const), from: id, id: fc.nat(30), response }),
  fc.record({
    kind: fc.constant('request-failed' as const),
    from: id,
    id: fc.nat(30),
    text: fc.constantFrom('timeout', 'unexpected command'),
  }),
)

for (const start of ['follower', 'candidate', 'leader'] as const) {
  test(`nothing a peer makes up stops a ${start} or takes back what it committed`, () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(event, fc.nat(400)), { maxLength: 60 }), (events) => {
        const core = new OneCore(stored([1, 1, 2]))
        core.ask('b', append(2, [4, 2], [], 3))
        if (start === 'candidate') core.atDeadline()
        if (start === 'leader') core.lead()
        for (const [made, waitMs] of events) {
          const before = core.raft.status().commitIndex
          core.now += waitMs
          const { persist, apply, install } = core.step(made)
          const cut = persist?.truncateFrom ?? Infinity
          assert.ok(cut > before, `cut at ${cut}, committed ${before}`)
          for (const [at, { index }] of apply.entries()) assert.equal(index, before + 1 + at)
          if (install !== undefined) core.step({ kind: 'install-failed' })
          core.syncIfNeeded()
          assert.ok(core.raft.status().commitIndex >= before)
        }
      }),
      { numRuns: 300 },
    )
  })
}

test('entries that no leader could have sent are refused with a text, and leave the log alone', () => {
  for (const entries of [
    [command(6, 2)],
    [command(5, 2), command(7, 2)],
    [command(5, 1)],
    [command(5, 9)],
    [command(5, 3), command(6, 2)],
  ]) {
    const core = new OneCore(stored([1, 1, 2]))
    const answer = core.ask('b', append(3, [4, 2], entries))
    assert.equal(typeof answer, 'string', JSON.stringify(answer))
    assert.equal(core.raft.status().lastIndex, 4)
  }
})

test('a committed entry is never given up, whoever claims another one there', () => {
  const core = new OneCore(stored([1, 1, 2]))
  core.ask('b', append(2, [4, 2], [], 4))
  assert.equal(
    core.ask('c', append(9, [2, 1], [command(3, 9)])),
    'entry 3 contradicts a committed one',
  )
  assert.equal(core.raft.status().lastIndex, 4)
})

test('a term that nobody can have reached is refused without a trace', () => {
  const last = 2 ** 53 - 1
  for (const request of [heartbeat(last), append(last, [2, 1], []), vote(last, [9, last])]) {
    for (const from of ['b', 'x']) {
      const core = new OneCore(stored([1]))
      assert.equal(core.ask(from, request), 'a term out of reach')
      assert.equal(core.output.persist, undefined)
      assert.equal(core.term, 1)
    }
  }
})

test('the answer of a peer with a term out of reach deposes nobody', () => {
  const core = new OneCore(stored([1]))
  core.lead()
  const { term } = core
  const response = { lastIndex: 0, success: false, noRetryBackoff: false, term: 2 ** 53 - 1 }
  core.after(core.output.deadline - core.now)
  for (const from of ['b', 'c']) {
    const asked = core.output.send.find((it) => it.kind === 'request' && it.to === from)
    core.answer(from, asked?.id ?? 1, { kind: 'append-entries', ...response })
  }
  assert.deepEqual([core.role, core.term], ['leader', term])
})

test('a term as far ahead as a peer may be is adopted, by a server without a cluster any', () => {
  const core = new OneCore(stored([1]))
  core.ask('b', heartbeat(1 + TERM_LEAP_MAX))
  assert.equal(core.term, 1 + TERM_LEAP_MAX)
  const blank = new OneCore(EMPTY_STATE)
  blank.ask('b', heartbeat(2 ** 40))
  assert.equal(blank.term, 2 ** 40)
})
