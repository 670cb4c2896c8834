import {
  appendFileSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { ClusterProcess, Member } from '../cluster/cluster-process.ts'
import type { ReplicatedLoad } from '../cluster/replicated-load.ts'
import { until } from '../child.ts'
import { newestLogs, streamFiles } from '../fault-files.ts'
import type { Random } from '../random.ts'
import { kill, pair, rolesOf, type Scenario, underLoad } from './scenario.ts'

const HINTS = ['leader-epoch-checkpoint', 'replication-offset-checkpoint']
const READY_WITHIN_MS = 60_000

export const tornTails: Scenario = {
  name: '16 torn and zero-filled tails on all three (etcd 5230, 6515)',
  demands: 'what a crash leaves behind the last whole record is cut, on every server at once',
  run: (random) =>
    underLoad(async (load) => {
      const { cluster } = load
      await Promise.all(cluster.members.map((member) => kill(load, member)))
      let tails = 0
      for (const { number, server } of cluster.members) {
        for (const log of newestLogs(server.dataDir)) {
          appendFileSync(log, number === 1 ? Buffer.alloc(4_096) : random.bytes(3_000))
          tails += 1
        }
      }
      await Promise.all(cluster.members.map((member) => cluster.restart(member)))
      return `${tails} tails`
    }),
}

export const garbageAtStart: Scenario = {
  name: '21 index and epoch files full of garbage, on all three (Liftbridge 411, 243)',
  demands: 'what can be rebuilt from the log is rebuilt, whatever stands in its file',
  run: (random) =>
    underLoad(async (load) => {
      const { cluster } = load
      await Promise.all(cluster.members.map((member) => kill(load, member)))
      let files = 0
      for (const { number, server } of cluster.members) {
        const isHint = (name: string): boolean => name.endsWith('.index') || HINTS.includes(name)
        for (const file of streamFiles(server.dataDir, isHint)) {
          // Of one server emptied, of another zeroed, of the third garbled.
          const size = number === 1 ? 0 : statSync(file).size + 7
          writeFileSync(file, number === 2 ? Buffer.alloc(size) : random.bytes(size))
          files += 1
        }
      }
      await Promise.all(cluster.members.map((member) => cluster.restart(member)))
      return `${files} files`
    }),
}

/** Every file that a server keeps beside its logs, one after the other, below its data directory. */
const KEPT = [
  'run',
  'liftbridge',
  'raft/hard-state',
  'raft/reserve',
  'raft/log/*.log',
  'raft/log/*.index',
  'streams/*/incarnation',
]

export const garbledState: Scenario = {
  name: '11 garbled metadata and state of one server (NATS 7556)',
  demands:
    'a server whose own state is damaged goes on, or does not start and says which file; it deletes nothing',
  run: (random) =>
    underLoad(async (load) => {
      const outcomes: string[] = []
      for (const kept of KEPT) {
        const { followers } = await rolesOf(load, 0)
        const [member] = pair(followers)
        outcomes.push(`${kept}: ${await garbleAndStart(load, member, { kept, random })}`)
        await load.cluster.healed(load.replicas, 30_000)
      }
      return outcomes.join(', ')
    }),
}

async function garbleAndStart(
  load: ReplicatedLoad,
  member: Member,
  { kept, random }: { readonly kept: string; readonly random: Random },
): Promise<string> {
  const { cluster } = load
  await kill(load, member)
  const { dataDir } = member.server
  const wanted = pattern(kept)
  const files = allFiles(dataDir).filter((file) => wanted.test(file))
  if (files.length === 0) throw new Error(`no file ${kept} in ${dataDir}`)
  const originals = files.map((file) => readFileSync(join(dataDir, file)))
  for (const file of files) garble(join(dataDir, file), random)
  const before = dataBytes(dataDir)
  cluster.spawn(member)
  if (await startsOrEnds(member)) return 'goes on'
  member.up = false
  if (dataBytes(dataDir) < before) throw new Error(`${kept} garbled: data was deleted`)
  const named = files.some((file) => member.server.output.includes(file.split('/').at(-1) ?? file))
  if (!named) throw new Error(`${kept} garbled: no file is named\n${member.server.output}`)
  // The ways out that are documented: raft/ aside, and else the file from a copy.
  if (kept.startsWith('raft/'))
    renameSync(join(dataDir, 'raft'), join(dataDir, `raft-${Date.now()}`))
  else
    for (const [i, file] of files.entries()) writeFileSync(join(dataDir, file), originals[i] ?? '')
  await cluster.restart(member)
  return 'refused, mended'
}

/** True when the server becomes ready, false when it ends by itself. */
async function startsOrEnds({ server }: ClusterProcess['members'][number]): Promise<boolean> {
  try {
    await server.ready(READY_WITHIN_MS)
    return true
  } catch (error) {
    await until(() => server.status !== undefined, 1_000)
    if (server.status?.code === 1) return false
    throw error
  }
}

function garble(file: string, random: Random): void {
  const bytes = readFileSync(file)
  const size = Math.min(Math.max(bytes.length, 16), 256)
  const at = Math.floor(Math.max(bytes.length - size, 0) / 2)
  random.bytes(size).copy(bytes, at)
  writeFileSync(file, bytes)
}

function pattern(kept: string): RegExp {
  const text = kept.replaceAll('.', '\\.').replace('log/', 'log/[^/]+/').replace('*', '[^/]+')
  return new RegExp(`^${text}$`)
}

/** Paths below the folder. */
function allFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
}

function dataBytes(dataDir: string): number {
  const sizes = allFiles(dataDir)
    .filter((file) => file.startsWith('streams/') && file.endsWith('.log'))
    .map((file) => statSync(join(dataDir, file)).size)
  return sizes.reduce((total, size) => total + size, 0)
}
