import type { SimDisk } from './disk.ts'

/**
 * A slow and plain second reader of log files, which shares no code with package `log`: what it
 * finds on a crashed disk is what recovery has to find [LB 2.2].
 */
export interface TwinRecord {
  readonly offset: number
  readonly epoch: number
  readonly key: string | undefined
  readonly value: string | undefined
}

/** The records of a directory's log files, each up to its first byte that does not hold. */
export function twinRecords(disk: SimDisk, directory: string): TwinRecord[] {
  const records: TwinRecord[] = []
  for (const path of disk.files(directory)) {
    const name = path.slice(directory.length + 1)
    if (/^\d{20}\.log$/.test(name))
      records.push(...twinScan(disk.content(path), Number(name.slice(0, 20))))
  }
  return records
}

function twinScan(bytes: Uint8Array, baseOffset: number): TwinRecord[] {
  const buffer = Buffer.from(bytes)
  const records: TwinRecord[] = []
  let least = baseOffset
  for (let at = 0; at + 28 <= buffer.length;) {
    const offset = Number(buffer.readBigInt64BE(at))
    const size = buffer.readUInt32BE(at + 24)
    const end = at + 28 + size
    if (offset < least || size < 16 || end > buffer.length) break
    if (slowCrc32c(buffer.subarray(at + 32, end)) !== buffer.readUInt32BE(at + 28)) break
    const epoch = Number(buffer.readBigUInt64BE(at + 16))
    records.push({ offset, epoch, ...keyAndValue(buffer, at + 34) })
    least = offset + 1
    at = end
  }
  return records
}

function keyAndValue(buffer: Buffer, start: number): Pick<TwinRecord, 'key' | 'value'> {
  const key = field(buffer, start)
  const value = field(buffer, key.end)
  return { key: key.text, value: value.text }
}

function field(
  buffer: Buffer,
  at: number,
): { readonly text: string | undefined; readonly end: number } {
  const size = buffer.readInt32BE(at)
  if (size < 0) return { text: undefined, end: at + 4 }
  return { text: buffer.toString('latin1', at + 4, at + 4 + size), end: at + 4 + size }
}

/** Castagnoli's polynomial, a bit at a time. */
function slowCrc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
  }
  return (crc ^ 0xffffffff) >>> 0
}
