import { fromBinary, type DescMessage, type MessageShape } from '@bufbuild/protobuf'

/** The functions and types of protobuf-es that work on the schemas of this package. */
export { create, equals, fromBinary, fromJson, toBinary, toJson } from '@bufbuild/protobuf'
export type { DescMessage, DescService, MessageInitShape, MessageShape } from '@bufbuild/protobuf'

export type DecodedMessage<Desc extends DescMessage> =
  | { readonly kind: 'message'; readonly message: MessageShape<Desc> }
  | { readonly kind: 'rejected'; readonly reason: string }

/** Decodes bytes that may be anything. A malformed message is a value, not a throw. */
export function decodeMessage<Desc extends DescMessage>(
  schema: Desc,
  bytes: Uint8Array,
): DecodedMessage<Desc> {
  try {
    return { kind: 'message', message: fromBinary(schema, bytes) }
  } catch (error) {
    // protobuf-es reports what it cannot read by throwing, whatever the bytes are.
    return { kind: 'rejected', reason: error instanceof Error ? error.message : String(error) }
  }
}
