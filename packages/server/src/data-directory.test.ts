import assert from 'node:assert/strict'
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, it } from 'node:test'
import { createSystemRandom } from './adapters/system-random.ts'
import { DataDirectoryError, type DataDirectoryProblem } from './data-directory-error.ts'
import { openDataDirectory, type DataDirectory } from './data-directory.ts'

const random = createSystemRandom()

async function inTemporary(body: (path: string) => Promise<void>): Promise<void> {
  const path = fs.mkdtempSync(join(tmpdir(), 'liftbridge-data-'))
  try {
    await body(path)
  } finally {
    fs.rmSync(path, { recursive: true, force: true })
  }
}

function open(path: string, configuredServerId?: string): Promise<DataDirectory> {
  return openDataDirectory({ path, configuredServerId, random })
}

async function refuses(problem: DataDirectoryProblem, opening: Promise<unknown>): Promise<string> {
  try {
    await opening
  } catch (error) {
    if (!(error instanceof DataDirectoryError)) throw error
    assert.equal(error.problem, problem, error.message)
    return error.message
  }
  return assert.fail('it should have been refused')
}

describe('the identity of a server [D-59]', () => {
  it('is chosen once and stays', () =>
    inTemporary(async (path) => {
      const first = await open(`${path}/new/data`)
      assert.match(first.serverId, /^[0-9A-Za-z]{22}$/)
      assert.equal(first.isNew, true)
      await first.release()
      const second = await open(`${path}/new/data`)
      assert.equal(second.serverId, first.serverId)
      assert.equal(second.isNew, false)
      await second.release()
    }))

  it('is stored as Go Liftbridge stores it, for the owner only', () =>
    inTemporary(async (path) => {
      await (await open(path, 'server-2')).release()
      const file = join(path, 'liftbridge')
      assert.equal(fs.readFileSync(file, 'latin1'), '\x0a\x08server-2')
      assert.equal(fs.statSync(file).mode & 0o777, 0o600)
      // Nothing of the process that is gone: whoever looks would take it for the holder.
      assert.deepEqual(fs.readdirSync(path).sort(), ['liftbridge'])
    }))

  it('is never replaced when its file is damaged, and the text says what to do', () =>
    inTemporary(async (path) => {
      const file = join(path, 'liftbridge')
      const damages = [
        '',
        '\0'.repeat(12),
        '\x0a\x08serv',
        '\x0a\x02a.',
        'x'.repeat(5_000),
        '\x12\x01a',
      ]
      for (const damage of damages) {
        fs.writeFileSync(file, damage, 'latin1')
        for (const configured of [undefined, 'server-2']) {
          const text = await refuses('identity-unreadable', open(path, configured))
          assert.ok(text.includes(file) && text.includes('clustering.server.id'), text)
          assert.equal(fs.readFileSync(file, 'latin1'), damage)
        }
      }
    }))

  it('is not chosen anew where data is stored, but taken from the configuration', () =>
    inTemporary(async (path) => {
      fs.mkdirSync(join(path, 'streams', 'foo'), { recursive: true })
      const text = await refuses('identity-missing', open(path))
      assert.ok(text.includes(path) && text.includes('clustering.server.id'), text)
      const opened = await open(path, 'server-2')
      assert.equal(opened.serverId, 'server-2')
      await opened.release()
    }))

  it('refuses a configuration that names another server, with both names', () =>
    inTemporary(async (path) => {
      await (await open(path, 'server-1')).release()
      const text = await refuses('identity-differs', open(path, 'server-2'))
      assert.ok(text.includes('server-1') && text.includes('server-2') && text.includes(path), text)
      const same = await open(path, 'server-1')
      assert.equal(same.serverId, 'server-1')
      await same.release()
    }))

  it('refuses a configured id that is no token of a NATS subject', () =>
    inTemporary(async (path) => {
      for (const id of ['', 'a.b', '*', '>', 'a b', 'ä', 'x'.repeat(129)]) {
        await refuses('identity-invalid', open(path, id))
      }
      assert.ok(!fs.existsSync(join(path, 'liftbridge')))
    }))
})

const source = new URL('./data-directory.ts', import.meta.url).href
const randomSource = new URL('./adapters/system-random.ts', import.meta.url).href

/** Opens the directory in a process of its own, which prints the outcome and stays until killed. */
const program = `
  import { openDataDirectory } from ${JSON.stringify(source)}
  import { createSystemRandom } from ${JSON.stringify(randomSource)}
  const options = { path: process.argv[1], random: createSystemRandom() }
  await openDataDirectory(options).then(
    () => { console.log('opened'); setInterval(() => {}, 1e6) },
    (error) => console.log(error.problem + ': ' + error.message),
  )`

interface Opener {
  readonly process: ChildProcess
  readonly outcome: string
}

async function openElsewhere(path: string, wrapper: readonly string[] = []): Promise<Opener> {
  const words = [
    ...wrapper,
    process.execPath,
    '--conditions=source',
    '--input-type=module-typescript',
    '-e',
    program,
    path,
  ]
  const child = spawn('env', words, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(createInterface(child.stdout), 'line')
  return { process: child, outcome: String(line) }
}

async function end(opener: Opener): Promise<void> {
  if (opener.process.exitCode !== null || opener.process.signalCode !== null) return
  opener.process.kill('SIGKILL')
  await once(opener.process, 'exit')
}

const canIsolate =
  process.platform === 'linux' && spawnSync('unshare', ['--net', 'true']).status === 0

describe('a data directory that cannot be used', () => {
  it('is told with the setting and the way out', () =>
    inTemporary(async (path) => {
      const file = join(path, 'file')
      fs.writeFileSync(file, '')
      for (const bad of [file, join(file, 'below')]) {
        const text = await refuses('unusable', open(bad))
        assert.match(
          text,
          /^data\.dir .* cannot be used: .* is a file, not a directory \(ENOTDIR\)/,
        )
        assert.match(text, /set data\.dir \(or --data-dir\) to a folder/)
      }
    }))
})

describe('the lock on a data directory [reliability T5, D-68]', () => {
  it('refuses a second process, names the first, and is free after kill -9', () =>
    inTemporary(async (path) => {
      const holder = await openElsewhere(path)
      try {
        assert.equal(holder.outcome, 'opened')
        const text = await refuses('in-use', open(path))
        assert.ok(text.includes(`process ${holder.process.pid} `) && text.includes(path), text)
        const other = await openElsewhere(path)
        assert.equal(other.outcome, `in-use: ${text}`)
      } finally {
        await end(holder)
      }
      const next = await open(path)
      await next.release()
    }))

  it('refuses at once while the holder is stopped', () =>
    inTemporary(async (path) => {
      const holder = await openElsewhere(path)
      try {
        holder.process.kill('SIGSTOP')
        const text = await refuses('in-use', open(path))
        assert.ok(text.includes(`process ${holder.process.pid} `), text)
      } finally {
        await end(holder)
      }
    }))

  it('holds within one process and is free after release', () =>
    inTemporary(async (path) => {
      const first = await open(path)
      await refuses('in-use', open(path))
      await first.release()
      await first.release()
      await (await open(path)).release()
    }))

  it('is the same lock under every name of the directory', () =>
    inTemporary(async (path) => {
      fs.mkdirSync(join(path, 'real'))
      fs.symlinkSync(join(path, 'real'), join(path, 'link'))
      const first = await open(join(path, 'real'))
      await refuses('in-use', open(join(path, 'link')))
      await first.release()
    }))

  it('takes a path longer than a socket address', () =>
    inTemporary(async (path) => {
      const long = join(path, 'x'.repeat(120))
      const first = await open(long)
      await refuses('in-use', open(long))
      await first.release()
      await (await open(long)).release()
    }))

  it('does not believe what a dead or foreign process left behind', () =>
    inTemporary(async (path) => {
      // Process 1 is alive, yet holds nothing.
      fs.writeFileSync(join(path, 'lock'), '1 elsewhere\n')
      fs.writeFileSync(join(path, 'lock.socket'), '')
      await (await open(path)).release()
      fs.writeFileSync(join(path, 'lock'), 'garbage')
      await (await open(path)).release()
    }))

  it(
    'refuses a process of another network namespace, and outlives kill -9 there too',
    { skip: !canIsolate },
    () =>
      inTemporary(async (path) => {
        const holder = await openElsewhere(path, ['unshare', '--net'])
        try {
          assert.equal(holder.outcome, 'opened')
          await refuses('in-use', open(path))
        } finally {
          await end(holder)
        }
        await (await open(path)).release()
      }),
  )
})
