/**
 * The one writer of a partition's log. Messages from gRPC calls and from NATS are encoded into an
 * open batch the moment they arrive; a single loop appends batch after batch. While one batch is
 * being written the next one fills, so batches grow with the load by themselves.
 *
 *     accept ──> open batch ──seal──> sealed batches ──> append ──> onAppended
 *
 * Cost per message: one pass over its bytes to copy and one to checksum, a dozen stores into typed
 * arrays, no allocation.
 */
import { DiskError, LogError, recordTimestamp, type CommitLog } from '@liftbridge/log'
import { AckFields, type PublishView } from '@liftbridge/wire'
import type { Clock } from '../clock.ts'
import {
  ACK_ENCRYPTION,
  ACK_INCORRECT_OFFSET,
  ACK_NO_SPACE,
  ACK_OK,
  ACK_READONLY,
  ACK_TOO_LARGE,
  ACK_UNKNOWN,
  knownPolicy,
  POLICY_ALL,
  setCommit,
} from './ack.ts'
import type { AckError, AckSink, AckSource } from './ack.ts'
import type { AckDispatcher } from './ack-dispatcher.ts'
import { ARRIVAL_HEADERS, type Arrival } from './arrival.ts'
import { giveBatch, takeBatch } from './batch-pool.ts'
import type { ValueCipher } from './encryption.ts'
import type { IngestBatch } from './ingest-batch.ts'
import type { IngestBudget } from './ingest-budget.ts'
import { MessageSource } from './message-source.ts'
import { headersProblem, StoredHeaders } from './stored-headers.ts'

/** May change while the server runs. */
export type BatchLimits = {
  readonly maxMessages: number
  /** How long an incomplete batch may wait for more messages; 0 appends what there is. */
  readonly maxTimeMs: number
}

export type IngestOptions = {
  readonly source: AckSource
  readonly log: Pick<CommitLog, 'append' | 'nextOffset'>
  readonly leaderEpoch: number
  /**
   * Largest stored record, frame and headers included; a larger one is refused [LB 7.A7]. Asked at
   * the beginning of each batch.
   */
  readonly maxRecordBytes: () => number
  readonly batch: BatchLimits
  /** Bounds of what is accepted and not yet written; beyond them messages are refused. */
  readonly queueMaxMessages: number
  readonly queueMaxBytes: number
  /** Shared by all partitions. */
  readonly budget: IngestBudget
  /** Checks expected offsets. */
  readonly optimisticConcurrency: boolean
  readonly cipher: ValueCipher | undefined
  readonly clock: Clock
  readonly acks: AckDispatcher
  /** The batch is in the log, `baseOffset` and `timestampNs` are set. Takes over the batch. */
  readonly onAppended: (batch: IngestBatch) => void
  /** An append failed: the records of the batch were refused. The log decides whether it goes on. */
  readonly onFailed: (error: unknown) => void
}

/** Used within one call only, so all partitions share them and none keeps a publisher's buffer. */
let sharedSource: MessageSource | undefined
const storedHeaders = new StoredHeaders()

export class Ingest {
  readonly #options: IngestOptions
  readonly #refusal = new AckFields()
  readonly #sealed: IngestBatch[] = []
  /** Undefined while nothing has come since the last one was sealed. */
  #open: IngestBatch | undefined
  #running = false
  #lingering = false
  #stopped = false
  #pendingMessages = 0
  #pendingBytes = 0
  #drained: (() => void)[] = []
  /** Who waits for the last accepted message. */
  #idle: (() => void)[] = []
  #stopping = false
  #batch: BatchLimits
  /** Wakes those who wait for room when other partitions made it. */
  readonly #onRelief = (): void => this.#wake()

  constructor(options: IngestOptions) {
    this.#options = options
    this.#batch = options.batch
  }

  /** True when a publisher that can wait should: half of the bound is used. */
  get congested(): boolean {
    return (
      this.#pendingMessages * 2 > this.#options.queueMaxMessages ||
      this.#pendingBytes * 2 > this.#options.queueMaxBytes ||
      this.#options.budget.congested ||
      this.#options.acks.congested
    )
  }

  /** Resolves when there is room again, or when nothing will be taken any more. */
  drained(): Promise<void> {
    if (!this.congested || this.#stopped) return Promise.resolve()
    if (this.#options.budget.congested) this.#options.budget.whenRelieved(this.#onRelief)
    return new Promise((resolve) => this.#drained.push(resolve))
  }

  /**
   * Takes one message. The views in `publish` are copied before this returns. What is refused at
   * once (too large, bad headers, overload, stopped) is answered before this returns. The caller
   * calls `kick` after a run of accepts.
   */
  accept(publish: PublishView, arrival: Arrival, sink: AckSink | undefined): void {
    if (this.#stopped || this.#isFull() || this.#cannotWait(publish)) {
      this.#refuse({ publish, arrival, sink }, ACK_UNKNOWN)
      return
    }
    const error = this.#encode(publish, arrival)
    if (error !== ACK_OK) {
      this.#refuse({ publish, arrival, sink }, error)
      return
    }
    const open = this.#openBatch()
    open.note(publish, arrival, sink)
    this.#reserve(bytesOfLast(open))
    if (open.count >= this.#batch.maxMessages) this.#seal()
  }

  /** Starts writing what was accepted, unless a write is under way already. */
  kick(): void {
    if (this.#running || this.#pendingMessages === 0) return
    if (this.#sealed.length === 0 && this.#batch.maxTimeMs > 0 && !this.#stopping) {
      this.#linger()
      return
    }
    this.#startNow()
  }

  /** Writes what was accepted, without waiting for fuller batches, and refuses from then on. */
  async stop(): Promise<void> {
    this.#stopping = true
    while (this.#running || this.#pendingMessages > 0) {
      this.#startNow()
      await new Promise<void>((resolve) => this.#idle.push(resolve))
    }
    this.#stopped = true
    this.#wake()
  }

  /** New limits hold from the next batch on. */
  setBatch(batch: BatchLimits): void {
    this.#batch = batch
  }

  /** Takes back a batch whose records are all answered. */
  recycle(batch: IngestBatch): void {
    giveBatch(batch)
  }

  /** Batches have been answered: there may be room again. */
  acksRetired(): void {
    this.#wake()
  }

  /** Refuses from now on and refuses what waits: the log cannot be written any more. */
  fail(): void {
    this.#stopped = true
    this.#seal()
    for (const batch of this.#sealed.splice(0)) {
      this.#release(batch.count, bytesOf(batch))
      this.#options.acks.reject(batch, ACK_UNKNOWN)
      this.recycle(batch)
    }
    this.#wake()
  }

  #isFull(): boolean {
    return (
      this.#pendingMessages >= this.#options.queueMaxMessages ||
      this.#pendingBytes >= this.#options.queueMaxBytes ||
      this.#options.budget.full
    )
  }

  /** A record that would wait for a sync or for replicas while too many do already [B1]. */
  #cannotWait(publish: PublishView): boolean {
    const { acks } = this.#options
    return acks.stalled || (publish.ackPolicy === POLICY_ALL && acks.full)
  }

  #encode(publish: PublishView, arrival: Arrival): AckError {
    const source = (sharedSource ??= new MessageSource())
    source.load(publish)
    if (publish.headers.count === 0) source.setHeaders(arrival.headers, ARRIVAL_HEADERS)
    else if (headersProblem(publish) !== undefined) return ACK_UNKNOWN
    else source.setHeaders(storedHeaders.of(publish, arrival), storedHeaders.count)
    const { cipher } = this.#options
    if (cipher && !source.seal(publish, cipher)) return ACK_ENCRYPTION
    let problem = this.#openBatch().records.add(source)
    if (problem === 'batch-full') {
      this.#seal()
      problem = this.#openBatch().records.add(source)
    }
    if (problem === undefined) return ACK_OK
    return problem === 'too-large' ? ACK_TOO_LARGE : ACK_UNKNOWN
  }

  #openBatch(): IngestBatch {
    const open = this.#open
    if (open !== undefined && open.count > 0) return open
    const maxRecordBytes = this.#options.maxRecordBytes()
    // One in which nothing fitted may be left from before the limit changed.
    if (open?.maxRecordBytes === maxRecordBytes) return open
    return (this.#open = takeBatch(maxRecordBytes))
  }

  #reserve(bytes: number): void {
    this.#pendingMessages++
    this.#pendingBytes += bytes
    this.#options.budget.take(bytes)
  }

  #refuse(
    message: {
      readonly publish: PublishView
      readonly arrival: Arrival
      readonly sink: AckSink | undefined
    },
    error: AckError,
  ): void {
    const { publish, arrival, sink } = message
    if (sink === undefined) return
    const ack = this.#refusal
    ack.ackError = error
    ack.ackPolicy = knownPolicy(publish.ackPolicy)
    ack.msgSubject = arrival.subjectBytes
    ack.msgSubjectEnd = arrival.subjectBytes.length
    ack.correlationId = publish.bytes
    ack.correlationIdStart = publish.correlationIdStart
    ack.correlationIdEnd = publish.correlationIdEnd
    ack.ackInbox = publish.bytes
    ack.ackInboxStart = publish.ackInboxStart
    ack.ackInboxEnd = publish.ackInboxEnd
    setCommit(ack, error === ACK_TOO_LARGE ? 0n : this.#options.clock.wallNs())
    sink.deliver(this.#options.source, ack)
    sink.flush()
  }

  #seal(): void {
    if (this.#open === undefined || this.#open.count === 0) return
    this.#sealed.push(this.#open)
    this.#open = undefined
  }

  #linger(): void {
    if (this.#lingering) return
    this.#lingering = true
    this.#options.clock.after(this.#batch.maxTimeMs, () => {
      if (!this.#lingering) return
      this.#lingering = false
      this.#startNow()
    })
  }

  #startNow(): void {
    if (this.#running || this.#pendingMessages === 0) return
    this.#running = true
    void this.#run()
  }

  /** Appends until nothing waits. Never rejects. */
  async #run(): Promise<void> {
    for (;;) {
      if (this.#sealed.length === 0) this.#seal()
      const batch = this.#sealed.shift()
      if (!batch) break
      const { count } = batch
      const bytes = bytesOf(batch)
      await this.#append(batch)
      this.#release(count, bytes)
      this.#wake()
    }
    this.#running = false
    this.#wake()
    for (const resolve of this.#idle.splice(0)) resolve()
  }

  async #append(batch: IngestBatch): Promise<void> {
    const { acks, optimisticConcurrency } = this.#options
    const keep = optimisticConcurrency ? this.#checkExpected(batch) : undefined
    if (keep) batch.records.keepOnly(keep)
    if (keep && batch.records.count === 0) {
      acks.rejectDropped(batch, keep, ACK_INCORRECT_OFFSET)
      this.recycle(batch)
      return
    }
    try {
      const { log, leaderEpoch, clock } = this.#options
      const timestampNs = clock.wallNs()
      batch.baseOffset = await log.append(batch.records, { timestampNs, leaderEpoch })
      // The log may have moved the time forward, so that it never runs backwards [O6].
      batch.timestampNs = recordTimestamp(batch.records.bytes, batch.records.recordStart(0))
    } catch (error) {
      // Nobody took an offset, so whoever expected another one is not told that it was wrong.
      const answer = ackOfFailure(error)
      acks.reject(batch, answer)
      this.recycle(batch)
      // Set while these messages waited: a refusal like any other, and no failure.
      if (answer !== ACK_READONLY) this.#options.onFailed(error)
      return
    }
    if (keep) {
      acks.rejectDropped(batch, keep, ACK_INCORRECT_OFFSET)
      batch.keepOnly(keep)
    }
    this.#options.onAppended(batch)
  }

  /**
   * Expected offset: a compare-and-set on the next offset [reliability O7]. The batch is checked in
   * order as if each record were appended alone, so batching changes nothing. The flags of the
   * records to append; undefined when that is all of them.
   */
  #checkExpected(batch: IngestBatch): Uint8Array | undefined {
    let next = this.#options.log.nextOffset
    let keep: Uint8Array | undefined
    for (let index = 0; index < batch.count; index++) {
      const expected = batch.expected[index] as number
      if (expected === -1 || expected === next) {
        next++
        continue
      }
      keep ??= new Uint8Array(batch.count).fill(1)
      keep[index] = 0
    }
    return keep
  }

  #release(messages: number, bytes: number): void {
    this.#pendingMessages -= messages
    this.#pendingBytes -= bytes
    this.#options.budget.give(bytes)
  }

  #wake(): void {
    if (this.#drained.length === 0) return
    if (this.congested && !this.#stopped) {
      // Relief is told once: it may have come while this partition's own queue was full.
      if (this.#options.budget.congested) this.#options.budget.whenRelieved(this.#onRelief)
      return
    }
    const waiting = this.#drained
    this.#drained = []
    for (const resolve of waiting) resolve()
  }
}

/** What publishers are told when their batch could not be appended. */
function ackOfFailure(error: unknown): AckError {
  if (error instanceof LogError && error.code === 'readonly') return ACK_READONLY
  return error instanceof DiskError && error.code === 'no-space' ? ACK_NO_SPACE : ACK_UNKNOWN
}

/** What the last record of a batch holds: itself, its correlation id and its inbox. */
function bytesOfLast(batch: IngestBatch): number {
  const index = batch.count - 1
  const record = batch.byteLength - batch.records.recordStart(index)
  return record + (batch.textStarts[2 * index + 2] ?? 0) - (batch.textStarts[2 * index] ?? 0)
}

/** The same of all records of a batch that is not empty. */
function bytesOf(batch: IngestBatch): number {
  return batch.byteLength + (batch.textStarts[2 * batch.count] ?? 0)
}
