/** What is done to a cluster, one at a time, each mended before the next. */
import { setTimeout as sleep } from 'node:timers/promises'
import { get } from 'node:http'
import type { Random } from '../random.ts'
import type { ServerProcess } from '../server-process.ts'
import type { Target } from '../load.ts'
import type { ClusterProcess, Member } from './cluster-process.ts'

export type FaultContext = {
  readonly cluster: ClusterProcess
  readonly random: Random
  readonly targets: readonly Target[]
  /** The leader of some partition, as far as is known. */
  readonly leader: () => Member
  /** Told at the moment at which a server cannot answer any more. */
  readonly hit: (member: Member) => void
}

export type Fault = {
  readonly name: string
  /** A server dies, and everything else is as before. */
  readonly isKill?: boolean
  /** Does it, and undoes it. */
  readonly run: (context: FaultContext) => Promise<void>
}

/** How long a killed server stays away. */
const AWAY_MS = { least: 200, most: 4_000 }
const PAUSE_MS = { least: 1_000, most: 20_000 }
const NATS_AWAY_MS = { least: 100, most: 1_500 }

const killLeader: Fault = {
  name: 'kill -9 of a partition leader',
  isKill: true,
  run: (context) => killAndRestart(context, context.leader()),
}

const killFollower: Fault = {
  name: 'kill -9 of another server',
  isKill: true,
  run: (context) => killAndRestart(context, otherThan(context, context.leader())),
}

const killMetadataLeader: Fault = {
  name: 'kill -9 of the metadata leader',
  isKill: true,
  run: async (context) => {
    const leader = await metadataLeader(context.cluster)
    await killAndRestart(context, leader ?? context.leader())
  },
}

const pauseLeader: Fault = {
  name: 'SIGSTOP of a partition leader',
  run: (context) => pause(context, context.leader()),
}

const pauseFollower: Fault = {
  name: 'SIGSTOP of another server',
  run: (context) => pause(context, otherThan(context, context.leader())),
}

const restartNats: Fault = {
  name: 'kill -9 of nats-server',
  run: async ({ cluster, random, hit }) => {
    for (const member of cluster.members) hit(member)
    await cluster.nats.kill()
    await sleep(between(random, NATS_AWAY_MS))
    await cluster.nats.restart()
  },
}

const wipe: Fault = {
  name: 'wipe and rejoin',
  run: async (context) => {
    const { cluster, hit } = context
    const member = context.leader()
    hit(member)
    await cluster.kill(member)
    cluster.wipe(member)
    await sleep(between(context.random, AWAY_MS))
    await cluster.restart(member)
  },
}

const rollingRestart: Fault = {
  name: 'rolling restart of all',
  run: async ({ cluster, hit }) => {
    for (const member of cluster.members) {
      hit(member)
      member.up = false
      await member.server.stop()
      await cluster.restart(member)
    }
  },
}

/** Each as often as it stands here. */
export const PROCESS_FAULTS: readonly Fault[] = [
  killLeader,
  killFollower,
  killLeader,
  pauseLeader,
  killMetadataLeader,
  restartNats,
  killLeader,
  pauseFollower,
  wipe,
  rollingRestart,
]

async function killAndRestart(
  { cluster, random, hit }: FaultContext,
  member: Member,
): Promise<void> {
  hit(member)
  await cluster.kill(member)
  await sleep(between(random, AWAY_MS))
  await cluster.restart(member)
}

async function pause({ random, hit }: FaultContext, member: Member): Promise<void> {
  hit(member)
  member.up = false
  member.server.signal('SIGSTOP')
  try {
    await sleep(between(random, PAUSE_MS))
  } finally {
    member.server.signal('SIGCONT')
    member.up = true
  }
}

export function otherThan({ cluster, random }: FaultContext, member: Member): Member {
  const others = cluster.members.filter((it) => it !== member)
  return others[random.between(0, others.length)] ?? member
}

export function between(random: Random, { least, most }: { least: number; most: number }): number {
  return random.between(least, most)
}

/** The one whose `/readyz` says that it leads the metadata. */
export async function metadataLeader(cluster: ClusterProcess): Promise<Member | undefined> {
  for (const member of cluster.members) {
    if (/leads the metadata/.test(await page(member.server, '/readyz'))) return member
  }
  return undefined
}

function page({ host, port }: ServerProcess, path: string): Promise<string> {
  return new Promise((resolve) => {
    const request = get({ host, port, path, agent: false, timeout: 2_000 }, (reply) => {
      let text = ''
      reply.setEncoding('utf8').on('data', (part: string) => (text += part))
      reply.once('end', () => resolve(text))
      reply.once('error', () => resolve(''))
    })
    request.once('timeout', () => request.destroy())
    request.once('error', () => resolve(''))
  })
}
