import { FRAME_PREFIX_BYTES } from './frames-out.ts'
import type { MessageChunk } from './message-chunk.ts'
import { GrpcError, GrpcStatus } from './status.ts'

/** What the slicer hands on: `compressed` says that at least one message carries the flag. */
export interface SlicedChunk extends MessageChunk {
  readonly compressed: boolean
}

export interface FrameSlicerOptions {
  /** Largest message, without its prefix. Checked when the prefix is known, before buffering. */
  readonly maxMessageBytes: number
  readonly onChunk: (chunk: SlicedChunk) => void
}

/**
 * Up to this size a message that was cut by a DATA border is joined with the whole read that
 * completes it, so that the consumer still gets one batch. Above, copying the read costs more
 * than a second chunk.
 */
const JOIN_MAX_BYTES = 128 * 1024

/**
 * Cuts a stream of DATA payloads into messages. A message inside one read costs no copy; one
 * that spans reads is gathered in a buffer that doubles, so a byte is copied O(1) times however
 * small the pieces are.
 *
 * Invariants: `#carried` bytes of `#carry` are the beginning of exactly one incomplete message;
 * its declared length, once known, is within the limit; the carry never exceeds twice what has
 * really arrived, whatever length a peer declares.
 */
export class FrameSlicer {
  readonly #maxMessageBytes: number
  readonly #onChunk: (chunk: SlicedChunk) => void
  #carry: Uint8Array = new Uint8Array(0)
  #carried = 0

  constructor(options: FrameSlicerOptions) {
    this.#maxMessageBytes = options.maxMessageBytes
    this.#onChunk = options.onChunk
  }

  /** Bytes of an incomplete message now held. */
  get carriedBytes(): number {
    return this.#carried
  }

  /**
   * Takes the next read. Complete messages before a fault are handed on first.
   * @throws GrpcError RESOURCE_EXHAUSTED for a message over the limit, INTERNAL for a bad flag.
   */
  push(read: Uint8Array): void {
    if (this.#carried === 0) return this.#cut(read)
    let at = 0
    if (this.#carried < FRAME_PREFIX_BYTES) {
      at = Math.min(FRAME_PREFIX_BYTES - this.#carried, read.length)
      this.#append(read.subarray(0, at))
      if (this.#carried < FRAME_PREFIX_BYTES) return
    }
    const missing = FRAME_PREFIX_BYTES + this.#checkedLength(this.#carry, 0) - this.#carried
    if (read.length - at < missing) return this.#append(read.subarray(at))
    this.#complete(read.subarray(at), missing)
  }

  /** @throws GrpcError INTERNAL when the stream ended inside a message. */
  end(): void {
    if (this.#carried > 0) throw new GrpcError(GrpcStatus.INTERNAL, 'unexpected EOF')
  }

  #complete(read: Uint8Array, missing: number): void {
    const carried = this.#carried
    const joined = carried + read.length <= JOIN_MAX_BYTES
    const whole = Buffer.allocUnsafe(carried + (joined ? read.length : missing))
    whole.set(this.#carry.subarray(0, carried), 0)
    whole.set(joined ? read : read.subarray(0, missing), carried)
    this.#carried = 0
    this.#carry = new Uint8Array(0)
    this.#cut(whole)
    if (!joined && read.length > missing) this.#cut(read.subarray(missing))
  }

  /** Costs per message: five byte reads and two pushes of small integers. */
  #cut(read: Uint8Array): void {
    const starts: number[] = []
    const ends: number[] = []
    let compressed = false
    let at = 0
    try {
      while (at + FRAME_PREFIX_BYTES <= read.length) {
        const length = this.#checkedLength(read, at)
        const start = at + FRAME_PREFIX_BYTES
        if (start + length > read.length) break
        if (read[at] === 1) compressed = true
        starts.push(start)
        at = start + length
        ends.push(at)
      }
    } finally {
      if (starts.length > 0) {
        this.#onChunk({ bytes: read, count: starts.length, starts, ends, compressed })
      }
    }
    if (at < read.length) this.#append(read.subarray(at))
  }

  #checkedLength(bytes: Uint8Array, at: number): number {
    const flag = bytes[at] ?? 0
    if (flag > 1) {
      throw new GrpcError(GrpcStatus.INTERNAL, `grpc: received unexpected payload format ${flag}`)
    }
    const length = readLength(bytes, at + 1)
    if (length > this.#maxMessageBytes) throw messageTooLarge(length, this.#maxMessageBytes)
    return length
  }

  #append(part: Uint8Array): void {
    const needed = this.#carried + part.length
    if (needed > this.#carry.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, 2 * this.#carry.length, 64))
      grown.set(this.#carry.subarray(0, this.#carried))
      this.#carry = grown
    }
    this.#carry.set(part, this.#carried)
    this.#carried = needed
  }
}

/** The text is Go's: clients compare it [LB clients 1]. */
export function messageTooLarge(bytes: number, maxBytes: number): GrpcError {
  return new GrpcError(
    GrpcStatus.RESOURCE_EXHAUSTED,
    `grpc: received message larger than max (${bytes} vs. ${maxBytes})`,
  )
}

function readLength(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16)
  return (high | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0
}
