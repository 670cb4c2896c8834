/** A disk in memory whose processes can be killed and whose power can be cut. */
import { DiskError, type Disk, type DiskEntry, type DiskFile } from '@liftbridge/log'

class Content {
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(256)
  size = 0
  durable: Uint8Array<ArrayBuffer> = new Uint8Array(0)

  resize(size: number): void {
    if (size > this.bytes.length) {
      const larger = new Uint8Array(Math.max(size, this.bytes.length * 2))
      larger.set(this.bytes.subarray(0, this.size))
      this.bytes = larger
    }
    this.bytes.fill(0, Math.min(size, this.size), Math.max(size, this.size))
    this.size = size
  }

  /** What was not synced is gone. */
  forget(): void {
    this.resize(0)
    this.resize(this.durable.length)
    this.bytes.set(this.durable)
  }
}

/** Names are durable at once; only content can be lost. */
export class MemoryDisk {
  readonly #files = new Map<string, Content>()
  readonly #directories = new Set<string>(['/'])
  #generation = 0
  /** Makes an operation fail. */
  fault: (operation: string, path: string) => DiskError | undefined = () => undefined
  /** Awaited by each sync of a file. */
  holdsSync: (path: string) => Promise<void> | undefined = () => undefined

  /** The disk as a process sees it until it is killed. */
  attach(): Disk {
    return new AttachedDisk(this, this.#generation)
  }

  kill(): void {
    this.#generation++
  }

  cutPower(): void {
    this.kill()
    for (const file of this.#files.values()) file.forget()
  }

  wipe(): void {
    this.kill()
    this.#files.clear()
    this.#directories.clear()
    this.#directories.add('/')
  }

  check(generation: number, operation: string, path: string): void {
    if (generation !== this.#generation)
      throw new DiskError('other', path, 'the process was killed')
    const error = this.fault(operation, path)
    if (error !== undefined) throw error
  }

  file(path: string): Content | undefined {
    return this.#files.get(path)
  }

  create(path: string): Content {
    const content = new Content()
    this.#files.set(path, content)
    return content
  }

  /** Paths of all files. */
  get paths(): string[] {
    return [...this.#files.keys()].sort()
  }

  makeDirectory(path: string): void {
    for (let at = path; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) this.#directories.add(at)
  }

  list(path: string): DiskEntry[] | undefined {
    if (!this.#directories.has(path)) return undefined
    const below = (paths: Iterable<string>, kind: DiskEntry['kind']): DiskEntry[] =>
      [...paths]
        .filter((entry) => entry.slice(0, entry.lastIndexOf('/')) === path)
        .map((entry) => ({ name: entry.slice(path.length + 1), kind }))
    return [...below(this.#files.keys(), 'file'), ...below(this.#directories, 'directory')].sort(
      (a, b) => (a.name < b.name ? -1 : 1),
    )
  }

  rename(from: string, to: string): boolean {
    const file = this.#files.get(from)
    if (file !== undefined) {
      this.#files.delete(from)
      this.#files.set(to, file)
      return true
    }
    if (!this.#directories.delete(from)) return false
    this.#directories.add(to)
    for (const path of this.#files.keys()) {
      const content = this.#files.get(path)
      if (!path.startsWith(`${from}/`) || content === undefined) continue
      this.#files.delete(path)
      this.#files.set(to + path.slice(from.length), content)
    }
    return true
  }

  remove(path: string): void {
    this.#files.delete(path)
  }

  removeTree(path: string): void {
    for (const file of this.#files.keys()) {
      if (file.startsWith(`${path}/`)) this.#files.delete(file)
    }
    for (const directory of this.#directories) {
      if (directory === path || directory.startsWith(`${path}/`)) {
        this.#directories.delete(directory)
      }
    }
  }
}

class AttachedDisk implements Disk {
  readonly #disk: MemoryDisk
  readonly #generation: number

  constructor(disk: MemoryDisk, generation: number) {
    this.#disk = disk
    this.#generation = generation
  }

  async open(path: string, options: { readonly create?: boolean } = {}): Promise<DiskFile> {
    this.#check('open', path)
    const found = this.#disk.file(path)
    if (found === undefined && options.create !== true) throw missing(path)
    const content = found ?? this.#disk.create(path)
    return new AttachedFile(content, {
      check: (operation) => this.#check(operation, path),
      held: () => this.#disk.holdsSync(path),
    })
  }

  async makeDirectory(path: string): Promise<void> {
    this.#check('make-directory', path)
    this.#disk.makeDirectory(path)
  }

  async list(path: string): Promise<readonly DiskEntry[]> {
    this.#check('list', path)
    const entries = this.#disk.list(path)
    if (entries === undefined) throw missing(path)
    return entries
  }

  async rename(from: string, to: string): Promise<void> {
    this.#check('rename', from)
    if (!this.#disk.rename(from, to)) throw missing(from)
  }

  async remove(path: string): Promise<void> {
    this.#check('remove', path)
    this.#disk.remove(path)
  }

  async removeTree(path: string): Promise<void> {
    this.#check('remove-tree', path)
    this.#disk.removeTree(path)
  }

  async syncDirectory(path: string): Promise<void> {
    this.#check('sync-directory', path)
  }

  #check(operation: string, path: string): void {
    this.#disk.check(this.#generation, operation, path)
  }
}

class AttachedFile implements DiskFile {
  readonly #content: Content
  readonly #check: (operation: string) => void
  readonly #held: () => Promise<void> | undefined

  constructor(
    content: Content,
    hooks: {
      readonly check: (operation: string) => void
      readonly held: () => Promise<void> | undefined
    },
  ) {
    this.#content = content
    this.#check = hooks.check
    this.#held = hooks.held
  }

  async read(into: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    this.#check('read')
    const end = Math.min(this.#content.size, position + length)
    if (end <= position) return 0
    into.set(this.#content.bytes.subarray(position, end), offset)
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
    if (position + length > this.#content.size) this.#content.resize(position + length)
    this.#content.bytes.set(bytes.subarray(offset, offset + length), position)
    return length
  }

  async truncate(length: number): Promise<void> {
    this.#check('truncate')
    this.#content.resize(length)
  }

  async sync(): Promise<void> {
    this.#check('sync')
    await this.#held()
    this.#check('sync')
    this.#content.durable = this.#content.bytes.slice(0, this.#content.size)
  }

  async size(): Promise<number> {
    this.#check('size')
    return this.#content.size
  }

  async close(): Promise<void> {}
}

function missing(path: string): DiskError {
  return new DiskError('not-found', path, `nothing at ${path}`)
}
