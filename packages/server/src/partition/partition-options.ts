/** What a partition is made of, and what it is told. */
import type { CommitLog } from '@liftbridge/log'
import type { PartitionState } from '@liftbridge/metadata'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logging/logger.ts'
import type { Replication } from '../replication/replication.ts'
import type { ValueCipher } from './encryption.ts'
import type { IngestBudget } from './ingest-budget.ts'
import type { PartitionSettings } from './leadership.ts'
import type { Listener } from './subject-router.ts'

export type PartitionOptions = {
  readonly stream: string
  /** Tells a stream from an earlier one of its name. */
  readonly incarnation: number
  readonly partition: number
  /** Subject of the stream. */
  readonly streamSubject: string
  /** Subject of this partition; may have wildcards. */
  readonly subject: string
  readonly group: string
  readonly log: CommitLog
  readonly settings: PartitionSettings
  readonly cipher: ValueCipher | undefined
  readonly budget: IngestBudget
  /** Memory of records that wait for their acks, of all partitions. */
  readonly ackBudget: IngestBudget
  readonly clock: Clock
  readonly logger: Logger
  /** Absent on a server without others: it leads whatever it runs. */
  readonly replicated?: ReplicatedOptions
  /** Begins to hear the partition's subject; the result ends it. Throws BusError. */
  readonly listen: (listener: Listener) => () => void
  /** Resolves when NATS knows what was subscribed to. */
  readonly flush: () => Promise<void>
  /** The log cannot go on; the host closes the partition and opens it again later. */
  readonly onFenced: (reason: string) => void
}

/** What a partition with several replicas needs besides. */
export type ReplicatedOptions = {
  readonly replication: Replication
  /** Which opening of a log on this server this is; larger is later. */
  readonly logIncarnation: number
  /** Records may be missing between others: the stream is compacted. */
  readonly compacted: boolean
  readonly maxResponseBytes: () => number
  /** The log holds records that do not verify: it must be replaced by the leader's [T2]. */
  readonly onDamaged: () => void
  /** The log, which lacked records, has everything now. */
  readonly onProven: () => void
}

/** What the metadata says of a partition's roles. */
export type Roles = Pick<
  PartitionState,
  'id' | 'replicas' | 'isr' | 'leader' | 'leaderEpoch' | 'epoch'
>

/** What is known of the log beyond what is in it. */
export type LogFacts = {
  /** See `LeadershipQuestion.continues`. */
  readonly continues: boolean
  /** See `LeadershipQuestion.proven`. */
  readonly proven: boolean
  /** Not proven, but only since nothing was synced before an unclean end. */
  readonly onlyUnsynced: boolean
  /** See `LeadershipQuestion.knownAtStart`. */
  readonly knownAtStart: number
  /** Durable records do not verify [T2]. */
  readonly damaged: boolean
}
