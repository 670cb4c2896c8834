/**
 * What an idle partition costs. 100 logs by default; `LOG_IDLE_COUNT=10000` measures the number
 * that the bounds are stated for: 250 MiB and 1,024 descriptors in one process.
 */
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createNodeDisk } from '../../server/src/adapters/node-disk.ts'
import { CommitLog } from './commit-log.ts'
import { FileCache } from './file-cache.ts'
import { RecordBatch } from './format/record-batch.ts'
import { TailCache } from './tail-cache.ts'

/** What is resident should be what is needed, not what nobody had to collect yet. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
}

const COUNT = Number(process.env['LOG_IDLE_COUNT'] ?? 100)
const ROOT = process.env['LOG_IDLE_ROOT'] ?? tmpdir()

test(`${COUNT} idle logs stay within their share of 250 MiB and 1,024 descriptors`, async (t) => {
  const disk = createNodeDisk()
  const root = mkdtempSync(join(ROOT, 'idle-logs-'))
  t.after(() => rmSync(root, { recursive: true }))
  const files = new FileCache(disk, { maxOpen: Math.max(16, Math.min(512, COUNT / 10)) })
  const tails = new TailCache()
  const before = process.memoryUsage().heapUsed
  const batch = new RecordBatch()
  batch.addRecord({ value: Buffer.from('first') })
  const template = await CommitLog.open({ disk, directory: `${root}/template`, files, tails })
  await template.append(batch, { timestampNs: 1n, leaderEpoch: 1 })
  await template.close()
  // Copies, so that what is measured is opening logs and not having made them.
  for (let i = 0; i < COUNT; i++) {
    mkdirSync(`${root}/s${i}/0`, { recursive: true })
    for (const name of readdirSync(`${root}/template`)) {
      copyFileSync(`${root}/template/${name}`, `${root}/s${i}/0/${name}`)
    }
  }
  collectGarbage()
  const started = performance.now()
  const logs: CommitLog[] = []
  for (let i = 0; i < COUNT; i++) {
    const directory = `${root}/s${i}/0`
    logs.push(await CommitLog.open({ disk, directory, files, tails }))
  }
  const opened = performance.now()
  collectGarbage()
  const descriptors = readdirSync('/proc/self/fd').length
  const { rss, heapUsed } = process.memoryUsage()
  const kibibytes = (heapUsed - before) / 1024 / COUNT
  t.diagnostic(
    `${COUNT} logs opened in ${Math.round(opened - started)} ms: ${kibibytes.toFixed(1)} KiB heap each, ` +
      `${(rss / 1024 / 1024).toFixed(0)} MiB resident, ${descriptors} descriptors`,
  )
  assert.equal(logs.length, COUNT)
  assert.ok(files.openCount <= 512)
  assert.ok(kibibytes <= 25, `${kibibytes} KiB heap per log`)
  assert.ok(descriptors <= 1024, `${descriptors} descriptors`)
  assert.ok(rss <= 250 * 1024 * 1024, `${rss} bytes`)
  for (const log of logs) await log.close()
})
