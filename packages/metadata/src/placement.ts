import type { NewPartition } from './operation.ts'
import { rejected, type Rejection } from './rejection.ts'
import type { MetadataView } from './state.ts'
import type { ServerId } from './units.ts'

/** A server that may hold replicas, in the order of the cluster's configuration. */
export interface PlacementServer {
  readonly id: ServerId
  /** Whether it has been heard of lately. */
  readonly alive: boolean
}

export interface PlacementRequest {
  readonly partitions: number
  /** -1 for all servers. */
  readonly replicationFactor: number
  readonly servers: readonly PlacementServer[]
}

export type Placement =
  | { readonly kind: 'ok'; readonly partitions: readonly NewPartition[] }
  | Rejection

/**
 * Chooses replicas and leaders. The least loaded servers come first, ties in the order of the
 * configuration, and each choice counts for the next, so that the partitions of one stream spread
 * over the cluster; in Go Liftbridge they all land on the same servers [D-12]. A dead server is
 * taken only when there are too few others, starts outside the ISR and never leads [D-43].
 */
export const placePartitions = (state: MetadataView, request: PlacementRequest): Placement => {
  const { servers, replicationFactor } = request
  if (replicationFactor <= 0 && replicationFactor !== -1) {
    return rejected('INVALID_ARGUMENT', `Invalid replicationFactor ${replicationFactor}`)
  }
  if (replicationFactor > servers.length) {
    return rejected(
      'INVALID_ARGUMENT',
      `Invalid replicationFactor ${replicationFactor}, cluster size ${servers.length}`,
    )
  }
  if (!servers.some(({ alive }) => alive)) {
    return rejected('INTERNAL', 'failed to get cluster configuration: no server is alive')
  }
  const candidates = servers.map((server) => new Candidate(server, state))
  const count = replicationFactor === -1 ? servers.length : replicationFactor
  const partitions: NewPartition[] = []
  for (let id = 0; id < request.partitions; id += 1) {
    partitions.push(placePartition(id, candidates, count))
  }
  return { kind: 'ok', partitions }
}

/** The least loaded server to coordinate a consumer group; undefined when none is alive. */
export const placeCoordinator = (
  state: MetadataView,
  servers: readonly PlacementServer[],
): ServerId | undefined => {
  let least: { readonly id: ServerId; readonly coordinated: number } | undefined
  for (const { id, alive } of servers) {
    const { coordinated } = state.loadOf(id)
    if (alive && (least === undefined || coordinated < least.coordinated)) {
      least = { id, coordinated }
    }
  }
  return least?.id
}

/** A server with its load as it grows during one request. */
class Candidate {
  readonly id: ServerId
  readonly alive: boolean
  partitions: number
  leaders: number

  constructor(server: PlacementServer, state: MetadataView) {
    this.id = server.id
    this.alive = server.alive
    const load = state.loadOf(server.id)
    this.partitions = load.partitions
    this.leaders = load.leaders
  }
}

const placePartition = (
  id: number,
  candidates: readonly Candidate[],
  count: number,
): NewPartition => {
  const chosen = candidates
    .toSorted((a, b) => livingFirst(a, b) || a.partitions - b.partitions)
    .slice(0, count)
    .toSorted((a, b) => livingFirst(a, b) || a.leaders - b.leaders)
  for (const replica of chosen) replica.partitions += 1
  const isr = chosen.filter(({ alive }) => alive)
  const [leader] = isr
  if (leader !== undefined) leader.leaders += 1
  return {
    id,
    replicas: chosen.map((replica) => replica.id),
    isr: isr.map((replica) => replica.id),
    leader: leader?.id ?? '',
  }
}

const livingFirst = (a: Candidate, b: Candidate): number => Number(b.alive) - Number(a.alive)
