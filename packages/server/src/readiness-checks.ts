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
    { name: 'partitions', ok: true, detail: notRunning(parts.reconciler) },
    // Told for the operator; what is not damaged is served.
    { name: 'storage', ok: true, detail: damageReport(parts.partitions?.all() ?? []) },
    {
      name: 'api',
      ok: parts.serving && !parts.stopping,
      detail: parts.stopping ? 'shutting down' : '',
    },
  ]
}

function metadataCheck(metadata: Metadata | undefined): ReadinessCheck {
  if (!metadata) return { name: 'metadata', ok: false, detail: 'not read yet' }
  const detail = metadata.failure ?? ''
  return { name: 'metadata', ok: detail === '', detail }
}

function natsCheck(buses: Buses | undefined): ReadinessCheck {
  const ok = buses !== undefined && Object.values(buses).every(({ connected }) => connected)
  return { name: 'nats', ok, detail: ok ? '' : 'not connected; see nats.servers and the log' }
}

function notRunning(reconciler: Reconciler | undefined): string {
  const problems = reconciler?.problems() ?? []
  if (problems.length === 0) return ''
  const listed = problems
    .slice(0, LISTED_MAX)
    .map(({ stream, partition, reason }) => `${stream}/${partition}: ${reason}`)
  return `${problems.length} not running: ${listed.join('; ')}`
}
