/** Whole reads and writes over a port that may do less than it was asked. */
import { type Disk, DiskError, type DiskFile } from './disk.ts'
import type { Position } from './units.ts'

/** A run of bytes in a buffer. */
export interface Span {
  readonly bytes: Uint8Array
  readonly start: number
  readonly length: number
}

/**
 * Up to this many bytes are written on the calling thread. A hop to the thread pool costs more than
 * copying 128 KiB into the page cache: batches of 50 to 120 KiB took 0.9 to 1.1 µs CPU per 200-byte
 * record by the pool and 0.6 to 0.7 µs so. Larger writes would hold up the others for too long.
 */
export const SYNC_WRITE_MAX_BYTES: number = 128 * 1024

/** Writes all of `span` at `position`, completing short writes [reliability 0.10]. */
export async function writeAll(file: DiskFile, span: Span, position: Position): Promise<void> {
  let done = 0
  while (done < span.length) {
    const rest = span.length - done
    const written = await file.write(span.bytes, span.start + done, rest, position + done)
    if (written <= 0) throw stalled('write')
    done += written
  }
}

/** The same on the calling thread. */
export function writeAllSync(file: DiskFile, span: Span, position: Position): void {
  let done = 0
  while (done < span.length) {
    const rest = span.length - done
    const written = file.writeSync(span.bytes, span.start + done, rest, position + done)
    if (written <= 0) throw stalled('write')
    done += written
  }
}

/** Fills `span` from `position` as far as the file goes; the number of bytes read. */
export async function readAll(file: DiskFile, span: Span, position: Position): Promise<number> {
  let done = 0
  while (done < span.length) {
    const rest = span.length - done
    const read = await file.read(span.bytes, span.start + done, rest, position + done)
    if (read <= 0) break
    done += read
  }
  return done
}

/** The whole of a small file, or undefined when it is missing or larger than `maxBytes`. */
export async function readSmallFile(
  disk: Disk,
  path: string,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  let file: DiskFile
  try {
    file = await disk.open(path)
  } catch (error) {
    if (error instanceof DiskError && error.code === 'not-found') return undefined
    throw error
  }
  try {
    const size = await file.size()
    if (size > maxBytes) return undefined
    const bytes = new Uint8Array(size)
    const read = await readAll(file, { bytes, start: 0, length: size }, 0)
    return bytes.subarray(0, read)
  } finally {
    await file.close()
  }
}

/** Replaces a file so that a crash leaves the old or the new one, never a mixture [T5]. */
export async function replaceFile(
  disk: Disk,
  target: { readonly directory: string; readonly name: string },
  bytes: Uint8Array,
): Promise<void> {
  const path = `${target.directory}/${target.name}`
  const temporary = `${path}${TEMPORARY_SUFFIX}`
  const file = await disk.open(temporary, { create: true })
  try {
    await file.truncate(0)
    await writeAll(file, { bytes, start: 0, length: bytes.length }, 0)
    await file.sync()
  } finally {
    await file.close()
  }
  await disk.rename(temporary, path)
  await disk.syncDirectory(target.directory)
}

/** Ends the names of files that are being written; an opener removes them. */
export const TEMPORARY_SUFFIX = '.tmp'

function stalled(what: string): DiskError {
  return new DiskError('io', '', `a ${what} made no progress`)
}
