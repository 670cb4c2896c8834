import { promisify } from 'node:util'
import { gunzip, gunzipSync, gzipSync } from 'node:zlib'
import { encodeFrame, FRAME_PREFIX_BYTES, writeFramePrefix } from './frames-out.ts'
import { messageTooLarge, type SlicedChunk } from './frames-in.ts'
import { messageAt, type MessageChunk } from './message-chunk.ts'
import { GrpcError, GrpcStatus } from './status.ts'

/** What we can decode; the value of `grpc-accept-encoding` in both directions. */
export const ACCEPTED_ENCODINGS = 'identity,gzip'

export type Encoding = 'identity' | 'gzip'

/** The encoding of a `grpc-encoding` header; undefined for one we do not have. */
export function parseEncoding(header: string | undefined): Encoding | undefined {
  if (header === undefined || header === 'identity') return 'identity'
  return header === 'gzip' ? 'gzip' : undefined
}

/** Does the peer's `grpc-accept-encoding` allow gzip? */
export function acceptsGzip(header: string | undefined): boolean {
  return header !== undefined && header.split(',').some((name) => name.trim() === 'gzip')
}

/** Below this gzip makes most messages longer. */
const COMPRESS_MIN_BYTES = 256

/** Frames the messages found in `frames` again, gzipping those that gain from it. */
export function compressFrames(frames: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = []
  let at = 0
  while (at + FRAME_PREFIX_BYTES <= frames.length) {
    const length = new DataView(frames.buffer, frames.byteOffset + at + 1, 4).getUint32(0)
    const end = at + FRAME_PREFIX_BYTES + length
    const message = frames.subarray(at + FRAME_PREFIX_BYTES, end)
    const packed = length < COMPRESS_MIN_BYTES ? message : gzipSync(message)
    parts.push(packed.length < length ? encodeFrame(packed, true) : frames.subarray(at, end))
    at = end
  }
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts)
}

/** What inflates to at most this is inflated on the calling thread: that takes under 0.2 ms. */
const INFLATE_INLINE_MAX_BYTES = 64 * 1024
/** Enough inflated bytes for one hand-over; the rest of the chunk waits compressed. */
const INFLATE_BATCH_BYTES = 256 * 1024

const gunzipInPool = promisify(gunzip)

export interface InflatedChunk {
  readonly chunk: MessageChunk
  /** Index of the first message not yet inflated. */
  readonly next: number
}

/**
 * Inflates messages of a chunk from index `from` on, as many as fit in one hand-over but at
 * least one. A chunk of bombs is thus opened one message at a time, each bounded by the limit.
 * @throws GrpcError RESOURCE_EXHAUSTED over the limit, INTERNAL for what is not gzip.
 */
export async function inflate(
  chunk: SlicedChunk,
  from: number,
  maxMessageBytes: number,
): Promise<InflatedChunk> {
  const messages: Uint8Array[] = []
  let bytes = 0
  let index = from
  while (index < chunk.count && bytes < INFLATE_BATCH_BYTES) {
    const message = messageAt(chunk, index)
    const flagged = chunk.bytes[(chunk.starts[index] ?? 0) - FRAME_PREFIX_BYTES] === 1
    const plain = flagged ? await inflateMessage(message, maxMessageBytes) : message
    messages.push(plain)
    bytes += plain.length + FRAME_PREFIX_BYTES
    index++
  }
  return { chunk: packMessages(messages, bytes), next: index }
}

function packMessages(messages: readonly Uint8Array[], totalBytes: number): MessageChunk {
  const bytes = Buffer.allocUnsafe(totalBytes)
  const starts: number[] = []
  const ends: number[] = []
  let at = 0
  for (const message of messages) {
    at = writeFramePrefix(bytes, at, message.length)
    starts.push(at)
    bytes.set(message, at)
    at += message.length
    ends.push(at)
  }
  return { bytes, count: messages.length, starts, ends }
}

async function inflateMessage(packed: Uint8Array, maxMessageBytes: number): Promise<Uint8Array> {
  const inlineMax = Math.min(maxMessageBytes, INFLATE_INLINE_MAX_BYTES)
  try {
    return gunzipSync(packed, { maxOutputLength: Math.max(1, inlineMax) })
  } catch (error) {
    if (!isTooLarge(error)) throw notGzip(error)
    if (inlineMax >= maxMessageBytes) throw inflatedTooLarge(packed, maxMessageBytes)
  }
  try {
    return await gunzipInPool(packed, { maxOutputLength: maxMessageBytes })
  } catch (error) {
    throw isTooLarge(error) ? inflatedTooLarge(packed, maxMessageBytes) : notGzip(error)
  }
}

function isTooLarge(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE'
}

/** Gzip states the inflated size (modulo 2^32) in its last four bytes; good enough for a text. */
function inflatedTooLarge(packed: Uint8Array, maxMessageBytes: number): GrpcError {
  const view = new DataView(packed.buffer, packed.byteOffset + packed.length - 4, 4)
  return messageTooLarge(Math.max(view.getUint32(0, true), maxMessageBytes + 1), maxMessageBytes)
}

function notGzip(cause: unknown): GrpcError {
  return new GrpcError(GrpcStatus.INTERNAL, 'grpc: failed to decompress the received message', {
    cause,
  })
}
