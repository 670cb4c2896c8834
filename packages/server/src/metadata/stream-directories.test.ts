import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import test, { type TestContext } from 'node:test'
import type { StreamIdentity } from '@liftbridge/metadata'
import { createNodeDisk } from '../adapters/node-disk.ts'
import { DirectoryRefused, StreamDirectories, type DirectoryReport } from './stream-directories.ts'
import { decodeIdentity, encodeIdentity } from './stream-identity.ts'

const identity = (name: string, incarnation: number, ns = 7n): StreamIdentity => ({
  name,
  incarnation,
  creationTimestampNs: ns,
})

const scenario = async (t: TestContext) => {
  const root = `${await mkdtemp(`${tmpdir()}/liftbridge-directories-`)}/streams`
  t.after(() => rm(root.replace(/\/streams$/, ''), { recursive: true }))
  const reports: DirectoryReport[] = []
  const disk = createNodeDisk()
  const open = () => new StreamDirectories({ disk, root, report: (report) => reports.push(report) })
  const directories = open()
  await directories.tidy(new Map(), [])
  const store = async (stream: string, text: string): Promise<void> => {
    const path = directories.partitionPath(stream, 0)
    await mkdir(path, { recursive: true })
    await writeFile(`${path}/data`, text)
  }
  const stored = (stream: string): Promise<string | undefined> =>
    readFile(`${directories.partitionPath(stream, 0)}/data`, 'utf8').catch(() => undefined)
  return { root, directories, open, reports, store, stored }
}

test('a deleted and re-created stream never sees the old data [D-67]', async (t) => {
  const { directories, store, stored, root } = await scenario(t)
  const [old, young] = [identity('foo', 1), identity('foo', 9)]
  await directories.claim(old)
  await store('foo', 'old')
  await directories.claim(old)
  assert.equal(await stored('foo'), 'old')
  assert.equal(await directories.remove(old), true)
  assert.equal(await stored('foo'), undefined)
  await directories.claim(young)
  assert.equal(await stored('foo'), undefined)
  assert.deepEqual((await readdir(root)).toSorted(), ['.deleted', 'foo'])
  assert.deepEqual(await readdir(`${root}/.deleted`), [])
})

test('data of an incarnation whose deletion was missed is moved aside, not deleted [M9]', async (t) => {
  const { directories, store, stored, root, reports } = await scenario(t)
  await directories.claim(identity('foo', 1))
  await store('foo', 'old')
  await directories.claim(identity('foo', 9))
  assert.equal(await stored('foo'), undefined)
  assert.equal(await readFile(`${root}/.quarantine/foo@1/0/data`, 'utf8'), 'old')
  assert.deepEqual(
    reports.map(({ kind }) => kind),
    ['quarantined'],
  )
  // Metadata begun anew counts from 1 again: the creation time tells, and names do not collide.
  await store('foo', 'second')
  await directories.claim(identity('foo', 9, 8n))
  await store('foo', 'third')
  await directories.claim(identity('foo', 9, 9n))
  assert.deepEqual((await readdir(`${root}/.quarantine`)).toSorted(), ['foo@1', 'foo@9', 'foo@9-2'])
})

test('a directory without an identity is adopted: it is of Go Liftbridge', async (t) => {
  const { directories, store, stored } = await scenario(t)
  await store('foo', 'go')
  await directories.claim(identity('foo', 3))
  assert.equal(await stored('foo'), 'go')
  // From now on it is this incarnation's.
  assert.equal(await directories.remove(identity('foo', 2)), false)
  assert.equal(await stored('foo'), 'go')
})

test('removal touches nothing but that very incarnation [M9]', async (t) => {
  const { directories, store, stored, root } = await scenario(t)
  await store('unclaimed', 'data')
  await directories.claim(identity('foo', 5))
  await store('foo', 'data')
  const others = [identity('foo', 4), identity('foo', 6), identity('foo', 5, 8n)]
  for (const other of [...others, identity('unclaimed', 5), identity('nothing', 5)]) {
    assert.equal(await directories.remove(other), false)
  }
  assert.equal(await stored('foo'), 'data')
  assert.equal(await stored('unclaimed'), 'data')
  await writeFile(`${root}/foo/incarnation`, 'garbage')
  assert.equal(await directories.remove(identity('foo', 5)), false)
  assert.equal(await stored('foo'), 'data')
})

test('a damaged identity refuses the directory and keeps the data', async (t) => {
  const { directories, store, stored, root } = await scenario(t)
  const foo = identity('foo', 5)
  await directories.claim(foo)
  await store('foo', 'data')
  const path = `${root}/foo/incarnation`
  const sound = await readFile(path)
  for (let bit = 0; bit < sound.length * 8; bit += 1) {
    const damaged = Buffer.from(sound)
    damaged.writeUInt8(damaged.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
    assert.equal(decodeIdentity(damaged), undefined)
  }
  for (const garbage of ['', '{}', 'x'.repeat(5000), sound.subarray(0, 20)]) {
    await writeFile(path, garbage)
    await assert.rejects(directories.claim(foo), DirectoryRefused)
    await assert.rejects(directories.claim(identity('foo', 6)), DirectoryRefused)
  }
  assert.equal(await stored('foo'), 'data')
})

test('two names that a file system folds together never share a directory', async (t) => {
  const { directories, root } = await scenario(t)
  await directories.claim(identity('foo', 5))
  // What a file system that ignores case would show under the other name.
  await writeFile(`${root}/foo/incarnation`, encodeIdentity(identity('FOO', 5)))
  await assert.rejects(directories.claim(identity('foo', 5)), /belongs to stream "FOO"/)
})

test('a start finishes deletions, reports what is nobody’s and touches nothing else', async (t) => {
  const { open, directories, store, stored, root, reports } = await scenario(t)
  for (const name of ['kept', 'gone', 'again']) {
    await directories.claim(identity(name, 1))
    await store(name, 'data')
  }
  await store('stray', 'data')
  await mkdir(`${root}/.deleted/half@1`, { recursive: true })
  await directories.claim(identity('a/b', 2))
  const streams = new Map([
    ['kept', identity('kept', 1)],
    ['again', identity('again', 4)],
    ['a/b', identity('a/b', 2)],
  ])
  await open().tidy(streams, [identity('gone', 1), identity('again', 1), identity('kept', 9)])
  assert.equal(await stored('kept'), 'data')
  assert.equal(await stored('stray'), 'data')
  assert.equal(await stored('gone'), undefined)
  assert.equal(await stored('again'), undefined)
  assert.deepEqual(await readdir(`${root}/.deleted`), [])
  assert.deepEqual(reports, [{ kind: 'unknown-directory', directory: `${root}/stray` }])
})
