/**
 * A disk in memory for this package's own tests: plain, quick, with switches for the failures the
 * log must stand. The simulated disk that models power cuts lives in package `sim`.
 */
import { type Disk, type DiskEntry, DiskError, type DiskFile } from './disk.ts'

/** Asked before each operation; a returned error is thrown in its place. */
export type Fault = (operation: string, path: string) => DiskError | undefined

class MemoryFile {
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(64)
  size = 0

  resize(size: number): void {
    if (size > this.bytes.length) {
      const larger = new Uint8Array(Math.max(size, this.bytes.length * 2))
      larger.set(this.bytes.subarray(0, this.size))
      this.bytes = larger
    }
    this.bytes.fill(0, Math.min(size, this.size), Math.max(size, this.size))
    this.size = size
  }
}

export class MemoryDisk implements Disk {
  readonly #files = new Map<string, MemoryFile>()
  readonly #directories = new Set<string>(['/'])
  /** Handles that are open now. */
  openHandles = 0
  /** Calls that change something, to prove that a second opening changes nothing. */
  changes = 0
  fault: Fault = () => undefined
  /** Awaited by every sync of a file. */
  syncGate: Promise<void> = Promise.resolve()
  /** Upper bound of one write. */
  maxWriteBytes: number = Number.MAX_SAFE_INTEGER

  async open(path: string, options: { readonly create?: boolean } = {}): Promise<DiskFile> {
    this.check('open', path)
    let file = this.#files.get(path)
    if (file === undefined) {
      if (options.create !== true) throw new DiskError('not-found', path, `no file ${path}`)
      file = new MemoryFile()
      this.#files.set(path, file)
      this.changes++
    }
    this.openHandles++
    return new MemoryHandle(this, file, path)
  }

  async makeDirectory(path: string): Promise<void> {
    this.check('makeDirectory', path)
    for (let at = path; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) this.#directories.add(at)
  }

  async list(path: string): Promise<readonly DiskEntry[]> {
    this.check('list', path)
    if (!this.#directories.has(path)) throw new DiskError('not-found', path, `no ${path}`)
    const children = (paths: Iterable<string>, kind: DiskEntry['kind']): DiskEntry[] =>
      [...paths]
        .filter((entry) => entry.slice(0, entry.lastIndexOf('/')) === path)
        .map((entry) => ({ name: entry.slice(path.length + 1), kind }))
    return [
      ...children(this.#files.keys(), 'file'),
      ...children(this.#directories, 'directory'),
    ].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  async rename(from: string, to: string): Promise<void> {
    this.check('rename', from)
    this.changes += this.#renameTree(from, to)
    const file = this.#files.get(from)
    if (file === undefined) {
      if (this.#directories.delete(from)) return void this.#directories.add(to)
      throw new DiskError('not-found', from, `no file ${from}`)
    }
    this.#files.delete(from)
    this.#files.set(to, file)
    this.changes++
  }

  /** What is in a directory goes with it; how many files that are. */
  #renameTree(from: string, to: string): number {
    if (!this.#directories.has(from)) return 0
    const inside = [...this.#files].filter(([path]) => path.startsWith(`${from}/`))
    for (const [path, file] of inside) {
      this.#files.delete(path)
      this.#files.set(to + path.slice(from.length), file)
    }
    return inside.length
  }

  async remove(path: string): Promise<void> {
    this.check('remove', path)
    if (this.#files.delete(path)) this.changes++
  }

  async removeTree(path: string): Promise<void> {
    this.check('removeTree', path)
    for (const file of this.#files.keys()) {
      if (file.startsWith(`${path}/`)) this.#files.delete(file)
    }
    this.#directories.delete(path)
    this.changes++
  }

  async syncDirectory(path: string): Promise<void> {
    this.check('syncDirectory', path)
  }

  /** All file names of a directory, ascending. */
  names(directory: string): string[] {
    return [...this.#files.keys()]
      .filter((path) => path.startsWith(`${directory}/`))
      .map((path) => path.slice(directory.length + 1))
      .sort()
  }

  /** A copy of a file's bytes. */
  contents(path: string): Buffer {
    const file = this.#files.get(path)
    if (file === undefined) throw new DiskError('not-found', path, `no file ${path}`)
    return Buffer.from(file.bytes.slice(0, file.size))
  }

  /** Sets a file's bytes behind the back of whoever has it open. */
  put(path: string, bytes: Uint8Array | string): void {
    const file = this.#files.get(path) ?? new MemoryFile()
    const content = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
    file.resize(content.length)
    file.bytes.set(content)
    this.#files.set(path, file)
    const directory = path.slice(0, path.lastIndexOf('/'))
    for (let at = directory; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) {
      this.#directories.add(at)
    }
  }

  /** A disk with the same files, as a crash of the process leaves them. */
  clone(): MemoryDisk {
    const copy = new MemoryDisk()
    for (const [path] of this.#files) copy.put(path, this.contents(path))
    for (const path of this.#directories) copy.#directories.add(path)
    return copy
  }

  check(operation: string, path: string): void {
    const error = this.fault(operation, path)
    if (error !== undefined) throw error
  }
}

class MemoryHandle implements DiskFile {
  readonly #disk: MemoryDisk
  readonly #file: MemoryFile
  readonly #path: string
  #closed = false

  constructor(disk: MemoryDisk, file: MemoryFile, path: string) {
    this.#disk = disk
    this.#file = file
    this.#path = path
  }

  async read(into: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    this.#check('read')
    const end = Math.min(this.#file.size, position + length)
    if (end <= position) return 0
    into.set(this.#file.bytes.subarray(position, end), offset)
    return end - position
  }

  async write(
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<number> {
    return this.writeSync(bytes, offset, length, position)
  }

  writeSync(bytes: Uint8Array, offset: number, length: number, position: number): number {
    this.#check('write')
    const done = Math.min(length, this.#disk.maxWriteBytes)
    if (position + done > this.#file.size) this.#file.resize(position + done)
    this.#file.bytes.set(bytes.subarray(offset, offset + done), position)
    this.#disk.changes++
    return done
  }

  async truncate(length: number): Promise<void> {
    this.#check('truncate')
    this.#file.resize(length)
    this.#disk.changes++
  }

  async sync(): Promise<void> {
    this.#check('sync')
    await this.#disk.syncGate
  }

  async size(): Promise<number> {
    this.#check('size')
    return this.#file.size
  }

  async close(): Promise<void> {
    if (!this.#closed) this.#disk.openHandles--
    this.#closed = true
  }

  #check(operation: string): void {
    if (this.#closed) throw new DiskError('other', this.#path, 'the file is closed')
    this.#disk.check(operation, this.#path)
  }
}
