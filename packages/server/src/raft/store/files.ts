/** Whole files over the Disk port, whose reads and writes may do less than they were asked. */
import { DiskError, type Disk, type DiskFile } from '@liftbridge/log'

/** Ends the names of files and directories that are being written. */
export const TEMPORARY_SUFFIX = '.tmp'

/** The whole of a file; undefined when it is missing or larger than `maxBytes`. */
export const readFile = async (
  disk: Disk,
  path: string,
  maxBytes: number,
): Promise<Uint8Array | undefined> => {
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
    let filled = 0
    while (filled < size) {
      const count = await file.read(bytes, filled, size - filled, filled)
      if (count === 0) break
      filled += count
    }
    return bytes.subarray(0, filled)
  } finally {
    await file.close()
  }
}

/** Writes a new file and makes its bytes, not yet its name, durable. */
export const writeFile = async (disk: Disk, path: string, bytes: Uint8Array): Promise<void> => {
  const file = await disk.open(path, { create: true })
  try {
    await file.truncate(0)
    let done = 0
    while (done < bytes.length) {
      const written = await file.write(bytes, done, bytes.length - done, done)
      if (written <= 0) throw new DiskError('io', path, 'a write made no progress')
      done += written
    }
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Replaces a file so that a crash leaves the old or the new one, never a mixture [T5]. */
export const replaceFile = async (
  disk: Disk,
  target: { readonly directory: string; readonly name: string },
  bytes: Uint8Array,
): Promise<void> => {
  const path = `${target.directory}/${target.name}`
  await writeFile(disk, path + TEMPORARY_SUFFIX, bytes)
  await disk.rename(path + TEMPORARY_SUFFIX, path)
  await disk.syncDirectory(target.directory)
}

/** What an error says, for a report. */
export const reasonOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)
