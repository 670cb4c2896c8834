import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { DiskError, type Disk, type DiskErrorCode, type DiskFile } from './disk.ts'

/** A disk to try, and an existing empty directory on it. */
export interface DiskUnderTest {
  readonly disk: Disk
  readonly root: string
  /** Called after each rule. */
  dispose(): Promise<void>
}

/**
 * What every implementation of the Disk port does. The real one and the simulated one run the
 * same rules, so that what is proven on the simulated disk means something [reliability 3a].
 */
export function diskSuite(name: string, makeDisk: () => Promise<DiskUnderTest>): void {
  const rule = (title: string, body: (disk: Disk, root: string) => Promise<void>): void => {
    it(title, async () => {
      const underTest = await makeDisk()
      try {
        await body(underTest.disk, underTest.root)
      } finally {
        await underTest.dispose()
      }
    })
  }
  describe(`${name} as a Disk`, () => {
    fileRules(rule)
    failureRules(rule)
    nameRules(rule)
    directoryRules(rule)
    rule('files behave like byte arrays that zeros extend', behavesLikeByteArray)
  })
}

type Rule = (title: string, body: (disk: Disk, root: string) => Promise<void>) => void

function fileRules(rule: Rule): void {
  rule('what was written is read back', async (disk, root) => {
    const file = await disk.open(`${root}/a`, { create: true })
    assert.equal(await file.write(bytesOf('__hello'), 2, 5, 0), 5)
    assert.equal(await file.size(), 5)
    assert.equal(await textOf(file), 'hello')
    await file.close()
  })

  rule('writeSync is seen by read, and write by a later writeSync', async (disk, root) => {
    const file = await disk.open(`${root}/a`, { create: true })
    assert.equal(file.writeSync(bytesOf('abc'), 0, 3, 0), 3)
    assert.equal(await textOf(file), 'abc')
    await file.write(bytesOf('XY'), 0, 2, 1)
    assert.equal(file.writeSync(bytesOf('_Z'), 1, 1, 2), 1)
    assert.equal(await textOf(file), 'aXZ')
    await file.close()
  })

  rule(
    'a read at or past the end gives 0, one across the end what is there',
    async (disk, root) => {
      const file = await disk.open(`${root}/a`, { create: true })
      await file.write(bytesOf('hello'), 0, 5, 0)
      const into = new Uint8Array(8).fill(46)
      assert.equal(await file.read(into, 0, 8, 5), 0)
      assert.equal(await file.read(into, 0, 8, 500), 0)
      assert.equal(await file.read(into, 3, 5, 3), 2)
      assert.equal(Buffer.from(into).toString(), '...lo...')
      await file.close()
    },
  )

  rule('a read of length 0 gives 0', async (disk, root) => {
    const file = await disk.open(`${root}/a`, { create: true })
    await file.write(bytesOf('hello'), 0, 5, 0)
    assert.equal(await file.read(new Uint8Array(4), 0, 0, 0), 0)
    await file.close()
  })

  rule('a gap left by a write past the end reads as zeros', async (disk, root) => {
    const file = await disk.open(`${root}/a`, { create: true })
    await file.write(bytesOf('a'), 0, 1, 0)
    await file.write(bytesOf('b'), 0, 1, 9_000)
    assert.equal(await file.size(), 9_001)
    const content = await contentOf(file)
    assert.equal(content[0], 97)
    assert.ok(content.subarray(1, 9_000).every((byte) => byte === 0))
    assert.equal(content[9_000], 98)
    await file.close()
  })

  rule('truncate cuts, and extends with zeros where bytes were before', async (disk, root) => {
    const file = await disk.open(`${root}/a`, { create: true })
    await file.write(bytesOf('hello world'), 0, 11, 0)
    await file.truncate(4)
    assert.equal(await textOf(file), 'hell')
    await file.truncate(7)
    assert.equal(await textOf(file), 'hell\0\0\0')
    await file.close()
  })

  rule('two opens of one file see the same bytes', async (disk, root) => {
    const first = await disk.open(`${root}/a`, { create: true })
    const second = await disk.open(`${root}/a`)
    await first.write(bytesOf('one'), 0, 3, 0)
    assert.equal(await textOf(second), 'one')
    await first.close()
    await second.write(bytesOf('two'), 0, 3, 0)
    assert.equal(await textOf(second), 'two')
    await second.close()
  })

  rule('opening with create keeps what is in the file', async (disk, root) => {
    await writeWhole(disk, `${root}/a`, 'kept')
    assert.equal(await readWhole(disk, `${root}/a`), 'kept')
    const again = await disk.open(`${root}/a`, { create: true })
    assert.equal(await textOf(again), 'kept')
    await again.close()
  })

  rule('sync keeps the content, also while writes go on', async (disk, root) => {
    const file = await disk.open(`${root}/a`, { create: true })
    await file.write(bytesOf('before'), 0, 6, 0)
    const syncing = file.sync()
    file.writeSync(bytesOf(' during'), 0, 7, 6)
    await syncing
    assert.equal(await textOf(file), 'before during')
    await file.sync()
    assert.equal(await textOf(file), 'before during')
    await file.close()
  })
}

function failureRules(rule: Rule): void {
  rule('close may be called again and waits for what is under way', async (disk, root) => {
    const file = await disk.open(`${root}/a`, { create: true })
    const writing = file.write(bytesOf('late'), 0, 4, 0)
    const closing = file.close()
    assert.equal(await writing, 4)
    await Promise.all([closing, file.close()])
    await file.close()
    assert.equal(await readWhole(disk, `${root}/a`), 'late')
  })

  rule('a closed file refuses every operation', async (disk, root) => {
    const file = await disk.open(`${root}/a`, { create: true })
    await file.close()
    const buffer = new Uint8Array(1)
    await fails('other', () => file.read(buffer, 0, 1, 0))
    await fails('other', () => file.write(buffer, 0, 1, 0))
    await fails('other', () => file.truncate(0))
    await fails('other', () => file.sync())
    await fails('other', () => file.size())
    assert.throws(() => file.writeSync(buffer, 0, 1, 0), DiskError)
  })

  rule('a missing file is not-found and names the path', async (disk, root) => {
    const error = await fails('not-found', () => disk.open(`${root}/missing`))
    assert.equal(error.path, `${root}/missing`)
    assert.ok(error.message.includes(`${root}/missing`), error.message)
    await fails('not-found', () => disk.open(`${root}/no/such/parent`, { create: true }))
    await fails('not-found', () => disk.rename(`${root}/missing`, `${root}/b`))
    await fails('not-found', () => disk.list(`${root}/missing`))
    await fails('not-found', () => disk.syncDirectory(`${root}/missing`))
  })

  rule('files and directories are not taken for each other', async (disk, root) => {
    await writeWhole(disk, `${root}/file`, 'x')
    await disk.makeDirectory(`${root}/directory`)
    await fails('exists', () => disk.makeDirectory(`${root}/file`))
    await rejects(() => disk.makeDirectory(`${root}/file/below`))
    await rejects(() => disk.open(`${root}/directory`))
    await rejects(() => disk.open(`${root}/file/below`, { create: true }))
    await rejects(() => disk.list(`${root}/file`))
    await rejects(() => disk.remove(`${root}/directory`))
    await rejects(() => disk.rename(`${root}/file`, `${root}/directory`))
    await rejects(() => disk.rename(`${root}/directory`, `${root}/file`))
    assert.equal(await readWhole(disk, `${root}/file`), 'x')
  })
}

function nameRules(rule: Rule): void {
  rule('rename replaces the target', async (disk, root) => {
    await writeWhole(disk, `${root}/new`, 'new')
    await writeWhole(disk, `${root}/old`, 'old')
    await disk.rename(`${root}/new`, `${root}/old`)
    assert.equal(await readWhole(disk, `${root}/old`), 'new')
    assert.deepEqual(await namesIn(disk, root), ['old'])
  })

  rule('an open file follows its rename and survives its removal', async (disk, root) => {
    const file = await disk.open(`${root}/a`, { create: true })
    await file.write(bytesOf('one'), 0, 3, 0)
    await disk.rename(`${root}/a`, `${root}/b`)
    await file.write(bytesOf('two'), 0, 3, 0)
    assert.equal(await readWhole(disk, `${root}/b`), 'two')
    await disk.remove(`${root}/b`)
    assert.equal(await textOf(file), 'two')
    assert.deepEqual(await namesIn(disk, root), [])
    await file.close()
  })

  rule('an open file that was replaced keeps its own bytes', async (disk, root) => {
    const old = await disk.open(`${root}/a`, { create: true })
    await old.write(bytesOf('old'), 0, 3, 0)
    await writeWhole(disk, `${root}/a.tmp`, 'new')
    await disk.rename(`${root}/a.tmp`, `${root}/a`)
    assert.equal(await textOf(old), 'old')
    assert.equal(await readWhole(disk, `${root}/a`), 'new')
    await old.close()
  })

  rule('removing what is gone is fine', async (disk, root) => {
    await disk.remove(`${root}/missing`)
    await disk.removeTree(`${root}/missing`)
    await writeWhole(disk, `${root}/a`, 'x')
    await disk.remove(`${root}/a`)
    await disk.remove(`${root}/a`)
    await fails('not-found', () => disk.open(`${root}/a`))
  })

  rule('a file made anew under a removed name starts empty', async (disk, root) => {
    await writeWhole(disk, `${root}/a`, 'first')
    await disk.remove(`${root}/a`)
    const file = await disk.open(`${root}/a`, { create: true })
    assert.equal(await file.size(), 0)
    await file.close()
  })
}

function directoryRules(rule: Rule): void {
  rule('list names entries in code-unit order with their kind', async (disk, root) => {
    for (const name of ['b', 'a', 'B', 'ä', '10', '9', '\u{1f600}', '\uff5e']) {
      await writeWhole(disk, `${root}/${name}`, name)
    }
    await disk.makeDirectory(`${root}/c`)
    assert.deepEqual(await disk.list(root), [
      { name: '10', kind: 'file' },
      { name: '9', kind: 'file' },
      { name: 'B', kind: 'file' },
      { name: 'a', kind: 'file' },
      { name: 'b', kind: 'file' },
      { name: 'c', kind: 'directory' },
      { name: 'ä', kind: 'file' },
      { name: '\u{1f600}', kind: 'file' },
      { name: '\uff5e', kind: 'file' },
    ])
  })

  rule('makeDirectory makes missing parents and accepts what exists', async (disk, root) => {
    await disk.makeDirectory(`${root}/x/y/z`)
    await disk.makeDirectory(`${root}/x/y/z`)
    assert.deepEqual(await disk.list(`${root}/x/y`), [{ name: 'z', kind: 'directory' }])
    assert.deepEqual(await disk.list(`${root}/x/y/z`), [])
  })

  rule('directories can be renamed with what is in them', async (disk, root) => {
    await disk.makeDirectory(`${root}/x/y`)
    await writeWhole(disk, `${root}/x/y/f`, 'inside')
    await disk.rename(`${root}/x`, `${root}/z`)
    assert.equal(await readWhole(disk, `${root}/z/y/f`), 'inside')
    await fails('not-found', () => disk.list(`${root}/x`))
  })

  rule('removeTree takes everything below and nothing beside', async (disk, root) => {
    await disk.makeDirectory(`${root}/x/y`)
    await disk.makeDirectory(`${root}/xx`)
    await writeWhole(disk, `${root}/x/f`, '1')
    await writeWhole(disk, `${root}/x/y/g`, '2')
    await writeWhole(disk, `${root}/file`, '3')
    await disk.removeTree(`${root}/x`)
    assert.deepEqual(await namesIn(disk, root), ['file', 'xx'])
    await disk.removeTree(`${root}/file`)
    assert.deepEqual(await namesIn(disk, root), ['xx'])
  })

  rule('syncDirectory leaves the names as they are', async (disk, root) => {
    await disk.makeDirectory(`${root}/x`)
    await writeWhole(disk, `${root}/x/f`, '1')
    await disk.syncDirectory(`${root}/x`)
    await disk.syncDirectory(root)
    assert.deepEqual(await namesIn(disk, `${root}/x`), ['f'])
  })
}

const operation = fc.oneof(
  fc.record({
    kind: fc.constant('write' as const),
    position: fc.nat(20_000),
    length: fc.integer({ min: 1, max: 9_000 }),
    inThisThread: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('truncate' as const), length: fc.nat(20_000) }),
  fc.record({ kind: fc.constant('sync' as const) }),
  fc.record({ kind: fc.constant('reopen' as const) }),
)

async function behavesLikeByteArray(disk: Disk, root: string): Promise<void> {
  let runs = 0
  const property = fc.asyncProperty(fc.array(operation, { maxLength: 12 }), async (operations) => {
    const path = `${root}/model-${runs++}`
    let model = new Uint8Array(0)
    let file = await disk.open(path, { create: true })
    for (const [index, op] of operations.entries()) {
      if (op.kind === 'write') {
        const bytes = new Uint8Array(op.length).fill(index + 1)
        if (op.inThisThread)
          assert.equal(file.writeSync(bytes, 0, op.length, op.position), op.length)
        else assert.equal(await file.write(bytes, 0, op.length, op.position), op.length)
        model = resized(model, Math.max(model.length, op.position + op.length))
        model.set(bytes, op.position)
      } else if (op.kind === 'truncate') {
        await file.truncate(op.length)
        model = resized(model, op.length)
      } else if (op.kind === 'sync') {
        await file.sync()
      } else {
        await file.close()
        file = await disk.open(path)
      }
    }
    assert.equal(await file.size(), model.length)
    assert.ok(Buffer.from(model).equals(await contentOf(file)), 'bytes differ from the model')
    await file.close()
  })
  await fc.assert(property, { numRuns: 60 })
}

function resized(bytes: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(length)
  result.set(bytes.subarray(0, length))
  return result
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text)
}

async function contentOf(file: DiskFile): Promise<Buffer> {
  const content = Buffer.alloc(await file.size())
  let filled = 0
  while (filled < content.length) {
    const count = await file.read(content, filled, content.length - filled, filled)
    assert.ok(count > 0, 'a read below the size gave nothing')
    filled += count
  }
  return content
}

async function textOf(file: DiskFile): Promise<string> {
  return (await contentOf(file)).toString()
}

async function writeWhole(disk: Disk, path: string, text: string): Promise<void> {
  const file = await disk.open(path, { create: true })
  await file.write(bytesOf(text), 0, Buffer.byteLength(text), 0)
  await file.close()
}

async function readWhole(disk: Disk, path: string): Promise<string> {
  const file = await disk.open(path)
  const text = await textOf(file)
  await file.close()
  return text
}

async function namesIn(disk: Disk, path: string): Promise<string[]> {
  return (await disk.list(path)).map((entry) => entry.name)
}

async function rejects(body: () => Promise<unknown>): Promise<DiskError> {
  try {
    await body()
  } catch (error) {
    if (error instanceof DiskError) return error
    throw error
  }
  return assert.fail('it should have failed')
}

async function fails(code: DiskErrorCode, body: () => Promise<unknown>): Promise<DiskError> {
  const error = await rejects(body)
  assert.equal(error.code, code, error.message)
  return error
}
