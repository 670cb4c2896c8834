/** SHA-256 [FIPS 180-4], for names too long for a directory and for digests of the state. */
export const sha256Hex = (message: Uint8Array): string => {
  const padded = pad(message)
  const view = new DataView(padded.buffer)
  const state = Uint32Array.of(
    0x6a09e667,
    0xbb67ae85,
    0x3c6ef372,
    0xa54ff53a,
    0x510e527f,
    0x9b05688c,
    0x1f83d9ab,
    0x5be0cd19,
  )
  const schedule = new Uint32Array(64)
  for (let block = 0; block < padded.length; block += 64) {
    for (let i = 0; i < 16; i += 1) schedule[i] = view.getUint32(block + 4 * i)
    extend(schedule)
    compress(state, schedule)
  }
  return [...state].map((word) => word.toString(16).padStart(8, '0')).join('')
}

/** The message, a 1 bit, zeros, and the length in bits: whole blocks of 64 bytes. */
const pad = (message: Uint8Array): Uint8Array<ArrayBuffer> => {
  const padded = new Uint8Array(Math.ceil((message.length + 9) / 64) * 64)
  padded.set(message)
  padded[message.length] = 0x80
  new DataView(padded.buffer).setBigUint64(padded.length - 8, BigInt(message.length) * 8n)
  return padded
}

/** Reads of typed arrays at indexes that are in range by construction. */
const at = (words: Uint32Array, index: number): number => words[index] ?? 0

const rotate = (word: number, bits: number): number => (word >>> bits) | (word << (32 - bits))

const extend = (schedule: Uint32Array): void => {
  for (let i = 16; i < 64; i += 1) {
    const w15 = at(schedule, i - 15)
    const w2 = at(schedule, i - 2)
    const s0 = rotate(w15, 7) ^ rotate(w15, 18) ^ (w15 >>> 3)
    const s1 = rotate(w2, 17) ^ rotate(w2, 19) ^ (w2 >>> 10)
    schedule[i] = at(schedule, i - 16) + s0 + at(schedule, i - 7) + s1
  }
}

const compress = (state: Uint32Array, schedule: Uint32Array): void => {
  // Eight working words a .. h at 0 .. 7; each round shifts them by one.
  const work = state.slice()
  for (let i = 0; i < 64; i += 1) {
    const a = at(work, 0)
    const b = at(work, 1)
    const c = at(work, 2)
    const e = at(work, 4)
    const choice = (e & at(work, 5)) ^ (~e & at(work, 6))
    const majority = (a & b) ^ (a & c) ^ (b & c)
    const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)
    const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)
    const t1 = at(work, 7) + s1 + choice + at(ROUND_CONSTANTS, i) + at(schedule, i)
    work.copyWithin(1, 0, 7)
    work[4] = at(work, 4) + t1
    work[0] = t1 + s0 + majority
  }
  for (let i = 0; i < 8; i += 1) state[i] = at(state, i) + at(work, i)
}

/** First 32 bits of the fractions of the cube roots of the first 64 primes. */
const ROUND_CONSTANTS = Uint32Array.of(
  0x428a2f98,
  0x71374491,
  0xb5c0fbcf,
  0xe9b5dba5,
  0x3956c25b,
  0x59f111f1,
  0x923f82a4,
  0xab1c5ed5,
  0xd807aa98,
  0x12835b01,
  0x243185be,
  0x550c7dc3,
  0x72be5d74,
  0x80deb1fe,
  0x9bdc06a7,
  0xc19bf174,
  0xe49b69c1,
  0xefbe4786,
  0x0fc19dc6,
  0x240ca1cc,
  0x2de92c6f,
  0x4a7484aa,
  0x5cb0a9dc,
  0x76f988da,
  0x983e5152,
  0xa831c66d,
  0xb00327c8,
  0xbf597fc7,
  0xc6e00bf3,
  0xd5a79147,
  0x06ca6351,
  0x14292967,
  0x27b70a85,
  0x2e1b2138,
  0x4d2c6dfc,
  0x53380d13,
  0x650a7354,
  0x766a0abb,
  0x81c2c92e,
  0x92722c85,
  0xa2bfe8a1,
  0xa81a664b,
  0xc24b8b70,
  0xc76c51a3,
  0xd192e819,
  0xd6990624,
  0xf40e3585,
  0x106aa070,
  0x19a4c116,
  0x1e376c08,
  0x2748774c,
  0x34b0bcb5,
  0x391c0cb3,
  0x4ed8aa4a,
  0x5b9cca4f,
  0x682e6ff3,
  0x748f82ee,
  0x78a5636f,
  0x84c87814,
  0x8cc70208,
  0x90befffa,
  0xa4506ceb,
  0xbef9a3f7,
  0xc67178f2,
)
