/** The rules of a follower, one test each. */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { describeFollowerInput, describeFollowerOutput } from './describe.ts'
import { endOfEpoch, type EpochStart } from './epochs.ts'
import type { FollowerInput, FollowerOptions, FollowerOutput, LogView } from './follower-types.ts'
import { PartitionFollower } from './follower.ts'

const NOTHING: LogView = { newestOffset: -1, syncedOffset: -1, highWatermark: -1, epochs: [] }

const log = (
  newestOffset: number,
  epochs: readonly EpochStart[],
  more: Partial<LogView> = {},
): LogView => ({ newestOffset, syncedOffset: newestOffset, highWatermark: -1, epochs, ...more })

/** B follows A in leader epoch 5. */
function follow(view: LogView, more: Partial<FollowerOptions> = {}) {
  const follower = new PartitionFollower({
    serverId: 'B',
    leaderId: 'A',
    leaderEpoch: 5,
    incarnation: 1,
    syncPolicy: 'always',
    log: view,
    proven: true,
    gaps: false,
    requestTimeoutMs: 100,
    maxWaitMs: 300,
    idleWaitMs: 1000,
    retryMinMs: 10,
    retryMaxMs: 80,
    maxLeaderTimeoutMs: 2000,
    reportEveryMs: 500,
    now: 0,
    ...more,
  })
  const transcript: string[] = []
  const step = (input: FollowerInput): FollowerOutput => {
    const output = follower.step(input)
    transcript.push(`${describeFollowerInput(input)}: ${describeFollowerOutput(output)}`)
    return output
  }
  const tick = (now: number): FollowerOutput => step({ kind: 'tick', now })
  let requestId = 1
  /** Answers the latest request. */
  const latest = (output: FollowerOutput): void => {
    requestId = output.ask?.requestId ?? output.fetch?.requestId ?? requestId
  }
  const answer = (epoch: number, endOffset: number, now = 0): FollowerOutput => {
    const from = { leaderId: 'A', leaderEpoch: more.leaderEpoch ?? 5 }
    const output = step({ kind: 'epoch-answer', requestId, ...from, epoch, endOffset, now })
    latest(output)
    return output
  }
  const fetched = (
    records: readonly [first: number, last: number, epoch: number] | undefined,
    highWatermark: number,
    more2: {
      readonly now?: number
      readonly oldestOffset?: number
      readonly newestOffset?: number
    } = {},
  ): FollowerOutput => {
    const [firstOffset, lastOffset, epoch] = records ?? [0, 0, 0]
    const output = step({
      kind: 'fetched',
      requestId,
      leaderEpoch: 5,
      highWatermark,
      records: records && { firstOffset, lastOffset, firstEpoch: epoch, lastEpoch: epoch },
      now: 0,
      ...more2,
    })
    latest(output)
    return output
  }
  const first = tick(0)
  latest(first)
  return { follower, step, tick, answer, fetched, latest, first, transcript }
}

test('a follower with an empty log fetches at once', () => {
  const { first } = follow(NOTHING)
  assert.deepEqual(first.fetch, {
    requestId: 1,
    replicaId: 'B',
    leaderEpoch: 5,
    offset: -1,
    syncedOffset: -1,
    incarnation: 1,
    maxWaitMs: 300,
  })
})

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
    const shared = common.toSorted()
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

test('nothing is told before it is durable [R4]', () => {
  const view = log(9, [{ epoch: 2, start: 0 }], { syncedOffset: 4 })
  const { answer, step, fetched, latest } = follow(view)
  const agreed = answer(2, 20)
  assert.deepEqual([agreed.sync, agreed.fetch], [true, undefined])
  const synced = step({ kind: 'synced', offset: 9, now: 0 })
  latest(synced)
  assert.deepEqual([synced.fetch?.offset, synced.fetch?.syncedOffset], [9, 9])
  assert.deepEqual(fetched([10, 12, 5], 9).append, { gaps: false })
  const grown = log(12, [{ epoch: 2, start: 0 }], { syncedOffset: 9 })
  const appended = step({ kind: 'appended', log: grown, now: 0 })
  assert.deepEqual([appended.sync, appended.fetch], [true, undefined])
  assert.equal(step({ kind: 'synced', offset: 12, now: 0 }).fetch?.offset, 12)
})

test('with sync policy never nobody waits', () => {
  const view = log(9, [{ epoch: 2, start: 0 }], { syncedOffset: -1 })
  const { answer } = follow(view, { syncPolicy: 'never' })
  const { sync, fetch } = answer(2, 20)
  assert.deepEqual([sync, fetch?.offset, fetch?.syncedOffset], [false, 9, 9])
})

test('records are appended only at the end, with epochs that fit [R9, G8]', () => {
  for (const [records, isFine] of [
    [[10, 12, 2], true],
    [[10, 10, 5], true],
    [[11, 12, 2], false],
    [[9, 12, 2], false],
    [[10, 9, 2], false],
    [[10, 12, 1], false],
    [[10, 12, 6], false],
  ] as const) {
    const { answer, fetched } = follow(log(9, [{ epoch: 2, start: 0 }]))
    answer(2, 20)
    assert.equal(fetched(records, -1).append !== undefined, isFine, `${records.join()}`)
  }
})

test('a gap is taken where the log is compacted, or where the leader begins', () => {
  const view = log(9, [{ epoch: 2, start: 0 }])
  const compacted = follow(view, { gaps: true })
  compacted.answer(2, 20)
  assert.deepEqual(compacted.fetched([15, 16, 2], -1).append, { gaps: true })
  const behind = follow(view)
  behind.answer(2, 60)
  assert.deepEqual(behind.fetched([50, 51, 2], -1, { oldestOffset: 50 }).append, { gaps: true })
})

test('a response of another leadership is dropped', () => {
  const { step, answer } = follow(log(9, [{ epoch: 2, start: 0 }]))
  answer(2, 20)
  const records = { firstOffset: 10, lastOffset: 10, firstEpoch: 2, lastEpoch: 2 }
  const stale = { kind: 'fetched', requestId: 2, leaderEpoch: 4, highWatermark: 9, now: 0 } as const
  const output = step({ ...stale, records })
  assert.deepEqual([output.append, output.highWatermark], [undefined, -1])
})

test('records that the log refuses are asked for again, after the logs were compared', () => {
  const view = log(9, [{ epoch: 2, start: 0 }])
  const { step, answer, fetched, tick } = follow(view)
  answer(2, 20)
  fetched([10, 12, 2], -1)
  assert.equal(step({ kind: 'append-refused', log: view, now: 0 }).fetch, undefined)
  assert.equal(tick(10).ask?.epoch, 2)
})

test("the high watermark is the smaller of the leader's and the own end [R3, LB 7.A6]", () => {
  const epochs = [{ epoch: 5, start: 0 }]
  const { fetched, step, follower } = follow(NOTHING)
  assert.equal(fetched([0, 3, 5], 50).highWatermark, -1)
  const view = log(3, epochs, { syncedOffset: -1 })
  assert.equal(step({ kind: 'appended', log: view, now: 0 }).highWatermark, 3)
  assert.equal(follower.highWatermark, 3)
})

test('before the logs agree no high watermark is taken over', () => {
  const { step } = follow(log(9, [{ epoch: 2, start: 0 }]))
  const early = { kind: 'fetched', requestId: 1, leaderEpoch: 5, highWatermark: 9, now: 0 } as const
  assert.equal(step({ ...early, records: undefined }).highWatermark, -1)
})

test('an answer that was held is followed by the next fetch at once', () => {
  const { fetched } = follow(NOTHING)
  assert.notEqual(fetched(undefined, -1, { now: 290 }).fetch, undefined)
})

test('an answer that was not held is followed by a pause, which a notification ends [LB 4.5]', () => {
  const { fetched, follower, step, tick } = follow(NOTHING)
  assert.equal(fetched(undefined, -1, { now: 1 }).fetch, undefined)
  assert.equal(follower.wakeAt, 1001)
  assert.equal(tick(1000).fetch, undefined)
  assert.notEqual(step({ kind: 'notified', now: 1000 }).fetch, undefined)
})

test('a notification during a fetch is not forgotten', () => {
  const { fetched, step } = follow(NOTHING)
  step({ kind: 'notified', now: 0 })
  assert.notEqual(fetched(undefined, -1, { now: 1 }).fetch, undefined)
})

test('there is one request at a time, and it ends by itself', () => {
  const { tick, follower, step } = follow(NOTHING)
  assert.equal(step({ kind: 'notified', now: 1 }).fetch, undefined)
  assert.equal(follower.wakeAt, 400, 'the timeout and the hold')
  assert.equal(tick(399).fetch, undefined)
  tick(400)
  assert.equal(follower.wakeAt, 410)
  assert.notEqual(tick(410).fetch, undefined)
})

test('a silent leader is reported, again and again, until it answers', () => {
  const { follower, tick } = follow(NOTHING)
  const reports: number[] = []
  for (let now = 0; now <= 3500; now = Math.max(now + 1, Math.ceil(follower.wakeAt))) {
    if (tick(now).reportLeader) reports.push(now)
  }
  assert.deepEqual(reports, [2001, 2501, 3001])
})

test('a replica that may lack something is as good as any when it has all its leader has [R8]', () => {
  const unproven = { proven: false } as const
  const { fetched, step, follower } = follow(NOTHING, unproven)
  fetched([0, 3, 5], 2, { newestOffset: 5 })
  step({ kind: 'appended', log: log(3, [{ epoch: 5, start: 0 }]), now: 0 })
  assert.equal(follower.proven, false, 'the leader has more')
  const other = follow(NOTHING, unproven)
  other.fetched([0, 5, 5], 2, { newestOffset: 5 })
  const all = log(5, [{ epoch: 5, start: 0 }], { syncedOffset: -1 })
  other.step({ kind: 'appended', log: all, now: 0 })
  assert.equal(other.follower.proven, false, 'not durable yet')
  other.step({ kind: 'synced', offset: 5, now: 0 })
  assert.equal(other.follower.proven, true)
})

test('a Go leader proves a replica complete by having nothing more [R8]', () => {
  const { fetched, step, follower, latest } = follow(NOTHING, { proven: false })
  fetched([0, 3, 5], 2)
  latest(step({ kind: 'appended', log: log(3, [{ epoch: 5, start: 0 }]), now: 0 }))
  assert.equal(follower.proven, false)
  fetched(undefined, 3)
  assert.equal(follower.proven, true)
})

test('a log that knows a newer leadership waits for newer metadata', () => {
  const { first, tick, follower } = follow(log(9, [{ epoch: 6, start: 0 }]))
  assert.deepEqual([first.ask, first.fetch, tick(9999).reportLeader], [undefined, undefined, false])
  assert.equal(follower.phase.kind, 'outdated')
})

test('a follower restored from its state behaves as before', () => {
  const view = log(9, [{ epoch: 2, start: 0 }])
  const options: FollowerOptions = {
    serverId: 'B',
    leaderId: 'A',
    leaderEpoch: 5,
    incarnation: 1,
    syncPolicy: 'always',
    log: view,
    proven: true,
    gaps: false,
    requestTimeoutMs: 100,
    maxWaitMs: 300,
    idleWaitMs: 1000,
    retryMinMs: 10,
    retryMaxMs: 80,
    maxLeaderTimeoutMs: 2000,
    reportEveryMs: 500,
    now: 0,
  }
  const follower = new PartitionFollower(options)
  follower.step({ kind: 'tick', now: 0 })
  const copy = PartitionFollower.restore(options, follower.state)
  const from = { leaderId: 'A', leaderEpoch: 5 }
  const answer = {
    kind: 'epoch-answer',
    requestId: 1,
    epoch: 2,
    endOffset: 4,
    now: 1,
    ...from,
  } as const
  assert.deepEqual(copy.step(answer), follower.step(answer))
  assert.deepEqual(copy.state, follower.state)
})
