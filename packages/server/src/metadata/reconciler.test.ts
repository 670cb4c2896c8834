import assert from 'node:assert/strict'
import test from 'node:test'
import { scenario, settle } from './reconciler-scenario.suite.ts'

test('after replay every wanted partition is opened once, and nothing else', async () => {
  const { host, reconciler, create, remove, pause } = scenario({ replaying: true })
  create('foo', 2)
  create('bar', 1, ['b', 'a'])
  create('elsewhere', 1, ['b', 'c'])
  create('paused')
  pause('paused')
  create('gone')
  remove('gone')
  await reconciler.start([{ name: 'gone', incarnation: 6, creationTimestampNs: 1n }])
  assert.deepEqual(host.calls, [
    'tidy gone',
    'claim foo@1',
    'claim bar@2',
    'open foo@1/0 leader',
    'open foo@1/1 leader',
    'open bar@2/0 follower',
  ])
})

test('what is applied while the start tidies up is carried out after it', async () => {
  const { host, reconciler, create, remove } = scenario()
  const release = host.hold('tidy ')
  const started = reconciler.start([])
  create('foo')
  remove('foo')
  create('foo')
  await settle()
  assert.deepEqual(host.calls, ['tidy '])
  release()
  await started
  assert.deepEqual(host.calls, ['tidy ', 'remove foo@1', 'claim foo@3', 'open foo@3/0 leader'])
})

test('a created stream is settled when each of its partitions runs', async () => {
  const { host, reconciler, create } = scenario()
  await reconciler.start([])
  const release = host.hold('open foo@1/1 leader')
  create('foo', 2)
  assert.deepEqual(await reconciler.settled('foo', 0), { kind: 'running' })
  let second: unknown
  const waiting = reconciler.settled('foo', 1).then((settlement) => (second = settlement))
  await settle()
  assert.equal(second, undefined)
  release()
  await waiting
  assert.deepEqual(second, { kind: 'running' })
  assert.deepEqual(await reconciler.settled('foo', 2), { kind: 'absent' })
  assert.deepEqual(await reconciler.settled('bar', 0), { kind: 'absent' })
})

test('a partition that fails is tried again after growing pauses and holds up no other', async () => {
  const { host, clock, reconciler, create, reports } = scenario()
  await reconciler.start([])
  const line = 'open foo@1/0 leader'
  host.failing.add(line)
  create('foo', 2)
  const failed = await reconciler.settled('foo', 0)
  assert.deepEqual(failed, { kind: 'failed', reason: `scripted failure of ${line}` })
  assert.deepEqual(await reconciler.settled('foo', 1), { kind: 'running' })
  assert.deepEqual(
    reconciler.problems().map(({ stream, partition }) => [stream, partition]),
    [['foo', 0]],
  )
  for (const pauseMs of [100, 200, 400]) {
    const before = host.calls.length
    clock.advance(pauseMs - 1)
    await settle()
    assert.equal(host.calls.length, before)
    clock.advance(1)
    await settle()
    assert.ok(host.calls.length > before)
  }
  const pauses = reports.flatMap((report) =>
    report.kind === 'partition-failed' ? [report.pauseMs] : [],
  )
  assert.deepEqual(pauses, [100, 200, 400, 800])
  host.failing.clear()
  clock.advance(800)
  assert.deepEqual(await reconciler.settled('foo', 0), { kind: 'running' })
  assert.deepEqual(reconciler.problems(), [])
  assert.ok(reports.some(({ kind }) => kind === 'partition-recovered'))
  assert.equal(clock.pending, 0)
})

test('pauses never exceed half a minute', async () => {
  const { host, clock, reconciler, create, reports } = scenario()
  await reconciler.start([])
  host.failing.add('claim foo@1')
  create('foo')
  for (let i = 0; i < 15; i += 1) {
    await settle()
    clock.advance(30_000)
  }
  await settle()
  const last = reports.findLast((report) => report.kind === 'partition-failed')
  assert.equal(last?.pauseMs, 30_000)
  assert.equal(last?.attempt, 16)
})

test('changes while a step is under way are joined into one further step', async () => {
  const { host, reconciler, create, pause, resume, apply } = scenario()
  await reconciler.start([])
  const release = host.hold('open foo@1/0 leader')
  create('foo')
  await settle()
  for (let i = 0; i < 5; i += 1) {
    pause('foo')
    resume('foo')
  }
  const readonly = { partitions: [], readonly: true, timestampNs: 1n }
  apply({ kind: 'set-stream-readonly', stream: 'foo', ...readonly })
  release()
  await settle()
  assert.deepEqual(host.calls.slice(1), [
    'claim foo@1',
    'open foo@1/0 leader',
    'update foo@1/0 leader',
  ])
  assert.equal(reconciler.running()[0]?.partition.readonly, true)
})

test('pausing closes a partition, resuming opens it again', async () => {
  const { host, reconciler, create, pause, resume } = scenario()
  await reconciler.start([])
  create('foo')
  await settle()
  pause('foo')
  assert.deepEqual(await reconciler.settled('foo', 0), { kind: 'absent' })
  assert.equal(host.open_.size, 0)
  resume('foo')
  assert.deepEqual(await reconciler.settled('foo', 0), { kind: 'running' })
  // The directory is this incarnation's already.
  assert.equal(host.calls.filter((line) => line.startsWith('claim')).length, 1)
})

test('a change of leader reaches a running partition as an update', async () => {
  const { host, reconciler, create, apply } = scenario()
  await reconciler.start([])
  create('foo', 1, ['a', 'b'])
  await settle()
  apply({ kind: 'change-leader', stream: 'foo', partition: 0, leader: 'b', partitionEpoch: 1 })
  await settle()
  assert.deepEqual(host.calls.slice(2), [
    'open foo@1/0 leader',
    'supersede foo@1/0 leader',
    'update foo@1/0 follower',
  ])
})

test('stopping closes what runs, waits for what is under way and leaves no timer', async () => {
  const { host, clock, reconciler, create } = scenario()
  await reconciler.start([])
  create('foo', 2)
  await settle()
  host.failing.add('open bar@2/0 leader')
  create('bar')
  const release = host.hold('open slow@3/0 leader')
  create('slow')
  await settle()
  const stopped = reconciler.stop()
  await settle()
  release()
  await stopped
  assert.equal(host.open_.size, 0)
  assert.equal(clock.pending, 0)
  create('late')
  await settle()
  assert.ok(!host.calls.some((line) => line.includes('late')))
})

test('a start that cannot look through the directories opens everything all the same', async () => {
  const { host, reconciler, create, reports } = scenario()
  host.failing.add('tidy ')
  create('foo')
  await reconciler.start([])
  assert.equal(host.open_.size, 1)
  assert.ok(reports.some(({ kind }) => kind === 'tidy-failed'))
})

test('a partition fenced while it runs is closed and opened again, less often each time', async () => {
  const { host, clock, reconciler, create, reports } = scenario()
  await reconciler.start([])
  create('foo')
  await settle()
  for (const pauseMs of [100, 200, 400]) {
    reconciler.fenced('foo', 0, 'its disk is gone')
    await settle()
    assert.equal(host.open_.size, 0)
    const failed = { kind: 'failed', reason: 'its disk is gone' }
    assert.deepEqual(await reconciler.settled('foo', 0), failed)
    clock.advance(pauseMs - 1)
    await settle()
    assert.equal(host.open_.size, 0)
    clock.advance(1)
    await settle()
    assert.equal(host.open_.size, 1)
    assert.deepEqual(reconciler.problems(), [])
  }
  // Half a minute without trouble, and it counts from the beginning.
  clock.advance(30_000)
  reconciler.fenced('foo', 0, 'again')
  await settle()
  const last = reports.findLast((report) => report.kind === 'partition-failed')
  assert.deepEqual([last?.pauseMs, last?.attempt], [100, 1])
})

test('a partition fenced in the turn in which its opening succeeds is not forgotten', async () => {
  const { host, clock, reconciler, create } = scenario()
  await reconciler.start([])
  const release = host.hold('open foo@1/0 leader')
  create('foo')
  await settle()
  release()
  reconciler.fenced('foo', 0, 'at once')
  await settle()
  assert.equal(host.calls.at(-1), 'close foo@1/0 leader')
  clock.advance(100)
  assert.deepEqual(await reconciler.settled('foo', 0), { kind: 'running' })
  reconciler.fenced('bar', 0, 'what is not there does not matter')
})

test('a partition fenced and paused is closed once, and opens when it is resumed', async () => {
  const { host, clock, reconciler, create, pause, resume } = scenario()
  await reconciler.start([])
  create('foo')
  await settle()
  reconciler.fenced('foo', 0, 'its disk is gone')
  pause('foo')
  await settle()
  assert.deepEqual(host.calls.slice(3), ['close foo@1/0 leader'])
  assert.equal(clock.pending, 0)
  resume('foo')
  assert.deepEqual(await reconciler.settled('foo', 0), { kind: 'running' })
})

test('a leader is told at once that another leadership replaced its own, even while it is busy [E2]', async () => {
  const { host, reconciler, create, apply } = scenario()
  await reconciler.start([])
  create('foo', 1, ['a', 'b'])
  await settle()
  const release = host.hold('update foo@1/0 leader')
  const ref = { stream: 'foo', partition: 0, partitionEpoch: 0 }
  const isrChange = { ...ref, replica: 'b', leader: 'a', leaderEpoch: 1 }
  apply({ kind: 'shrink-isr', ...isrChange })
  await settle()
  // A change of the ISR is under way and takes no leadership away.
  assert.ok(!host.calls.some((line) => line.startsWith('supersede')))
  apply({ kind: 'expand-isr', ...isrChange })
  apply({ kind: 'change-leader', ...ref, leader: 'b' })
  assert.equal(host.calls.at(-1), 'supersede foo@1/0 leader')
  release()
  await settle()
  assert.equal(host.calls.at(-1), 'update foo@1/0 follower')
})

test('a pause and a stop let a leader finish what it accepted', async () => {
  const { host, reconciler, create, pause } = scenario()
  await reconciler.start([])
  create('foo')
  create('bar')
  await settle()
  pause('foo')
  await settle()
  await reconciler.stop()
  assert.ok(!host.calls.some((line) => line.startsWith('supersede')))
  assert.deepEqual(host.calls.slice(-2), ['close foo@1/0 leader', 'close bar@2/0 leader'])
})

test('after a restored snapshot everything is compared, and nothing is deleted for want of metadata [M9]', async () => {
  const { state, host, reconciler, create } = scenario()
  await reconciler.start([])
  create('kept')
  create('gone')
  create('replaced')
  await settle()
  const replaced = state.streams.get('replaced')
  assert.ok(replaced)
  state.removeStream('gone')
  state.putStream({ ...replaced, incarnation: 9 })
  state.putStream({ ...replaced, name: 'new', incarnation: 10 })
  const before = host.calls.length
  reconciler.compareAll()
  await settle()
  assert.deepEqual(
    new Set(host.calls.slice(before)),
    new Set([
      'close gone@2/0 leader',
      'close replaced@3/0 leader',
      'claim replaced@9',
      'claim new@10',
      'open replaced@9/0 leader',
      'open new@10/0 leader',
    ]),
  )
})

test('what others hold as well is given up at once, and not opened again', async () => {
  const { host, reconciler, apply, create } = scenario()
  await reconciler.start([])
  create('shared', 2, ['a', 'b'])
  create('alone')
  await settle()
  const release = host.hold('open late@3/0 leader')
  create('late', 1, ['a', 'b'])
  await settle()
  host.calls.length = 0
  reconciler.giveUpShared()
  assert.deepEqual(
    host.calls.filter((call) => call.startsWith('supersede')),
    ['supersede shared@1/0 leader', 'supersede shared@1/1 leader', 'supersede late@3/0 leader'],
    'in the same turn, also what is still being opened',
  )
  release()
  await settle()
  assert.deepEqual(host.calls.filter((call) => call.startsWith('close')).toSorted(), [
    'close late@3/0 leader',
    'close shared@1/0 leader',
    'close shared@1/1 leader',
  ])
  host.calls.length = 0
  const change = {
    kind: 'change-leader',
    stream: 'shared',
    partition: 0,
    partitionEpoch: 0,
  } as const
  apply({ ...change, leader: 'a' })
  reconciler.compareAll()
  await settle()
  assert.deepEqual(host.calls, [])
  assert.deepEqual(
    reconciler.running().map(({ stream }) => stream.name),
    ['alone'],
  )
})

test('a change of one partition costs nothing for the others of its stream', async () => {
  const { host, reconciler, apply, create } = scenario()
  await reconciler.start([])
  const count = 1_024
  create('wide', count, ['a', 'b'])
  for (let round = 0; round < 20; round++) await settle()
  const partitionPath = host.partitionPath.bind(host)
  let asked = 0
  host.partitionPath = (stream, partition) => {
    asked++
    return partitionPath(stream, partition)
  }
  const change = { kind: 'change-leader', stream: 'wide', partitionEpoch: 0, leader: 'b' } as const
  for (let partition = 0; partition < count; partition++) apply({ ...change, partition })
  assert.ok(asked <= 10 * count, `${asked} looks at what is wanted for ${count} changes`)
  for (let round = 0; round < 20; round++) await settle()
  const updates = host.calls.filter((call) => call.startsWith('update'))
  assert.equal(updates.length, count, 'each was brought in line')
})
