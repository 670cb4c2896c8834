/**
 * What an idle partition costs, so that ten thousand of them fit 250 MiB and 1,024 descriptors.
 * 2,000 logs by default, `LOG_IDLE_COUNT` for another number.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { CommitLog } from './commit-log.ts'
import { FileCache } from './file-cache.ts'
import { DIRECTORY, fill, openFixture } from './fixture.suite.ts'
import { MemoryDisk } from './memory-disk.suite.ts'
import { TailCache } from './tail-cache.ts'

const COUNT = Number(process.env['LOG_IDLE_COUNT'] ?? 2000)
const MAX_OPEN = 512

/** Bytes that are in use, without what nobody had to collect yet. */
function bytesInUse(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

test('an idle log costs little memory and, beside many others, no descriptor', async (t) => {
  const template = await openFixture()
  await fill(template.log, 1)
  await template.log.close()
  const disk = new MemoryDisk()
  const directories = Array.from({ length: COUNT }, (_, i) => `/data/streams/s${i}/0`)
  for (const directory of directories) {
    for (const name of template.disk.names(DIRECTORY)) {
      disk.put(`${directory}/${name}`, template.disk.contents(`${DIRECTORY}/${name}`))
    }
  }
  // Listing this disk costs its whole size; what is listed is always the same here.
  const entries = await template.disk.list(DIRECTORY)
  disk.list = async () => entries
  const files = new FileCache(disk, { maxOpen: MAX_OPEN })
  const tails = new TailCache()
  const logs: CommitLog[] = []
  const before = bytesInUse()
  const started = performance.now()
  for (const directory of directories) {
    logs.push(await CommitLog.open({ disk, directory, files, tails }))
  }
  const elapsedMs = performance.now() - started
  const kibibytes = (bytesInUse() - before) / 1024 / COUNT
  t.diagnostic(
    `${COUNT} logs opened in ${Math.round(elapsedMs)} ms, ` +
      `${kibibytes.toFixed(1)} KiB each, ${disk.openHandles} open files`,
  )
  assert.ok(kibibytes <= 8, `${kibibytes} KiB per log`)
  assert.ok(disk.openHandles <= MAX_OPEN, `${disk.openHandles} open files`)
  assert.equal(tails.byteLength, 0)
  for (const log of logs) assert.equal(log.newestOffset, 0)
})
