/**
 * What was asked of a partition, what came back, and whether both fit together. One pass over the
 * operations and one over each read: O(n) in time, about 17 bytes per message.
 *
 * A writer is one PublishAsync call. Its messages are numbered from 0 and say in their value who
 * they are, so that a read alone tells which message it found. Outcomes: `ok` with the offset of
 * the ack; `failed` by an error that promises the message was not stored [reliability D5];
 * otherwise unknown: it may be there or not, but at most once and in its place.
 */

export type AnomalyKind =
  /** Acknowledged, and not in the log [D1, D4]. */
  | 'lost'
  /** One message at two offsets [D6]. */
  | 'duplicate'
  /** Messages of one writer in another order than they were sent [O3]. */
  | 'reordered'
  /** A value nobody sent, or one that was sent to another partition [O5]. */
  | 'phantom'
  /** A known message whose key or value is not what was sent. */
  | 'changed'
  /** Refused with an error that says "not stored", and in the log all the same [D5]. */
  | 'aborted-read'
  /** Acknowledged at one offset and found at another. */
  | 'moved'
  /** One offset that holds different messages in two reads [O2]. */
  | 'two-values'
  /** Offsets of one read that do not follow each other by one [O1, O4]. */
  | 'gap'
  /** Seen in an earlier read and no longer there [R4]. */
  | 'vanished'
  /** A replica told a high watermark below one that it had told before [R4]. */
  | 'high-watermark-back'
  /** A replica told a high watermark that its own log does not reach [R3]. */
  | 'high-watermark-beyond-end'
  /** The log ends below what some replica had told to be readable [R4]. */
  | 'high-watermark-lost'

export type Anomaly = { readonly kind: AnomalyKind; readonly detail: string }

const UNKNOWN = 0
const OK = 1
const FAILED = 2
const NOWHERE = -1

/** A numbers column that grows by doubling. */
class Column {
  #values: Float64Array<ArrayBuffer> = new Float64Array(1024).fill(NOWHERE)

  get(index: number): number {
    return this.#values[index] ?? NOWHERE
  }

  set(index: number, value: number): void {
    if (index >= this.#values.length) {
      const size = Math.max(index + 1, this.#values.length * 2)
      const larger = new Float64Array(size).fill(NOWHERE)
      larger.set(this.#values)
      this.#values = larger
    }
    this.#values[index] = value
  }

  clear(): void {
    this.#values.fill(NOWHERE)
  }
}

/** The operations of one PublishAsync call on one partition. */
export class Writer {
  readonly id: number
  readonly #outcomes = new Column()
  readonly #ackedAt = new Column()
  readonly #seenAt = new Column()
  #sent = 0
  #acked = 0

  constructor(id: number) {
    this.id = id
  }

  get sent(): number {
    return this.#sent
  }

  get acked(): number {
    return this.#acked
  }

  /** Records that a message is about to be sent; its number. */
  invoke(): number {
    this.#outcomes.set(this.#sent, UNKNOWN)
    return this.#sent++
  }

  ok(sequence: number, offset: number): void {
    this.#outcomes.set(sequence, OK)
    this.#ackedAt.set(sequence, offset)
    this.#acked++
  }

  failed(sequence: number): void {
    this.#outcomes.set(sequence, FAILED)
  }

  isFailed(sequence: number): boolean {
    return this.#outcomes.get(sequence) === FAILED
  }

  /** The offset of the ack, or -1. */
  ackedAt(sequence: number): number {
    return this.#ackedAt.get(sequence)
  }

  seenAt(sequence: number): number {
    return this.#seenAt.get(sequence)
  }

  see(sequence: number, offset: number): void {
    this.#seenAt.set(sequence, offset)
  }

  forgetRead(): void {
    this.#seenAt.clear()
  }
}

/** At most so many anomalies of a read are described; the rest are counted. */
const DESCRIBED_MAX = 20

/** One partition: its writers, and what was found in it. */
export class PartitionHistory {
  readonly name: string
  readonly #writers = new Map<number, Writer>()
  readonly #writerAt = new Column()
  readonly #sequenceAt = new Column()
  readonly #lastSequence = new Map<number, number>()
  #anomalies: Anomaly[] = []
  /** Found between reads, reported with the next. */
  #glimpsed: Anomaly[] = []
  #knownLength = 0
  #nextOffset = 0

  constructor(name: string) {
    this.name = name
  }

  addWriter(id: number): Writer {
    const writer = new Writer(id)
    this.#writers.set(id, writer)
    return writer
  }

  get writers(): Iterable<Writer> {
    return this.#writers.values()
  }

  /** Begins a read of the whole partition, from its first offset. */
  beginRead(): void {
    this.#anomalies = this.#glimpsed
    this.#glimpsed = []
    this.#nextOffset = 0
    this.#lastSequence.clear()
    for (const writer of this.#writers.values()) writer.forgetRead()
  }

  /** One message that was read. `intact` tells whether key and value are as they were sent. */
  read(offset: number, writerId: number, sequence: number, intact: boolean): void {
    const what = `message ${writerId}-${sequence} at offset ${offset}`
    if (offset !== this.#nextOffset) this.#report('gap', `${what}, expected ${this.#nextOffset}`)
    this.#nextOffset = offset + 1
    const writer = this.#writers.get(writerId)
    if (writer === undefined || sequence >= writer.sent) {
      this.#report('phantom', `${what} was never sent here`)
      return
    }
    if (!intact) this.#report('changed', what)
    if (writer.isFailed(sequence)) this.#report('aborted-read', what)
    this.#checkPlace(writer, sequence, offset)
    this.#checkEarlierRead(offset, writerId, sequence)
  }

  /** A message that some reader met, at any time and on any replica: it must stay where it is. */
  glimpse(offset: number, writerId: number, sequence: number): void {
    const before = this.#anomalies
    this.#anomalies = this.#glimpsed
    const writer = this.#writers.get(writerId)
    if (writer === undefined || sequence >= writer.sent) {
      this.#report('phantom', `message ${writerId}-${sequence} at offset ${offset} is of nobody`)
    }
    this.#checkEarlierRead(offset, writerId, sequence)
    this.#anomalies = before
    this.#knownLength = Math.max(this.#knownLength, offset + 1)
  }

  /** A value that names no message at all. */
  readUnknown(offset: number, shown: string): void {
    this.#report('phantom', `offset ${offset} holds ${shown}`)
    this.#nextOffset = offset + 1
  }

  /** Ends the read at the newest message; everything that is wrong, in order of discovery. */
  endRead(): readonly Anomaly[] {
    if (this.#nextOffset < this.#knownLength) {
      const detail = `the log ends at ${this.#nextOffset}, an earlier read saw ${this.#knownLength}`
      this.#report('vanished', detail)
    }
    this.#knownLength = Math.max(this.#knownLength, this.#nextOffset)
    for (const writer of this.#writers.values()) this.#checkAcks(writer)
    const hidden = this.#anomalies.length - DESCRIBED_MAX
    if (hidden <= 0) return this.#anomalies
    const last = this.#anomalies[DESCRIBED_MAX]
    return [
      ...this.#anomalies.slice(0, DESCRIBED_MAX),
      { kind: last?.kind ?? 'lost', detail: `… and ${hidden} more` },
    ]
  }

  /** Messages found by the last read. */
  get length(): number {
    return this.#nextOffset
  }

  #checkPlace(writer: Writer, sequence: number, offset: number): void {
    const what = `message ${writer.id}-${sequence}`
    const before = writer.seenAt(sequence)
    if (before !== NOWHERE) this.#report('duplicate', `${what} at ${before} and ${offset}`)
    else writer.see(sequence, offset)
    const last = this.#lastSequence.get(writer.id) ?? NOWHERE
    if (sequence < last) this.#report('reordered', `${what} at ${offset} follows ${last}`)
    this.#lastSequence.set(writer.id, Math.max(last, sequence))
  }

  #checkEarlierRead(offset: number, writerId: number, sequence: number): void {
    const known = this.#writerAt.get(offset)
    if (known === NOWHERE) {
      this.#writerAt.set(offset, writerId)
      this.#sequenceAt.set(offset, sequence)
    } else if (known !== writerId || this.#sequenceAt.get(offset) !== sequence) {
      const earlier = `${known}-${this.#sequenceAt.get(offset)}`
      this.#report('two-values', `offset ${offset}: ${earlier}, then ${writerId}-${sequence}`)
    }
  }

  #checkAcks(writer: Writer): void {
    for (let sequence = 0; sequence < writer.sent; sequence++) {
      const acked = writer.ackedAt(sequence)
      if (acked === NOWHERE) continue
      const seen = writer.seenAt(sequence)
      const what = `message ${writer.id}-${sequence}, acknowledged at ${acked}`
      if (seen === NOWHERE) this.#report('lost', what)
      else if (seen !== acked) this.#report('moved', `${what}, found at ${seen}`)
    }
  }

  #report(kind: AnomalyKind, detail: string): void {
    this.#anomalies.push({ kind, detail: `${this.name}: ${detail}` })
  }
}
