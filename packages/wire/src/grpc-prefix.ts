/**
 * Every gRPC message is preceded by a flag byte (1: compressed) and its length as uint32,
 * big-endian. The hot codecs write it together with the message, so that a batch is one buffer.
 */
export const GRPC_PREFIX_BYTES = 5

/** Writes the prefix of an uncompressed message and returns where the message goes. */
export function writeGrpcPrefix(target: Uint8Array, at: number, messageBytes: number): number {
  target[at] = 0
  target[at + 1] = messageBytes >>> 24
  target[at + 2] = messageBytes >>> 16
  target[at + 3] = messageBytes >>> 8
  target[at + 4] = messageBytes
  return at + GRPC_PREFIX_BYTES
}
