import { DiskError, type Disk, type DiskEntry, type DiskFile } from '@liftbridge/log'
import type { DiskFault, DiskOperation, DiskOperationKind, SimDisk } from './disk.ts'
import type { NameJournal } from './disk-names.ts'
import { DirectoryNode, FileNode, type DiskNode } from './disk-nodes.ts'

/** What a process needs of the disk it is attached to. */
export interface Attachment {
  readonly disk: SimDisk
  root(): DirectoryNode
  journal(): NameJournal
  isAlive(): boolean
}

/** Where a path leads: the directory that holds its last name, and what is there. */
interface Place {
  readonly directory: DirectoryNode
  readonly name: string
  readonly node: DiskNode | undefined
}

/** One process's view of a simulated disk. */
export class SimDiskProcess implements Disk {
  readonly #attachment: Attachment

  constructor(attachment: Attachment) {
    this.#attachment = attachment
  }

  async open(path: string, options: { readonly create?: boolean } = {}): Promise<DiskFile> {
    await this.#arrive('open', path)
    const place = this.#place(path)
    if (place.node?.kind === 'directory') throw failure('other', path, 'it is a directory')
    if (place.node !== undefined) {
      this.#begin('open', path)
      return new SimDiskFile(this.#attachment, place.node)
    }
    if (options.create !== true) throw missing(path)
    const { sequence } = this.#begin('create', path)
    const file = new FileNode(path)
    this.#journal(sequence, [{ ...place, node: file }])
    return new SimDiskFile(this.#attachment, file)
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#arrive('make-directory', path)
    const { sequence } = this.#begin('make-directory', path)
    let directory = this.#attachment.root()
    for (const name of namesOf(path)) {
      const node = directory.cached.get(name)
      if (node?.kind === 'file') {
        throw failure(node.path === path ? 'exists' : 'other', path, 'a file is in its place')
      }
      let next = node
      if (next === undefined) {
        next = new DirectoryNode(`${directory.path === '/' ? '' : directory.path}/${name}`)
        this.#journal(sequence, [{ directory, name, node: next }])
      }
      directory = next
    }
  }

  async list(path: string): Promise<readonly DiskEntry[]> {
    await this.#arrive('list', path)
    this.#begin('list', path)
    const directory = this.#directory(path)
    return [...directory.cached]
      .map(([name, node]): DiskEntry => ({ name, kind: node.kind }))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#arrive('rename', from)
    const { sequence } = this.#begin('rename', from)
    const source = this.#place(from)
    if (source.node === undefined) throw missing(from)
    const target = this.#place(to)
    if (source.node === target.node) return
    assertReplaceable(source.node, target, from)
    this.#journal(sequence, [
      { ...source, node: undefined },
      { ...target, node: source.node },
    ])
    setPath(source.node, to)
  }

  async remove(path: string): Promise<void> {
    await this.#arrive('remove', path)
    const { sequence } = this.#begin('remove', path)
    const place = this.#find(path)
    if (place?.node === undefined) return
    if (place.node.kind === 'directory') throw failure('other', path, 'it is a directory')
    this.#journal(sequence, [{ ...place, node: undefined }])
  }

  /** One operation per entry, as in reality: a crash may leave half of the tree. */
  async removeTree(path: string): Promise<void> {
    const place = this.#find(path)
    if (place?.node?.kind === 'directory') {
      for (const name of [...place.node.cached.keys()].sort()) {
        await this.removeTree(`${path}/${name}`)
      }
    }
    await this.#arrive('remove', path)
    const { sequence } = this.#begin('remove', path)
    const now = this.#find(path)
    if (now?.node !== undefined) this.#journal(sequence, [{ ...now, node: undefined }])
  }

  async syncDirectory(path: string): Promise<void> {
    const issued = this.#attachment.disk.operations
    await this.#arrive('sync-directory', path)
    const directory = this.#directory(path)
    const { fault } = this.#begin('sync-directory', path)
    if (fault?.kind === 'lose-unsynced') throw failure('io', path, 'injected fault (io)')
    this.#attachment.journal().sync(directory, issued)
  }

  async #arrive(kind: DiskOperationKind, path: string): Promise<void> {
    assertAlive(this.#attachment, path)
    const delay = this.#attachment.disk.delay?.(kind, path)
    if (delay === undefined) return
    await delay
    assertAlive(this.#attachment, path)
  }

  #begin(kind: DiskOperationKind, path: string): Begun {
    return this.#attachment.disk.begin({ kind, path, position: 0, length: 0 })
  }

  #journal(sequence: number, links: readonly Place[]): void {
    this.#attachment.journal().record({ sequence, links })
  }

  /** Fails unless all directories on the way are there. */
  #place(path: string): Place {
    const names = namesOf(path)
    const name = names.pop()
    if (name === undefined) throw failure('other', path, 'it is the root directory')
    const directory = this.#directory(`/${names.join('/')}`, path)
    return { directory, name, node: directory.cached.get(name) }
  }

  #find(path: string): Place | undefined {
    try {
      return this.#place(path)
    } catch (error) {
      if (error instanceof DiskError && error.code === 'not-found') return undefined
      throw error
    }
  }

  #directory(path: string, wanted = path): DirectoryNode {
    let directory = this.#attachment.root()
    for (const name of namesOf(path)) {
      const node = directory.cached.get(name)
      if (node === undefined) throw missing(wanted)
      if (node.kind === 'file') throw failure('other', wanted, `${node.path} is not a directory`)
      directory = node
    }
    return directory
  }
}

interface Begun {
  readonly sequence: number
  readonly fault: DiskFault | undefined
}

class SimDiskFile implements DiskFile {
  readonly #attachment: Attachment
  readonly #file: FileNode
  readonly #underWay = new Set<Promise<unknown>>()
  #isClosed = false

  constructor(attachment: Attachment, file: FileNode) {
    this.#attachment = attachment
    this.#file = file
  }

  read(into: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    assertInside(into, offset, length)
    return this.#run({ kind: 'read', position, length }, ({ fault }) => {
      const count = fault?.kind === 'short' ? Math.min(length, fault.bytes) : length
      return this.#file.cached.read(into, offset, count, position)
    })
  }

  write(bytes: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    assertInside(bytes, offset, length)
    return this.#run({ kind: 'write', position, length }, (begun) =>
      this.#store(bytes.subarray(offset, offset + length), position, begun),
    )
  }

  writeSync(bytes: Uint8Array, offset: number, length: number, position: number): number {
    this.#assertUsable()
    assertInside(bytes, offset, length)
    const begun = this.#begin({ kind: 'write', position, length })
    return this.#store(bytes.subarray(offset, offset + length), position, begun)
  }

  truncate(length: number): Promise<void> {
    return this.#run({ kind: 'truncate', position: length, length: 0 }, ({ sequence }) => {
      this.#file.truncate(length, sequence)
    })
  }

  /** What is written while it is under way may or may not be covered; here it is not. */
  sync(): Promise<void> {
    const sync = this.#file.beginSync()
    return this.#run({ kind: 'sync', position: 0, length: 0 }, ({ fault }) => {
      if (fault?.kind === 'lose-unsynced') {
        if (fault.afterwards === 'revert') this.#file.revert()
        else this.#file.forget(sync)
        throw failure('io', this.#file.path, 'injected fault (io)')
      }
      this.#file.completeSync(sync)
    })
  }

  size(): Promise<number> {
    return this.#run({ kind: 'size', position: 0, length: 0 }, () => this.#file.cached.length)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.allSettled(this.#underWay)
  }

  #store(bytes: Uint8Array, position: number, { sequence, fault }: Begun): number {
    const free = this.#attachment.disk.freeBytes()
    const room = this.#file.writtenEnd + free - position
    let count = Math.min(bytes.length, room)
    if (bytes.length > 0 && count <= 0) {
      throw failure('no-space', this.#file.path, 'the simulated disk is full')
    }
    if (fault?.kind === 'short') count = Math.max(1, Math.min(count, fault.bytes))
    this.#file.write(bytes.subarray(0, count), position, sequence)
    return count
  }

  async #run<T>(
    operation: Pick<DiskOperation, 'kind' | 'position' | 'length'>,
    effect: (begun: Begun) => T,
  ): Promise<T> {
    this.#assertUsable()
    const delay = this.#attachment.disk.delay?.(operation.kind, this.#file.path)
    if (delay !== undefined) {
      this.#underWay.add(delay)
      await delay
      this.#underWay.delete(delay)
      assertAlive(this.#attachment, this.#file.path)
    }
    return effect(this.#begin(operation))
  }

  #begin(operation: Pick<DiskOperation, 'kind' | 'position' | 'length'>): Begun {
    return this.#attachment.disk.begin({ ...operation, path: this.#file.path })
  }

  #assertUsable(): void {
    assertAlive(this.#attachment, this.#file.path)
    if (this.#isClosed) throw failure('other', this.#file.path, 'it is closed')
  }
}

function namesOf(path: string): string[] {
  if (!path.startsWith('/')) throw failure('other', path, 'the path is not absolute')
  return path.split('/').filter((name) => name !== '')
}

function setPath(node: DiskNode, path: string): void {
  node.path = path
  if (node.kind === 'file') return
  for (const [name, child] of node.cached) setPath(child, `${path}/${name}`)
}

function assertReplaceable(node: DiskNode, target: Place, from: string): void {
  const inTheWay = target.node
  if (inTheWay === undefined) return
  if (inTheWay.kind !== node.kind) throw failure('other', from, 'file and directory differ')
  if (inTheWay.kind === 'directory' && inTheWay.cached.size > 0) {
    throw failure('other', from, 'the target directory is not empty')
  }
}

function assertAlive(attachment: Attachment, path: string): void {
  if (!attachment.isAlive()) throw failure('other', path, 'the process that opened it is dead')
}

function assertInside(bytes: Uint8Array, offset: number, length: number): void {
  if (offset < 0 || length < 0 || offset + length > bytes.length) {
    throw new RangeError(`${offset}+${length} is outside a buffer of ${bytes.length} bytes`)
  }
}

function missing(path: string): DiskError {
  return failure('not-found', path, 'there is no such file or directory')
}

function failure(code: DiskError['code'], path: string, text: string): DiskError {
  return new DiskError(code, path, `simulated disk: ${path}: ${text}`)
}
