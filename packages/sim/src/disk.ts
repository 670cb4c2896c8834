import { createHash } from 'node:crypto'
import { DiskError, type Disk, type DiskErrorCode } from '@liftbridge/log'
import { DiskImage } from './disk-image.ts'
import { filesBelow, forkTree, NameJournal, showDurable } from './disk-names.ts'
import { DirectoryNode, type DiskNode, type FileNode } from './disk-nodes.ts'
import { SimDiskProcess } from './disk-process.ts'
import type { PowerCutPlan, UnsyncedSector } from './power-cut.ts'

export type DiskOperationKind =
  | 'open'
  | 'create'
  | 'read'
  | 'write'
  | 'truncate'
  | 'sync'
  | 'size'
  | 'list'
  | 'make-directory'
  | 'rename'
  | 'remove'
  | 'sync-directory'

/** One operation about to take effect. */
export interface DiskOperation {
  /** Counts every operation of the disk from 1. */
  readonly sequence: number
  readonly kind: DiskOperationKind
  readonly path: string
  /** Position of a read or write, length of a truncation, else 0. */
  readonly position: number
  /** Length of a read or write, else 0. */
  readonly length: number
}

/** What an operation may be made to suffer. */
export type DiskFault =
  /** It fails and changes nothing; a failed sync leaves its bytes unsynced. */
  | { readonly kind: 'fail'; readonly code: DiskErrorCode }
  /** A write or read handles only so many bytes. */
  | { readonly kind: 'short'; readonly bytes: number }
  /**
   * A sync reports an input/output error once and marks the bytes clean, so that the next sync
   * succeeds without having written them (ext4), or takes them back (btrfs) [reliability 0.7].
   */
  | { readonly kind: 'lose-unsynced'; readonly afterwards: 'lie' | 'revert' }

export interface SimDiskOptions {
  /** Bytes written to files may not exceed this; then writes are short and fail as no-space. */
  readonly capacityBytes?: number
}

/**
 * A disk whose power can be cut. `attach` gives a process its Disk; `kill` ends the processes and
 * keeps what they wrote, `cutPower` keeps what was synced and what the plan says of the rest.
 * Operations take effect at once, or when the promise that `delay` returned has resolved.
 */
export class SimDisk {
  /** Called before each operation takes effect, in order; may make it fail. */
  onOperation: ((operation: DiskOperation) => DiskFault | undefined) | undefined
  /** Called when an operation is issued; it takes effect after the promise resolves. */
  delay: ((kind: DiskOperationKind, path: string) => Promise<void> | undefined) | undefined
  capacityBytes: number
  #root = durableRoot()
  #journal = new NameJournal()
  #sequence = 0
  /** Processes attached before this moment are dead. */
  #generation = 0

  constructor(options: SimDiskOptions = {}) {
    this.capacityBytes = options.capacityBytes ?? Infinity
  }

  /** The disk as a process that starts now sees it. */
  attach(): Disk {
    const born = this.#generation
    return new SimDiskProcess({
      disk: this,
      root: () => this.#root,
      journal: () => this.#journal,
      isAlive: () => born === this.#generation,
    })
  }

  /** How many operations there have been. */
  get operations(): number {
    return this.#sequence
  }

  /** Ends all processes, as kill -9 does: their cached writes stay. */
  kill(): void {
    this.#generation++
  }

  /** Ends all processes and loses what was not synced, except what the plan keeps. */
  cutPower(plan: PowerCutPlan): void {
    this.#generation++
    this.#journal.cutPower((change) => plan.keepsName(change.sequence))
    showDurable(this.#root)
    for (const file of filesBelow(this.#root)) {
      file.cutPower({
        keepsTruncation: () => plan.keepsTruncation(file.path),
        length: (durable, cached) => plan.length(file.path, durable, cached),
        sector: (sector, dirty) =>
          plan.sector({
            path: file.path,
            sector,
            sequence: dirty.sequence,
            earlier: dirty.earlier,
          }),
        fill: (bytes) => plan.random.fill(bytes),
        integer: (below) => plan.random.integer(below),
      })
    }
  }

  /** An independent disk in the same state, with no process attached and no faults. */
  fork(): SimDisk {
    const copy = new SimDisk({ capacityBytes: this.capacityBytes })
    const { root, journal } = forkTree(this.#root, this.#journal)
    copy.#root = root
    copy.#journal = journal
    copy.#sequence = this.#sequence
    return copy
  }

  /** Sectors a power cut could lose, in path and sector order. */
  unsyncedSectors(): UnsyncedSector[] {
    return filesBelow(this.#root).flatMap((file) =>
      [...file.dirty]
        .sort(([a], [b]) => a - b)
        .map(([sector, dirty]) => ({
          path: file.path,
          sector,
          sequence: dirty.sequence,
          earlier: dirty.earlier,
        })),
    )
  }

  /** Operations whose create, rename or remove a power cut could lose, in order. */
  unsyncedNames(): number[] {
    return this.#journal.pending.map((change) => change.sequence)
  }

  /** Paths of all files below a directory, in order. */
  files(below = '/'): string[] {
    const node = this.#find(below)
    return node?.kind === 'directory' ? filesBelow(node).map((file) => file.path) : []
  }

  /** Equal for disks that no process and no power cut could tell apart. */
  fingerprint(): string {
    const hash = createHash('sha1')
    for (const file of filesBelow(this.#root)) {
      hash.update(`${file.path}\0${file.cached.length}\0`).update(file.cached.bytes())
      hash.update(`\0${file.dirty.size}\0${[...file.dirty.keys()].join()}\0`)
      if (file.dirty.size > 0 || file.hasUnsyncedLength) hash.update(file.durable.bytes())
    }
    return hash.update(this.unsyncedNames().join()).digest('hex')
  }

  /** What processes see in a file. */
  content(path: string): Uint8Array {
    return this.#file(path).cached.bytes()
  }

  /** What is certainly on the platter for a file. */
  durableContent(path: string): Uint8Array {
    return this.#file(path).durable.bytes()
  }

  /** Damage at rest: the file holds these bytes, durably, whatever it held. */
  overwrite(path: string, content: Uint8Array): void {
    const image = new DiskImage()
    image.write(content, 0)
    this.#file(path).setBoth(image)
  }

  /** Damage at rest: flips one bit. */
  flipBit(path: string, position: number, bit: number): void {
    const content = this.content(path)
    content[position] = (content[position] ?? 0) ^ (1 << bit)
    this.overwrite(path, content)
  }

  /** Damage at rest: zeros, as lost sectors read on some drives. */
  zeroRange(path: string, position: number, length: number): void {
    const content = this.content(path)
    this.overwrite(path, content.fill(0, position, position + length))
  }

  /** Damage at rest: the file ends here. */
  cutFile(path: string, length: number): void {
    this.overwrite(path, this.content(path).subarray(0, length))
  }

  /** Damage at rest: the name is gone, durably. */
  lose(path: string): void {
    const slash = path.lastIndexOf('/')
    const directory = this.#find(path.slice(0, slash))
    if (directory?.kind !== 'directory') throw new Error(`no such directory: ${path}`)
    directory.cached.delete(path.slice(slash + 1))
    directory.durable.delete(path.slice(slash + 1))
  }

  /** Bytes that written files still have room for. Used by the attached processes. */
  freeBytes(): number {
    if (this.capacityBytes === Infinity) return Infinity
    const used = filesBelow(this.#root).reduce((sum, file) => sum + file.writtenEnd, 0)
    return Math.max(0, this.capacityBytes - used)
  }

  /** Numbers an operation and asks for its fault. Used by the attached processes. */
  begin(operation: Omit<DiskOperation, 'sequence'>): {
    readonly sequence: number
    readonly fault: DiskFault | undefined
  } {
    const sequence = ++this.#sequence
    const fault = this.onOperation?.({ ...operation, sequence })
    if (fault?.kind === 'fail') throw faultError(fault.code, operation)
    return { sequence, fault }
  }

  #file(path: string): FileNode {
    const node = this.#find(path)
    if (node?.kind !== 'file') throw new Error(`no such file on the simulated disk: ${path}`)
    return node
  }

  #find(path: string): DiskNode | undefined {
    let node: DiskNode | undefined = this.#root
    for (const name of path.split('/').filter((part) => part !== '')) {
      node = node?.kind === 'directory' ? node.cached.get(name) : undefined
    }
    return node
  }
}

function durableRoot(): DirectoryNode {
  return new DirectoryNode('/')
}

function faultError(code: DiskErrorCode, operation: Omit<DiskOperation, 'sequence'>): DiskError {
  const text = `cannot ${operation.kind} ${operation.path}: injected fault (${code})`
  return new DiskError(code, operation.path, text)
}
