import type { Operation, PartitionRef } from './operation.ts'
import type { StreamRequest } from './stream-requests.ts'
import type { LogIndex, ServerId } from './units.ts'

/** Why somebody wants another leader for a partition. */
export type ReportReason =
  /** A follower has not heard of its leader for `clustering.replica.max.leader.timeout`. */
  | 'silent'
  /** The leader itself began anew and needs an epoch of its own before it may append [R8]. */
  | 'restarted'
  /** The reporter is about to stop: as the leader, or as a member of the ISR. */
  | 'leaving'
  /** The leader may lack records, so another member of the ISR must lead, if one can [R8]. */
  | 'unfit'
  /** As `unfit`, but only since nothing is ever synced: it may lead when nobody is better off. */
  | 'unsynced'

/** What a replica has, to be compared with what others have: first by the epoch, then by the end. */
export interface LogTail {
  /** Of the last record; 0 when there is none. */
  readonly epoch: LogIndex
  /** The offset that the next record gets. */
  readonly end: number
}

/** A report holds only for the leadership it names. */
export interface LeaderReport extends PartitionRef {
  /** Who reports. */
  readonly replica: ServerId
  readonly leader: ServerId
  readonly leaderEpoch: LogIndex
  readonly reason: ReportReason
  /** With `unsynced`: what the reporter has left. */
  readonly tail?: LogTail
}

/** Operations that any server hands to the metadata leader as they are. */
export type ForwardedOperation = Operation<
  | 'shrink-isr'
  | 'expand-isr'
  | 'delete-stream'
  | 'pause-stream'
  | 'resume-stream'
  | 'set-stream-readonly'
  | 'join-consumer-group'
  | 'leave-consumer-group'
>

/** What a server asks of the metadata leader [LB control plane 4.2]. */
export type MetadataRequest =
  /** The leader places the partitions. */
  | { readonly kind: 'create-stream'; readonly stream: StreamRequest }
  | ({ readonly kind: 'report-leader' } & LeaderReport)
  /** Up to where is committed what was acknowledged before? Changes nothing. */
  | { readonly kind: 'read-index' }
  | ForwardedOperation
