/** What `/readyz` looks at, and what it says when something is missing. */
import type { ReadinessCheck } from './listen/readiness.ts'
import type { Metadata } from './metadata/metadata.ts'
import type { Reconciler } from './metadata/reconciler.ts'
import type { Buses } from './bus.ts'
import { damageReport } from './partition/damage-report.ts'
import type { Partitions } from './partition/partition-host.ts'

/** Problems that the detail lists; it counts all of them. */
const LISTED_MAX = 10

/** The parts of a server; undefined while they have not been started. */
export type CheckedParts = {
  readonly metadata: Metadata | undefined
  readonly buses: Buses | undefined
  readonly reconciler: Reconciler | undefined
  readonly partitions: Partitions | undefined
  /** Whether a server has been heard of lately; only the metadata leader can tell. */
  readonly isAlive: (server: string) => boolean
  /** What is wrong with the data directory; empty when nothing is. */
  readonly directoryProblem: string
  /** Replicas here that were not in sync yet after the start. */
  readonly catchingUp: number
  /** The API answers. */
  readonly serving: boolean
  readonly stopping: boolean
}

export function readinessChecks(parts: CheckedParts): readonly ReadinessCheck[] {
  return [
    metadataCheck(parts.metadata),
    natsCheck(parts.buses),
    // One bad partition does not make the others unavailable: it is told, and the server stays in
    // the balancers.
    { name: 'partitions', ok: parts.catchingUp === 0, detail: partitionsDetail(parts) },
    storageCheck(parts),
    {
      name: 'api',
      ok: parts.serving && !parts.stopping,
      detail: parts.stopping ? 'shutting down' : '',
    },
  ]
}

/** Damage is told for the operator; what is not damaged is served. */
function storageCheck({ directoryProblem, partitions }: CheckedParts): ReadinessCheck {
  const damage = damageReport(partitions?.all() ?? [])
  const detail = [directoryProblem, damage].filter((text) => text !== '').join('; ')
  return { name: 'storage', ok: directoryProblem === '', detail }
}

function metadataCheck(metadata: Metadata | undefined): ReadinessCheck {
  const name = 'metadata'
  if (!metadata) return { name, ok: false, detail: 'not read yet' }
  if (metadata.failure !== undefined) return { name, ok: false, detail: metadata.failure }
  const { leadership, members, notice } = metadata
  const more = notice === undefined ? '' : `; ${notice}`
  switch (leadership.kind) {
    case 'here':
      return { name, ok: true, detail: `this server leads the metadata${more}` }
    case 'elsewhere':
      return { name, ok: true, detail: `${leadership.leader} leads it${more}` }
    case 'unknown':
      return { name, ok: false, detail: notice ?? withoutLeader(members) }
    default:
      return leadership satisfies never
  }
}

function withoutLeader(members: Metadata['members']): string {
  if (members.length === 0) {
    return (
      'this server belongs to no cluster yet: start one server with --raft-bootstrap-seed, or ' +
      'all of the first ones with --raft-bootstrap-peers; the others are taken in by themselves'
    )
  }
  const voters = members.filter(({ voter }) => voter).map(({ id }) => id)
  return `no leader: most of the voters ${voters.join(', ')} must be up and reach each other`
}

function natsCheck(buses: Buses | undefined): ReadinessCheck {
  const ok = buses !== undefined && Object.values(buses).every(({ connected }) => connected)
  return { name: 'nats', ok, detail: ok ? '' : 'not connected; see nats.servers and the log' }
}

function partitionsDetail(parts: CheckedParts): string {
  const { reconciler, metadata, isAlive, catchingUp } = parts
  const problems = (reconciler?.problems() ?? []).map(
    ({ stream, partition, reason }) => `${stream}/${partition}: ${reason}`,
  )
  const orphans: string[] = []
  for (const { name, partitions } of metadata?.state.streams.values() ?? []) {
    for (const { id, leader, paused } of partitions) {
      if (!paused && !isAlive(leader)) orphans.push(`${name}/${id} (${leader})`)
    }
  }
  const behind = catchingUp === 0 ? '' : `${catchingUp} catching up after the start`
  return [behind, listed(problems, 'not running'), listed(orphans, 'without a living leader')]
    .filter((text) => text !== '')
    .join('; ')
}

function listed(problems: readonly string[], what: string): string {
  if (problems.length === 0) return ''
  return `${problems.length} ${what}: ${problems.slice(0, LISTED_MAX).join('; ')}`
}
