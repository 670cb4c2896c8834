/** Whether the log of a partition that was just opened is known to be complete [L1, KIP-903]. */
import type { WantedPartition } from '../metadata/partition-host.ts'
import type { Config } from '../config/config.ts'
import type { Logger } from '../logging/logger.ts'
import type { Replication } from '../replication/replication.ts'
import type { Completeness, Doubt } from './completeness.ts'
import type { LogFacts } from './partition-options.ts'
import type { PartitionLogs } from './partition-logs.ts'
import type { Running } from './running-partitions.ts'

type ProofOptions = {
  readonly config: () => Config
  readonly logger: Logger
  readonly replication?: Replication
}

export class LogProofs {
  readonly #options: ProofOptions
  readonly #logs: PartitionLogs
  readonly #completeness: Completeness

  constructor(options: ProofOptions, logs: PartitionLogs, completeness: Completeness) {
    this.#options = options
    this.#logs = logs
    this.#completeness = completeness
  }

  /**
   * What is known of a log that was just opened. What this opening brought up is noted durably
   * before anybody uses the log, since the next opening would not find it again.
   */
  async factsOf(running: Running): Promise<LogFacts> {
    const { wanted, opened } = running
    const { partition, stream } = wanted
    const { health, log, ledInOrder } = opened
    const { replication } = this.#options
    const continues = ledInOrder > 0 && ledInOrder === partition.leaderEpoch
    if (replication === undefined || partition.replicas.length === 1) {
      return { continues, proven: true, onlyUnsynced: false, damaged: false, knownAtStart: -1 }
    }
    const { run } = replication
    const { policy } = this.#options.config().streams.sync
    const isOlder = stream.incarnation <= run.startedAtIndex
    const isUnsynced = policy === 'never' && !run.endedCleanly && isOlder
    // What an older data directory held is gone with it [KIP-903].
    const isNewcomer =
      log.newestOffset < 0 &&
      this.#isElsewhereFirst(wanted) &&
      !(await this.#completeness.isFilled(wanted.directory))
    const isAside = await this.#logs.isAside(wanted)
    const isWhole = !health.lostTail && !health.damaged && !isNewcomer && !isAside
    const known = await this.#completeness.doubt(wanted.directory)
    const found: Doubt | undefined = isWhole ? (isUnsynced ? 'unsynced' : undefined) : 'incomplete'
    const doubt = known === 'incomplete' ? known : (found ?? known)
    if (doubt !== undefined && doubt !== known) {
      await this.#completeness.set(wanted.directory, doubt)
    }
    const onlyUnsynced = doubt === 'unsynced'
    running.onlyUnsynced = onlyUnsynced
    const proven = doubt === undefined || (onlyUnsynced && this.isLastResort(wanted))
    const { startedAtIndex: knownAtStart } = run
    return { continues, proven, onlyUnsynced, damaged: health.damaged, knownAtStart }
  }

  /**
   * The log has everything: nothing that was found against it holds any more. Before an empty log is
   * told so, that it is rightly empty, or an empty partition would be in doubt again at every start.
   */
  async settle(wanted: WantedPartition): Promise<void> {
    if (this.#isElsewhereFirst(wanted)) await this.#completeness.noteFilled(wanted.directory)
    await this.#completeness.clear(wanted.directory)
  }

  /** Whether the partition is older than this data directory: others held it before. */
  #isElsewhereFirst({ stream }: WantedPartition): boolean {
    const bornAtIndex = this.#options.replication?.run.bornAtIndex ?? -1
    return stream.incarnation <= bornAtIndex
  }

  /**
   * Without syncs no replica can prove anything after an unclean end. The metadata leader lets a
   * leader succeed itself (`before` is its last leadership) once every member of the ISR has told
   * that it cannot lead for that reason: then there is nothing that waiting could bring [L1]. Nor
   * is there when it is alone in the ISR.
   */
  isLastResort({ stream, partition }: WantedPartition, before?: WantedPartition): boolean {
    const serverId = this.#options.replication?.serverId
    const succeedsItself = before?.partition.leader === serverId
    if (partition.leader !== serverId) return false
    if (partition.isr.length > 1 && !succeedsItself) return false
    this.#options.logger.warn('no replica is proven complete; this one leads with what it has', {
      stream: stream.name,
      partition: partition.id,
      epoch: partition.leaderEpoch,
    })
    return true
  }
}
