/** Load over PublishAsync, recorded message by message in the history of its partition. */
import type { PartitionHistory, Writer } from './history.ts'
import { keyText, valueBytes, writeValue } from './payload.ts'
import { PREFIX_BYTES, type RawCall, type RawConnection } from './raw-grpc.ts'
import {
  type AckPolicy,
  ackPolicyNumber,
  bytesField,
  FieldReader,
  varintField,
} from './raw-messages.ts'

/** A partition under load: where it is, and what is known of it. */
export type Target = {
  readonly stream: string
  readonly partition: number
  readonly history: PartitionHistory
}

export type LoadCounts = {
  sent: number
  acked: Record<AckPolicy, number>
  failed: Map<string, number>
}

export function noCounts(): LoadCounts {
  return { sent: 0, acked: { LEADER: 0, ALL: 0, NONE: 0 }, failed: new Map() }
}

/** Errors after which the message is certainly not stored [reliability D5]; all others leave it open. */
const DEFINITE_ERRORS = new Set([1, 4, 5, 6, 7])
const POLICIES: readonly AckPolicy[] = ['LEADER', 'ALL', 'LEADER', 'ALL', 'NONE']

/** A bound for prefix, key, value, correlation id and policy of one message. */
const OTHER_FIELDS_MAX_BYTES = 320

let writersMade = 0

export type PublisherOptions = {
  readonly window: number
  /**
   * Until the first ack no more messages than this may wait for theirs; the whole window when
   * absent. Who gives up silent calls and tries again needs it: each try would leave a window
   * behind that a slow server has to work off first, and the next try would find it more silent
   * still.
   */
  readonly firstWindow?: number
  readonly counts: LoadCounts
  /** Taken in turn; a mix of all when absent. */
  readonly policies?: readonly AckPolicy[]
  readonly onAck?: () => void
}

/** One PublishAsync call: sends batches within a window until it is stopped or the server dies. */
export class Publisher {
  readonly #call: RawCall
  readonly #writer: Writer
  readonly #window: number
  readonly #firstWindow: number
  readonly #counts: LoadCounts
  readonly #reader = new FieldReader()
  readonly #inner = new FieldReader()
  /** The fields `stream` and `partition`, which every message of this writer has. */
  readonly #address: Buffer
  readonly #messageMaxBytes: number
  readonly #policies: readonly AckPolicy[]
  readonly #onAck: (() => void) | undefined
  #outstanding = 0
  #hasAck = false
  #stopped = false
  #fault: Error | undefined
  #wake: (() => void) | undefined

  constructor(connection: RawConnection, target: Target, options: PublisherOptions) {
    this.#policies = options.policies ?? POLICIES
    this.#onAck = options.onAck
    this.#call = connection.call('PublishAsync')
    this.#address = Buffer.concat([bytesField(3, target.stream), varintField(4, target.partition)])
    this.#messageMaxBytes = this.#address.length + OTHER_FIELDS_MAX_BYTES
    this.#writer = target.history.addWriter(writersMade++)
    this.#window = options.window
    this.#firstWindow = options.firstWindow ?? options.window
    this.#counts = options.counts
    this.#call.onMessages(
      (bytes, start, end) => this.#onResponse(bytes, start, end),
      () => this.#release(),
      (error) => {
        this.#fault = error
        this.close()
      },
    )
    this.#call.ended.then(() => this.stop()).catch(() => undefined)
  }

  /** Publishes `batch` messages at a time, `batchesPerSecond`, until stopped. */
  async run(batch: number, batchesPerSecond: number): Promise<void> {
    let began = performance.now()
    for (let sent = 0; !this.#stopped; sent++) {
      const dueMs = began + (sent * 1000) / batchesPerSecond
      // An ack that arrives ends a pause, but not the wait for the next batch's time.
      while (!this.#stopped && dueMs - performance.now() > 1) {
        await this.#pause(dueMs - performance.now())
      }
      const [hadAck, readyMs] = [this.#hasAck, performance.now()]
      while (!this.#stopped && this.#outstanding + batch > this.#openWindow) {
        await this.#pause(1_000)
      }
      // What the first ack held up is not made up for.
      if (!hadAck) began += performance.now() - readyMs
      if (this.#stopped) return
      this.#call.write(this.#encodeBatch(batch))
      if (this.#call.needsDrain) await this.#call.drained()
    }
  }

  stop(): void {
    this.#stopped = true
    this.#release()
  }

  /** Waits until every message that asked for an ack has an answer; false after `timeoutMs`. */
  async settle(timeoutMs: number): Promise<boolean> {
    const end = performance.now() + timeoutMs
    while (this.#outstanding > 0 && !this.#call.closed) {
      if (performance.now() > end) return false
      await this.#pause(20)
    }
    return this.#outstanding === 0
  }

  close(): void {
    this.stop()
    this.#call.cancel()
  }

  /** What the server sent that no server may send. */
  get fault(): Error | undefined {
    return this.#fault
  }

  get outstanding(): number {
    return this.#outstanding
  }

  get #openWindow(): number {
    return this.#hasAck ? this.#window : this.#firstWindow
  }

  #encodeBatch(batch: number): Buffer {
    const bytes = Buffer.allocUnsafe(batch * this.#messageMaxBytes)
    let at = 0
    for (let i = 0; i < batch; i++) at = this.#encode(bytes, at)
    this.#counts.sent += batch
    return bytes.subarray(0, at)
  }

  /** One length-prefixed PublishRequest. Load shares the machine with the server: no allocation here. */
  #encode(bytes: Buffer, start: number): number {
    const id = { writer: this.#writer.id, sequence: this.#writer.invoke() }
    const ackPolicy = this.#policyOf(id.sequence)
    if (ackPolicy !== 'NONE') this.#outstanding++
    const key = keyText(id)
    const correlationId = String(id.sequence)
    let at = start + PREFIX_BYTES
    if (key !== '') at = writeShortText(bytes, at, 1, key)
    bytes[at++] = 2 * 8 + 2
    at = writeLength(bytes, at, valueBytes(id.writer, id.sequence))
    at = writeValue(bytes, at, id)
    at += this.#address.copy(bytes, at)
    at = writeShortText(bytes, at, 7, correlationId)
    bytes[at++] = 8 * 8
    bytes[at++] = ackPolicyNumber[ackPolicy]
    bytes[start] = 0
    bytes.writeUInt32BE(at - start - PREFIX_BYTES, start + 1)
    return at
  }

  /** PublishResponse { 1 ack { 4 offset }, 2 asyncError { 1 code, 2 message }, 3 correlationId } */
  #onResponse(bytes: Buffer, start: number, end: number): void {
    let offset = 0
    let sequence = -1
    let error: { code: number; message: string } | undefined
    this.#reader.reset(bytes, start, end)
    while (this.#reader.next()) {
      const { field } = this.#reader
      if (field === 1) offset = this.#ackOffset(bytes)
      else if (field === 2) error = this.#asyncError(bytes)
      else if (field === 3) {
        sequence = Number(bytes.toString('latin1', this.#reader.start, this.#reader.end))
      }
    }
    if (sequence < 0) throw new Error('a response without a correlation id')
    const policy = this.#policyOf(sequence)
    if (policy !== 'NONE') this.#outstanding--
    if (error === undefined) {
      this.#writer.ok(sequence, offset)
      this.#counts.acked[policy]++
      this.#hasAck = true
      this.#onAck?.()
      return
    }
    if (DEFINITE_ERRORS.has(error.code)) this.#writer.failed(sequence)
    const text = `${error.code} ${error.message}`
    this.#counts.failed.set(text, (this.#counts.failed.get(text) ?? 0) + 1)
  }

  #policyOf(sequence: number): AckPolicy {
    return this.#policies[sequence % this.#policies.length] ?? 'LEADER'
  }

  #ackOffset(bytes: Buffer): number {
    this.#inner.reset(bytes, this.#reader.start, this.#reader.end)
    let offset = 0
    while (this.#inner.next()) if (this.#inner.field === 4) offset = this.#inner.value
    return offset
  }

  #asyncError(bytes: Buffer): { code: number; message: string } {
    this.#inner.reset(bytes, this.#reader.start, this.#reader.end)
    const error = { code: 0, message: '' }
    while (this.#inner.next()) {
      if (this.#inner.field === 1) error.code = this.#inner.value
      if (this.#inner.field === 2) {
        error.message = bytes.toString('utf8', this.#inner.start, this.#inner.end)
      }
    }
    return error
  }

  #release(): void {
    this.#wake?.()
    this.#wake = undefined
  }

  /** Until something arrived, or `ms` passed. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(ms, 0))
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

/** A bytes field below 128 bytes. */
function writeShortText(bytes: Buffer, start: number, field: number, text: string): number {
  bytes[start] = field * 8 + 2
  bytes[start + 1] = text.length
  return start + 2 + bytes.write(text, start + 2, 'latin1')
}

/** A length below 2^14. */
function writeLength(bytes: Buffer, start: number, length: number): number {
  if (length < 128) {
    bytes[start] = length
    return start + 1
  }
  bytes[start] = (length & 127) | 128
  bytes[start + 1] = length >> 7
  return start + 2
}
