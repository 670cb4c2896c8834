/**
 * The records of one append together with what is owed to their publishers. Everything a record
 * needs for its acknowledgement lies in typed arrays and one byte buffer, so that accepting a
 * message allocates nothing; batches are reused.
 */
import { RecordBatch } from '@liftbridge/log'
import type { PublishView } from '@liftbridge/wire'
import { INGEST_BATCH_MAX_BYTES } from '../config/limits.ts'
import { knownPolicy, POLICY_ALL, type AckSink } from './ack.ts'
import type { Arrival } from './arrival.ts'

const INITIAL_RECORDS = 64
const INITIAL_TEXT_BYTES = 4_096

export class IngestBatch {
  readonly records: RecordBatch
  /** Largest record that it takes. */
  readonly maxRecordBytes: number
  /** The sink of each record; undefined when nobody waits for an answer. */
  readonly sinks: (AckSink | undefined)[] = []
  readonly arrivals: Arrival[] = []
  policies: Uint8Array = new Uint8Array(INITIAL_RECORDS)
  /** Expected offsets; -1 does not check. */
  expected: Float64Array = new Float64Array(INITIAL_RECORDS)
  /** Correlation ids and ack inboxes, back to back. */
  text: Uint8Array = new Uint8Array(INITIAL_TEXT_BYTES)
  /** Per record: start of its correlation id, start of its inbox; its inbox ends where the next begins. */
  textStarts: Int32Array = new Int32Array(2 * INITIAL_RECORDS + 1)
  #textBytes = 0
  #count = 0
  /** Known once appended. */
  baseOffset = -1
  timestampNs = 0n
  /** Index of the first record with AckPolicy ALL, -1 when there is none. */
  firstAll = -1
  /** All records with AckPolicy LEADER are answered. */
  leadersAnswered = false
  /** Records with AckPolicy ALL are answered up to this offset. */
  allThrough = -1

  constructor(maxRecordBytes: number) {
    this.maxRecordBytes = maxRecordBytes
    this.records = new RecordBatch({ maxRecordBytes, maxBytes: INGEST_BATCH_MAX_BYTES })
  }

  get count(): number {
    return this.#count
  }

  get byteLength(): number {
    return this.records.byteLength
  }

  /** Memory it holds, about. */
  get footprintBytes(): number {
    return this.records.bytes.length + this.text.length + 32 * this.policies.length
  }

  /** Notes what is owed for the record just added to `records`. */
  note(publish: PublishView, arrival: Arrival, sink: AckSink | undefined): void {
    const index = this.#count
    if (index === this.policies.length) this.#grow()
    const policy = knownPolicy(publish.ackPolicy)
    this.policies[index] = policy
    this.expected[index] = publish.expectedOffset
    if (policy === POLICY_ALL && this.firstAll < 0) this.firstAll = index
    this.textStarts[2 * index] = this.#textBytes
    if (sink !== undefined) {
      this.#copyText(publish.bytes, publish.correlationIdStart, publish.correlationIdEnd)
      this.textStarts[2 * index + 1] = this.#textBytes
      this.#copyText(publish.bytes, publish.ackInboxStart, publish.ackInboxEnd)
    } else {
      this.textStarts[2 * index + 1] = this.#textBytes
    }
    this.textStarts[2 * index + 2] = this.#textBytes
    this.sinks[index] = sink
    this.arrivals[index] = arrival
    this.#count = index + 1
  }

  /**
   * Forgets what is owed for records whose flag is 0, keeping the order of the others: what
   * optimistic concurrency refuses leaves the batch without splitting it. The records themselves
   * left before the append, by `records.keepOnly`.
   */
  keepOnly(keep: Uint8Array): void {
    let kept = 0
    this.firstAll = -1
    for (let index = 0; index < this.#count; index++) {
      if (keep[index] === 0) continue
      const policy = this.policies[index] as number
      this.policies[kept] = policy
      this.expected[kept] = this.expected[index] as number
      // Starts only ever move down, and the end of a kept record is written after it was read.
      const correlationStart = this.textStarts[2 * index] as number
      const inboxStart = this.textStarts[2 * index + 1] as number
      const end = this.textStarts[2 * index + 2] as number
      this.#moveText(kept, { correlationStart, inboxStart, end })
      this.sinks[kept] = this.sinks[index]
      this.arrivals[kept] = this.arrivals[index] as Arrival
      if (policy === POLICY_ALL && this.firstAll < 0) this.firstAll = kept
      kept++
    }
    this.sinks.length = kept
    this.arrivals.length = kept
    this.#count = kept
  }

  clear(): void {
    this.records.clear()
    this.sinks.length = 0
    this.arrivals.length = 0
    this.#count = 0
    this.#textBytes = 0
    this.baseOffset = -1
    this.timestampNs = 0n
    this.firstAll = -1
    this.leadersAnswered = false
    this.allThrough = -1
  }

  /** Text of a kept record moves down to its new place, which ends at or before its old start. */
  #moveText(
    index: number,
    from: { readonly correlationStart: number; readonly inboxStart: number; readonly end: number },
  ): void {
    const to = index === 0 ? 0 : (this.textStarts[2 * index] as number)
    this.text.copyWithin(to, from.correlationStart, from.end)
    this.textStarts[2 * index] = to
    this.textStarts[2 * index + 1] = to + from.inboxStart - from.correlationStart
    this.textStarts[2 * index + 2] = to + from.end - from.correlationStart
    this.#textBytes = to + from.end - from.correlationStart
  }

  #copyText(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start
    if (length <= 0) return
    let at = this.#textBytes
    if (at + length > this.text.length) this.#growText(at + length)
    const text = this.text
    for (let index = start; index < end; index++) text[at++] = bytes[index] as number
    this.#textBytes = at
  }

  #growText(needed: number): void {
    const grown = new Uint8Array(Math.max(needed, 2 * this.text.length))
    grown.set(this.text)
    this.text = grown
  }

  #grow(): void {
    const capacity = 2 * this.policies.length
    const policies = new Uint8Array(capacity)
    policies.set(this.policies)
    this.policies = policies
    const expected = new Float64Array(capacity)
    expected.set(this.expected)
    this.expected = expected
    const textStarts = new Int32Array(2 * capacity + 1)
    textStarts.set(this.textStarts)
    this.textStarts = textStarts
  }
}
