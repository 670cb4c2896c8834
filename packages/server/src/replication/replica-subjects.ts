/**
 * What every server answers to about its partitions: `<ns>.notify.<server>`, by which a leader
 * wakes an idle follower, and `….status.<server>`, by which others learn whether a partition is led
 * here [LB control plane 1.3]. Whatever cannot be read is dropped.
 */
import { decodeClusterMessage, encodeClusterMessage, type ClusterSubjects } from '@liftbridge/wire'
import type { Bus, BusMessage, BusSubscription } from '../bus.ts'
import type { Logger } from '../logging/logger.ts'

/** The partitions of this server, as these subjects see them; `Partitions` is it. */
interface NotifiedPartitions {
  at(stream: string, partition: number): { readonly role: string } | undefined
  notified(stream: string, partition: number): void
}

export type ReplicaSubjectsOptions = {
  readonly serverId: string
  readonly subjects: ClusterSubjects
  /** Where notifications come: the connection `replication`. */
  readonly replication: Bus
  /** Where questions come: the connection `raft`. */
  readonly raft: Bus
  readonly partitions: NotifiedPartitions
  readonly logger: Logger
}

export class ReplicaSubjects {
  readonly #options: ReplicaSubjectsOptions
  readonly #subscriptions: BusSubscription[] = []

  constructor(options: ReplicaSubjectsOptions) {
    this.#options = options
  }

  /** Throws BusError. */
  start(): void {
    const { serverId, subjects, replication, raft } = this.#options
    const notify = subjects.notify(serverId)
    const status = subjects.partitionStatus(serverId)
    this.#subscriptions.push(replication.subscribe(notify, (message) => this.#onNotify(message)))
    this.#subscriptions.push(raft.subscribe(status, (message) => this.#onStatus(message)))
  }

  /** Idempotent. */
  stop(): void {
    for (const subscription of this.#subscriptions.splice(0)) subscription.unsubscribe()
  }

  #onNotify({ data }: BusMessage): void {
    const decoded = decodeClusterMessage('PartitionNotification', data)
    if (decoded.kind === 'rejected') return this.#drop('notification', decoded.reason)
    this.#options.partitions.notified(decoded.message.stream, decoded.message.partition)
  }

  #onStatus({ data, reply }: BusMessage): void {
    if (reply === '') return
    const decoded = decodeClusterMessage('PartitionStatusRequest', data)
    if (decoded.kind === 'rejected') return this.#drop('status request', decoded.reason)
    const { stream, partition } = decoded.message
    const running = this.#options.partitions.at(stream, partition)
    const isLeader = running?.role === 'leader'
    const answer = { exists: running !== undefined, isLeader }
    try {
      this.#options.raft.publish(reply, encodeClusterMessage('PartitionStatusResponse', answer))
    } catch (error) {
      // Whoever asked asks again.
      const fields = { stream, partition, error }
      this.#options.logger.limited('partition-status', 'warn', 'status: no answer sent', fields)
    }
  }

  #drop(what: string, reason: string): void {
    this.#options.logger.limited('replica-subjects', 'warn', 'dropped', { what, reason })
  }
}
