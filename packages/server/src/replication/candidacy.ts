/**
 * A partition whose metadata names this server as leader, while it must not lead: in an epoch that
 * was led before, or with a log that may lack records. It asks the metadata leader for another
 * leadership, again and again, until the metadata has one: its own in a new epoch, or that of
 * another member of the ISR.
 */
import type { LogTail, ReportReason } from '@liftbridge/metadata'
import type { LeadershipDecision } from '@liftbridge/replication'
import type { Clock, Timer } from '../clock.ts'
import type { Logger } from '../logging/logger.ts'
import type { PartitionRequest, Replication } from './replication.ts'

/**
 * Why it does not lead. `damaged`: durable records do not verify [T2]. `unsynced`: nothing speaks
 * against its log but that nothing was synced.
 */
export type CandidacyReason =
  | Exclude<LeadershipDecision, 'lead' | 'stale-metadata'>
  | 'damaged'
  | 'unsynced'

export type CandidacyOptions = {
  readonly stream: string
  readonly partition: number
  readonly leaderEpoch: number
  readonly reason: CandidacyReason
  /** What the log holds; it does not change while nobody leads. */
  readonly tail: LogTail
  readonly replication: Replication
  readonly clock: Clock
  readonly logger: Logger
}

/** What the metadata leader is told. */
const REPORTED = {
  'epoch-in-use': 'restarted',
  'not-in-isr': 'unfit',
  unproven: 'unfit',
  damaged: 'unfit',
  unsynced: 'unsynced',
} as const satisfies Record<CandidacyReason, ReportReason>

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000

export class Candidacy {
  readonly reason: CandidacyReason
  readonly #options: CandidacyOptions
  readonly #request: PartitionRequest
  #attempts = 0
  #timer: Timer | undefined
  #ended = false

  constructor(options: CandidacyOptions) {
    const { stream, partition, leaderEpoch, reason, tail, replication } = options
    const { serverId } = replication
    this.#options = options
    this.reason = reason
    this.#request = {
      kind: 'report-leader',
      stream,
      partition,
      replica: serverId,
      leader: serverId,
      leaderEpoch,
      reason: REPORTED[reason],
      ...(reason === 'unsynced' ? { tail } : {}),
    }
  }

  begin(): void {
    // Never rejects.
    void this.#ask()
  }

  end(): void {
    this.#ended = true
    this.#timer?.cancel()
  }

  async #ask(): Promise<void> {
    const { replication, clock } = this.#options
    this.#attempts++
    const answer = await replication.submit(this.#request)
    // The metadata tells what came of it; while it does not, it is asked again.
    if (this.#ended) return
    if (answer.kind !== 'done') this.#report()
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(this.#attempts, 16), LONGEST_PAUSE_MS)
    this.#timer = clock.after(pauseMs, () => void this.#ask())
  }

  #report(): void {
    const { stream, partition, leaderEpoch: epoch, reason, logger } = this.#options
    const key = `candidacy ${stream} ${partition}`
    const fields = { stream, partition, epoch, reason }
    logger.limited(key, 'warn', 'partition without a leader: no replica may lead it yet', fields)
  }
}
