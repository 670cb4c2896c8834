import { decodeText } from './text.ts'

/** Up to here a new key is compared with each one before it; beyond, a map finds it. */
const COMPARED_KEYS = 8
const NOTHING = new Uint8Array()

/**
 * The headers of a message, in place: positions of keys and values in `bytes`. Keys are unique: as
 * in any protobuf map, a key that comes again replaces the value of the first.
 *
 * For up to eight headers nothing is allocated. More of them cost a string each, so that a message
 * made of nothing but headers takes time in proportion to its length.
 */
export class HeaderList {
  bytes: Uint8Array = NOTHING
  count = 0
  keyStart: Int32Array = new Int32Array(COMPARED_KEYS)
  keyEnd: Int32Array = new Int32Array(COMPARED_KEYS)
  valueStart: Int32Array = new Int32Array(COMPARED_KEYS)
  valueEnd: Int32Array = new Int32Array(COMPARED_KEYS)
  #indexByKey: Map<string, number> | undefined

  reset(bytes: Uint8Array): void {
    this.bytes = bytes
    this.count = 0
    this.#indexByKey = undefined
    // One message with very many headers must not hold its arrays for ever.
    if (this.keyStart.length > 1024) this.#resize(COMPARED_KEYS)
  }

  /** Adds a header or replaces the value of the one with the same key. */
  put(keyStart: number, keyEnd: number, valueStart: number, valueEnd: number): void {
    const index = this.#indexFor(keyStart, keyEnd)
    if (index === this.count) {
      if (this.count === this.keyStart.length) this.#resize(this.count * 2)
      this.count++
    }
    this.keyStart[index] = keyStart
    this.keyEnd[index] = keyEnd
    this.valueStart[index] = valueStart
    this.valueEnd[index] = valueEnd
  }

  /** Whether the key of header `index` is `key`. */
  keyIs(index: number, key: Uint8Array): boolean {
    return this.#keyEquals(index, key, 0, key.length)
  }

  /** The index of the header with this key, or -1. */
  indexOf(key: Uint8Array): number {
    for (let index = 0; index < this.count; index++) if (this.keyIs(index, key)) return index
    return -1
  }

  /** Where the key stands, or `count` when it is new. */
  #indexFor(start: number, end: number): number {
    if (this.count >= COMPARED_KEYS) return this.#lookUp(start, end)
    for (let index = 0; index < this.count; index++) {
      if (this.#keyEquals(index, this.bytes, start, end)) return index
    }
    return this.count
  }

  #lookUp(start: number, end: number): number {
    if (this.#indexByKey === undefined) {
      this.#indexByKey = new Map()
      for (let index = 0; index < this.count; index++) {
        const [from, to] = [this.keyStart[index] as number, this.keyEnd[index] as number]
        this.#indexByKey.set(decodeText(this.bytes, from, to), index)
      }
    }
    const key = decodeText(this.bytes, start, end)
    const known = this.#indexByKey.get(key)
    if (known !== undefined) return known
    this.#indexByKey.set(key, this.count)
    return this.count
  }

  #keyEquals(index: number, other: Uint8Array, start: number, end: number): boolean {
    const from = this.keyStart[index] as number
    const length = (this.keyEnd[index] as number) - from
    if (length !== end - start) return false
    for (let step = 0; step < length; step++) {
      if (this.bytes[from + step] !== other[start + step]) return false
    }
    return true
  }

  #resize(length: number): void {
    const kept = Math.min(this.count, length)
    const grown = (old: Int32Array): Int32Array => {
      const array = new Int32Array(length)
      array.set(old.subarray(0, kept))
      return array
    }
    this.keyStart = grown(this.keyStart)
    this.keyEnd = grown(this.keyEnd)
    this.valueStart = grown(this.valueStart)
    this.valueEnd = grown(this.valueEnd)
  }
}
