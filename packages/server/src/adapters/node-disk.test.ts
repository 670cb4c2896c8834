import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { DiskError } from '@liftbridge/log'
import { diskSuite } from '../../../log/src/disk.suite.ts'
import { createNodeDisk } from './node-disk.ts'

function temporaryDirectory(): string {
  return fs.mkdtempSync(join(tmpdir(), 'liftbridge-disk-'))
}

diskSuite('the real disk', async () => {
  const root = temporaryDirectory()
  return {
    disk: createNodeDisk(),
    root,
    dispose: async () => fs.rmSync(root, { recursive: true, force: true }),
  }
})

const run = promisify(execFile)
const source = new URL('./node-disk.ts', import.meta.url).href

/** Runs a program in its own process under a shell limit and returns what it printed. */
async function underLimit(limit: string, program: string): Promise<string> {
  const root = temporaryDirectory()
  try {
    const script = `
      import { createNodeDisk } from ${JSON.stringify(source)}
      const disk = createNodeDisk()
      const root = ${JSON.stringify(root)}
      ${program}`
    const { stdout } = await run('sh', [
      '-c',
      `${limit}; exec "$0" --conditions=source --input-type=module-typescript -e "$1"`,
      process.execPath,
      script,
    ])
    return stdout.trim()
  } finally {
    fs.rmSync(root, { recursive: true, force: true })
  }
}

describe('the real disk at its limits [reliability T4]', () => {
  it('reports a full device as no-space', { skip: !fs.existsSync('/dev/full') }, async () => {
    const file = await createNodeDisk().open('/dev/full')
    const isFull = (error: unknown): boolean =>
      error instanceof DiskError && error.code === 'no-space' && error.path === '/dev/full'
    await assert.rejects(() => file.write(new Uint8Array(10), 0, 10, 0), isFull)
    assert.throws(() => file.writeSync(new Uint8Array(10), 0, 10, 0), isFull)
    await file.close()
  })

  it('surfaces a short write at the file size limit, then no-space', async () => {
    const printed = await underLimit(
      'ulimit -f 16',
      `const file = await disk.open(root + '/a', { create: true })
       const bytes = new Uint8Array(100_000)
       const written = await file.write(bytes, 0, bytes.length, 0)
       const error = await file.write(bytes, written, bytes.length - written, written).catch((e) => e)
       console.log(written % 16, written > 0 && written < bytes.length, error.code, await file.size() === written)`,
    )
    assert.equal(printed, '0 true no-space true')
  })

  it('reports missing descriptors and works again when some are free', async () => {
    const printed = await underLimit(
      'ulimit -n 64',
      `const files = []
       let code = 'none'
       while (code === 'none') {
         await disk.open(root + '/a', { create: true }).then((f) => files.push(f), (e) => (code = e.code))
       }
       const listing = await disk.list(root).catch((e) => e.code)
       for (const file of files) await file.close()
       const again = await disk.open(root + '/a')
       console.log(code, listing, await again.size())`,
    )
    assert.equal(printed, 'too-many-open-files too-many-open-files 0')
  })

  it('gives files the mode it was made with', async () => {
    const root = temporaryDirectory()
    const file = await createNodeDisk({ fileMode: 0o600 }).open(join(root, 'a'), { create: true })
    await file.close()
    assert.equal(fs.statSync(join(root, 'a')).mode & 0o777, 0o600)
    fs.rmSync(root, { recursive: true })
  })
})

describe('the real disk and its descriptors', () => {
  it('lists a link to a directory as a directory, a dangling one as a file', async () => {
    const root = temporaryDirectory()
    fs.mkdirSync(join(root, 'real'))
    fs.symlinkSync(join(root, 'real'), join(root, 'link'))
    fs.symlinkSync(join(root, 'nowhere'), join(root, 'dangling'))
    assert.deepEqual(await createNodeDisk().list(root), [
      { name: 'dangling', kind: 'file' },
      { name: 'link', kind: 'directory' },
      { name: 'real', kind: 'directory' },
    ])
    fs.rmSync(root, { recursive: true })
  })

  it(
    'returns to the same number of open descriptors',
    { skip: !fs.existsSync('/proc/self/fd') },
    async () => {
      const root = temporaryDirectory()
      const disk = createNodeDisk()
      const openDescriptors = (): number => fs.readdirSync('/proc/self/fd').length
      await disk.list(root)
      const before = openDescriptors()
      for (let index = 0; index < 50; index++) {
        const file = await disk.open(join(root, `f${index}`), { create: true })
        await file.write(new Uint8Array(1), 0, 1, 0)
        await file.sync()
        await disk.syncDirectory(root)
        await file.close()
      }
      assert.equal(openDescriptors(), before)
      fs.rmSync(root, { recursive: true })
    },
  )
})
