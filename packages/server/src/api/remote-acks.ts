/**
 * Acks that come back through NATS, for messages whose partition is led elsewhere or that went to
 * a load-balance group. One inbox per stream, so that an ack of another stream on the same subject
 * is told apart: in Go Liftbridge the first ack wins, whoever sent it [LB clients 1, bug 6].
 */
import { encodeFrame } from '@liftbridge/grpc'
import { api, create, decodeEnvelopeOf, EnvelopeType, fromBinary, toBinary } from '@liftbridge/wire'
import type { BusSubscription } from '../bus.ts'
import { LiftbridgeError } from '../errors.ts'
import { wireError } from '../partition/ack.ts'
import type { ApiContext } from './context.ts'
import { asyncErrorFrame, errorOfAck } from './publish-answers.ts'

export class RemoteAcks {
  readonly #context: ApiContext
  readonly #onFrame: (frame: Uint8Array) => void
  readonly #inboxes = new Map<string, { bytes: Uint8Array; subscription: BusSubscription }>()

  /** `onFrame` gets a framed PublishResponse for every ack. */
  constructor(context: ApiContext, onFrame: (frame: Uint8Array) => void) {
    this.#context = context
    this.#onFrame = onFrame
  }

  /** The inbox for acks of this stream; undefined when no ack is wanted. Throws BusError. */
  inboxFor(stream: string, wanted: boolean): Uint8Array | undefined {
    if (!wanted) return undefined
    const known = this.#inboxes.get(stream)
    if (known) return known.bytes
    const inbox = this.#context.subjects.ackInbox(this.#context.random.id())
    const subscription = this.#context.publishes.subscribe(inbox, ({ data }) => {
      const ack = decodeAck(data)
      if (ack?.stream === stream) this.#onFrame(frameOf(ack))
    })
    const entry = { bytes: Buffer.from(inbox), subscription }
    this.#inboxes.set(stream, entry)
    return entry.bytes
  }

  close(): void {
    for (const { subscription } of this.#inboxes.values()) subscription.unsubscribe()
    this.#inboxes.clear()
  }
}

/** The ack in a NATS payload, undefined when it is none. */
export function decodeAck(payload: Uint8Array): api.Ack | undefined {
  const envelope = decodeEnvelopeOf(EnvelopeType.Ack, payload)
  if (envelope.kind !== 'envelope') return undefined
  try {
    return fromBinary(api.AckSchema, payload.subarray(envelope.payloadStart))
  } catch {
    // Not protobuf: whoever sent it is no server of ours.
    return undefined
  }
}

function frameOf(ack: api.Ack): Uint8Array {
  const error = errorOfAck(wireError(ack.ackError))
  if (error instanceof LiftbridgeError) return asyncErrorFrame(error, ack.correlationId)
  const response = create(api.PublishResponseSchema, { ack, correlationId: ack.correlationId })
  return encodeFrame(toBinary(api.PublishResponseSchema, response))
}
