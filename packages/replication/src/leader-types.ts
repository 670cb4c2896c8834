/** What goes into the leader of a partition, and what comes out: plain data. */
import type {
  Incarnation,
  LeaderEpoch,
  Offset,
  PartitionEpoch,
  ServerId,
  SyncPolicy,
} from './units.ts'

export type LeaderInput =
  /**
   * A batch was written. `firstAllOffset` is the first offset in it whose ack policy is ALL, -1
   * when there is none.
   */
  | {
      readonly kind: 'written'
      readonly newestOffset: Offset
      readonly firstAllOffset: Offset
    }
  /** Everything up to here is durable in the leader's own log. */
  | { readonly kind: 'synced'; readonly offset: Offset }
  | FetchInput
  | MetadataInput
  /**
   * How a proposal to change the ISR ended, for pacing only: whether the ISR changed is told by
   * `metadata` alone, since a proposal that seemed to fail may still be applied.
   */
  | {
      readonly kind: 'isr-answered'
      readonly partitionEpoch: PartitionEpoch
      readonly applied: boolean
      readonly now: number
    }
  /** Time passed; due at `PartitionLeader.wakeAt`, earlier does no harm. */
  | { readonly kind: 'tick'; readonly now: number }

/** A replica asks for what follows its log, and thereby tells what it has. */
export type FetchInput = {
  readonly kind: 'fetch'
  /** Chosen by the driver; the answer carries it. */
  readonly token: number
  readonly replicaId: ServerId
  readonly leaderEpoch: LeaderEpoch
  /** Newest offset of the replica's log; it wants the next one. */
  readonly offset: Offset
  /**
   * Newest offset it may be counted for: durable, or with its sync policy `never` written. Absent
   * from a Go Liftbridge server: `offset` counts, as in Go.
   */
  readonly syncedOffset?: Offset
  /** Absent from a Go Liftbridge server: a restart cannot be told then. */
  readonly incarnation?: Incarnation
  /**
   * How long the answer may be held back for want of records. Absent: it is empty at once, and the
   * replica is notified when there is something [LB 4.5].
   */
  readonly maxWaitMs?: number
  readonly now: number
}

/** What the servers agree on about the partition, each time it changed. */
export type MetadataInput = {
  readonly kind: 'metadata'
  readonly leader: ServerId
  readonly leaderEpoch: LeaderEpoch
  readonly partitionEpoch: PartitionEpoch
  readonly isr: readonly ServerId[]
  readonly now: number
}

/** One step's result; carried out in the order of its fields. */
export type LeaderOutput = {
  /** The new high watermark, or -1 when it did not move. */
  readonly highWatermark: Offset
  /** Records up to here, inclusive, may be acknowledged to AckPolicy LEADER; -1 when nothing is due. */
  readonly ackLeaderThrough: Offset
  /** Records up to here, inclusive, may be acknowledged to AckPolicy ALL; -1 when nothing new is due. */
  readonly ackAllThrough: Offset
  /** True when somebody waits for durability: the driver should sync now rather than later. */
  readonly syncNow: boolean
  /** The leader's new standing; undefined when it did not change. */
  readonly standing: LeaderStanding | undefined
  /** Answers that are due, to fetches of this step or of earlier ones. A held fetch has none yet. */
  readonly answers: readonly FetchAnswer[]
  /** Go Liftbridge replicas to be told that there is something to fetch. */
  readonly notify: readonly ServerId[]
  /** A change of the ISR to be proposed to the metadata leader; the same one again is a retry. */
  readonly propose: IsrProposal | undefined
}

/**
 * `leading`: all is well. `isolated`: other members of the ISR are silent and the metadata leader
 * does not answer, so another leader may have been chosen: reads, acks to LEADER and group
 * deliveries must stop, and go on when it is `leading` again [E2]. `fenced`: for ever; nothing is
 * acknowledged or answered any more.
 */
export type LeaderStanding =
  | { readonly kind: 'leading' }
  | { readonly kind: 'isolated' }
  | { readonly kind: 'fenced'; readonly reason: 'deposed' | 'not-in-isr' }

export type FetchAnswer =
  /**
   * Records from `fromOffset` on: at least one, even when it is larger than the limit of a
   * response [LB 7.A7].
   */
  | (Answer & { readonly kind: 'serve'; readonly fromOffset: Offset })
  /** Header only: there is nothing newer. */
  | (Answer & { readonly kind: 'empty' })
  /** No answer to the replica; it asks again by itself. */
  | (Answer & { readonly kind: 'refuse'; readonly reason: FetchRefusal })

type Answer = {
  readonly token: number
  readonly replicaId: ServerId
  /** What the response says, as of this step; a later one may be sent. */
  readonly highWatermark: Offset
}

/**
 * `stale-epoch`, `newer-epoch`: meant for another leadership. `unknown-replica`: no replica of the
 * partition, or the leader itself [G4]. `ahead`: it has more than the leader, so their logs differ.
 * `old-incarnation`: sent before the replica opened its log anew. `superseded`: the same replica
 * asked again while this fetch was held. `not-leading`: fenced.
 */
export type FetchRefusal =
  | 'stale-epoch'
  | 'newer-epoch'
  | 'unknown-replica'
  | 'ahead'
  | 'old-incarnation'
  | 'superseded'
  | 'not-leading'

/** A compare-and-set of the ISR: it holds only on the two epochs that it is based on [R7]. */
export type IsrProposal = {
  readonly kind: 'shrink' | 'expand'
  readonly replica: ServerId
  /** The run of that replica which was seen to be caught up, when known. */
  readonly incarnation: Incarnation | undefined
  readonly leaderEpoch: LeaderEpoch
  readonly partitionEpoch: PartitionEpoch
}

export type LeaderOptions = {
  readonly syncPolicy: SyncPolicy
  readonly minIsr: number
  /** Members of the ISR of a leader without `replication`; 1 by default. */
  readonly isrSize?: number
  /** Newest offset in the log, and the newest known durable, at the start of the leadership. */
  readonly newestOffset: Offset
  readonly syncedOffset: Offset
  readonly highWatermark: Offset
  /** Absent: the only replica. */
  readonly replication?: ReplicationOptions
}

export type ReplicationOptions = {
  readonly serverId: ServerId
  /** All replicas of the partition, the leader among them. */
  readonly replicas: readonly ServerId[]
  readonly isr: readonly ServerId[]
  readonly leaderEpoch: LeaderEpoch
  readonly partitionEpoch: PartitionEpoch
  /**
   * The leader before this one, where it is to leave the ISR unless it fetches at once: it was
   * silent, or left, and nothing could be committed until its lag had been waited for. Only its
   * successor may decide that, and only as one that leads: a member elected in its place may turn
   * out to have lost its data, and then nobody else has what was committed [R8].
   */
  readonly deposed?: ServerId
  /** `replica.max.lag.time`: a replica that was not caught up for longer leaves the ISR. */
  readonly maxLagMs: number
  /** Pause between two proposals of the same change. */
  readonly proposalRetryMs: number
  /** A change of the ISR not decided for so long: the leader counts itself as isolated. */
  readonly isolatedAfterMs: number
  /** An idle replica learns of a new high watermark after at most this. */
  readonly highWatermarkDelayMs: number
  readonly now: number
}
