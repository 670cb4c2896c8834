import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createNodeDisk } from './adapters/node-disk.ts'
import { DataDirectoryWatch } from './data-directory-watch.ts'
import { silentLogger } from './logging/logger.ts'
import { readinessChecks } from './readiness-checks.ts'

test('a data directory that is removed or replaced under a running server is told, once, and its return', async (t) => {
  const parent = await mkdtemp(join(tmpdir(), 'liftbridge-watch-'))
  t.after(() => rm(parent, { recursive: true, force: true }))
  const [path, elsewhere] = [join(parent, 'data'), join(parent, 'elsewhere')]
  await mkdir(join(path, 'raft'), { recursive: true })
  const told: string[] = []
  const note = (text: string): number => told.push(text)
  const logger = { ...silentLogger, error: note, warn: note }
  const watch = new DataDirectoryWatch(createNodeDisk(), path, logger)
  const storage = (): { readonly ok: boolean; readonly detail: string } | undefined =>
    readinessChecks({
      metadata: undefined,
      buses: undefined,
      reconciler: undefined,
      partitions: undefined,
      isAlive: () => true,
      directoryProblem: watch.problem,
      catchingUp: 0,
      serving: true,
      stopping: false,
    }).find(({ name }) => name === 'storage')
  await watch.look()
  assert.deepEqual(storage(), { name: 'storage', ok: true, detail: '' })
  await rename(path, elsewhere)
  await watch.look()
  await watch.look()
  assert.equal(storage()?.ok, false)
  assert.match(storage()?.detail ?? '', /^the data directory .*data is gone: .* restore/)
  await mkdir(path)
  await watch.look()
  assert.equal(storage()?.ok, false, 'another directory of its name is not it')
  await rm(path, { recursive: true })
  await rename(elsewhere, path)
  await watch.look()
  assert.equal(storage()?.ok, true)
  assert.match(
    told.join('\n'),
    /^the data directory .* is gone.*\nthe data directory is there again$/,
  )
})
