/** Puts what a replica is to be sent into one response. */
import type { LogBlock, LogEnd, LogReader } from '@liftbridge/log'

export type Gathered =
  | {
      readonly kind: 'records'
      /** Room for the header, then whole records. */
      readonly response: Uint8Array<ArrayBuffer>
      readonly firstOffset: number
    }
  /** The reader can go no further, or there is nothing yet. */
  | { readonly kind: 'ended'; readonly end: LogEnd | undefined }

/** Shared by all partitions: it is filled and emptied between two awaits. */
let scratch = new Uint8Array(0)
/** A larger response, which a single large record makes, is put together in memory of its own. */
const SCRATCH_MAX_BYTES = 1024 * 1024

/**
 * Reads at least one record, whatever its size, and as many more as are in memory and fit
 * `limit` bytes [LB 7.A7]. One read from disk at most. Throws what the reader throws.
 */
export async function gatherRecords(
  reader: LogReader,
  room: { readonly limit: number; readonly headerBytes: number },
): Promise<Gathered> {
  const { headerBytes } = room
  const limit = Math.max(1, room.limit)
  const first = reader.tryNext({ maxBytes: limit }) ?? (await reader.poll({ maxBytes: limit }))
  if (first === undefined || first.kind === 'end') return { kind: 'ended', end: first }
  const { firstOffset } = first
  let used = first.end - first.start
  if (used >= limit) return { kind: 'records', response: copied(first, headerBytes), firstOffset }
  if (scratch.length < limit) scratch = new Uint8Array(Math.min(limit, SCRATCH_MAX_BYTES))
  const most = Math.min(limit, scratch.length)
  if (used > most) return { kind: 'records', response: copied(first, headerBytes), firstOffset }
  append(first, 0)
  for (let rest = most - used; rest > 0; rest = most - used) {
    const more = reader.tryNext({ maxBytes: rest })
    if (more === undefined) break
    const size = more.end - more.start
    // One record is returned even when it does not fit; the reader is set back for it.
    if (size > rest) {
      reader.close()
      break
    }
    append(more, used)
    used += size
  }
  const response = new Uint8Array(headerBytes + used)
  response.set(scratch.subarray(0, used), headerBytes)
  return { kind: 'records', response, firstOffset }
}

function append(block: LogBlock, at: number): void {
  scratch.set(block.bytes.subarray(block.start, block.end), at)
}

function copied(block: LogBlock, headerBytes: number): Uint8Array<ArrayBuffer> {
  const response = new Uint8Array(headerBytes + block.end - block.start)
  response.set(block.bytes.subarray(block.start, block.end), headerBytes)
  return response
}
