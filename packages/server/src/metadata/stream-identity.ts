import type { StreamIdentity } from '@liftbridge/metadata'
import { crc32c, decodeText, encodeText } from '@liftbridge/wire'

/**
 * The identity file of a stream's directory: one line of JSON, then the CRC-32C of that line
 * (with its line feed) in eight hexadecimal digits. The checksum tells a damaged file, which must
 * refuse the directory, from that of another incarnation, which would move the data aside.
 */
export const encodeIdentity = (stream: StreamIdentity): Uint8Array => {
  const line = `${JSON.stringify({
    stream: stream.name,
    incarnation: stream.incarnation,
    creationTimestampNs: String(stream.creationTimestampNs),
  })}\n`
  return encodeText(`${line}${checksumOf(line)}\n`)
}

/** Undefined when the bytes are anything but what `encodeIdentity` writes. */
export const decodeIdentity = (bytes: Uint8Array): StreamIdentity | undefined => {
  const text = decodeText(bytes)
  const end = text.indexOf('\n') + 1
  const line = text.slice(0, end)
  if (end === 0 || text.slice(end) !== `${checksumOf(line)}\n`) return undefined
  const fields = parse(line)
  if (typeof fields !== 'object' || fields === null) return undefined
  if (!('stream' in fields && 'incarnation' in fields && 'creationTimestampNs' in fields)) {
    return undefined
  }
  const { stream: name, incarnation, creationTimestampNs } = fields
  if (typeof name !== 'string' || typeof incarnation !== 'number') return undefined
  if (typeof creationTimestampNs !== 'string' || !/^-?[0-9]+$/.test(creationTimestampNs)) {
    return undefined
  }
  return { name, incarnation, creationTimestampNs: BigInt(creationTimestampNs) }
}

/**
 * Whether two identities are of one incarnation. An incarnation of 0 is unknown: the stream came
 * from a snapshot of Go Liftbridge, where only the creation time tells.
 */
export const sameIncarnation = (a: StreamIdentity, b: StreamIdentity): boolean =>
  a.name === b.name &&
  a.creationTimestampNs === b.creationTimestampNs &&
  (a.incarnation === b.incarnation || a.incarnation === 0 || b.incarnation === 0)

const checksumOf = (line: string): string => crc32c(encodeText(line)).toString(16).padStart(8, '0')

const parse = (line: string): unknown => {
  try {
    return JSON.parse(line)
  } catch {
    // Not JSON: the same answer as JSON of another shape.
    return undefined
  }
}
