/** What the partitions of one server share for being replicated. */
import type { MetadataRequest } from '@liftbridge/metadata'
import type { ClusterSubjects } from '@liftbridge/wire'
import type { Bus } from '../bus.ts'

/** What partitions ask of the metadata leader by themselves. */
export type PartitionRequest = Extract<
  MetadataRequest,
  { readonly kind: 'shrink-isr' | 'expand-isr' | 'report-leader' }
>

export type Replication = {
  readonly serverId: string
  /** The connection `replication`: fetches and notifications. */
  readonly bus: Bus
  /**
   * The connection `streams`, for answers to fetches. What a gRPC client publishes is stored here
   * and forwarded to NATS on this connection. A replica that gets the record behind the forwarded
   * message can lead, and listen, only after NATS has passed that message on. On another connection
   * the record may be first, and the next leader would store the late message again [D6].
   */
  readonly answers: Bus
  readonly subjects: ClusterSubjects
  readonly timing: () => ReplicationTiming
  /**
   * Asks the metadata leader, wherever it is: `done` when it was carried out. Never rejects; a
   * refusal and a timeout are values.
   */
  readonly submit: (request: PartitionRequest) => Promise<{ readonly kind: string }>
  /** This run of the server [R8]; see `ServerRun`. */
  readonly run: {
    /** A number larger than that of any log opened before on this data directory. */
    nextIncarnation(): number
    /** False when the run before this one did not end in order. */
    readonly endedCleanly: boolean
    /**
     * The data directory is younger than metadata up to this index: what such a partition was
     * counted for may have been lost with an older directory. Infinity while it is not known.
     */
    readonly bornAtIndex: number
    /**
     * How far the metadata was when this run began: what came later has not been touched by an
     * earlier run. Infinity while it is not known.
     */
    readonly startedAtIndex: number
  }
}

/** The settings `clustering.replica.*` and `clustering.replication.max.bytes`. */
export type ReplicationTiming = {
  readonly maxLagTimeMs: number
  readonly maxLeaderTimeoutMs: number
  readonly maxIdleWaitMs: number
  readonly fetchTimeoutMs: number
}

/** The pauses of one follower, made to fit the time after which a silent leader is reported. */
export function followerPauses(timing: ReplicationTiming): {
  readonly requestTimeoutMs: number
  readonly maxWaitMs: number
  readonly idleWaitMs: number
  readonly retryMinMs: number
  readonly retryMaxMs: number
  readonly maxLeaderTimeoutMs: number
  readonly reportEveryMs: number
} {
  const { maxLeaderTimeoutMs, maxIdleWaitMs, fetchTimeoutMs, maxLagTimeMs } = timing
  // A leader must be heard of at least twice before its silence is reported, or its lag noticed.
  const patienceMs = Math.min(maxLeaderTimeoutMs, maxLagTimeMs)
  const retryMaxMs = Math.max(1, Math.min(RETRY_MAX_MS, patienceMs / 4))
  return {
    requestTimeoutMs: Math.max(1, Math.min(fetchTimeoutMs, patienceMs / 2)),
    maxWaitMs: Math.max(1, Math.floor(Math.min(maxIdleWaitMs, patienceMs / 3))),
    idleWaitMs: Math.max(1, Math.min(maxIdleWaitMs, patienceMs / 2)),
    retryMinMs: Math.min(RETRY_MIN_MS, retryMaxMs),
    retryMaxMs,
    maxLeaderTimeoutMs,
    reportEveryMs: Math.max(1, Math.min(REPORT_EVERY_MS, maxLeaderTimeoutMs / 4)),
  }
}

/** A leader that has just changed subscribes within a round trip or two. */
const RETRY_MIN_MS = 50
/** A leader that is away is asked for once a second. */
const RETRY_MAX_MS = 1_000
const REPORT_EVERY_MS = 1_000

/** How a leader reckons with time. */
export function leaderPauses(timing: ReplicationTiming): {
  readonly maxLagMs: number
  readonly proposalRetryMs: number
  readonly isolatedAfterMs: number
  readonly highWatermarkDelayMs: number
} {
  const { maxLagTimeMs, maxLeaderTimeoutMs } = timing
  return {
    maxLagMs: maxLagTimeMs,
    proposalRetryMs: PROPOSAL_RETRY_MS,
    isolatedAfterMs: maxLeaderTimeoutMs,
    highWatermarkDelayMs: HIGH_WATERMARK_DELAY_MS,
  }
}

/** A metadata leader is elected within a second or two; asking more often only adds load. */
const PROPOSAL_RETRY_MS = 500
/**
 * An idle follower's readers see a message this late at most; while messages flow they see it with
 * the next fetch.
 */
const HIGH_WATERMARK_DELAY_MS = 50
