import { encodeText } from './text.ts'
import { varintSize, writeVarint } from './varint.ts'

/**
 * Fields that are the same in every message of a partition or a subscription, encoded once when
 * the writer is made. Empty and zero fields are omitted, as proto3 does.
 */
export function constantFields(
  fields: readonly (readonly [number, string | number])[],
): Uint8Array<ArrayBuffer> {
  const parts: number[] = []
  for (const [number, value] of fields) {
    if (typeof value === 'number') {
      if (value !== 0) parts.push(number << 3, ...varint(value))
      continue
    }
    const text = encodeText(value)
    if (text.length > 0) parts.push((number << 3) | 2, ...varint(text.length), ...text)
  }
  return Uint8Array.from(parts)
}

function varint(value: number): Uint8Array {
  const bytes = new Uint8Array(varintSize(value))
  writeVarint(bytes, 0, value)
  return bytes
}
