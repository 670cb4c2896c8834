/**
 * Where a message arrived: its NATS subject and reply subject, with the two headers in which every
 * stored record carries them [LB data plane 1.5], already in stored form:
 *
 *     u16 key length, key, u32 value length, value
 */
export type Arrival = {
  readonly subject: string
  readonly subjectBytes: Uint8Array
  readonly reply: string
  /** `subject` and `reply`, in stored form. */
  readonly headers: Uint8Array
}

export const ARRIVAL_HEADERS = 2

/** Names a publisher cannot set: the server's values replace them. */
const SUBJECT_HEADER = Buffer.from('subject')
const REPLY_HEADER = Buffer.from('reply')

/** Arrivals remembered without a reply subject: a stream on a wildcard sees many subjects. */
const CACHE_MAX = 1_024

const cache = new Map<string, Arrival>()

export function arrivalAt(subject: string, reply: string): Arrival {
  if (reply !== '') return make(subject, reply)
  const known = cache.get(subject)
  if (known) return known
  const arrival = make(subject, '')
  if (cache.size >= CACHE_MAX) cache.clear()
  cache.set(subject, arrival)
  return arrival
}

function make(subject: string, reply: string): Arrival {
  const subjectBytes = Buffer.from(subject)
  const headers = Buffer.concat([
    storedHeader(SUBJECT_HEADER, subjectBytes),
    storedHeader(REPLY_HEADER, Buffer.from(reply)),
  ])
  return { subject, subjectBytes, reply, headers }
}

function storedHeader(key: Buffer, value: Buffer): Buffer {
  const lengths = Buffer.alloc(6)
  lengths.writeUInt16BE(key.length, 0)
  lengths.writeUInt32BE(value.length, 2)
  return Buffer.concat([lengths.subarray(0, 2), key, lengths.subarray(2), value])
}

/** True for `subject` and `reply`. */
export function isArrivalHeader(bytes: Uint8Array, start: number, end: number): boolean {
  const name =
    end - start === SUBJECT_HEADER.length
      ? SUBJECT_HEADER
      : end - start === REPLY_HEADER.length
        ? REPLY_HEADER
        : undefined
  if (!name) return false
  for (let index = 0; index < name.length; index++) {
    if (bytes[start + index] !== name[index]) return false
  }
  return true
}
