/**
 * What a codec throws inside this package when bytes are not what they claim to be. Public decoders
 * turn it into a value; the MessagePack reader and writer, which are public as well, throw it.
 *
 * - `cut`: the bytes end too early;
 * - `malformed`: they are of another shape;
 * - `too-large`: a length, count or number exceeds its bound.
 */
export type WireErrorCode = 'cut' | 'malformed' | 'too-large'

export class WireError extends Error {
  readonly code: WireErrorCode

  constructor(code: WireErrorCode, message: string) {
    super(message)
    this.name = 'WireError'
    this.code = code
  }
}

/** A decoded value, or why there is none. What comes from elsewhere is never a throw. */
export type Decoded<Value> =
  | { readonly kind: 'message'; readonly message: Value }
  | { readonly kind: 'rejected'; readonly reason: string }

/** Runs a decoder that throws WireError; any other error is a defect of ours and passes. */
export function decodedBy<Value>(decode: () => Value): Decoded<Value> {
  try {
    return { kind: 'message', message: decode() }
  } catch (error) {
    if (error instanceof WireError) return { kind: 'rejected', reason: error.message }
    throw error
  }
}
