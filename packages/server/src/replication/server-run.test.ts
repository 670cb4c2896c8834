import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import fc from 'fast-check'
import { createNodeDisk } from '../adapters/node-disk.ts'
import type { Clock } from '../clock.ts'
import { ServerRun, type ServerRunOptions } from './server-run.ts'

async function directoryOf(t: TestContext): Promise<(seconds: number) => ServerRunOptions> {
  const directory = await mkdtemp(join(tmpdir(), 'liftbridge-run-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  return (seconds) => ({
    disk: createNodeDisk(),
    directory,
    serverId: 'a',
    clock: { wallNs: () => BigInt(seconds) * 1_000_000_000n } as Clock,
  })
}

test('a run knows whether the one before ended in order', async (t) => {
  const at = await directoryOf(t)
  const first = await ServerRun.begin(at(100))
  assert.equal(first.endedCleanly, false)
  await first.noteCaughtUp(1)
  await first.end()
  const second = await ServerRun.begin(at(101))
  assert.equal(second.endedCleanly, true)
  // It is killed.
  const third = await ServerRun.begin(at(102))
  assert.equal(third.endedCleanly, false)
  // It ends in order, but before it could open any log.
  await third.end()
  const fourth = await ServerRun.begin(at(103))
  assert.equal(fourth.endedCleanly, false)
})

test('incarnations rise over restarts, whatever the clock does, and after a loss of the file', async (t) => {
  const at = await directoryOf(t)
  let latest = -1
  for (const seconds of [1_000, 1_000, 10, 5_000]) {
    const run = await ServerRun.begin(at(seconds))
    for (let opening = 0; opening < 3; opening++) {
      const incarnation = run.nextIncarnation()
      assert.ok(incarnation > latest && Number.isSafeInteger(incarnation))
      latest = incarnation
    }
  }
  await rm(join(at(0).directory, 'run'))
  assert.ok((await ServerRun.begin(at(6_000))).nextIncarnation() > latest)
})

test('a data directory is younger than everything until it has caught up once, and remembers when', async (t) => {
  const at = await directoryOf(t)
  const first = await ServerRun.begin(at(1))
  assert.equal(first.bornAtIndex, Number.POSITIVE_INFINITY)
  await first.noteCaughtUp(42)
  await first.noteCaughtUp(77)
  assert.equal(first.bornAtIndex, 42)
  const second = await ServerRun.begin(at(2))
  assert.equal(second.bornAtIndex, 42)
  assert.ok(!second.isNewborn)
})

test('whatever is in the file, a run begins, and only a whole file is believed [T3]', async (t) => {
  const at = await directoryOf(t)
  const file = join(at(0).directory, 'run')
  await (await ServerRun.begin(at(1))).end()
  const whole = await readFile(file)
  const content = fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    fc.nat({ max: whole.length - 1 }).map((length) => whole.subarray(0, length)),
  )
  await fc.assert(
    fc.asyncProperty(content, async (bytes) => {
      await writeFile(file, bytes)
      const run = await ServerRun.begin(at(5))
      assert.equal(run.endedCleanly, false)
      assert.equal(run.bornAtIndex, Number.POSITIVE_INFINITY)
      assert.ok(run.nextIncarnation() >= 5 * 2 ** 21)
    }),
    { numRuns: 60 },
  )
})

test('a directory that belonged to another server is refused by name [D-59]', async (t) => {
  const at = await directoryOf(t)
  const run = await ServerRun.begin(at(1))
  await run.noteCaughtUp(1)
  await run.end()
  await assert.rejects(
    ServerRun.begin({ ...at(2), serverId: 'b' }),
    /clustering.server.id set to a/,
  )
  assert.equal((await ServerRun.begin(at(3))).endedCleanly, true)
})
