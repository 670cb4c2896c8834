/** What a server works with: the ports of its world, and whom it tells that it must end. */
import type { Disk } from '@liftbridge/log'
import type { RaftParameters } from '@liftbridge/raft'
import type { Buses } from './bus.ts'
import type { Clock, Random } from './clock.ts'
import type { HostPort } from './config/addresses.ts'
import type { Config } from './config/config.ts'
import type { Logger } from './logging/logger.ts'

export type CoreOptions = {
  readonly config: Config
  readonly serverId: string
  /** Directory that this process alone holds, as `disk` names it. */
  readonly dataDir: string
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly buses: Buses
  /** Bytes of LIFTBRIDGE_ENCRYPTION_KEY. */
  readonly masterKey: Uint8Array | undefined
  /** Other than the defaults of the algorithm; for tests, which cannot wait for a snapshot. */
  readonly raftParameters?: Partial<RaftParameters>
  /** Where clients reach this server. */
  readonly advertised: () => HostPort
  /** Another live server has the id of this one, which must end at once: the text says so. */
  readonly onIdLost?: (error: Error) => void
  /**
   * What is stored of the metadata cannot be trusted until it has been read again: only a restart
   * helps. Partitions with other replicas have been given up. Called once at most.
   */
  readonly onFailed?: (error: Error) => void
}
