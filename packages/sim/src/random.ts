/**
 * Chance by seed. The n-th draw at a site is a hash of (seed, site, n): a site that draws more, or
 * is removed, does not shift what the others get. That is what lets a failing run be shrunk by
 * taking its faults away one at a time [reliability 3a].
 */
export interface SimRandom {
  /** The stream of draws of one call site; the same object each time for the same name. */
  of(site: string): SimRandom
  /** Uniform in [0, 1). */
  next(): number
  /** Uniform whole number in [0, below); `below` is at least 1. */
  integer(below: number): number
  /** True with this probability, 0 to 1. */
  chance(probability: number): boolean
  pick<T>(choices: readonly [T, ...T[]]): T
  /** Fills with bytes of chance. */
  fill(bytes: Uint8Array): void
  /** 22 letters and digits, as the Random port of the server wants them. */
  id(): string
}

export function createSimRandom(seed: number | string): SimRandom {
  const text = `seed:${seed}`
  return new SeededRandom(hashText(text, 0x9e3779b9), hashText(text, 0x85ebca6b))
}

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

class SeededRandom implements SimRandom {
  readonly #firstKey: number
  readonly #secondKey: number
  readonly #sites = new Map<string, SimRandom>()
  #draws = 0

  constructor(firstKey: number, secondKey: number) {
    this.#firstKey = firstKey
    this.#secondKey = secondKey
  }

  of(site: string): SimRandom {
    let stream = this.#sites.get(site)
    if (stream === undefined) {
      stream = new SeededRandom(hashText(site, this.#firstKey), hashText(site, this.#secondKey))
      this.#sites.set(site, stream)
    }
    return stream
  }

  next(): number {
    return ((this.#word() >>> 5) * 2 ** 26 + (this.#word() >>> 6)) / 2 ** 53
  }

  integer(below: number): number {
    return Math.floor(this.next() * below)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.integer(choices.length)] ?? choices[0]
  }

  fill(bytes: Uint8Array): void {
    for (let index = 0; index < bytes.length; index++) bytes[index] = this.#word() >>> 24
  }

  id(): string {
    let id = ''
    while (id.length < 22) id += ALPHABET.charAt(this.integer(ALPHABET.length))
    return id
  }

  #word(): number {
    this.#draws = (this.#draws + 1) | 0
    return scramble(scramble(this.#draws ^ this.#firstKey) ^ this.#secondKey)
  }
}

/** A bijection of 32-bit words in which every input bit moves about half of the output bits. */
function scramble(word: number): number {
  let mixed = word
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
  return (mixed ^ (mixed >>> 15)) >>> 0
}

function hashText(text: string, start: number): number {
  let hash = start
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  return scramble(hash ^ text.length)
}
