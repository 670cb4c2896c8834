import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Child, until } from '../child.ts'
import { removeFolder, tempFolder } from '../places.ts'
import { kill, rolesOf, type Scenario, underLoad } from './scenario.ts'

const DISK_BYTES = 40 * 1024 * 1024
const BALLAST_BYTES = 24 * 1024 * 1024
const FAILING_SYNCS = '-e trace=fdatasync,fsync -e inject=fdatasync,fsync:error=EIO'
const FULL_WITHIN_MS = 60_000
/** The one with the small disk, counted from 1. */
const SMALL = 2

/** Real errors of fdatasync, by strace, for some seconds. */
export const syncErrors: Scenario = {
  name: '17 fdatasync fails on one server (fsyncgate)',
  demands: 'what was not synced is not counted, and after a restart the server is as good as any',
  run: async () => {
    if (spawnSync('strace', ['-V']).status !== 0) return { skipped: 'strace is not installed' }
    return underLoad(async (load) => {
      const { leader } = await rolesOf(load, 0)
      const strace = new Child({
        command: 'strace',
        args: `-f -p ${leader.server.pid} -o /dev/null ${FAILING_SYNCS}`.split(' '),
      })
      await sleep(4_000)
      await strace.stop()
      if (strace.output.includes('not permitted')) return 'strace may not attach here'
      if (leader.server.status !== undefined) {
        throw new Error(`the server ended: ${leader.server.output.slice(-2_000)}`)
      }
      const said = /EIO/.test(leader.server.output)
      if (!said) throw new Error('no error was injected')
      await load.firstAck()
      await kill(load, leader)
      await load.cluster.restart(leader)
      return 'EIO for 4 s'
    })
  },
}

/** A tmpfs of 40 MiB holds the data of one server. */
export const diskFullInCluster: Scenario = {
  name: '18 the disk of one server full (etcd 2819)',
  demands: 'the others go on without it, it does not end, and it catches up when there is room',
  run: async () => {
    const disk = tempFolder('disk')
    if (!mount(disk)) {
      removeFolder(disk)
      return { skipped: 'a tmpfs of limited size cannot be mounted here (needs root)' }
    }
    try {
      const ballast = join(disk, 'ballast')
      writeFileSync(ballast, Buffer.alloc(BALLAST_BYTES))
      const dataDir = join(disk, 'data')
      mkdirSync(dataDir)
      return await underLoad(
        async (load) => {
          const small = load.cluster.member(`s${SMALL}`)
          if (!(await until(() => isFull(disk), FULL_WITHIN_MS))) throw new Error('never full')
          await load.firstAck()
          await sleep(8_000)
          await load.firstAck()
          if (small.server.status !== undefined) throw new Error('the server ended')
          rmSync(ballast)
          // The small disk would be full again soon.
          await load.end()
          await load.cluster.healed(load.replicas, 30_000)
          load.begin()
          return 'full for 8 s'
        },
        {
          ratePerSecond: 6_000,
          settings: { 'streams.segment.max.bytes': 1 << 20 },
          dataDirOf: (server) => (server === SMALL ? dataDir : undefined),
        },
      )
    } finally {
      spawnSync('umount', [disk])
      removeFolder(disk)
    }
  },
}

/** As a file system that the kernel has remounted after errors. */
export const readOnlyDisk: Scenario = {
  name: 'the disk of one server becomes read-only',
  demands: 'the others go on without it, and it is well again once it can write and was restarted',
  run: async () => {
    const disk = tempFolder('disk')
    if (!mount(disk, DISK_BYTES * 10)) {
      removeFolder(disk)
      return { skipped: 'a tmpfs cannot be mounted here (needs root)' }
    }
    const dataDir = join(disk, 'data')
    mkdirSync(dataDir)
    try {
      return await underLoad(
        async (load) => {
          const { cluster } = load
          const member = cluster.member(`s${SMALL}`)
          await kill(load, member)
          remount(disk, 'ro')
          cluster.spawn(member)
          const ended = await until(() => member.server.status !== undefined, 20_000)
          member.up = false
          await load.firstAck()
          remount(disk, 'rw')
          if (!ended) await kill(load, member)
          await cluster.restart(member)
          return ended ? 'refused to start' : 'started without being able to write'
        },
        { dataDirOf: (server) => (server === SMALL ? dataDir : undefined) },
      )
    } finally {
      remount(disk, 'rw')
      spawnSync('umount', [disk])
      removeFolder(disk)
    }
  },
}

function mount(folder: string, bytes = DISK_BYTES): boolean {
  if (process.getuid?.() !== 0) return false
  const options = ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder]
  return spawnSync('mount', options).status === 0
}

function remount(folder: string, how: 'ro' | 'rw'): void {
  spawnSync('mount', ['-o', `remount,${how}`, folder])
}

function isFull(disk: string): boolean {
  const { bavail, bsize } = statfsSync(disk)
  return bavail * bsize < 64 * 1024
}
