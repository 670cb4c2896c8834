/** Damage done to the files of a killed server: torn tails, and hint files that hold nonsense. */
import { appendFileSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from './random.ts'
import { expectNone, type Report, thousands } from './report.ts'
import { endRun, ServerUnderLoad } from './server-under-load.ts'

const LOAD = { ratePerSecond: 30_000, window: 2_000 }
const SETTINGS = { 'streams.segment.max.bytes': 1 << 20, 'streams.sync.policy': 'interval' }

/** Every file below the streams of a data directory whose name the filter takes. */
export function streamFiles(dataDir: string, wanted: (name: string) => boolean): string[] {
  const folder = join(dataDir, 'streams')
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && wanted(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()
}

/** The newest segment of each partition: the one a crash leaves torn. */
export function newestLogs(dataDir: string): string[] {
  const newest = new Map<string, string>()
  for (const file of streamFiles(dataDir, (name) => name.endsWith('.log'))) {
    newest.set(file.slice(0, -basename(file).length), file)
  }
  return [...newest.values()]
}

async function loadAndKill(load: ServerUnderLoad): Promise<void> {
  const run = await load.publishUntil(async () => {
    await sleep(1_500)
    await load.server.kill()
  }, LOAD)
  endRun(run)
}

/** Restarts, checks, publishes more, kills again and checks again: recovery must be repeatable. */
async function expectWhole(load: ServerUnderLoad): Promise<string> {
  await load.server.restart()
  const first = await load.verify()
  expectNone(first.anomalies, load.server.output.slice(-3_000))
  await loadAndKill(load)
  await load.server.restart()
  const second = await load.verify()
  expectNone(second.anomalies, load.server.output.slice(-3_000))
  return `${thousands(first.messages)}, then ${thousands(second.messages)} messages verified`
}

async function damaged(
  report: Report,
  name: string,
  damage: (dataDir: string) => string,
): Promise<void> {
  await report.test(name, async () => {
    const load = await ServerUnderLoad.start(false, { settings: SETTINGS })
    try {
      await loadAndKill(load)
      const done = damage(load.server.dataDir)
      return `${done}; ${await expectWhole(load)}`
    } finally {
      await load.remove()
    }
  })
}

/** What a crash in the middle of a write can leave behind the last whole record [T1, T2]. */
export async function tailTorn(report: Report, random: Random): Promise<void> {
  const tails: readonly [string, (offset: number) => Buffer][] = [
    ['a record header cut short', (offset) => recordHeader(offset, 100).subarray(0, 13)],
    [
      'a record cut short',
      (offset) => Buffer.concat([recordHeader(offset, 100), random.bytes(40)]),
    ],
    [
      'a record with a wrong checksum',
      (offset) => Buffer.concat([recordHeader(offset, 100), random.bytes(100)]),
    ],
    ['zeros', () => Buffer.alloc(4_096)],
    ['random bytes', () => random.bytes(5_000)],
  ]
  for (const [what, make] of tails) {
    await damaged(report, `a torn tail: ${what}`, (dataDir) => {
      const logs = newestLogs(dataDir)
      if (logs.length === 0) throw new Error(`no log files in ${dataDir}`)
      for (const log of logs) appendFileSync(log, make(1_000_000))
      return `${logs.length} logs damaged`
    })
  }
}

/** Files that can be rebuilt from the log hold nonsense, or nothing, or are gone [T3]. */
export async function indexZeroed(report: Report, random: Random): Promise<void> {
  const hints = new Set(['leader-epoch-checkpoint', 'replication-offset-checkpoint'])
  const isHint = (name: string): boolean => name.endsWith('.index') || hints.has(name)
  await damaged(report, 'every index zeroed', (dataDir) => {
    const files = streamFiles(dataDir, (name) => name.endsWith('.index'))
    if (files.length === 0) throw new Error(`no index files in ${dataDir}`)
    for (const file of files) writeFileSync(file, Buffer.alloc(Math.max(statSync(file).size, 40)))
    return `${files.length} files zeroed`
  })
  await damaged(report, 'every hint file garbled', (dataDir) => {
    const files = streamFiles(dataDir, isHint)
    for (const file of files) writeFileSync(file, random.bytes(statSync(file).size + 7))
    return `${files.length} files garbled`
  })
  await damaged(report, 'every hint file emptied', (dataDir) => {
    const files = streamFiles(dataDir, isHint)
    for (const file of files) truncateSync(file, 0)
    return `${files.length} files emptied`
  })
}

/** The 28 bytes before a record's body: offset, timestamp, leader epoch, size. */
function recordHeader(offset: number, bodyBytes: number): Buffer {
  const header = Buffer.alloc(28)
  header.writeBigInt64BE(BigInt(offset), 0)
  header.writeBigInt64BE(BigInt(Date.now()) * 1_000_000n, 8)
  header.writeBigUInt64BE(1n, 16)
  header.writeUInt32BE(bodyBytes, 24)
  return header
}
