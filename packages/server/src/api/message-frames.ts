/** Turns stored records into frames of a Subscribe call, many per write. */
import type { ResponseStream } from '@liftbridge/grpc'
import { FRAME_SIZE, RecordView } from '@liftbridge/log'
import {
  DOES_NOT_FIT,
  MALFORMED_RECORD,
  type MessageWriter,
  type StoredRecord,
} from '@liftbridge/wire'
import { LiftbridgeError } from '../errors.ts'
import type { ValueCipher } from '../partition/encryption.ts'
import { giveSlab, SLAB_BYTES, takeSlab } from './slabs.ts'
import { unreadMessages, type Reader } from './unread-messages.ts'

/** A subscription at the tail gets a message at a time: it does not need a whole slab for it. */
const SMALL_BYTES = 4 * 1_024
const NO_BYTES = Buffer.alloc(0)

export class MessageFrames implements Reader {
  readonly #writer: MessageWriter
  readonly #out: ResponseStream
  readonly #cipher: ValueCipher | undefined
  readonly #onCut: () => void
  #slab: Buffer = NO_BYTES
  #used = 0
  /** Bytes of the last write: the next one is about as large. */
  #lastBytes = 0

  constructor(options: {
    readonly writer: MessageWriter
    readonly out: ResponseStream
    readonly cipher: ValueCipher | undefined
    /** Ends the call: too much of what was sent is unread. */
    readonly onCut: () => void
  }) {
    this.#writer = options.writer
    this.#out = options.out
    this.#cipher = options.cipher
    this.#onCut = options.onCut
  }

  /** The subscription is over. */
  close(): void {
    unreadMessages.forget(this)
  }

  cut(): void {
    this.#onCut()
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
    this.#slab = this.#newBuffer(this.#writer.size(source))
    this.#used = this.#writer.write(this.#slab, 0, source)
    if (this.#used === DOES_NOT_FIT) throw malformed(record)
    return behind
  }

  /** Sends what was added; the buffer comes back when it has left the process. */
  flush(): Promise<void> | undefined {
    if (this.#used === 0) return undefined
    const slab = this.#slab
    const frames = slab.subarray(0, this.#used)
    this.#lastBytes = this.#used
    this.#slab = NO_BYTES
    this.#used = 0
    // The reader holds a large record in a buffer of its own until the next one is asked for.
    const length = slab.length > SLAB_BYTES ? 2 * slab.length : slab.length
    unreadMessages.add(this, length)
    const written = this.#out.write(frames, () => {
      unreadMessages.sent(this, length)
      giveSlab(slab)
    })
    return written ? undefined : this.#out.drained()
  }

  #newBuffer(size: number): Buffer {
    if (size > SLAB_BYTES) return Buffer.allocUnsafeSlow(size)
    if (size <= SMALL_BYTES && this.#lastBytes <= SMALL_BYTES / 2) {
      return Buffer.allocUnsafe(SMALL_BYTES)
    }
    return takeSlab()
  }
}

function malformed(record: StoredRecord): LiftbridgeError {
  const reason = `record ${record.offset} is malformed`
  return new LiftbridgeError('subscribe.corrupt', { reason })
}

/** The same record with its value in clear; key and headers were never sealed. */
function opened(cipher: ValueCipher, record: StoredRecord): StoredRecord {
  const view = new RecordView()
  const at = record.bodyStart - FRAME_SIZE
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
