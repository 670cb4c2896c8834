/** What clients did and what they were told: all that the checkers of promises may go by. */
import type { AckWish, PublishWay } from './plan.ts'

/** One attempt to publish one message; the value is unique in the run. */
export interface Attempt {
  readonly value: string
  readonly step: number
  readonly client: string
  readonly stream: string
  readonly partition: number
  readonly policy: AckWish
  readonly way: PublishWay
  /** -1 for none. */
  readonly expected: number
  readonly invokedUs: number
  /** Deletions of this stream that had been tried before. */
  readonly deletionsBefore: number
  endedUs: number
  /** `refused` is certain: it must never become readable [D5]. `unknown` may go either way. */
  outcome: 'open' | 'acked' | 'refused' | 'unknown'
  /** Of the ack; -1 when none. */
  offset: number
  error: string
}

export interface Received {
  readonly offset: number
  readonly timestampNs: bigint
  readonly value: string
  readonly atUs: number
}

export interface Subscription {
  readonly step: number
  readonly stream: string
  readonly partition: number
  readonly reverse: boolean
  /** Where the client asked to begin; undefined when it left that to the server. */
  readonly startOffset: number | undefined
  readonly deletionsBefore: number
  readonly server: string
  readonly invokedUs: number
  /** The empty message that confirms it has come. */
  confirmed: boolean
  readonly received: Received[]
  ended: string
}

export interface MetadataCall {
  readonly step: number
  readonly kind: 'create' | 'delete' | 'pause' | 'readonly'
  readonly stream: string
  readonly invokedUs: number
  endedUs: number
  outcome: 'open' | 'ok' | 'refused' | 'unknown'
  error: string
}

export class History {
  readonly attempts: Attempt[] = []
  readonly subscriptions: Subscription[] = []
  readonly metadataCalls: MetadataCall[] = []
  readonly byValue: Map<string, Attempt> = new Map()
  /** The metadata was lost: what was there before may be on disks, and belongs to no stream. */
  metadataLost = false
  readonly #deletions = new Map<string, number>()

  begin(
    attempt: Omit<Attempt, 'endedUs' | 'outcome' | 'offset' | 'error' | 'deletionsBefore'>,
  ): Attempt {
    const deletionsBefore = this.deletionsOf(attempt.stream)
    const open: Attempt = {
      ...attempt,
      deletionsBefore,
      endedUs: -1,
      outcome: 'open',
      offset: -1,
      error: '',
    }
    this.attempts.push(open)
    this.byValue.set(open.value, open)
    return open
  }

  /** Attempts to delete the stream so far. */
  deletionsOf(stream: string): number {
    return this.#deletions.get(stream) ?? 0
  }

  noteMetadataLost(): void {
    this.metadataLost = true
  }

  noteDeletion(stream: string): void {
    this.#deletions.set(stream, this.deletionsOf(stream) + 1)
  }

  /**
   * True when what was begun at `sinceUs` happened to the stream that is there now: nobody has
   * tried to delete it since, and after an earlier deletion it had been created again. What an old
   * incarnation takes while it is being closed goes with it.
   */
  isCurrent(stream: string, deletionsBefore: number, sinceUs: number): boolean {
    if (this.metadataLost || this.deletionsOf(stream) !== deletionsBefore) return false
    const calls = this.metadataCalls.filter((call) => call.stream === stream)
    const deletions = calls.filter(({ kind }) => kind === 'delete')
    if (deletions.length === 0) return true
    if (deletions.some(({ endedUs, outcome }) => endedUs < 0 || outcome === 'unknown')) return false
    const deletedUs = Math.max(...deletions.map(({ endedUs }) => endedUs))
    return calls.some(
      ({ kind, outcome, invokedUs, endedUs }) =>
        kind === 'create' && outcome === 'ok' && invokedUs > deletedUs && endedUs <= sinceUs,
    )
  }
}
