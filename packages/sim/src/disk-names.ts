import { DirectoryNode, FileNode, type DiskNode } from './disk-nodes.ts'

/** One name that appears (`node`) or goes away (`undefined`). */
interface Link {
  readonly directory: DirectoryNode
  readonly name: string
  readonly node: DiskNode | undefined
}

/** A create, rename or remove: all of its links take effect together. */
export interface NameChange {
  /** Number of the disk operation that made it. */
  readonly sequence: number
  readonly links: readonly Link[]
}

/**
 * The journal of names that no syncDirectory has made durable. Within a directory, changes reach
 * the disk in their order, so that what survives a power cut is a prefix; between directories
 * there is no order.
 */
export class NameJournal {
  #pending: NameChange[] = []

  get pending(): readonly NameChange[] {
    return this.#pending
  }

  record(change: NameChange): void {
    for (const link of change.links) setName(link.directory.cached, link)
    this.#pending.push(change)
  }

  /** Makes the changes of a directory durable, with the earlier ones they build on. */
  sync(directory: DirectoryNode, upTo: number): void {
    const synced = new Set([directory])
    const chosen: NameChange[] = []
    for (const change of this.#pending.toReversed()) {
      if (change.sequence > upTo) continue
      if (!change.links.some((link) => synced.has(link.directory))) continue
      for (const link of change.links) synced.add(link.directory)
      chosen.unshift(change)
    }
    for (const change of chosen) makeDurable(change)
    this.#pending = this.#pending.filter((change) => !chosen.includes(change))
  }

  /** Forgets the process's view: only durable names and those the plan keeps remain. */
  cutPower(keeps: (change: NameChange) => boolean): void {
    const cut = new Set<DirectoryNode>()
    for (const change of this.#pending) {
      const isLost = change.links.some((link) => cut.has(link.directory)) || !keeps(change)
      if (!isLost) makeDurable(change)
      else for (const link of change.links) cut.add(link.directory)
    }
    this.#pending = []
  }

  fork(copyOf: (node: DiskNode) => DiskNode): NameJournal {
    const copy = new NameJournal()
    copy.#pending = this.#pending.map((change) => ({
      sequence: change.sequence,
      links: change.links.map((link) => ({
        directory: copyOf(link.directory) as DirectoryNode,
        name: link.name,
        node: link.node === undefined ? undefined : copyOf(link.node),
      })),
    }))
    return copy
  }
}

/** Copies a tree, names and files, with everything the journal still refers to. */
export function forkTree(
  root: DirectoryNode,
  journal: NameJournal,
): { readonly root: DirectoryNode; readonly journal: NameJournal } {
  const copies = new Map<DiskNode, DiskNode>()
  const copyOf = (node: DiskNode): DiskNode => {
    const known = copies.get(node)
    if (known !== undefined) return known
    if (node.kind === 'file') {
      const file = node.fork()
      copies.set(node, file)
      return file
    }
    const directory = new DirectoryNode(node.path)
    copies.set(node, directory)
    for (const [name, child] of node.cached) directory.cached.set(name, copyOf(child))
    for (const [name, child] of node.durable) directory.durable.set(name, copyOf(child))
    return directory
  }
  const rootCopy = copyOf(root) as DirectoryNode
  return { root: rootCopy, journal: journal.fork(copyOf) }
}

/** Every file below a directory, in name order. */
export function filesBelow(directory: DirectoryNode): FileNode[] {
  const files: FileNode[] = []
  for (const [, node] of [...directory.cached].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (node.kind === 'file') files.push(node)
    else files.push(...filesBelow(node))
  }
  return files
}

/** Turns what is durable into what processes see, all the way down. */
export function showDurable(directory: DirectoryNode): void {
  directory.cached = new Map(directory.durable)
  for (const [name, node] of directory.cached) {
    node.path = `${directory.path === '/' ? '' : directory.path}/${name}`
    if (node.kind === 'directory') showDurable(node)
  }
}

function makeDurable(change: NameChange): void {
  for (const link of change.links) setName(link.directory.durable, link)
}

function setName(names: Map<string, DiskNode>, link: Link): void {
  if (link.node === undefined) names.delete(link.name)
  else names.set(link.name, link.node)
}
