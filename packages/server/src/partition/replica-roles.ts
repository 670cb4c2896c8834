/** Makes the parts of a partition that talk to its other replicas. */
import type { CommitLog } from '@liftbridge/log'
import type { FetchInput, ReplicationOptions } from '@liftbridge/replication'
import { encodeClusterMessage } from '@liftbridge/wire'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logging/logger.ts'
import { FetchService } from '../replication/fetch-service.ts'
import { Following } from '../replication/following.ts'
import { followerPauses, leaderPauses } from '../replication/replication.ts'
import type { PartitionSettings, ReplicaLink } from './leadership.ts'
import type { ReplicatedOptions, Roles } from './partition-options.ts'

/** What every role of one partition works with. */
export type RoleContext = {
  readonly stream: string
  readonly partition: number
  readonly log: CommitLog
  readonly clock: Clock
  readonly logger: Logger
  readonly settings: PartitionSettings
}

/** What the leader core is told of the other replicas. */
export function leaderOptions(
  { clock, settings }: RoleContext,
  { replication }: ReplicatedOptions,
  { roles, deposed }: { readonly roles: Roles; readonly deposed: string | undefined },
): ReplicationOptions {
  const { replicas, isr, leaderEpoch, epoch: partitionEpoch } = roles
  // Below the least size nothing could be committed either, and one replica fewer be elected.
  const mayLeave = deposed !== undefined && isr.length > settings.minIsr
  return {
    serverId: replication.serverId,
    replicas,
    isr,
    leaderEpoch,
    partitionEpoch,
    ...(mayLeave ? { deposed } : {}),
    ...leaderPauses(replication.timing()),
    now: clock.monotonicMs(),
  }
}

/** Where a leader hears its replicas. */
export function serveReplicas(
  { stream, partition, log, clock, logger }: RoleContext,
  { replication, compacted, maxResponseBytes, onDamaged }: ReplicatedOptions,
  leadership: { readonly roles: Roles; readonly onFetch: (fetch: FetchInput) => void },
): FetchService {
  const { serverId, bus, answers, subjects } = replication
  return new FetchService({
    stream,
    partition,
    serverId,
    leaderEpoch: leadership.roles.leaderEpoch,
    bus,
    answers,
    subjects,
    log,
    gaps: compacted,
    maxResponseBytes,
    clock,
    logger,
    onFetch: leadership.onFetch,
    onDamaged,
  })
}

/** How a leader reaches its replicas and the metadata leader. */
export function replicaLink(
  { stream, partition, logger }: RoleContext,
  { replication }: ReplicatedOptions,
  fetches: FetchService,
): ReplicaLink {
  const { bus, subjects, serverId: leader } = replication
  const notification = encodeClusterMessage('PartitionNotification', { stream, partition })
  const notify = (replica: string): void => {
    try {
      bus.publish(subjects.notify(replica), notification)
    } catch (error) {
      // The replica asks by itself after its idle wait.
      const at = { stream, partition, replica, error }
      logger.limited('replication-notify', 'warn', 'replication: a replica was not notified', at)
    }
  }
  return {
    answer: (answer) => fetches.answer(answer),
    notify: (replicas) => replicas.forEach(notify),
    propose: async ({ kind, replica, leaderEpoch, partitionEpoch }) => {
      const change = { stream, partition, replica, leader, leaderEpoch, partitionEpoch }
      const answer = await replication.submit({
        kind: kind === 'shrink' ? 'shrink-isr' : 'expand-isr',
        ...change,
      })
      const fields = { ...change, outcome: answer.kind }
      const key = `isr ${stream} ${partition} ${kind} ${replica}`
      logger.limited(key, 'info', `replication: ISR ${kind} proposed`, fields)
      return answer.kind === 'done'
    },
  }
}

/** Follows the leader that the metadata names; begins with `begin`. */
export function followLeader(
  { stream, partition, log, clock, logger, settings }: RoleContext,
  { replication, logIncarnation, compacted, onProven }: ReplicatedOptions,
  term: {
    readonly roles: Roles
    readonly proven: boolean
    readonly onFailed: (reason: string, error: unknown) => void
  },
): Following {
  const { serverId, bus, subjects } = replication
  const { leader, leaderEpoch } = term.roles
  let isReporting = false
  return new Following({
    stream,
    partition,
    log,
    bus,
    subjects,
    clock,
    logger,
    core: {
      serverId,
      leaderId: leader,
      leaderEpoch,
      incarnation: logIncarnation,
      syncPolicy: settings.syncPolicy,
      proven: term.proven,
      gaps: compacted,
      ...followerPauses(replication.timing()),
    },
    reportLeader: () => {
      // While no metadata leader answers, one report is enough.
      if (isReporting) return
      isReporting = true
      const at = { stream, partition, replica: serverId, leader, leaderEpoch }
      void replication
        .submit({ kind: 'report-leader', ...at, reason: 'silent' })
        .then(() => (isReporting = false))
    },
    onProven,
    onFailed: term.onFailed,
    onFault: (fault) => {
      term.onFailed('its log contradicts its leader below the high watermark', fault)
    },
  })
}
