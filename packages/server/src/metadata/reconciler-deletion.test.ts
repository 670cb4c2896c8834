import assert from 'node:assert/strict'
import test from 'node:test'
import { scenario, settle } from './reconciler-scenario.suite.ts'

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
