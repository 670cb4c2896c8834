import type { Disk } from '@liftbridge/log'
import type { RaftParameters } from '@liftbridge/raft'
import type { ClusterSubjects } from '@liftbridge/wire'
import type { Bus } from '../bus.ts'
import type { Clock, Random } from '../clock.ts'
import type { Logger } from '../logging/logger.ts'
import type { BootstrapSettings } from './bootstrap.ts'
import { NatsRaftNetwork } from './nats-raft-network.ts'
import { RaftConsensus } from './raft-consensus.ts'
import { RaftStore } from './store/raft-store.ts'

/** `clustering.raft` of the configuration. */
export interface RaftSettings extends BootstrapSettings {
  readonly snapshotRetain: number
  readonly snapshotThreshold: number
}

export interface OpenRaftOptions {
  readonly disk: Disk
  /** Absolute path of a directory of its own, `<data.dir>/raft`. */
  readonly directory: string
  /** The connection for Raft; it outlives the consensus. */
  readonly bus: Bus
  readonly subjects: ClusterSubjects
  readonly clock: Clock
  readonly random: Random
  readonly serverId: string
  readonly settings: RaftSettings
  readonly logger: Logger
  /** Other than the defaults of the algorithm; for tests. */
  readonly parameters?: Partial<RaftParameters>
  /** See `RaftConsensusOptions`. */
  readonly onFailed?: (error: Error) => void
}

/**
 * Opens the metadata's consensus: what is stored has been read, nothing has been sent yet. Rejects
 * with RaftStoreUnreadable, whose text is for the operator, and with DiskError.
 */
export const openRaft = async <Result>(
  options: OpenRaftOptions,
): Promise<RaftConsensus<Result>> => {
  const { disk, directory, clock, logger, settings } = options
  const opened = await RaftStore.open({
    disk,
    directory,
    clock,
    logger,
    snapshotRetain: settings.snapshotRetain,
  })
  const { snapshotThreshold } = settings
  const parameters = { snapshotThreshold, ...options.parameters }
  const network = new NatsRaftNetwork(options)
  return new RaftConsensus({ ...options, network, parameters, opened })
}
