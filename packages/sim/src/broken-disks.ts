import type { Disk, DiskFile } from '@liftbridge/log'

/**
 * Disks with one duty left out, as if the log on top had forgotten it: what proves that the
 * enumeration of crash points and faults would notice [reliability 3a, power test].
 */
export type Omission =
  /** fdatasync is skipped. */
  | 'sync'
  /** A failed fdatasync is taken for a success. */
  | 'sync-errors'
  /** Names are not made durable. */
  | 'sync-directory'
  /** Cutting a file is skipped. */
  | 'truncate'
  /** Files are not removed. */
  | 'remove'

export function omitting(disk: Disk, omission: Omission): Disk {
  const skipped = async (): Promise<void> => {}
  return {
    open: async (path, options) => omittingFile(await disk.open(path, options), omission),
    makeDirectory: (path) => disk.makeDirectory(path),
    list: (path) => disk.list(path),
    rename: (from, to) => disk.rename(from, to),
    remove: omission === 'remove' ? skipped : (path) => disk.remove(path),
    removeTree: (path) => disk.removeTree(path),
    syncDirectory: omission === 'sync-directory' ? skipped : (path) => disk.syncDirectory(path),
  }
}

function omittingFile(file: DiskFile, omission: Omission): DiskFile {
  const sync = async (): Promise<void> => {
    if (omission === 'sync') return
    if (omission !== 'sync-errors') return file.sync()
    await file.sync().catch(() => undefined)
  }
  return {
    read: (into, offset, length, position) => file.read(into, offset, length, position),
    write: (bytes, offset, length, position) => file.write(bytes, offset, length, position),
    writeSync: (bytes, offset, length, position) => file.writeSync(bytes, offset, length, position),
    truncate: omission === 'truncate' ? async () => {} : (length) => file.truncate(length),
    sync,
    size: () => file.size(),
    close: () => file.close(),
  }
}
