/** What the handlers of the API work with. */
import type { StreamDefaults } from '@liftbridge/metadata'
import type { ClusterSubjects } from '@liftbridge/wire'
import type { Bus } from '../bus.ts'
import type { Clock, Random } from '../clock.ts'
import type { Brokers } from '../cluster/brokers.ts'
import type { PartitionLeaders } from '../cluster/partition-leaders.ts'
import type { Controller } from '../cluster/controller.ts'
import type { HostPort } from '../config/addresses.ts'
import type { Logger } from '../logging/logger.ts'
import type { Metadata } from '../metadata/metadata.ts'
import type { AckSink } from '../partition/ack.ts'
import type { Partition } from '../partition/partition.ts'
import type { SubjectRouter } from '../partition/subject-router.ts'

export type ApiContext = {
  readonly serverId: string
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metadata: Metadata
  /** Through which the metadata is changed, wherever its leader is. */
  readonly controller: Controller
  readonly brokers: Brokers
  readonly streamDefaults: () => StreamDefaults
  readonly partitions: RunningPartitions
  readonly router: SubjectRouter
  /** The connection for whatever must come back to this server. */
  readonly publishes: Bus
  readonly subjects: ClusterSubjects
  readonly natsAcks: AckSink
  /** Bytes of LIFTBRIDGE_ENCRYPTION_KEY. */
  readonly masterKey: Uint8Array | undefined
  /** Where clients reach this server. */
  readonly advertised: () => HostPort
  /** Fires when the server begins to stop: calls end with UNAVAILABLE. */
  readonly stopping: AbortSignal
  /** Tells when a partition runs. */
  readonly leaders: Pick<PartitionLeaders, 'led' | 'settled'>
}

/** The partitions of this server. */
interface RunningPartitions {
  /** One that is led here and takes messages. */
  get(stream: string, partition: number): Partition | undefined
  /** One that runs here, in whatever role. */
  at(stream: string, partition: number): Partition | undefined
}
