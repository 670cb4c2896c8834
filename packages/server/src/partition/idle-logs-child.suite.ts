/** Opens the logs `<root>/<i>/0` as a server does and prints what they cost as one line of JSON. */
import { readdirSync } from 'node:fs'
import { CommitLog, FileCache, TailCache } from '@liftbridge/log'
import { createNodeDisk } from '../adapters/node-disk.ts'
import { LOG_FILES_MAX, LOG_TAILS_MAX_BYTES } from '../config/limits.ts'

/** As the reconciler opens several partitions at a time. */
const AT_A_TIME = 16

const root = process.argv[2] ?? ''
const directories = readdirSync(root).map((name) => `${root}/${name}/0`)
const disk = createNodeDisk()
const files = new FileCache(disk, { maxOpen: LOG_FILES_MAX })
const tails = new TailCache({ maxBytes: LOG_TAILS_MAX_BYTES })
const logs: CommitLog[] = []
const started = performance.now()

async function openSome(): Promise<void> {
  for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
    logs.push(await CommitLog.open({ disk, files, tails, directory }))
  }
}

await Promise.all(Array.from({ length: AT_A_TIME }, openSome))
const openedMs = Math.round(performance.now() - started)
const descriptors = readdirSync('/proc/self/fd').length
const residentMiB = Math.round(process.memoryUsage.rss() / 1024 / 1024)
const records = logs.reduce((sum, log) => sum + log.recordCount, 0)
process.stdout.write(`${JSON.stringify({ records, openedMs, descriptors, residentMiB })}\n`)
