import { cpSync, renameSync, rmSync } from 'node:fs'
import type { Member } from '../cluster/cluster-process.ts'
import { ReplicatedLoad } from '../cluster/replicated-load.ts'
import { kill, pair, rolesOf, type Scenario, underLoad } from './scenario.ts'

/** The operator mixed up two volumes. */
export const swappedDirectories: Scenario = {
  name: 'the data directories of two servers swapped',
  demands: 'neither starts under the wrong name, both say why, and both start when swapped back',
  run: () =>
    underLoad(async (load) => {
      const { leader, followers } = await rolesOf(load, 0)
      const [follower] = pair(followers)
      for (const member of [leader, follower]) await kill(load, member)
      swap(leader, follower)
      for (const member of [leader, follower]) await refused(load, member)
      swap(leader, follower)
      await Promise.all([leader, follower].map((member) => load.cluster.restart(member)))
      return 'both refused'
    }),
}

/** The directory of a server of the same id in another cluster. */
export const foreignDirectory: Scenario = {
  name: 'the data directory of another cluster',
  demands:
    'what another cluster of the same ids holds harms nobody: the server does not count, or is not started',
  run: () =>
    underLoad(async (load) => {
      const { followers } = await rolesOf(load, 0)
      const [member] = pair(followers)
      await kill(load, member)
      const { dataDir } = member.server
      renameSync(dataDir, `${dataDir}-own`)
      await foreign(member.id, dataDir)
      load.cluster.spawn(member)
      const outcome = await member.server.ready(20_000).then(
        () => 'it starts',
        (error: unknown) => `it does not start: ${String(error).split('\n').at(1) ?? ''}`,
      )
      await load.firstAck()
      member.up = false
      await member.server.kill()
      rmSync(dataDir, { recursive: true })
      renameSync(`${dataDir}-own`, dataDir)
      await load.cluster.restart(member)
      return outcome
    }),
}

/** Copies a directory that the server of this id has in a cluster of its own. */
async function foreign(id: string, dataDir: string): Promise<void> {
  const other = await ReplicatedLoad.start({ servers: 3, ratePerSecond: 500 })
  try {
    other.begin()
    await other.firstAck()
    await other.end()
    const member = other.cluster.member(id)
    await other.cluster.kill(member)
    cpSync(member.server.dataDir, dataDir, { recursive: true, filter: (file) => !isLock(file) })
  } finally {
    await other.remove()
  }
}

function isLock(file: string): boolean {
  return /[/]lock(\.socket)?$/.test(file)
}

function swap(one: Member, other: Member): void {
  const [first, second] = [one.server.dataDir, other.server.dataDir]
  renameSync(first, `${first}-swapped`)
  renameSync(second, first)
  renameSync(`${first}-swapped`, second)
}

async function refused({ cluster }: ReplicatedLoad, member: Member): Promise<void> {
  cluster.spawn(member)
  const { code } = await member.server.exited
  member.up = false
  if (code !== 1) throw new Error(`${member.id} ended with ${code}`)
  if (!/clustering\.server\.id|identity/.test(member.server.output)) {
    throw new Error(`${member.id} does not say why:\n${member.server.output}`)
  }
}
