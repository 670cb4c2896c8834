import { AckWriter, textFieldSize, writeCorrelationId, type AckFields } from './ack-writer.ts'
import { GRPC_PREFIX_BYTES, writeGrpcPrefix } from './grpc-prefix.ts'
import { DOES_NOT_FIT } from './message.ts'
import { varint32Size, writeVarint32 } from './varint.ts'

/**
 * Writes what PublishAsync answers for a stored or refused message: a gRPC prefix and a
 * `PublishResponse` of 1 ack and 3 correlationId, which both name the correlation id. A response
 * with an asyncError (field 2) has no ack and is rare: protobuf-es encodes it.
 */
export class PublishResponseWriter {
  readonly #acks: AckWriter

  /** `partitionSubject` is the subject of the stream, without the partition's number [LB 4.6]. */
  constructor(stream: string, partitionSubject: string) {
    this.#acks = new AckWriter(stream, partitionSubject)
  }

  /** Bytes of the response, prefix included. */
  size(ack: AckFields): number {
    return GRPC_PREFIX_BYTES + responseSize(this.#acks.size(ack), ack)
  }

  /** Writes the response and returns the position after it, or DOES_NOT_FIT and writes nothing. */
  write(target: Uint8Array, at: number, ack: AckFields): number {
    const ackSize = this.#acks.size(ack)
    const size = responseSize(ackSize, ack)
    if (at + GRPC_PREFIX_BYTES + size > target.length) return DOES_NOT_FIT
    let position = writeGrpcPrefix(target, at, size)
    target[position] = 0x0a
    position = writeVarint32(target, position + 1, ackSize)
    position = this.#acks.write(target, position, ack)
    return writeCorrelationId(target, position, 0x1a, ack)
  }
}

function responseSize(ackSize: number, ack: AckFields): number {
  const idSize = textFieldSize(ack.correlationIdEnd - ack.correlationIdStart)
  return 1 + varint32Size(ackSize) + ackSize + idSize
}
