import assert from 'node:assert/strict'
import test from 'node:test'
import {
  applyOperation,
  MetadataState,
  type Operation,
  type StreamIdentity,
} from '@liftbridge/metadata'
import type { Clock, Timer } from '../clock.ts'
import type { PartitionHost, WantedPartition } from './partition-host.ts'
import type { ReconcilerReport } from './reconciler-report.ts'
import { Reconciler } from './reconciler.ts'
import type { StreamDataDirectories } from './stream-work.ts'

/** Time that passes only when told to. */
class ManualClock implements Clock {
  #now = 0
  #timers: { at: number; callback: () => void }[] = []

  wallNs(): bigint {
    return BigInt(this.#now) * 1_000_000n
  }

  monotonicMs(): number {
    return this.#now
  }

  after(ms: number, callback: () => void): Timer {
    const timer = { at: this.#now + ms, callback }
    this.#timers.push(timer)
    return { cancel: () => (this.#timers = this.#timers.filter((other) => other !== timer)) }
  }

  get pending(): number {
    return this.#timers.length
  }

  advance(ms: number): void {
    this.#now += ms
    for (const timer of this.#timers.filter(({ at }) => at <= this.#now)) {
      this.#timers = this.#timers.filter((other) => other !== timer)
      timer.callback()
    }
  }
}

/**
 * A host and directories that note every call. A call fails when its line, as it is noted, is in
 * `failing`, and waits while it is in `held`.
 */
class ScriptedHost implements PartitionHost, StreamDataDirectories {
  readonly calls: string[] = []
  readonly failing = new Set<string>()
  readonly open_ = new Map<string, number>()
  #held = new Map<string, { promise: Promise<void>; release: () => void }>()

  hold(line: string): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    const release = () => {
      this.#held.delete(line)
      resolve()
    }
    this.#held.set(line, { promise, release })
    return release
  }

  async open(wanted: WantedPartition): Promise<void> {
    await this.#call(`open ${nameOf(wanted)}`)
    const key = wanted.directory
    assert.equal(this.open_.get(key), undefined, 'opened twice')
    this.open_.set(key, wanted.stream.incarnation)
  }

  async update(wanted: WantedPartition): Promise<void> {
    await this.#call(`update ${nameOf(wanted)}`)
    assert.equal(this.open_.get(wanted.directory), wanted.stream.incarnation)
  }

  async close(wanted: WantedPartition): Promise<void> {
    await this.#call(`close ${nameOf(wanted)}`)
    this.open_.delete(wanted.directory)
  }

  partitionPath(stream: string, partition: number): string {
    return `/streams/${stream}/${partition}`
  }

  claim(stream: StreamIdentity): Promise<void> {
    return this.#call(`claim ${stream.name}@${stream.incarnation}`)
  }

  async remove(stream: StreamIdentity): Promise<boolean> {
    await this.#call(`remove ${stream.name}@${stream.incarnation}`)
    for (const [directory, incarnation] of this.open_) {
      const inside = directory.startsWith(`/streams/${stream.name}/`)
      assert.ok(!inside || incarnation !== stream.incarnation, 'removed while open')
    }
    return true
  }

  tidy(_: unknown, deleted: readonly StreamIdentity[]): Promise<void> {
    return this.#call(`tidy ${deleted.map(({ name }) => name).join()}`)
  }

  async #call(line: string): Promise<void> {
    this.calls.push(line)
    await this.#held.get(line)?.promise
    if (this.failing.has(line)) throw new Error(`scripted failure of ${line}`)
  }
}

const nameOf = ({ stream, partition, role }: WantedPartition): string =>
  `${stream.name}@${stream.incarnation}/${partition.id} ${role}`

/** Lets everything that can go on without time passing go on. */
const settle = async (): Promise<void> => {
  for (let i = 0; i < 50; i += 1) await Promise.resolve()
}

const scenario = ({ replaying = false } = {}) => {
  const state = new MetadataState()
  const host = new ScriptedHost()
  const clock = new ManualClock()
  const reports: ReconcilerReport[] = []
  const reconciler = new Reconciler({
    serverId: 'a',
    state,
    host,
    directories: host,
    clock,
    report: (report) => reports.push(report),
  })
  const apply = (operation: Operation): void => {
    const outcome = applyOperation(state, operation, state.appliedIndex + 1)
    assert.equal(outcome.kind, 'applied')
    if (outcome.kind === 'applied' && !replaying) reconciler.applied(outcome)
  }
  const create = (name: string, partitions = 1, replicas: readonly string[] = ['a']): void =>
    apply({
      kind: 'create-stream',
      stream: {
        name,
        subject: name,
        group: '',
        replicationFactor: replicas.length,
        config: {},
        creationTimestampNs: 1n,
        partitions: Array.from({ length: partitions }, (_, id) => ({
          id,
          replicas,
          isr: replicas,
          leader: replicas[0] ?? '',
        })),
      },
    })
  const remove = (stream: string): void => apply({ kind: 'delete-stream', stream })
  const pause = (stream: string): void =>
    apply({ kind: 'pause-stream', stream, partitions: [], resumeAll: false, timestampNs: 1n })
  const resume = (stream: string): void =>
    apply({ kind: 'resume-stream', stream, partitions: [0], timestampNs: 1n })
  return { state, host, clock, reports, reconciler, apply, create, remove, pause, resume }
}

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
  assert.deepEqual(host.calls.slice(2), ['open foo@1/0 leader', 'update foo@1/0 follower'])
})

test('a deleted stream is closed before its data goes, and its name is free only afterwards', async () => {
  const { host, reconciler, create, remove } = scenario()
  await reconciler.start([])
  create('foo', 2)
  await settle()
  const release = host.hold('close foo@1/1 leader')
  remove('foo')
  create('foo', 1)
  await settle()
  assert.ok(!host.calls.includes('remove foo@1'))
  assert.ok(!host.calls.includes('claim foo@3'))
  release()
  assert.deepEqual(await reconciler.settled('foo', 0), { kind: 'running' })
  const closed = host.calls.indexOf('close foo@1/1 leader')
  const removed = host.calls.indexOf('remove foo@1')
  const claimed = host.calls.indexOf('claim foo@3')
  const opened = host.calls.indexOf('open foo@3/0 leader')
  assert.ok(closed < removed && removed < claimed && claimed < opened, host.calls.join('; '))
  assert.deepEqual([...host.open_], [['/streams/foo/0', 3]])
})

test('another incarnation under a running name replaces it, deletion seen or not', async () => {
  const { state, host, reconciler, create } = scenario()
  await reconciler.start([])
  create('foo')
  await settle()
  // As after a snapshot that holds the deletion and the new stream in one.
  const foo = state.streams.get('foo')
  assert.ok(foo)
  state.putStream({ ...foo, incarnation: 8 })
  reconciler.applied({ kind: 'applied', index: 9, streams: ['foo'] })
  assert.deepEqual(await reconciler.settled('foo', 0), { kind: 'running' })
  assert.deepEqual(host.calls.slice(-3), [
    'close foo@1/0 leader',
    'claim foo@8',
    'open foo@8/0 leader',
  ])
})

test('a stream deleted while it opens is closed and removed', async () => {
  const { host, reconciler, create, remove } = scenario()
  await reconciler.start([])
  const release = host.hold('open foo@1/0 leader')
  create('foo')
  await settle()
  remove('foo')
  await settle()
  assert.ok(!host.calls.includes('remove foo@1'))
  release()
  await settle()
  assert.deepEqual(host.calls.slice(2), [
    'open foo@1/0 leader',
    'close foo@1/0 leader',
    'remove foo@1',
  ])
})

test('a step that fails while something else has become wanted is followed at once', async () => {
  const { host, clock, reconciler, create, pause, resume } = scenario()
  await reconciler.start([])
  const line = 'open foo@1/0 leader'
  host.failing.add(line)
  const release = host.hold(line)
  create('foo')
  await settle()
  pause('foo')
  release()
  await settle()
  // Paused: the failed opening no longer matters, and no retry waits.
  assert.deepEqual(reconciler.problems(), [])
  assert.equal(clock.pending, 0)
  host.failing.clear()
  resume('foo')
  assert.deepEqual(await reconciler.settled('foo', 0), { kind: 'running' })
})

test('a stream deleted while its opening is tried again is not tried any more', async () => {
  const { host, clock, reconciler, create, remove } = scenario()
  await reconciler.start([])
  host.failing.add('open foo@1/0 leader')
  create('foo')
  await settle()
  remove('foo')
  await settle()
  assert.equal(clock.pending, 0)
  assert.deepEqual(host.calls.slice(1), ['claim foo@1', 'open foo@1/0 leader', 'remove foo@1'])
})

test('data that cannot be removed is tried again, and the next incarnation waits and says so', async () => {
  const { host, clock, reconciler, create, remove } = scenario()
  await reconciler.start([])
  create('foo')
  await settle()
  host.failing.add('remove foo@1')
  remove('foo')
  create('foo')
  const blocked = await reconciler.settled('foo', 0)
  assert.equal(blocked.kind, 'failed')
  await settle()
  assert.ok(!host.calls.includes('open foo@3/0 leader'))
  host.failing.clear()
  clock.advance(100)
  await settle()
  assert.deepEqual(await reconciler.settled('foo', 0), { kind: 'running' })
  assert.deepEqual([...host.open_], [['/streams/foo/0', 3]])
})

test('many incarnations in a row end with the last one open and the others removed', async () => {
  const { host, reconciler, create, remove } = scenario()
  await reconciler.start([])
  for (let i = 0; i < 20; i += 1) {
    create('foo')
    if (i % 3 === 0) await settle()
    remove('foo')
  }
  create('foo')
  assert.deepEqual(await reconciler.settled('foo', 0), { kind: 'running' })
  assert.deepEqual([...host.open_], [['/streams/foo/0', 41]])
  const removed = host.calls.filter((line) => line.startsWith('remove'))
  assert.deepEqual(
    removed,
    Array.from({ length: 20 }, (_, i) => `remove foo@${2 * i + 1}`),
  )
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
