import type { SeededRandom } from './random.ts'

/** Numbers at which lengths and counts go wrong. */
const borders = [0, 1, -1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x7fffffff, -0x80000000]

export interface MutationSource {
  readonly random: SeededRandom
  readonly corpus: readonly Uint8Array[]
  readonly dictionary: readonly Uint8Array[]
  readonly inputMaxBytes: number
}

/** A changed copy of `input`: one to four changes, mostly small ones. */
export function mutate(input: Uint8Array, source: MutationSource): Uint8Array {
  let bytes: Uint8Array = input.slice()
  for (let changes = 1 + source.random.below(4); changes > 0; changes--) {
    bytes = changeOnce(bytes, source)
  }
  return bytes.length > source.inputMaxBytes ? bytes.slice(0, source.inputMaxBytes) : bytes
}

function changeOnce(bytes: Uint8Array, source: MutationSource): Uint8Array {
  const { random } = source
  const at = random.below(bytes.length + 1)
  switch (random.below(10)) {
    case 0:
      if (at < bytes.length) bytes[at] = random.below(256)
      return bytes
    case 1:
      if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))
      return bytes
    case 2:
      // Off by a little: lengths and counts that nearly fit.
      if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) + random.below(9) - 4
      return bytes
    case 3:
      return splice(bytes, at, 0, randomBytes(1 + random.below(16), random))
    case 4:
      return splice(bytes, at, 1 + random.below(8), new Uint8Array())
    case 5:
      return bytes.slice(0, at)
    case 6:
      return writeBorder(bytes, at, random)
    case 7:
      return dictionaryWord(bytes, at, source)
    case 8:
      return splice(bytes, at, random.below(2) * 4, partOf(random.pick(source.corpus), random))
    default:
      return splice(bytes, at, 0, repeated(partOf(bytes, random), 1 + random.below(8)))
  }
}

function dictionaryWord(bytes: Uint8Array, at: number, source: MutationSource): Uint8Array {
  const { random, dictionary } = source
  if (dictionary.length === 0) return bytes
  const word = random.pick(dictionary)
  return splice(bytes, at, random.below(2) * word.length, word)
}

/** Overwrites one, two or four bytes with a border number, in either byte order. */
function writeBorder(bytes: Uint8Array, at: number, random: SeededRandom): Uint8Array {
  const width = [1, 2, 4][random.below(3)] ?? 1
  if (bytes.length < width) return bytes
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const position = Math.min(at, bytes.length - width)
  const value = random.pick(borders)
  const little = random.below(2) === 1
  if (width === 1) view.setInt8(position, value)
  else if (width === 2) view.setInt16(position, value, little)
  else view.setInt32(position, value, little)
  return bytes
}

function splice(bytes: Uint8Array, at: number, removed: number, added: Uint8Array): Uint8Array {
  const rest = bytes.subarray(Math.min(at + removed, bytes.length))
  const result = new Uint8Array(at + added.length + rest.length)
  result.set(bytes.subarray(0, at))
  result.set(added, at)
  result.set(rest, at + added.length)
  return result
}

function partOf(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  const start = random.below(bytes.length)
  return bytes.subarray(start, start + 1 + random.below(Math.min(64, bytes.length - start)))
}

function repeated(part: Uint8Array, times: number): Uint8Array {
  const result = new Uint8Array(part.length * times)
  for (let index = 0; index < times; index++) result.set(part, index * part.length)
  return result
}

function randomBytes(length: number, random: SeededRandom): Uint8Array {
  const bytes = new Uint8Array(length)
  // Zeros keep length fields small, so that what follows them is still looked at.
  for (let index = 0; index < length; index++) {
    bytes[index] = random.below(3) === 0 ? 0 : random.below(256)
  }
  return bytes
}
