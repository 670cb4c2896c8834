/** Turns stored records into frames of a Subscribe call, many per write. */
import type { ResponseStream } from '@liftbridge/grpc'
import { RecordView } from '@liftbridge/log'
import {
  DOES_NOT_FIT,
  MALFORMED_RECORD,
  type MessageWriter,
  type StoredRecord,
} from '@liftbridge/wire'
import { LiftbridgeError } from '../errors.ts'
import type { ValueCipher } from '../partition/encryption.ts'

/** One write; also what one subscription holds in memory besides the socket's own buffer. */
const SLAB_BYTES = 128 * 1_024
/** A subscription at the tail gets one message at a time: its buffer starts small. */
const FIRST_SLAB_BYTES = 2 * 1_024

export class MessageFrames {
  readonly #writer: MessageWriter
  readonly #out: ResponseStream
  readonly #cipher: ValueCipher | undefined
  #slab: Buffer = Buffer.allocUnsafeSlow(0)
  #used = 0
  /** Bytes of the last write: the next slab is about as large. */
  #lastBytes = FIRST_SLAB_BYTES

  constructor(options: {
    readonly writer: MessageWriter
    readonly out: ResponseStream
    readonly cipher: ValueCipher | undefined
  }) {
    this.#writer = options.writer
    this.#out = options.out
    this.#cipher = options.cipher
  }

  /** Adds a record; the result, when there is one, must be awaited before the next call. */
  add(record: StoredRecord): Promise<void> | undefined {
    const source = this.#cipher ? opened(this.#cipher, record) : record
    const end = this.#writer.write(this.#slab, this.#used, source)
    if (end >= 0) {
      this.#used = end
      return undefined
    }
    if (end === MALFORMED_RECORD) throw malformed(record)
    const behind = this.flush()
    const size = this.#writer.size(source)
    this.#slab = Buffer.allocUnsafeSlow(Math.max(size, this.#nextSlabBytes()))
    this.#used = this.#writer.write(this.#slab, 0, source)
    if (this.#used === DOES_NOT_FIT) throw malformed(record)
    return behind
  }

  /** Sends what was added. The slab passes to the socket; its rest is not used again. */
  flush(): Promise<void> | undefined {
    if (this.#used === 0) return undefined
    const frames = this.#slab.subarray(0, this.#used)
    this.#lastBytes = this.#used
    this.#slab = Buffer.allocUnsafeSlow(0)
    this.#used = 0
    return this.#out.write(frames) ? undefined : this.#out.drained()
  }

  #nextSlabBytes(): number {
    return Math.min(SLAB_BYTES, Math.max(FIRST_SLAB_BYTES, 4 * this.#lastBytes))
  }
}

function malformed(record: StoredRecord): LiftbridgeError {
  const reason = `record ${record.offset} is malformed`
  return new LiftbridgeError('subscribe.corrupt', { reason })
}

/** The same record with its value in clear; key and headers were never sealed. */
function opened(cipher: ValueCipher, record: StoredRecord): StoredRecord {
  const view = new RecordView()
  const at = record.bodyStart - FRAME_BYTES
  if (!view.load(record.bytes, at)) throw malformed(record)
  let value: Uint8Array
  try {
    value = cipher.open(record.bytes.subarray(view.valueStart, view.valueEnd))
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new LiftbridgeError('subscribe.encryption', { offset: record.offset, reason }, { cause })
  }
  const length = Buffer.alloc(4)
  length.writeInt32BE(value.length)
  const { bytes, bodyStart, bodyEnd } = record
  const body = Buffer.concat([
    bytes.subarray(bodyStart, view.valueStart - 4),
    length,
    value,
    bytes.subarray(view.valueEnd, bodyEnd),
  ])
  return { ...record, bytes: body, bodyStart: 0, bodyEnd: body.length }
}

const FRAME_BYTES = 28
