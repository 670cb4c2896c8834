import assert from 'node:assert/strict'
import { appendFile, mkdtemp, open, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import test, { type TestContext } from 'node:test'
import { DiskError, type Disk } from '@liftbridge/log'
import { digest, type Operation, type Outcome } from '@liftbridge/metadata'
import { createNodeDisk } from '../adapters/node-disk.ts'
import { createSystemClock } from '../adapters/system-clock.ts'
import { CommitLogOperationLog, MetadataLogUnreadable } from './commit-log-operation-log.ts'
import { Metadata, type Proposed } from './metadata.ts'
import { SingleServerConsensus } from './single-server-consensus.ts'

const create = (name: string): Operation<'create-stream'> => ({
  kind: 'create-stream',
  stream: {
    name,
    subject: name,
    group: '',
    replicationFactor: 1,
    partitions: [{ id: 0, replicas: ['a'], isr: ['a'], leader: 'a' }],
    config: {},
    creationTimestampNs: 1n,
  },
})

const remove = (stream: string): Operation<'delete-stream'> => ({ kind: 'delete-stream', stream })

const textOf = (proposed: Proposed): string =>
  proposed.kind === 'rejected' ? `${proposed.status} ${proposed.text}` : `applied ${proposed.index}`

const temporary = async (t: TestContext): Promise<string> => {
  const directory = await mkdtemp(`${tmpdir()}/liftbridge-metadata-`)
  t.after(() => rm(directory, { recursive: true }))
  return `${directory}/raft`
}

/** The real disk, counting syncs, with a switch that makes them fail. */
const watchedDisk = () => {
  const disk = createNodeDisk()
  const watch = { syncs: 0, failing: false, full: false }
  const assertRoom = (): void => {
    if (watch.full) throw new DiskError('no-space', '/', 'no space is left')
  }
  const watched: Disk = {
    open: async (path, options) => {
      const file = await disk.open(path, options)
      const sync = async (): Promise<void> => {
        if (path.endsWith('.log')) watch.syncs += 1
        if (watch.failing) throw new Error('the disk is gone')
        await file.sync()
      }
      return {
        read: (...args) => file.read(...args),
        write: async (...args) => {
          assertRoom()
          return file.write(...args)
        },
        writeSync: (...args) => {
          assertRoom()
          return file.writeSync(...args)
        },
        truncate: (length) => file.truncate(length),
        sync,
        size: () => file.size(),
        close: () => file.close(),
      }
    },
    makeDirectory: (path) => disk.makeDirectory(path),
    list: (path) => disk.list(path),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    removeTree: (path) => disk.removeTree(path),
    syncDirectory: (path) => disk.syncDirectory(path),
  }
  return { watch, disk: watched }
}

const openLog = (directory: string, disk: Disk = createNodeDisk()) =>
  CommitLogOperationLog.open({ disk, directory, clock: createSystemClock() })

const openMetadata = async (directory: string, disk?: Disk) => {
  const consensus = new SingleServerConsensus<Outcome>(await openLog(directory, disk), 'a')
  const metadata = new Metadata({ consensus })
  const deleted = await metadata.start()
  return { metadata, deleted }
}

test('what was answered is there after a restart, in the same state', async (t) => {
  const directory = await temporary(t)
  const first = await openMetadata(directory)
  assert.equal(textOf(await first.metadata.propose(create('foo'))), 'applied 1')
  assert.equal(textOf(await first.metadata.propose(create('bar'))), 'applied 2')
  assert.equal(textOf(await first.metadata.propose(remove('foo'))), 'applied 3')
  const refused = await first.metadata.propose(create('bar'))
  assert.equal(textOf(refused), 'ALREADY_EXISTS stream already exists')
  const before = digest(first.metadata.state)
  // Not closed: as after a kill.
  const second = await openMetadata(directory)
  assert.equal(digest(second.metadata.state), before)
  assert.deepEqual(second.deleted, [{ name: 'foo', incarnation: 1, creationTimestampNs: 1n }])
  assert.equal(textOf(await second.metadata.propose(create('foo'))), 'applied 4')
  await second.metadata.close()
  const third = await openMetadata(directory)
  assert.equal(third.metadata.state.streams.get('foo')?.incarnation, 4)
  await third.metadata.close()
  await first.metadata.close()
})

test('the first listener hears of deletions that were applied before it came', async (t) => {
  const { metadata } = await openMetadata(await temporary(t))
  for (const operation of [create('foo'), remove('foo'), create('foo')]) {
    await metadata.propose(operation)
  }
  const heard: string[] = []
  metadata.onApplied(({ index, deleted }) => heard.push(`${index} ${deleted?.[0]?.name ?? ''}`))
  metadata.onApplied(({ index }) => heard.push(`second ${index}`))
  await metadata.propose(create('bar'))
  assert.deepEqual(heard, ['2 foo', '4 ', 'second 4'])
  await metadata.close()
})

test('of two proposals of one name at a time, one wins and the other hears of it', async (t) => {
  const { metadata } = await openMetadata(await temporary(t))
  const outcomes = await Promise.all(
    [create('foo'), create('foo')].map((op) => metadata.propose(op)),
  )
  assert.deepEqual(outcomes.map(textOf), ['applied 1', 'ALREADY_EXISTS stream already exists'])
  await metadata.close()
})

test('proposals made together share one sync, and are applied in order', async (t) => {
  const { watch, disk } = watchedDisk()
  const { metadata } = await openMetadata(await temporary(t), disk)
  const applied: number[] = []
  metadata.onApplied(({ index }) => applied.push(index))
  const before = watch.syncs
  await Promise.all(Array.from({ length: 200 }, (_, i) => metadata.propose(create(`stream-${i}`))))
  assert.equal(watch.syncs - before, 1)
  assert.deepEqual(
    applied,
    Array.from({ length: 200 }, (_, i) => i + 1),
  )
  await metadata.close()
})

test('nothing is applied or answered before it is durable', async (t) => {
  const { watch, disk } = watchedDisk()
  const { metadata } = await openMetadata(await temporary(t), disk)
  watch.failing = true
  const refused = await metadata.propose(create('foo'))
  assert.match(textOf(refused), /^INTERNAL Failed to replicate partition: metadata log failed: /)
  assert.equal(metadata.state.streams.size, 0)
  await metadata.close()
})

test('after a failed append every proposal is refused and reads go on', async (t) => {
  const { watch, disk } = watchedDisk()
  const { metadata } = await openMetadata(await temporary(t), disk)
  await metadata.propose(create('foo'))
  watch.failing = true
  await Promise.all([metadata.propose(create('bar')), metadata.propose(create('baz'))])
  watch.failing = false
  const refused = await metadata.propose(remove('foo'))
  assert.match(textOf(refused), /^INTERNAL Failed to delete stream: metadata log failed: /)
  assert.deepEqual([...metadata.state.streams.keys()], ['foo'])
  await metadata.close()
})

test('a full disk refuses what comes meanwhile, and only that [T4]', async (t) => {
  const directory = await temporary(t)
  const { watch, disk } = watchedDisk()
  const { metadata } = await openMetadata(directory, disk)
  await metadata.propose(create('foo'))
  watch.full = true
  for (const name of ['bar', 'baz']) {
    assert.match(textOf(await metadata.propose(create(name))), /^INTERNAL .*no space is left$/)
  }
  assert.equal(metadata.failure, undefined)
  watch.full = false
  assert.equal(textOf(await metadata.propose(create('baz'))), 'applied 2')
  await metadata.close()
  const again = await openMetadata(directory)
  assert.deepEqual([...again.metadata.state.streams.keys()], ['foo', 'baz'])
  await again.metadata.close()
})

test('a call of which only a part could be written fences the log', async (t) => {
  const { watch, disk } = watchedDisk()
  const log = await openLog(await temporary(t), disk)
  const large = new Uint8Array(12 * 1024 * 1024)
  const entries: Uint8Array[] = []
  for (let i = 0; i < 4; i += 1) entries.push(large)
  // Space runs out after the first of several writes.
  Object.defineProperty(watch, 'full', { get: () => log.lastIndex > 0 })
  await assert.rejects(log.append(entries), { code: 'no-space' })
  assert.ok(log.lastIndex > 0 && log.lastIndex < 4)
  assert.equal(log.fenced, true)
  await assert.rejects(log.append([new Uint8Array(1)]), { code: 'failed' })
  await log.close()
})

test('a closed metadata refuses proposals', async (t) => {
  const { metadata } = await openMetadata(await temporary(t))
  const last = metadata.propose(create('foo'))
  await metadata.close()
  assert.equal(textOf(await last), 'applied 1')
  assert.match(textOf(await metadata.propose(create('bar'))), /^INTERNAL .*: metadata is closed$/)
})

test('a torn end that was never answered is cut and the rest is there', async (t) => {
  const directory = await temporary(t)
  const { metadata } = await openMetadata(directory)
  await metadata.propose(create('foo'))
  await metadata.close()
  await appendFile(await logFileOf(directory), Buffer.alloc(60, 7))
  const again = await openMetadata(directory)
  assert.deepEqual([...again.metadata.state.streams.keys()], ['foo'])
  assert.equal(textOf(await again.metadata.propose(create('bar'))), 'applied 2')
  await again.metadata.close()
})

test('damage to what was answered keeps the server from starting, each time [M9]', async (t) => {
  const directory = await temporary(t)
  const { metadata } = await openMetadata(directory)
  for (const name of ['foo', 'bar', 'baz']) await metadata.propose(create(name))
  await metadata.close()
  const file = await open(await logFileOf(directory), 'r+')
  const { size } = await file.stat()
  await file.write(Buffer.from([255]), 0, 1, Math.floor(size / 2))
  await file.close()
  for (let start = 0; start < 3; start += 1) {
    await assert.rejects(openMetadata(directory), (error) => {
      assert.ok(error instanceof MetadataLogUnreadable)
      assert.match(error.message, /cannot be read: .*No stream was touched/)
      return true
    })
  }
})

test('a log that ends before what was answered keeps the server from starting, each time', async (t) => {
  const directory = await temporary(t)
  const { metadata } = await openMetadata(directory)
  for (const name of ['foo', 'bar', 'baz']) await metadata.propose(create(name))
  await metadata.close()
  const file = await open(await logFileOf(directory), 'r+')
  const { size } = await file.stat()
  await file.truncate(size - 10)
  await file.close()
  for (let start = 0; start < 3; start += 1) {
    await assert.rejects(openMetadata(directory), MetadataLogUnreadable)
  }
})

test('an entry that is no operation is inert and the rest is applied', async (t) => {
  const directory = await temporary(t)
  const log = await openLog(directory)
  await log.append([new Uint8Array([8, 99]), new Uint8Array(0), new Uint8Array([255])])
  await log.close()
  const inert: string[] = []
  const consensus = new SingleServerConsensus<Outcome>(await openLog(directory), 'a')
  const onInert = (index: number, { text }: { readonly text: string }) =>
    inert.push(`${index} ${text}`)
  const metadata = new Metadata({ consensus, onInert })
  await metadata.start()
  assert.equal(inert.length, 3)
  assert.equal(metadata.state.appliedIndex, 3)
  assert.equal(textOf(await metadata.propose(create('foo'))), 'applied 4')
  await metadata.close()
})

test('the log gives back what was appended, from any index', async (t) => {
  const log = await openLog(await temporary(t))
  const entries = Array.from({ length: 50 }, (_, i) => Buffer.alloc(100 + i * 4000, i))
  assert.equal(await log.append(entries.slice(0, 20)), 1)
  assert.equal(await log.append(entries.slice(20)), 21)
  assert.equal(log.lastIndex, 50)
  for (const from of [1, 2, 20, 21, 50, 51]) {
    let next = from
    for await (const { index, entry } of log.read(from)) {
      assert.equal(index, next)
      assert.deepEqual(Buffer.from(entry), entries[index - 1])
      next += 1
    }
    assert.equal(next, 51)
  }
  await log.close()
})

const logFileOf = async (directory: string): Promise<string> => {
  const name = (await readdir(directory)).find((file) => file.endsWith('.log'))
  assert.ok(name !== undefined)
  return `${directory}/${name}`
}
