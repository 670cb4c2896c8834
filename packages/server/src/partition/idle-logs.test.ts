/** Ten thousand idle logs on the real disk; some ten seconds, so only with LIFTBRIDGE_SCALE=1. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { CommitLog, RecordBatch } from '@liftbridge/log'
import { createNodeDisk } from '../adapters/node-disk.ts'

const COUNT = 10_000
const MAX_DESCRIPTORS = 1_024
const MAX_RESIDENT_MIB = 250

const skip = process.env['LIFTBRIDGE_SCALE'] === '1' ? false : 'set LIFTBRIDGE_SCALE=1'

/** One log with a record, closed in order. */
async function makeTemplate(directory: string): Promise<void> {
  const log = await CommitLog.open({ disk: createNodeDisk(), directory })
  const batch = new RecordBatch()
  batch.addRecord({ value: Buffer.from('the only one') })
  await log.append(batch, { timestampNs: 1n, leaderEpoch: 1 })
  await log.sync()
  log.advanceHighWatermark(0)
  await log.close()
}

test('10,000 idle logs take at most 1,024 descriptors and 250 MiB', { skip }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'liftbridge-idle-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const template = join(folder, 'template')
  await makeTemplate(template)
  const names = await readdir(template)
  for (let i = 0; i < COUNT; i++) {
    const directory = join(folder, 'streams', String(i), '0')
    await mkdir(directory, { recursive: true })
    for (const name of names) await copyFile(join(template, name), join(directory, name))
  }
  const child = join(import.meta.dirname, 'idle-logs-child.suite.ts')
  const args = ['--conditions=source', child, join(folder, 'streams')]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  t.diagnostic(stdout.trim())
  const cost: unknown = JSON.parse(stdout)
  assert.ok(typeof cost === 'object' && cost !== null)
  assert.ok('records' in cost && 'descriptors' in cost && 'residentMiB' in cost)
  assert.equal(cost.records, COUNT)
  assert.ok(Number(cost.descriptors) <= MAX_DESCRIPTORS, stdout)
  assert.ok(Number(cost.residentMiB) <= MAX_RESIDENT_MIB, stdout)
})
