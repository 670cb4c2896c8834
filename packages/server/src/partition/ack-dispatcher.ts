/**
 * Answers the records of one partition. Acks for LEADER come in offset order, acks for ALL come in
 * offset order; between the two kinds there is no order [LB data plane 4.6]. A run of acks ends
 * with one `flush` per sink, so that a publisher gets a batch of acks in one write.
 */
import { AckFields } from '@liftbridge/wire'
import { ACK_OK, ACK_UNKNOWN, POLICY_ALL, POLICY_LEADER, setCommit, setReception } from './ack.ts'
import type { AckError, AckSink, AckSource } from './ack.ts'
import type { Arrival } from './arrival.ts'
import type { IngestBatch } from './ingest-batch.ts'
import type { IngestBudget } from './ingest-budget.ts'

const NO_BYTES = new Uint8Array(0)

export class AckDispatcher {
  readonly #source: AckSource
  readonly #ack = new AckFields()
  readonly #now: () => bigint
  /** Batches with AckPolicy ALL records that are not answered yet, oldest first. */
  readonly #waiting: IngestBatch[] = []
  readonly #touched = new Set<AckSink>()
  #lastTouched: AckSink | undefined
  /** Returns a batch whose records are all answered. */
  readonly #recycle: (batch: IngestBatch) => void
  readonly #budget: IngestBudget
  readonly #maxBytes: number
  readonly #acksCanCome: () => boolean
  readonly #onRetired: () => void
  #waitingBytes = 0
  /** Of these, batches whose LEADER records wait too: for a sync, with policy `always`. */
  #unsyncedBytes = 0

  constructor(options: {
    readonly source: AckSource
    readonly now: () => bigint
    readonly recycle: (batch: IngestBatch) => void
    /** Memory of waiting batches: of all partitions, and of this one at most. */
    readonly budget: IngestBudget
    readonly maxBytes: number
    /** False while the ISR is too small for AckPolicy ALL [reliability R5]. */
    readonly acksCanCome: () => boolean
    /** Told after batches have been answered. */
    readonly onRetired: () => void
  }) {
    this.#source = options.source
    this.#now = options.now
    this.#recycle = options.recycle
    this.#budget = options.budget
    this.#maxBytes = options.maxBytes
    this.#acksCanCome = options.acksCanCome
    this.#onRetired = options.onRetired
  }

  /** True when every record that was appended has had its answer, as far as one is owed. */
  get empty(): boolean {
    return this.#waiting.length === 0
  }

  /**
   * True when no more records should wait for replicas or for a sync: acks that cannot come, since
   * the ISR is too small, would fill the memory [reliability B1].
   */
  get full(): boolean {
    return this.#waitingBytes >= this.#maxBytes || this.#budget.full
  }

  /**
   * True when no record of any policy should be taken: a sync that does not return lets even
   * batches pile up that no replica is waited for [reliability B1].
   */
  get stalled(): boolean {
    if (this.#unsyncedBytes === 0) return false
    return this.#unsyncedBytes >= this.#maxBytes || this.#budget.full
  }

  /**
   * True when a publisher that can wait should: half of the bound waits for a sync that takes long.
   * Acks that cannot come at all are no reason to wait: that might never end.
   */
  get congested(): boolean {
    if (this.#waitingBytes === 0 || !this.#acksCanCome()) return false
    return this.#waitingBytes * 2 > this.#maxBytes || this.#budget.congested
  }

  /** Takes an appended batch; its records are answered by the two calls below. */
  add(batch: IngestBatch): void {
    this.#waiting.push(batch)
    this.#waitingBytes += batch.footprintBytes
    this.#unsyncedBytes += batch.footprintBytes
    this.#budget.take(batch.footprintBytes)
  }

  /**
   * Answers what has become due: LEADER records up to `leaderThrough` (-1: none), ALL records up
   * to `allThrough` (-1: none).
   */
  advance(leaderThrough: number, allThrough: number): void {
    setCommit(this.#ack, this.#now())
    for (const batch of this.#waiting) {
      if (leaderThrough >= batch.baseOffset && !batch.leadersAnswered) {
        this.#answer(batch, { policy: POLICY_LEADER, through: leaderThrough })
        batch.leadersAnswered = leaderThrough >= batch.baseOffset + batch.count - 1
        if (batch.leadersAnswered) this.#unsyncedBytes -= batch.footprintBytes
      }
      if (allThrough >= batch.baseOffset && batch.firstAll >= 0) {
        this.#answer(batch, { policy: POLICY_ALL, through: allThrough })
        batch.allThrough = Math.max(batch.allThrough, allThrough)
      }
    }
    this.#flush()
    this.#retire()
  }

  /** Answers every record of a batch with an error, except those that were never to be answered. */
  reject(batch: IngestBatch, error: AckError): void {
    setCommit(this.#ack, this.#now())
    for (let index = 0; index < batch.count; index++) {
      this.#deliverError(batch, index, error)
    }
    this.#flush()
  }

  /** The same for the records whose flag in `keep` is 0. */
  rejectDropped(batch: IngestBatch, keep: Uint8Array, error: AckError): void {
    setCommit(this.#ack, this.#now())
    for (let index = 0; index < batch.count; index++) {
      if (keep[index] === 0) this.#deliverError(batch, index, error)
    }
    this.#flush()
  }

  /**
   * The partition stops or is fenced: whoever still waits is told that the fate of the message is
   * not known here, since its record may be there when the log is read again [D5, D7].
   */
  abandon(): void {
    setCommit(this.#ack, this.#now())
    for (const batch of this.#waiting) {
      for (let index = 0; index < batch.count; index++) {
        const policy = batch.policies[index]
        const waits =
          (policy === POLICY_LEADER && !batch.leadersAnswered) ||
          (policy === POLICY_ALL && batch.baseOffset + index > batch.allThrough)
        if (waits) this.#deliverError(batch, index, ACK_UNKNOWN)
      }
    }
    this.#waiting.length = 0
    this.#budget.give(this.#waitingBytes)
    this.#waitingBytes = 0
    this.#unsyncedBytes = 0
    this.#flush()
  }

  #answer(batch: IngestBatch, due: { readonly policy: number; readonly through: number }): void {
    const from =
      due.policy === POLICY_ALL ? Math.max(0, batch.allThrough + 1 - batch.baseOffset) : 0
    const to = Math.min(batch.count, due.through + 1 - batch.baseOffset)
    const ack = this.#ack
    ack.ackError = ACK_OK
    setReception(ack, batch.timestampNs)
    // One loop per batch and policy; about 10 ns a record besides the sink's own work.
    for (let index = from; index < to; index++) {
      const sink = batch.sinks[index]
      if (sink === undefined || batch.policies[index] !== due.policy) continue
      this.#load(batch, index)
      ack.offset = batch.baseOffset + index
      sink.deliver(this.#source, ack)
      this.#touch(sink)
    }
  }

  #deliverError(batch: IngestBatch, index: number, error: AckError): void {
    const sink = batch.sinks[index]
    if (sink === undefined) return
    this.#load(batch, index)
    this.#ack.ackError = error
    this.#ack.offset = 0
    setReception(this.#ack, batch.timestampNs)
    sink.deliver(this.#source, this.#ack)
    this.#touch(sink)
  }

  #load(batch: IngestBatch, index: number): void {
    const ack = this.#ack
    const arrival = batch.arrivals[index] as Arrival
    const inboxStart = batch.textStarts[2 * index + 1] as number
    ack.ackPolicy = batch.policies[index] as number
    ack.msgSubject = arrival.subjectBytes
    ack.msgSubjectStart = 0
    ack.msgSubjectEnd = arrival.subjectBytes.length
    ack.correlationId = batch.text
    ack.correlationIdStart = batch.textStarts[2 * index] as number
    ack.correlationIdEnd = inboxStart
    ack.ackInbox = batch.text
    ack.ackInboxStart = inboxStart
    ack.ackInboxEnd = batch.textStarts[2 * index + 2] as number
  }

  #touch(sink: AckSink): void {
    if (sink === this.#lastTouched) return
    this.#lastTouched = sink
    this.#touched.add(sink)
  }

  #flush(): void {
    for (const sink of this.#touched) sink.flush()
    this.#touched.clear()
    this.#lastTouched = undefined
    // The text belongs to a batch that may be given away, and may be large.
    this.#ack.correlationId = NO_BYTES
    this.#ack.ackInbox = NO_BYTES
  }

  /** Lets go of the batches that owe nothing any more, wherever they stand. */
  #retire(): void {
    let kept = 0
    for (const batch of this.#waiting) {
      const last = batch.baseOffset + batch.count - 1
      if (!batch.leadersAnswered || (batch.firstAll >= 0 && batch.allThrough < last)) {
        this.#waiting[kept++] = batch
        continue
      }
      const bytes = batch.footprintBytes
      this.#waitingBytes -= bytes
      this.#budget.give(bytes)
      this.#recycle(batch)
    }
    const retired = kept < this.#waiting.length
    this.#waiting.length = kept
    if (retired) this.#onRetired()
  }
}
