/** Units of replication. Offsets are safe-integer numbers, times milliseconds of a monotonic clock. */

export type ServerId = string

/** Number of a record in its partition; the first is 0, "none" is -1. */
export type Offset = number

/** Raft index of the change that installed the partition leader. */
export type LeaderEpoch = number

/** Raft index of the last change of the partition's ISR or leader: what a proposal is based on. */
export type PartitionEpoch = number

/**
 * Which opening of a replica's log a request comes from: whatever lost its unsynced tail has opened
 * the log anew. Larger is later; the driver may take the wall clock's milliseconds at the opening.
 */
export type Incarnation = number

/** "No offset": an empty log's newest offset, a high watermark before the first commit. */
export const NO_OFFSET: Offset = -1

/** When the operator wants written records synced; see the table in `leader.ts`. */
export type SyncPolicy = 'always' | 'interval' | 'never'
