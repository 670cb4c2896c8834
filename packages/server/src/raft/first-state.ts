import { bootstrapState, type StoredState } from '@liftbridge/raft'
import type { ClusterSubjects } from '@liftbridge/wire'
import type { Bus } from '../bus.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logging/logger.ts'
import { planFirstStart, type BootstrapSettings } from './bootstrap.ts'
import type { Founding, FoundingDecision } from './founding.ts'
import { askToJoin } from './joiner.ts'
import type { JoinProgress } from './membership.ts'
import type { OpenedRaftStore } from './store/raft-store.ts'

export interface FirstStateOptions {
  readonly serverId: string
  readonly opened: OpenedRaftStore
  readonly settings: BootstrapSettings
  readonly founding: Founding
  readonly bus: Bus
  readonly subjects: ClusterSubjects
  readonly clock: Clock
  readonly logger: Logger
}

export interface FirstState {
  readonly stored: StoredState
  readonly progress: JoinProgress
}

/** With its disk lost and the others down, a seed would take their silence for a new beginning. */
const REMOVE_THE_SEED =
  'if others are to join this cluster, start this server without raft.bootstrap.seed from now on: ' +
  'should it lose its disk, the flag would found a second cluster while the others are down'

/** How long the first start waits for NATS. */
const CONNECT_WAIT_MS = 20_000
const RETRY_MS = 500

/**
 * What this server begins with: what it stored; else, if it founds a cluster, the cluster's first
 * entry; else nothing, on its way into a cluster [LB 2.2]. Takes as long as a founder waits for the
 * others; undefined when `founding` was stopped meanwhile.
 */
export const firstState = async (options: FirstStateOptions): Promise<FirstState | undefined> => {
  const { opened, serverId, settings, logger } = options
  const { stored, store, joinStage } = opened
  if (!isNew(stored)) return { stored, progress: { stage: joinStage, admittedAt: undefined } }
  // Before anybody can send anything that this server, were it not new, had lost.
  if (joinStage !== 'joining') await store.setJoinStage('joining')
  const plan = planFirstStart(serverId, settings)
  if (plan.kind === 'join') {
    return { stored, progress: { stage: 'joining', admittedAt: undefined } }
  }
  // The flags of the first start often stay: whoever lost its disk is no founder but comes back.
  const voters = plan.configuration.servers.filter(({ suffrage }) => suffrage === 'voter')
  const decision =
    voters.length === 1
      ? await decideAlone(options)
      : await options.founding.decide(voters.map(({ id }) => id))
  if (decision.kind === 'stopped') return undefined
  if (decision.kind === 'join') {
    logger.info('a cluster is there already: joining it instead of making a new one')
    return { stored, progress: { stage: 'joining', admittedAt: decision.admittedAt } }
  }
  const servers = plan.configuration.servers.map(({ id }) => id)
  logger.info('bootstrapping a new metadata cluster', { servers })
  if (settings.bootstrapPeers.length === 0) logger.warn(REMOVE_THE_SEED)
  await store.setJoinStage(undefined)
  const first = bootstrapState(plan.configuration)
  await store.persist({
    sequence: 0,
    hardState: first.hardState,
    resetTo: undefined,
    truncateFrom: undefined,
    append: first.entries,
    compactThrough: undefined,
  })
  return { stored: first, progress: { stage: undefined, admittedAt: undefined } }
}

/** Nobody is named who could be new as well: silence has to do. */
const decideAlone = async (options: FirstStateOptions): Promise<FoundingDecision> => {
  const { bus, serverId, subjects } = options
  await untilConnected(options)
  const answer = await askToJoin({ bus, serverId, subject: subjects.raftJoin }, 'joining')
  if (answer.kind === 'unanswered') return { kind: 'found' }
  return { kind: 'join', admittedAt: answer.kind === 'joined' ? answer.index : undefined }
}

/** Without NATS nobody can say whether there is a cluster; founding one can wait a while. */
const untilConnected = async ({ bus, clock }: FirstStateOptions): Promise<void> => {
  for (let waitedMs = 0; !bus.connected && waitedMs < CONNECT_WAIT_MS; waitedMs += RETRY_MS) {
    await new Promise<void>((resolve) => clock.after(RETRY_MS, resolve))
  }
}

/**
 * Never a member of any cluster [LB 2.2]. Founding one that a crash interrupted leaves term 1 and
 * nothing else; nobody was promised anything in it.
 */
const isNew = ({ hardState, snapshot, entries }: StoredState): boolean =>
  hardState.term <= 1 &&
  hardState.votedFor === undefined &&
  snapshot === undefined &&
  entries.length === 0
