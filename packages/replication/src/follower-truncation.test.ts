/** How a follower finds out where its log and its leader's part, one test a rule. */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { endOfEpoch, type EpochStart } from './epochs.ts'
import { follow, log } from './testing/follower-fixture.suite.ts'

test('a follower asks for the end of its newest epoch and cuts what the leader does not have [KIP-101]', () => {
  const { first, answer, step, transcript } = follow(log(9, [{ epoch: 2, start: 0 }]))
  assert.deepEqual([first.ask?.epoch, first.fetch], [2, undefined])
  assert.equal(answer(2, 6).truncateTo, 6)
  const cut = log(5, [{ epoch: 2, start: 0 }])
  assert.equal(step({ kind: 'truncated', log: cut, now: 0 }).fetch?.offset, 5)
  assert.deepEqual(transcript, [
    'time is 0: ask for the end of epoch 2',
    "leader's epoch 2 ends at 6: truncate to 6",
    'truncated, log ends with 5: fetch after 5',
  ])
})

test('a leader that has more leaves the log as it is', () => {
  const { answer } = follow(log(9, [{ epoch: 2, start: 0 }]))
  const output = answer(2, 20)
  assert.deepEqual([output.truncateTo, output.fetch?.offset], [-1, 9])
})

test('an epoch that the follower does not know is passed over, and it asks again [KIP-279]', () => {
  const epochs = [
    { epoch: 1, start: 0 },
    { epoch: 3, start: 4 },
  ]
  const { first, answer } = follow(log(9, epochs))
  assert.equal(first.ask?.epoch, 3)
  assert.equal(answer(2, 7).ask?.epoch, 1, 'the leader has epoch 2 where the follower has 3')
  assert.equal(answer(1, 3).truncateTo, 3)
})

test('an epoch without records goes when an older one follows in its place [KAFKA-20961]', () => {
  const epochs = [
    { epoch: 2, start: 0 },
    { epoch: 4, start: 10 },
  ]
  const { answer, step, fetched, latest } = follow(log(9, epochs))
  assert.equal(answer(3, 12).ask?.epoch, 2)
  assert.equal(answer(2, 10).truncateTo, 10)
  latest(step({ kind: 'truncated', log: log(9, [{ epoch: 2, start: 0 }]), now: 0 }))
  assert.deepEqual(fetched([10, 11, 3], -1).append, { gaps: false })
})

/** Epochs of the records of two logs that have the first `common` records from the same leaders. */
const twoLogs = fc
  .record({
    common: fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 5 }),
    more: fc.nat(3),
    own: fc.array(fc.constantFrom(5, 7, 9), { maxLength: 4 }),
    other: fc.array(fc.constantFrom(6, 8, 10), { maxLength: 4 }),
    forget: fc.array(fc.boolean(), { maxLength: 4 }),
  })
  .map(({ common, more, own, other, forget }) => {
    const shared = common.toSorted((a, b) => a - b)
    // One of them may have more records of the last common leader.
    const last = shared.at(-1)
    const rest = Array.from({ length: last === undefined ? 0 : more }, () => last ?? 0)
    const ownTail = more % 2 === 0 ? rest : []
    const otherTail = more % 2 === 0 ? [] : rest
    return {
      common: shared.length,
      own: [...shared, ...ownTail, ...own.toSorted((a, b) => a - b)],
      other: [...shared, ...otherTail, ...other.toSorted((a, b) => a - b)],
      forget,
    }
  })

test('the search ends on any tables, and exact ones lead to where the logs part [KIP-279, KAFKA-7897]', () => {
  fc.assert(
    fc.property(twoLogs, ({ common, own, other, forget }) => {
      const theirs = tableOf(other).filter((_, i) => forget[i] !== true)
      const { first, answer, follower } = follow(log(own.length - 1, tableOf(own)), {
        leaderEpoch: 11,
      })
      let output = first
      let rounds = 0
      while (output.ask !== undefined) {
        assert.ok(++rounds <= 8, 'the epochs asked for strictly fall')
        const end = endOfEpoch(theirs, output.ask.epoch, other.length)
        output = answer(end.epoch, end.endOffset)
      }
      assert.ok(follower.phase.kind === 'cutting' || follower.phase.kind === 'fetching')
      // A sparse table may cost records that could have stayed, but not time without end.
      if (forget.some(Boolean)) return
      const kept = output.truncateTo < 0 ? own.length : Math.min(output.truncateTo, own.length)
      assert.equal(kept, common)
    }),
    { numRuns: 500 },
  )
})

function tableOf(epochs: readonly number[]): EpochStart[] {
  return epochs.flatMap((epoch, start) => (epochs[start - 1] === epoch ? [] : [{ epoch, start }]))
}

test('committed records are never cut off: it is a fault, and nothing more happens [R6]', () => {
  const view = log(9, [{ epoch: 2, start: 0 }], { highWatermark: 7 })
  const { answer, step, tick, follower } = follow(view)
  const output = answer(2, 6)
  assert.deepEqual(output.fault, {
    kind: 'truncation-below-high-watermark',
    truncateTo: 6,
    highWatermark: 7,
  })
  assert.equal(output.truncateTo, -1)
  assert.deepEqual(
    [tick(9999).ask, step({ kind: 'notified', now: 9999 }).fetch],
    [undefined, undefined],
  )
  assert.equal(follower.wakeAt, Number.POSITIVE_INFINITY)
})

test('where nothing is ever synced committed records go that the leader lost with its power [L1]', () => {
  const view = log(9, [{ epoch: 2, start: 0 }], { highWatermark: 7 })
  const { answer, step, follower } = follow(view, { syncPolicy: 'never' })
  const output = answer(2, 6)
  assert.deepEqual([output.fault, output.truncateTo], [undefined, 6])
  const cut = log(5, [{ epoch: 2, start: 0 }], { highWatermark: 5 })
  assert.equal(step({ kind: 'truncated', log: cut, now: 0 }).fetch?.offset, 5)
  assert.equal(follower.highWatermark, 5)
})

test('cutting right behind the high watermark is no fault', () => {
  const { answer } = follow(log(9, [{ epoch: 2, start: 0 }], { highWatermark: 7 }))
  assert.equal(answer(2, 8).truncateTo, 8)
})

test('a leader that cannot be reached is waited for, and nothing is cut [R6, G2, LB 7.A8]', () => {
  const { step, tick, follower, latest, first } = follow(log(9, [{ epoch: 2, start: 0 }]))
  let requestId = first.ask?.requestId ?? 0
  let now = 0
  const pauses: number[] = []
  for (let attempt = 0; attempt < 6; attempt++) {
    const failed = step({ kind: 'request-failed', requestId, now })
    assert.deepEqual([failed.truncateTo, failed.ask], [-1, undefined])
    const wakeAt = follower.wakeAt
    pauses.push(wakeAt - now)
    now = wakeAt
    const again = tick(now)
    latest(again)
    requestId = again.ask?.requestId ?? 0
    assert.equal(again.ask?.epoch, 2)
  }
  assert.deepEqual(pauses, [10, 20, 40, 80, 80, 80])
})

test('an answer of another leader or of another leadership is none [R6]', () => {
  for (const from of [
    { leaderId: 'C', leaderEpoch: 5 },
    { leaderId: 'A', leaderEpoch: 4 },
  ]) {
    const { step, follower } = follow(log(9, [{ epoch: 2, start: 0 }]))
    const late = { kind: 'epoch-answer', requestId: 1, epoch: 2, endOffset: 0, now: 0 } as const
    assert.equal(step({ ...late, ...from }).truncateTo, -1)
    assert.equal(follower.phase.kind, 'asking')
  }
})

test('an answer to an earlier request is none', () => {
  const { step, tick } = follow(log(9, [{ epoch: 2, start: 0 }]))
  tick(100)
  tick(110)
  const late = { kind: 'epoch-answer', requestId: 1, endOffset: 0, epoch: 2, now: 111 } as const
  assert.equal(step({ ...late, leaderId: 'A', leaderEpoch: 5 }).truncateTo, -1)
})

test('of a Go leader doubtful records are fetched again, committed ones kept [LB 7.A2]', () => {
  const epochs = [{ epoch: 2, start: 0 }]
  const ask = { kind: 'epoch-answer', requestId: 1, now: 0 } as const
  const doubtful = follow(log(9, epochs, { highWatermark: 3 }))
  assert.equal(doubtful.step({ ...ask, endOffset: 7 }).truncateTo, 6)
  const committed = follow(log(9, epochs, { highWatermark: 6 }))
  assert.equal(committed.step({ ...ask, endOffset: 7 }).truncateTo, 7)
  const lost = follow(log(9, epochs, { highWatermark: 6 }))
  assert.notEqual(lost.step({ ...ask, endOffset: 5 }).fault, undefined)
})

test('a leader that has removed what the follower has by retention: what is committed stays', () => {
  const { answer } = follow(log(9, [{ epoch: 2, start: 0 }], { highWatermark: 7 }))
  assert.equal(answer(-1, 50).truncateTo, 8)
})
