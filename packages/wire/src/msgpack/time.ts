import { readInt32, readUint32 } from '../big-endian.ts'
import { WireError } from '../wire-error.ts'
import type { Codec } from './codec.ts'
import type { MsgpackReader } from './reader.ts'

/** Seconds from Go's zero time, 0001-01-01T00:00:00Z, to the Unix epoch. */
const UNIX_EPOCH_S = 62_135_596_800n
const NS_PER_S = 1_000_000_000n
const INT64 = 64
/** The years 1677 to 2262. */
const LATEST_NS = 2n ** 63n - 1n

/**
 * A Go `time.Time` as nanoseconds since the Unix epoch; undefined is Go's zero time. Written in UTC
 * as the text of Go's binary form:
 *
 *     0      version, 1 (2 has a byte of seconds of the zone at the end)
 *     1-8    seconds since 0001-01-01T00:00:00Z, int64
 *     9-12   nanoseconds, int32
 *     13-14  minutes east of UTC, int16; -1 stands for UTC
 *
 * Read are also nil and the MessagePack timestamps of 4, 8 and 12 bytes. The zone is forgotten: it
 * changes how an instant is shown, not the instant. An instant whose nanoseconds need more than 64
 * bits is undefined too: it says nothing about when an entry was made, and whoever stores or sends
 * it would make another one of it.
 */
export const time: Codec<bigint | undefined> = {
  zero: undefined,
  write: (writer, value) => writer.bytes(goTime(value)),
  read: (reader) => {
    const instant = readTime(reader)
    const known = instant !== undefined && instant >= -LATEST_NS && instant <= LATEST_NS
    return known ? instant : undefined
  },
}

function goTime(value: bigint | undefined): Uint8Array {
  const form = new Uint8Array(15)
  const view = new DataView(form.buffer)
  view.setUint8(0, 1)
  if (value !== undefined) {
    const nanoseconds = ((value % NS_PER_S) + NS_PER_S) % NS_PER_S
    view.setBigInt64(1, (value - nanoseconds) / NS_PER_S + UNIX_EPOCH_S)
    view.setInt32(9, Number(nanoseconds))
  }
  view.setInt16(13, -1)
  return form
}

function readTime(reader: MsgpackReader): bigint | undefined {
  const instant = reader.instant()
  if (instant === undefined) return undefined
  const { head, bytes } = instant
  if (head >= 0xa0 && head < 0xc0 && isGoTime(bytes)) {
    const seconds = int64(bytes, 1)
    const nanoseconds = BigInt(readInt32(bytes, 9))
    if (seconds === 0n && nanoseconds === 0n) return undefined
    return (seconds - UNIX_EPOCH_S) * NS_PER_S + nanoseconds
  }
  switch (bytes.length) {
    case 4:
      return BigInt(readUint32(bytes, 0)) * NS_PER_S
    case 8: {
      const packed = BigInt.asUintN(INT64, int64(bytes, 0))
      return (packed & 0x3_ffff_ffffn) * NS_PER_S + (packed >> 34n)
    }
    case 12:
      return int64(bytes, 4) * NS_PER_S + BigInt(readUint32(bytes, 0))
    default:
      throw new WireError('malformed', `a time of ${bytes.length} bytes`)
  }
}

function isGoTime(bytes: Uint8Array): boolean {
  return (bytes[0] === 1 && bytes.length === 15) || (bytes[0] === 2 && bytes.length === 16)
}

function int64(bytes: Uint8Array, at: number): bigint {
  return (BigInt(readInt32(bytes, at)) << 32n) | BigInt(readUint32(bytes, at + 4))
}
