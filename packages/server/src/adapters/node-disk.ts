import * as fs from 'node:fs'
import { join } from 'node:path'
import { DiskError, type Disk, type DiskEntry, type DiskFile } from '@liftbridge/log'
import { diskError } from './node-disk-error.ts'

export interface NodeDiskOptions {
  /** Permission bits of files it creates, before the umask. */
  readonly fileMode?: number
  /** Permission bits of directories it creates, before the umask. */
  readonly directoryMode?: number
}

/**
 * The Disk port on the operating system's files.
 *
 * It wraps callback functions of `node:fs` rather than FileHandle: for a 256-byte write the two
 * cost the same thread hop, but a number can be closed and counted without a handle object per
 * file. `writeSync` avoids the hop, which costs some twenty times the copy itself.
 */
export function createNodeDisk(options: NodeDiskOptions = {}): Disk {
  return new NodeDisk(options.fileMode ?? 0o644, options.directoryMode ?? 0o755)
}

class NodeDisk implements Disk {
  readonly #fileMode: number
  readonly #directoryMode: number

  constructor(fileMode: number, directoryMode: number) {
    this.#fileMode = fileMode
    this.#directoryMode = directoryMode
  }

  async open(path: string, options: { readonly create?: boolean } = {}): Promise<DiskFile> {
    const flags = fs.constants.O_RDWR | (options.create === true ? fs.constants.O_CREAT : 0)
    const descriptor = await attempt<number>('open', path, (done) => {
      fs.open(path, flags, this.#fileMode, done)
    })
    return new NodeDiskFile(descriptor, path)
  }

  async makeDirectory(path: string): Promise<void> {
    await attempt<unknown>('create the directory', path, (done) => {
      fs.mkdir(path, { recursive: true, mode: this.#directoryMode }, done)
    })
  }

  async list(path: string): Promise<readonly DiskEntry[]> {
    const entries = await attempt<fs.Dirent[]>('list', path, (done) => {
      fs.readdir(path, { withFileTypes: true }, done)
    })
    const found = await Promise.all(
      entries.map(async (entry): Promise<DiskEntry> => {
        const isDirectory = entry.isSymbolicLink()
          ? await leadsToDirectory(join(path, entry.name))
          : entry.isDirectory()
        return { name: entry.name, kind: isDirectory ? 'directory' : 'file' }
      }),
    )
    return found.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  }

  async rename(from: string, to: string): Promise<void> {
    await attempt<void>(`rename to ${to}`, from, (done) => fs.rename(from, to, done))
  }

  async remove(path: string): Promise<void> {
    try {
      await attempt<void>('remove', path, (done) => fs.unlink(path, done))
    } catch (error) {
      if (!(error instanceof DiskError && error.code === 'not-found')) throw error
    }
  }

  async removeTree(path: string): Promise<void> {
    await attempt<void>('remove the directory', path, (done) => {
      fs.rm(path, { recursive: true, force: true }, done)
    })
  }

  async syncDirectory(path: string): Promise<void> {
    // A directory can be opened only for reading; on Linux fsync works on it all the same.
    const descriptor = await attempt<number>('open the directory', path, (done) => {
      fs.open(path, fs.constants.O_RDONLY | (fs.constants.O_DIRECTORY ?? 0), done)
    })
    try {
      await attempt<void>('sync the directory', path, (done) => fs.fsync(descriptor, done))
    } finally {
      await closeQuietly(descriptor)
    }
  }
}

/**
 * One open descriptor. The descriptor is given back only when no operation is under way, since
 * the kernel hands its number to the next open at once and a late write would land in that file.
 */
class NodeDiskFile implements DiskFile {
  readonly #descriptor: number
  readonly #path: string
  #underWay = 0
  #closing: Promise<void> | undefined
  #idle: (() => void) | undefined

  constructor(descriptor: number, path: string) {
    this.#descriptor = descriptor
    this.#path = path
  }

  read(into: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return this.#run('read', (done) => {
      fs.read(this.#descriptor, into, offset, length, position, done)
    })
  }

  write(bytes: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return this.#run('write', (done) => {
      fs.write(this.#descriptor, bytes, offset, length, position, done)
    })
  }

  writeSync(bytes: Uint8Array, offset: number, length: number, position: number): number {
    this.#assertOpen('write')
    for (let attempts = 1; ; attempts++) {
      try {
        return fs.writeSync(this.#descriptor, bytes, offset, length, position)
      } catch (error) {
        if (!mayRetry(error, attempts)) throw diskError(error, 'write', this.#path)
      }
    }
  }

  truncate(length: number): Promise<void> {
    return this.#run<void>('truncate', (done) => fs.ftruncate(this.#descriptor, length, done))
  }

  /** A failed sync is reported once and never tried again here [reliability 0.7]. */
  sync(): Promise<void> {
    return this.#run<void>('sync', (done) => fs.fdatasync(this.#descriptor, done))
  }

  async size(): Promise<number> {
    const stats = await this.#run<fs.Stats>('read the size of', (done) => {
      fs.fstat(this.#descriptor, done)
    })
    return stats.size
  }

  close(): Promise<void> {
    this.#closing ??= this.#drainAndClose()
    return this.#closing
  }

  async #drainAndClose(): Promise<void> {
    if (this.#underWay > 0) await new Promise<void>((resolve) => (this.#idle = resolve))
    await closeQuietly(this.#descriptor)
  }

  #assertOpen(action: string): void {
    if (this.#closing !== undefined) {
      throw new DiskError('other', this.#path, `cannot ${action} ${this.#path}: it is closed`)
    }
  }

  async #run<T>(action: string, start: (done: Done<T>) => void): Promise<T> {
    this.#assertOpen(action)
    this.#underWay++
    try {
      return await attempt(action, this.#path, start)
    } finally {
      this.#underWay--
      if (this.#underWay === 0) this.#idle?.()
    }
  }
}

type Done<T> = (error: NodeJS.ErrnoException | null, value?: T) => void

/** Interrupted calls are tried again; the bound only keeps a broken driver from spinning us. */
const MAX_ATTEMPTS = 100

function mayRetry(error: unknown, attempts: number): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false
  return (error.code === 'EINTR' || error.code === 'EAGAIN') && attempts < MAX_ATTEMPTS
}

function attempt<T>(
  action: string,
  path: string,
  start: (done: Done<T>) => void,
  attempts = 1,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    start((error, value) => {
      if (error === null || error === undefined) resolve(value as T)
      else if (action !== 'sync' && mayRetry(error, attempts)) {
        resolve(attempt(action, path, start, attempts + 1))
      } else reject(diskError(error, action, path))
    })
  })
}

function closeQuietly(descriptor: number): Promise<void> {
  return new Promise((resolve) => fs.close(descriptor, () => resolve()))
}

async function leadsToDirectory(path: string): Promise<boolean> {
  try {
    const stats = await attempt<fs.Stats>('look at', path, (done) => fs.stat(path, done))
    return stats.isDirectory()
  } catch (error) {
    if (error instanceof DiskError) return false
    throw error
  }
}
