/*
 * Wire grammar of a gRPC body: message = compressed-flag (1 byte, 0 or 1), length (4 bytes,
 * big-endian), payload. Any number of messages may share one DATA frame, and one message may
 * span many: writing a batch back to back is what makes streams fast.
 */

/** Bytes before each message. */
export const FRAME_PREFIX_BYTES = 5

/** Writes the prefix of a message of `length` bytes at `at`; returns where the message goes. */
export function writeFramePrefix(
  into: Uint8Array,
  at: number,
  length: number,
  compressed = false,
): number {
  into[at] = compressed ? 1 : 0
  into[at + 1] = length >>> 24
  into[at + 2] = length >>> 16
  into[at + 3] = length >>> 8
  into[at + 4] = length
  return at + FRAME_PREFIX_BYTES
}

/** One message with its prefix. */
export function encodeFrame(message: Uint8Array, compressed = false): Uint8Array {
  const frame = Buffer.allocUnsafe(FRAME_PREFIX_BYTES + message.length)
  frame.set(message, writeFramePrefix(frame, 0, message.length, compressed))
  return frame
}

/** Many messages, each with its prefix, in one buffer. */
export function encodeFrames(messages: readonly Uint8Array[]): Uint8Array {
  let total = 0
  for (const message of messages) total += FRAME_PREFIX_BYTES + message.length
  const frames = Buffer.allocUnsafe(total)
  let at = 0
  for (const message of messages) {
    at = writeFramePrefix(frames, at, message.length)
    frames.set(message, at)
    at += message.length
  }
  return frames
}
