import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failover } from './failover.ts'
import { applyOperation } from './operations/table.ts'
import type { LeaderReport, LogTail } from './requests.ts'
import { MetadataState } from './state.ts'

const EPOCH = 1

function stateWith(
  isr: readonly string[],
  replicas: readonly string[] = isr,
  minIsr = 1,
): MetadataState {
  const state = new MetadataState()
  const [leader = ''] = isr
  const outcome = applyOperation(
    state,
    {
      kind: 'create-stream',
      stream: {
        name: 's',
        subject: 's',
        group: '',
        replicationFactor: replicas.length,
        partitions: [{ id: 0, replicas, isr, leader }],
        config: { minIsr },
        creationTimestampNs: 0n,
      },
    },
    EPOCH,
  )
  assert.equal(outcome.kind, 'applied')
  return state
}

const report = (replica: string, changes: Partial<LeaderReport> = {}): LeaderReport => ({
  stream: 's',
  partition: 0,
  replica,
  leader: 'a',
  leaderEpoch: EPOCH,
  reason: 'silent',
  ...changes,
})

const tracker = (dead: readonly string[] = []): Failover =>
  new Failover({ timeoutMs: 1_000, alive: (id) => !dead.includes(id) })

const witnessesNeeded = (isr: readonly string[]): number => {
  const failover = tracker()
  const state = stateWith(isr)
  let needed = 0
  for (const id of isr.slice(1)) {
    needed += 1
    if (failover.report(state, report(id), 0).kind === 'elect') return needed
  }
  return 0
}

test('an ISR of 2, 3, 4, 5 takes 1, 2, 2, 3 witnesses [LB 4.6]', () => {
  const sizes = [
    ['a', 'b'],
    ['a', 'b', 'c'],
    ['a', 'b', 'c', 'd'],
    ['a', 'b', 'c', 'd', 'e'],
  ]
  assert.deepEqual(sizes.map(witnessesNeeded), [1, 2, 2, 3])
})

test('a witness that is dead is not waited for', () => {
  const decision = tracker(['a', 'c']).report(stateWith(['a', 'b', 'c']), report('b'), 0)
  assert.equal(decision.kind, 'elect')
  if (decision.kind === 'elect') assert.equal(decision.operation.leader, 'b')
})

test('one witness counts once, however often it reports [D-09]', () => {
  const failover = tracker()
  const state = stateWith(['a', 'b', 'c'])
  for (let i = 0; i < 5; i += 1) {
    assert.equal(failover.report(state, report('b'), i).kind, 'counted')
  }
})

test('strangers, the leader itself and replicas outside the ISR are no witnesses [G21]', () => {
  const failover = tracker()
  const state = stateWith(['a', 'b', 'c'], ['a', 'b', 'c', 'd'])
  for (const id of ['a', 'd', 'x', '']) {
    assert.equal(failover.report(state, report(id), 0).kind, 'rejected', id)
  }
})

test('a report of another leadership is refused with both generations in the text [LB 4.3]', () => {
  const decision = tracker().report(stateWith(['a', 'b']), report('b', { leaderEpoch: 9 }), 0)
  assert.deepEqual(decision, {
    kind: 'rejected',
    status: 'FAILED_PRECONDITION',
    text: 'Leader generation mismatch, current leader: a epoch: 1, got leader: a epoch: 9',
  })
})

test('witnesses of a leadership that has ended do not count against the next one [D-09]', () => {
  const failover = tracker()
  const state = stateWith(['a', 'b', 'c'])
  failover.report(state, report('b'), 0)
  const decision = failover.report(state, report('c'), 0)
  assert.ok(decision.kind === 'elect')
  applyOperation(state, decision.operation, 2)
  const { leader } = decision.operation
  const next = report('a', { leader, leaderEpoch: 2 })
  assert.equal(failover.report(state, next, 0).kind, 'counted')
})

test('a report is forgotten when no other follows in time', () => {
  const failover = tracker()
  const state = stateWith(['a', 'b', 'c'])
  failover.report(state, report('b'), 0)
  assert.equal(failover.report(state, report('c'), 1_001).kind, 'counted')
})

test('the last member of the ISR keeps its partition: no unclean election [R5]', () => {
  const decision = tracker().report(
    stateWith(['a'], ['a', 'b']),
    report('a', { reason: 'leaving' }),
    0,
  )
  assert.ok(decision.kind === 'rejected')
  assert.equal(decision.text, 'No ISR candidates')
})

test('the election is fenced by the partition epoch it was decided on [D-24]', () => {
  const state = stateWith(['a', 'b', 'c'])
  const failover = tracker(['c'])
  const decision = failover.report(state, report('b'), 0)
  assert.ok(decision.kind === 'elect')
  const isrChange = { stream: 's', partition: 0, leader: 'a', leaderEpoch: 1, partitionEpoch: 1 }
  applyOperation(state, { kind: 'shrink-isr', replica: 'b', ...isrChange }, 2)
  assert.equal(applyOperation(state, decision.operation, 3).kind, 'inert')
})

test('a leader that began anew gets an epoch of its own, not a successor [D4]', () => {
  const decision = tracker().report(stateWith(['a', 'b']), report('a', { reason: 'restarted' }), 0)
  assert.ok(decision.kind === 'elect')
  assert.equal(decision.operation.leader, 'a')
})

test('a leader that leaves hands over to a living member only, and only for itself', () => {
  const state = stateWith(['a', 'b', 'c'])
  const decision = tracker(['b']).report(state, report('a', { reason: 'leaving' }), 0)
  assert.ok(decision.kind === 'elect')
  assert.equal(decision.operation.leader, 'c')
  const foreign = tracker().report(state, report('b', { reason: 'restarted' }), 0)
  assert.equal(foreign.kind, 'rejected')
  const alone = tracker(['b', 'c']).report(state, report('a', { reason: 'leaving' }), 0)
  assert.equal(alone.kind, 'rejected')
})

test('a follower that leaves goes out of the ISR, fenced like any change of it [R7]', () => {
  const state = stateWith(['a', 'b'], ['a', 'b', 'c'])
  const decision = tracker().report(state, report('b', { reason: 'leaving' }), 0)
  assert.ok(decision.kind === 'shrink')
  assert.equal(applyOperation(state, decision.operation, 2).kind, 'applied')
  assert.deepEqual(state.streams.get('s')?.partitions[0]?.isr, ['a'])
  const outside = tracker().report(state, report('c', { reason: 'leaving' }), 0)
  assert.equal(outside.kind, 'rejected')
})

test('nobody leaves an ISR of the least size: nothing could be committed, and fewer elected', () => {
  const state = stateWith(['a', 'b'], ['a', 'b'], 2)
  const decision = tracker().report(state, report('b', { reason: 'leaving' }), 0)
  assert.equal(decision.kind, 'rejected')
})

const declared = (
  reason: LeaderReport['reason'],
  leader: string,
  leaderEpoch: number,
): LeaderReport => report(leader, { leader, leaderEpoch, reason })

/** Who is elected, in order, while whoever is elected declares itself; ends when nobody is. */
const passedOn = (
  failover: Failover,
  state: MetadataState,
  first: {
    readonly leader: string
    readonly epoch: number
    readonly nowMs: number
    /** What each has left. */
    readonly tails?: Readonly<Record<string, LogTail>>
  },
  reasonOf: (id: string) => LeaderReport['reason'] = () => 'unfit',
): string[] => {
  const asked: string[] = []
  let { leader, epoch } = first
  for (let index = 10; index < 30; index++) {
    const tail = first.tails?.[leader]
    const told = { ...declared(reasonOf(leader), leader, epoch), ...(tail ? { tail } : {}) }
    const decision = failover.report(state, told, first.nowMs)
    if (decision.kind !== 'elect') return asked
    applyOperation(state, decision.operation, index)
    const isGranted = decision.operation.leader === leader
    leader = decision.operation.leader
    epoch = index
    asked.push(leader)
    if (isGranted) return asked
  }
  return asked
}

const unsynced = (): 'unsynced' => 'unsynced'

const FIRST = { leader: 'a', epoch: EPOCH, nowMs: 0 }

test('a leadership that is passed on reaches every living member once, the busiest too, and then rests [L1]', () => {
  const isr = ['a', 'b', 'c', 'd']
  const failover = tracker()
  const state = stateWith(isr)
  // Nobody leads more partitions than d.
  applyOperation(
    state,
    {
      kind: 'create-stream',
      stream: {
        name: 'other',
        subject: 'other',
        group: '',
        replicationFactor: 4,
        partitions: [0, 1, 2].map((id) => ({ id, replicas: isr, isr, leader: 'd' })),
        config: {},
        creationTimestampNs: 0n,
      },
    },
    2,
  )
  assert.deepEqual(new Set(passedOn(failover, state, FIRST)), new Set(['b', 'c', 'd']))
})

test('unfit members wait for one that is away, and it leads as soon as it is back [R8]', () => {
  let isAway = true
  const failover = new Failover({ timeoutMs: 1_000, alive: (id) => !(isAway && id === 'c') })
  const state = stateWith(['a', 'b', 'c'])
  assert.deepEqual(passedOn(failover, state, FIRST), ['b'])
  const partition = state.streams.get('s')?.partitions[0]
  const again = declared('unfit', 'b', partition?.leaderEpoch ?? 0)
  assert.equal(failover.report(state, again, 5_000).kind, 'rejected')
  isAway = false
  const decision = failover.report(state, again, 6_000)
  assert.ok(decision.kind === 'elect')
  assert.equal(decision.operation.leader, 'c')
})

test('where nothing is synced, one leads with what it has after every member was asked, not before [L1]', () => {
  const away = new Failover({ timeoutMs: 1_000, alive: (id) => id !== 'c' })
  const two = stateWith(['a', 'b', 'c'])
  assert.deepEqual(passedOn(away, two, FIRST, unsynced), ['b'], 'c may be complete')
  const all = passedOn(tracker(), stateWith(['a', 'b', 'c']), FIRST, unsynced)
  assert.equal(all.length, 3)
  assert.deepEqual(new Set(all), new Set(['b', 'c']), 'the third asked succeeds itself')
})

test('the last resort is the member that has most left: first the later epoch, then the longer log [R8]', () => {
  const tails = {
    a: { epoch: 3, end: 90 },
    b: { epoch: 4, end: 12 },
    c: { epoch: 4, end: 11 },
    // Of an older epoch, however long.
    d: { epoch: 2, end: 500 },
  }
  const asked = passedOn(tracker(), stateWith(['a', 'b', 'c', 'd']), { ...FIRST, tails }, unsynced)
  assert.deepEqual(
    asked.slice(-2),
    ['b', 'b'],
    'elected, and told so when it declares itself again',
  )
  const equal = { epoch: 4, end: 12 }
  const alike = { a: equal, b: equal, c: equal }
  const brief = passedOn(
    tracker(),
    stateWith(['a', 'b', 'c']),
    { ...FIRST, tails: alike },
    unsynced,
  )
  assert.equal(brief.length, 3, 'of equals the one that was asked last')
})

test('the last resort is waited for while it is away: the others could not follow it without loss [R8]', () => {
  let isAway = false
  const failover = new Failover({ timeoutMs: 1_000, alive: (id) => !(isAway && id === 'a') })
  const state = stateWith(['a', 'b'])
  const most = { epoch: 4, end: 12 }
  const first = failover.report(state, { ...declared('unsynced', 'a', EPOCH), tail: most }, 0)
  assert.ok(first.kind === 'elect' && first.operation.leader === 'b')
  applyOperation(state, first.operation, 10)
  isAway = true
  const less = { ...declared('unsynced', 'b', 10), tail: { epoch: 4, end: 11 } }
  assert.equal(failover.report(state, less, 1_000).kind, 'rejected')
  isAway = false
  const second = failover.report(state, less, 2_000)
  assert.ok(second.kind === 'elect')
  assert.equal(second.operation.leader, 'a')
})

test('what a member has left is what it told last', () => {
  const failover = tracker()
  const state = stateWith(['a', 'b'])
  const tell = (leader: string, epoch: number, end: number, nowMs: number): string => {
    const tail = { epoch: 1, end }
    const decision = failover.report(state, { ...declared('unsynced', leader, epoch), tail }, nowMs)
    assert.ok(decision.kind === 'elect')
    return decision.operation.leader
  }
  assert.equal(tell('a', EPOCH, 90, 0), 'b')
  const { epoch: partitionEpoch = 0 } = state.streams.get('s')?.partitions[0] ?? {}
  const toB = { kind: 'change-leader', stream: 's', partition: 0, leader: 'b' } as const
  applyOperation(state, { ...toB, partitionEpoch }, 10)
  assert.equal(tell('b', 10, 50, 1), 'a')
  applyOperation(state, { ...toB, leader: 'a', partitionEpoch: 10 }, 11)
  assert.equal(tell('a', 11, 20, 2), 'b', 'a lost power once more')
})

test('of members without their data and one without a proof, the latter is the last resort', () => {
  const asked = passedOn(tracker(), stateWith(['a', 'b', 'c']), FIRST, (id) =>
    id === 'a' ? 'unsynced' : 'unfit',
  )
  assert.deepEqual(asked.slice(-2), ['a', 'a'])
})

test('what a member told of itself is over when it is taken into the ISR again, and it is asked first', () => {
  const failover = tracker()
  const state = stateWith(['a', 'b'])
  assert.deepEqual(
    passedOn(failover, state, FIRST, (id) => (id === 'a' ? 'unsynced' : 'silent')),
    ['b'],
  )
  // b leads; a follows it, and has everything again before b loses power in turn.
  const { leaderEpoch = 0, epoch = 0 } = state.streams.get('s')?.partitions[0] ?? {}
  const ref = { stream: 's', partition: 0, leader: 'b', leaderEpoch }
  applyOperation(state, { kind: 'shrink-isr', replica: 'a', ...ref, partitionEpoch: epoch }, 31)
  applyOperation(state, { kind: 'expand-isr', replica: 'a', ...ref, partitionEpoch: 31 }, 32)
  failover.admitted(state, { stream: 's', partition: 0, replica: 'a' })
  const decision = failover.report(state, declared('unsynced', 'b', leaderEpoch), 3_000)
  assert.ok(decision.kind === 'elect')
  assert.equal(decision.operation.leader, 'a')
})

test('after a last resort every member is asked anew', () => {
  const failover = tracker()
  const state = stateWith(['a', 'b', 'c'])
  const [resort = ''] = passedOn(failover, state, FIRST, unsynced).slice(-1)
  const { leaderEpoch = 0 } = state.streams.get('s')?.partitions[0] ?? {}
  const decision = failover.report(state, declared('unsynced', resort, leaderEpoch), 3_000)
  assert.ok(decision.kind === 'elect')
  assert.notEqual(decision.operation.leader, resort)
})

test('what replicas of a deleted stream declared is not held against those of its successor', () => {
  const failover = tracker()
  passedOn(failover, stateWith(['a', 'b']), FIRST)
  const anew = stateWith(['x'])
  applyOperation(anew, { kind: 'delete-stream', stream: 's' }, 40)
  const created = {
    name: 's',
    subject: 's',
    group: '',
    replicationFactor: 2,
    partitions: [{ id: 0, replicas: ['a', 'b'], isr: ['a', 'b'], leader: 'a' }],
    config: {},
    creationTimestampNs: 0n,
  }
  applyOperation(anew, { kind: 'create-stream', stream: created }, 41)
  assert.deepEqual(passedOn(failover, anew, { ...FIRST, epoch: 41 }), ['b'])
})
