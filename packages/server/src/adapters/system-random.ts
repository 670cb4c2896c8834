import { randomFillSync } from 'node:crypto'
import type { Random } from '../clock.ts'

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const ID_LENGTH = 22

/** Bytes at and above this would make the first letters of the alphabet likelier. */
const UNBIASED_LIMIT = 256 - (256 % ALPHABET.length)

/** Enough for some ninety ids between calls into the generator. */
const POOL_BYTES = 2048

/**
 * The machine's randomness. Everything comes from the cryptographic generator, because ids serve
 * as inboxes and tokens that an outsider must not guess [reliability A4].
 */
export function createSystemRandom(): Random {
  return new SystemRandom()
}

class SystemRandom implements Random {
  readonly #pool = Buffer.allocUnsafe(POOL_BYTES)
  #used = POOL_BYTES

  next(): number {
    const high = this.#take(4) >>> 5
    const low = this.#take(4) >>> 6
    return (high * 2 ** 26 + low) / 2 ** 53
  }

  id(): string {
    let id = ''
    while (id.length < ID_LENGTH) {
      const byte = this.#take(1)
      if (byte < UNBIASED_LIMIT) id += ALPHABET.charAt(byte % ALPHABET.length)
    }
    return id
  }

  #take(bytes: number): number {
    if (this.#used + bytes > POOL_BYTES) {
      randomFillSync(this.#pool)
      this.#used = 0
    }
    const value = this.#pool.readUIntBE(this.#used, bytes)
    this.#used += bytes
    return value
  }
}
