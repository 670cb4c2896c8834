import { AckWriter, type AckFields } from './ack-writer.ts'
import { ENVELOPE_HEADER_BYTES, EnvelopeType, writeEnvelopeHeader } from './envelope.ts'
import { DOES_NOT_FIT } from './message.ts'

/** Writes the acks of one partition for NATS inboxes: an envelope of type Ack around an `Ack`. */
export class AckEnvelopeWriter {
  readonly #acks: AckWriter

  /** `partitionSubject` is the subject of the stream, without the partition's number [LB 4.6]. */
  constructor(stream: string, partitionSubject: string) {
    this.#acks = new AckWriter(stream, partitionSubject)
  }

  /** Bytes of the envelope. */
  size(ack: AckFields): number {
    return ENVELOPE_HEADER_BYTES + this.#acks.size(ack)
  }

  /** Writes the envelope and returns the position after it, or DOES_NOT_FIT and writes nothing. */
  write(target: Uint8Array, at: number, ack: AckFields): number {
    if (at + this.size(ack) > target.length) return DOES_NOT_FIT
    return this.#acks.write(target, writeEnvelopeHeader(target, at, EnvelopeType.Ack), ack)
  }
}
