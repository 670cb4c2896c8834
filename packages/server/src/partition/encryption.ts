/**
 * Encryption at rest, as Go Liftbridge stores it [LB data plane 2.8]. Only the value is sealed:
 *
 *     sealed value = W:1  wrapped-key:W  nonce:12  ciphertext  tag:16
 *
 * with AES-256-GCM under a data key of 32 random bytes, itself wrapped with AES-KWP (RFC 5649)
 * under the master key, the bytes of LIFTBRIDGE_ENCRYPTION_KEY (16 or 32 of them). W is 40.
 *
 * The wrapped key is computed once per partition and unwrapped keys are remembered, where the
 * original repeats both for every message.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

const DATA_KEY_BYTES = 32
const WRAPPED_KEY_BYTES = 40
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** RFC 5649 section 3: the alternative initial value that OpenSSL completes with the length. */
const KWP_INITIAL_VALUE = Buffer.from('A65959A6', 'hex')
/** Data keys remembered for reading; a partition has one per start of a leader. */
const UNWRAPPED_KEYS_MAX = 64

/** Bytes that sealing adds to a value. */
export const SEALED_OVERHEAD_BYTES: number = 1 + WRAPPED_KEY_BYTES + NONCE_BYTES + TAG_BYTES

/** Why a master key cannot be used, in the words of the library Go Liftbridge uses; undefined if it can. */
export function masterKeyProblem(key: Uint8Array | undefined): string | undefined {
  const length = key?.length ?? 0
  if (length === 16 || length === 32) return undefined
  return `kwp: invalid AES key size; want 16 or 32, got ${length}`
}

export class ValueCipher {
  readonly #master: Uint8Array
  readonly #unwrapped = new Map<string, Buffer>()
  #dataKey: Buffer | undefined
  #wrappedKey: Buffer | undefined

  /** `master` must have passed `masterKeyProblem`. */
  constructor(master: Uint8Array) {
    this.#master = master
  }

  /** A key and a nonce may be given to reproduce a vector; nothing else may give them. */
  seal(value: Uint8Array, fixed?: { readonly dataKey: Buffer; readonly nonce: Buffer }): Buffer {
    const dataKey = fixed?.dataKey ?? (this.#dataKey ??= randomBytes(DATA_KEY_BYTES))
    const wrapped = fixed ? this.#wrap(dataKey) : (this.#wrappedKey ??= this.#wrap(dataKey))
    const nonce = fixed?.nonce ?? randomBytes(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', dataKey, nonce)
    const body = cipher.update(value)
    const rest = cipher.final()
    return Buffer.concat([
      Buffer.from([wrapped.length]),
      wrapped,
      nonce,
      body,
      rest,
      cipher.getAuthTag(),
    ])
  }

  /** Throws an Error whose text is safe to show when the value is not one this key sealed. */
  open(sealed: Uint8Array): Buffer {
    const wrappedLength = sealed[0] ?? 0
    const nonceAt = 1 + wrappedLength
    const bodyAt = nonceAt + NONCE_BYTES
    const tagAt = sealed.length - TAG_BYTES
    if (wrappedLength === 0 || tagAt < bodyAt) throw new Error('sealed value is too short')
    const dataKey = this.#unwrap(sealed.subarray(1, nonceAt))
    const decipher = createDecipheriv('aes-256-gcm', dataKey, sealed.subarray(nonceAt, bodyAt))
    decipher.setAuthTag(sealed.subarray(tagAt))
    const body = decipher.update(sealed.subarray(bodyAt, tagAt))
    return Buffer.concat([body, decipher.final()])
  }

  #wrapCipherName(): string {
    return this.#master.length === 16 ? 'id-aes128-wrap-pad' : 'id-aes256-wrap-pad'
  }

  #wrap(dataKey: Buffer): Buffer {
    const cipher = createCipheriv(this.#wrapCipherName(), this.#master, KWP_INITIAL_VALUE)
    return Buffer.concat([cipher.update(dataKey), cipher.final()])
  }

  #unwrap(wrapped: Uint8Array): Buffer {
    const name = Buffer.from(wrapped).toString('latin1')
    const known = this.#unwrapped.get(name)
    if (known) return known
    const decipher = createDecipheriv(this.#wrapCipherName(), this.#master, KWP_INITIAL_VALUE)
    const dataKey = Buffer.concat([decipher.update(wrapped), decipher.final()])
    if (this.#unwrapped.size >= UNWRAPPED_KEYS_MAX) this.#unwrapped.clear()
    this.#unwrapped.set(name, dataKey)
    return dataKey
  }
}
