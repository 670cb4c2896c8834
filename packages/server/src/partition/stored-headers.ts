/**
 * The headers of a message in stored form: the publisher's own, then `subject` and `reply` as the
 * server saw them, which replace entries of the publisher with these names [LB data plane 1.5].
 */
import { MAX_HEADER_COUNT, MAX_HEADER_KEY_SIZE } from '@liftbridge/log'
import type { PublishView } from '@liftbridge/wire'
import { ARRIVAL_HEADERS, isArrivalHeader, type Arrival } from './arrival.ts'

const LENGTHS_BYTES = 6

/** Why the publisher's headers cannot be stored; longer keys crash Go servers [G6, LB 7.F2]. */
export function headersProblem(publish: PublishView): string | undefined {
  const { headers } = publish
  if (headers.count + ARRIVAL_HEADERS > MAX_HEADER_COUNT) {
    return `${headers.count} headers, at most ${MAX_HEADER_COUNT - ARRIVAL_HEADERS} are allowed`
  }
  for (let index = 0; index < headers.count; index++) {
    const size = (headers.keyEnd[index] as number) - (headers.keyStart[index] as number)
    if (size > MAX_HEADER_KEY_SIZE) {
      return `a key of ${size} bytes, at most ${MAX_HEADER_KEY_SIZE} are allowed`
    }
  }
  return undefined
}

export class StoredHeaders {
  #buffer = Buffer.alloc(256)
  /** Number of headers in the last result. */
  count = 0

  /** A view that is valid until the next call. `headersProblem` must have found nothing. */
  of(publish: PublishView, arrival: Arrival): Uint8Array {
    const { bytes, headers } = publish
    let at = 0
    this.count = ARRIVAL_HEADERS
    for (let index = 0; index < publish.headers.count; index++) {
      const keyStart = headers.keyStart[index] as number
      const keyEnd = headers.keyEnd[index] as number
      const valueStart = headers.valueStart[index] as number
      const valueEnd = headers.valueEnd[index] as number
      if (isArrivalHeader(bytes, keyStart, keyEnd)) continue
      const size = LENGTHS_BYTES + keyEnd - keyStart + valueEnd - valueStart
      this.#reserve(at, size + arrival.headers.length)
      at = this.#buffer.writeUInt16BE(keyEnd - keyStart, at)
      this.#buffer.set(bytes.subarray(keyStart, keyEnd), at)
      at += keyEnd - keyStart
      at = this.#buffer.writeUInt32BE(valueEnd - valueStart, at)
      this.#buffer.set(bytes.subarray(valueStart, valueEnd), at)
      at += valueEnd - valueStart
      this.count++
    }
    this.#reserve(at, arrival.headers.length)
    this.#buffer.set(arrival.headers, at)
    return this.#buffer.subarray(0, at + arrival.headers.length)
  }

  #reserve(used: number, more: number): void {
    if (used + more <= this.#buffer.length) return
    const grown = Buffer.alloc(2 * (used + more))
    grown.set(this.#buffer.subarray(0, used))
    this.#buffer = grown
  }
}
