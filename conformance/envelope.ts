/**
 * NATS envelopes as another implementation would write them, kept apart from package `wire` so that
 * a mistake there cannot hide itself. Layout: magic, version 0, header length, flags, type, and,
 * when flag bit 0 is set, the CRC-32C of the payload.
 */
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader'
import type { Ack, AckPolicyName } from './api-types.ts'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const definitions = loadSync(join(root, 'packages/wire/proto/api.proto'), {
  longs: String,
  enums: String,
  defaults: true,
})

export const MAGIC: Buffer = Buffer.from([0xb9, 0x0e, 0x43, 0xb4])
const ACK_TYPE = 1

export type EnvelopedMessage = {
  readonly key?: Uint8Array
  readonly value?: Uint8Array
  readonly headers?: Readonly<Record<string, Uint8Array>>
  readonly ackInbox?: string
  readonly correlationId?: string
  readonly ackPolicy?: AckPolicyName
  /** The expected offset travels in the message's offset field. */
  readonly offset?: number
}

function typeOf<I, O>(name: string): MessageTypeDefinition<I, O> {
  const definition = definitions[name]
  if (definition === undefined) throw new Error(`api.proto has no ${name}`)
  return definition as unknown as MessageTypeDefinition<I, O>
}

/** A Publish envelope without a checksum, as the server itself writes them. */
export function publishEnvelope(message: EnvelopedMessage): Buffer {
  return frame(Buffer.from([0, 8, 0, 0]), serialize(message))
}

/** A Publish envelope with the checksum flag; `corrupt` makes the checksum wrong. */
export function checkedEnvelope(message: EnvelopedMessage, corrupt = false): Buffer {
  const payload = serialize(message)
  const header = Buffer.from([0, 12, 1, 0, 0, 0, 0, 0])
  header.writeUInt32BE((crc32c(payload) ^ (corrupt ? 1 : 0)) >>> 0, 4)
  return frame(header, payload)
}

/** Any header bytes after the magic, followed by any payload. */
export function frame(header: Uint8Array, payload: Uint8Array): Buffer {
  return Buffer.concat([MAGIC, header, payload])
}

/** The Ack in an envelope; throws when the bytes are no Ack envelope. */
export function decodeAck(envelope: Uint8Array): Ack {
  const bytes = Buffer.from(envelope)
  if (!bytes.subarray(0, 4).equals(MAGIC)) throw new Error('no envelope')
  if (bytes[4] !== 0 || bytes[7] !== ACK_TYPE) throw new Error('no Ack envelope')
  return typeOf<Ack, Ack>('proto.Ack').deserialize(bytes.subarray(bytes[5]))
}

export function serialize(message: EnvelopedMessage): Buffer {
  return typeOf<EnvelopedMessage, EnvelopedMessage>('proto.Message').serialize(message)
}

/** CRC-32C bit by bit: slow, plain, and not the code under test. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return (crc ^ 0xffffffff) >>> 0
}
