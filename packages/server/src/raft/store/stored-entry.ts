/**
 * A Raft entry as the value of a record. The record's checksum covers values and not offsets, so
 * index and term stand here. All integers are big-endian.
 *
 *     +0  1  version, 1
 *     +1  1  type, as on the wire: 0 command, 1 no-op, 4 barrier, 5 configuration
 *     +2  8  index
 *     +10 8  term
 *     +18 8  when it was appended, nanoseconds since 1970; the smallest int64: not known
 *     +26    data: of a command its bytes, of a configuration JSON
 */
import type { Entry } from '@liftbridge/raft'
import { fromStored, toStored } from './stored-configuration.ts'

const VERSION = 1
const HEADER_BYTES = 26
const NOT_KNOWN = -(2n ** 63n)
const TYPES = { command: 0, noop: 1, barrier: 4, configuration: 5 } as const

export const encodeEntry = (entry: Entry): Uint8Array => {
  const data = dataOf(entry)
  const bytes = new Uint8Array(HEADER_BYTES + data.length)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, VERSION)
  view.setUint8(1, TYPES[entry.kind])
  view.setBigUint64(2, BigInt(entry.index))
  view.setBigUint64(10, BigInt(entry.term))
  view.setBigInt64(18, entry.appendedAtNs ?? NOT_KNOWN)
  bytes.set(data, HEADER_BYTES)
  return bytes
}

/** A copy of what the value holds; undefined when it is not an entry. */
export const decodeEntry = (value: Uint8Array): Entry | undefined => {
  if (value.length < HEADER_BYTES || value[0] !== VERSION) return undefined
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength)
  const index = Number(view.getBigUint64(2))
  const term = Number(view.getBigUint64(10))
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(term)) return undefined
  const appendedAtNs = view.getBigInt64(18)
  const position = appendedAtNs === NOT_KNOWN ? { index, term } : { index, term, appendedAtNs }
  const data = value.slice(HEADER_BYTES)
  switch (value[1] ?? -1) {
    case TYPES.command:
      return { kind: 'command', ...position, data }
    case TYPES.noop:
      return { kind: 'noop', ...position }
    case TYPES.barrier:
      return { kind: 'barrier', ...position }
    case TYPES.configuration: {
      const configuration = fromStored(parseJson(data))
      if (configuration === undefined) return undefined
      return { kind: 'configuration', ...position, configuration }
    }
    default:
      return undefined
  }
}

const NO_DATA = new Uint8Array(0)

const dataOf = (entry: Entry): Uint8Array => {
  if (entry.kind === 'command') return entry.data
  if (entry.kind !== 'configuration') return NO_DATA
  return new TextEncoder().encode(JSON.stringify(toStored(entry.configuration)))
}

/** Parsed JSON; undefined when it is none. */
export const parseJson = (bytes: Uint8Array): unknown => {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return undefined
  }
}
