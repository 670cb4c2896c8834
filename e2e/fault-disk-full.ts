/**
 * The disk fills up under load [T4]: what does not fit is not acknowledged, reads go on, the
 * server stays up, and publishing resumes by itself when there is room again.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from './child.ts'
import { removeFolder, tempFolder } from './places.ts'
import { expectNone, type Report, thousands } from './report.ts'
import { endRun, ServerUnderLoad } from './server-under-load.ts'

const DISK_BYTES = 48 * 1024 * 1024
/** Freed in the middle of the test, so that there is room again. */
const BALLAST_BYTES = 24 * 1024 * 1024
const FULL_WITHIN_MS = 30_000
const RESUMES_WITHIN_MS = 20_000
const LOAD = { ratePerSecond: 40_000, window: 2_000 }

export async function diskFull(report: Report): Promise<void> {
  const name = 'the disk full under load, then room again'
  const disk = tempFolder('disk')
  if (!mount(disk)) {
    report.skip(name, 'a tmpfs of limited size cannot be mounted here (needs root)')
    removeFolder(disk)
    return
  }
  try {
    await report.test(name, () => fillDisk(disk))
  } finally {
    spawnSync('umount', [disk])
    removeFolder(disk)
  }
}

function mount(folder: string): boolean {
  if (process.getuid?.() !== 0) return false
  const options = ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', folder]
  return spawnSync('mount', options).status === 0
}

async function fillDisk(disk: string): Promise<string> {
  const ballast = join(disk, 'ballast')
  writeFileSync(ballast, Buffer.alloc(BALLAST_BYTES))
  const dataDir = join(disk, 'data')
  mkdirSync(dataDir)
  const settings = { 'streams.segment.max.bytes': 4 << 20 }
  const load = await ServerUnderLoad.start(false, { dataDir, settings })
  try {
    const run = await load.publishUntil(async () => {
      if (!(await until(() => isFull(disk), FULL_WITHIN_MS))) throw new Error('it never got full')
      // Under load for a while longer: the errors themselves must not hurt.
      await sleep(1_500)
    }, LOAD)
    endRun(run)
    expectAlive(load)
    const whileFull = await load.verify()
    expectNone(whileFull.anomalies, load.server.output.slice(-3_000))
    rmSync(ballast)
    const began = performance.now()
    const resumed = await until(() => acknowledges(load), RESUMES_WITHIN_MS)
    if (!resumed)
      throw new Error(`no ack after space returned:\n${load.server.output.slice(-3_000)}`)
    const resumedMs = performance.now() - began
    expectNone((await load.verify()).anomalies, 'with room again')
    await load.server.kill()
    await load.server.restart()
    const after = await load.verify()
    expectNone(after.anomalies, load.server.output.slice(-3_000))
    const refused = [...run.counts.failed].map(([text, count]) => `${count} × "${text}"`)
    return (
      `${thousands(whileFull.messages)} messages readable while full, refused ` +
      `${refused.join(', ') || 'nothing'}; acknowledges again after ${thousands(resumedMs)} ms; ` +
      `${thousands(after.messages)} verified after a restart`
    )
  } finally {
    await load.remove()
  }
}

function isFull(disk: string): boolean {
  const { bavail, bsize } = statfsSync(disk)
  return bavail * bsize < 64 * 1024
}

function expectAlive(load: ServerUnderLoad): void {
  if (load.server.status === undefined) return
  throw new Error(`the server ended on a full disk:\n${load.server.output.slice(-3_000)}`)
}

async function acknowledges(load: ServerUnderLoad): Promise<boolean> {
  const run = await load.publishUntil(() => sleep(300), { ratePerSecond: 1_000, window: 200 })
  endRun(run)
  const acked = run.counts.acked.LEADER + run.counts.acked.ALL
  // Every partition must be back, not only the first that found room.
  return run.counts.failed.size === 0 && acked > 0 && run.inFlight <= acked
}
