/**
 * What the cores are built from: their options and states, made of a server's plain data. Nothing
 * here has a time, so all that only time decides stands still or is far away.
 */
import type {
  FollowerOptions,
  FollowerState,
  LeaderOptions,
  LeaderState,
  LogView,
} from '@liftbridge/replication'
import { nameOf, NAMES, type Metadata, type Role, type Scope, type Server } from './state.ts'

/** Where the options are read from. */
export interface ServersOfScope {
  readonly scope: Scope
  server(id: number): Server
  /** What a server knows of the metadata. */
  viewOf(id: number): Metadata
}

/** Later than anything that happens. */
const FAR = 1e9

export function logOf({ records, synced, highWatermark, epochs }: Server): LogView {
  return { newestOffset: records.length - 1, syncedOffset: synced, highWatermark, epochs }
}

/** The metadata as a leader is told of it. */
export function metadataOf(
  world: ServersOfScope,
  id: number,
): { leader: string; leaderEpoch: number; partitionEpoch: number; isr: string[] } {
  const { leader, leaderEpoch, isr } = world.viewOf(id)
  const partitionEpoch = world.server(id).view + 1
  return { leader: nameOf(leader), leaderEpoch, partitionEpoch, isr: isr.map(nameOf) }
}

/** @param birth the first offset of the leadership. */
export function leaderOptions(world: ServersOfScope, id: number, birth: number): LeaderOptions {
  const { synced, highWatermark } = world.server(id)
  const { policy, minIsr, replicas } = world.scope
  return {
    syncPolicy: policy,
    minIsr,
    newestOffset: birth - 1,
    syncedOffset: Math.min(synced, birth - 1),
    highWatermark,
    replication: {
      serverId: nameOf(id),
      replicas: NAMES.slice(0, replicas),
      ...metadataOf(world, id),
      maxLagMs: 1000,
      proposalRetryMs: FAR,
      isolatedAfterMs: FAR,
      highWatermarkDelayMs: FAR,
      now: 0,
    },
  }
}

/**
 * A leader's state without what only time and idle replicas need. Whoever has fetched counts as
 * caught up at some time: that rule keeps the ISR from flapping, and no invariant may need it.
 */
export function settledLeader(state: LeaderState): LeaderState {
  if (state.replicas === undefined) return state
  const replicas = state.replicas.replicas.map((replica) => ({
    ...replica,
    caughtUpAtMs: 0,
    fetchedAtMs: 0,
    toldHighWatermark: -1,
    newestAtFetch: -1,
    caughtUp: replica.known,
  }))
  return { ...state, replicas: { ...state.replicas, replicas, tellAtMs: Infinity, nowMs: 0 } }
}

export function followerOptions(world: ServersOfScope, id: number): FollowerOptions {
  const server = world.server(id)
  const { leader, leaderEpoch } = world.viewOf(id)
  return {
    serverId: nameOf(id),
    leaderId: nameOf(leader),
    leaderEpoch,
    incarnation: server.incarnation,
    syncPolicy: world.scope.policy,
    log: logOf(server),
    proven: server.proven,
    gaps: false,
    requestTimeoutMs: FAR,
    maxWaitMs: 0,
    idleWaitMs: 0,
    retryMinMs: 0,
    retryMaxMs: 0,
    maxLeaderTimeoutMs: FAR,
    reportEveryMs: FAR,
    now: 0,
  }
}

type FollowerRole = Role & { readonly kind: 'follower' }

export function followerState(server: Server, role: FollowerRole): FollowerState {
  const isSending = role.phase.kind === 'asking' || role.phase.kind === 'fetching'
  return {
    phase: role.phase,
    log: logOf(server),
    request: isSending ? { id: 1, sentAtMs: 0, deadlineMs: FAR } : undefined,
    lastRequestId: 1,
    resumeAtMs: 0,
    failures: 0,
    leaderSeenAtMs: 0,
    reportAtMs: 0,
    leaderHighWatermark: role.leaderHighWatermark,
    leaderNewestOffset: role.leaderNewestOffset,
    proven: server.proven,
    notified: false,
  }
}

/** The role of a follower as plain data. A proven one does not ask what its leader has. */
export function followerRole(server: Server, state: FollowerState): FollowerRole {
  const { phase, leaderNewestOffset } = state
  return {
    kind: 'follower',
    phase,
    leaderHighWatermark: Math.max(state.leaderHighWatermark, server.highWatermark),
    leaderNewestOffset: server.proven ? Number.POSITIVE_INFINITY : leaderNewestOffset,
  }
}
