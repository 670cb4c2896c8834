import { DiskError, type Disk } from '@liftbridge/log'
import type { SnapshotPosition } from '@liftbridge/raft'
import type { Clock } from '../../clock.ts'
import { readFile, reasonOf, TEMPORARY_SUFFIX, writeFile } from './files.ts'
import {
  crcOf,
  decodeMeta,
  encodeMeta,
  parseSnapshotId,
  snapshotId,
  type SnapshotMeta,
} from './snapshot-meta.ts'

const META_FILE = 'meta.json'
const STATE_FILE = 'state.bin'
/** A configuration of thousands of servers fits. */
const META_MAX_BYTES = 4 * 1024 * 1024

/** A snapshot that verified, in memory. */
export interface LoadedSnapshot {
  readonly id: string
  readonly position: SnapshotPosition
  readonly state: Uint8Array
}

/** A directory among the snapshots that cannot be used; it is left as it is [M9]. */
export interface UnusableSnapshot {
  readonly path: string
  readonly reason: string
  /** From its name; undefined for what is not named like a snapshot. */
  readonly index: number | undefined
}

export interface SnapshotStoreOptions {
  readonly disk: Disk
  /** Absolute path of a directory that exists. */
  readonly directory: string
  readonly clock: Clock
  /** Snapshots kept, at least one. */
  readonly retain: number
}

/** A snapshot written aside: whole, verified and durable, but not yet one of the store's. */
export interface StagedSnapshot {
  readonly position: SnapshotPosition
  readonly state: Uint8Array
  /** Name that it will have. */
  readonly id: string
}

/**
 * Snapshots in directories as the original has them:
 *
 *     <term>-<index>-<ms>.tmp/      being written, received or removed; nothing depends on it
 *     <term>-<index>-<ms>/          meta.json and state.bin, whole and durable before the rename
 *
 * What does not verify is reported, never counted and never removed [M9].
 */
export class SnapshotStore {
  readonly #options: SnapshotStoreOptions
  /** Names of snapshots that may be used, oldest first. */
  #ids: string[]
  readonly #unusable: UnusableSnapshot[]
  /** Names taken by snapshots in the making. */
  readonly #reserved = new Set<string>()

  private constructor(
    options: SnapshotStoreOptions,
    found: { readonly ids: string[]; readonly unusable: UnusableSnapshot[] },
  ) {
    this.#options = options
    this.#ids = found.ids
    this.#unusable = found.unusable
  }

  static async open(options: SnapshotStoreOptions): Promise<SnapshotStore> {
    const ids: string[] = []
    const unusable: UnusableSnapshot[] = []
    for (const { name, kind } of await options.disk.list(options.directory)) {
      if (name.endsWith(TEMPORARY_SUFFIX)) continue
      const isOne = kind === 'directory' && parseSnapshotId(name) !== undefined
      if (isOne) ids.push(name)
      else unusable.push({ path: `${options.directory}/${name}`, ...FOREIGN })
    }
    return new SnapshotStore(options, { ids: ids.sort(byAge), unusable })
  }

  get unusable(): readonly UnusableSnapshot[] {
    return this.#unusable
  }

  /** The newest snapshot that verifies; those that do not are noted on the way. */
  async loadNewest(): Promise<LoadedSnapshot | undefined> {
    for (let id = this.#ids.at(-1); id !== undefined; id = this.#ids.at(-1)) {
      const loaded = await this.#load(id)
      if (typeof loaded !== 'string') return loaded
      // It was replaced and removed while it was read.
      if (!this.#ids.includes(id)) continue
      const path = `${this.#options.directory}/${id}`
      this.#unusable.push({ path, reason: loaded, index: parseSnapshotId(id)?.index })
      this.#ids = this.#ids.filter((other) => other !== id)
    }
    return undefined
  }

  /** Removes what an earlier process left unfinished. Only names that end in `.tmp`. */
  async removeUnfinished(): Promise<void> {
    const { disk, directory } = this.#options
    for (const { name } of await disk.list(directory)) {
      if (!name.endsWith(TEMPORARY_SUFFIX) || this.#reserved.has(name)) continue
      await disk.removeTree(`${directory}/${name}`)
    }
  }

  /** Writes a snapshot aside. Rejects with DiskError; what it wrote so far is removed then. */
  async stage(position: SnapshotPosition, state: Uint8Array): Promise<StagedSnapshot> {
    const { disk } = this.#options
    const id = this.#freeId(position)
    const path = this.#aside(id)
    this.#reserved.add(id + TEMPORARY_SUFFIX)
    const meta: SnapshotMeta = { id, position, sizeBytes: state.length, crc: crcOf(state) }
    try {
      await disk.removeTree(path)
      await disk.makeDirectory(path)
      await writeFile(disk, `${path}/${STATE_FILE}`, state)
      await writeFile(disk, `${path}/${META_FILE}`, encodeMeta(meta))
      await disk.syncDirectory(path)
      return { position, state, id }
    } catch (error) {
      await this.#dropAside(id)
      throw error
    }
  }

  /** Makes a staged snapshot the newest, durably, and forgets those that are too many. */
  async commit(staged: StagedSnapshot): Promise<void> {
    const { disk, directory } = this.#options
    await disk.rename(this.#aside(staged.id), `${directory}/${staged.id}`)
    await disk.syncDirectory(directory)
    this.#reserved.delete(staged.id + TEMPORARY_SUFFIX)
    this.#ids = [...this.#ids, staged.id].sort(byAge)
    await this.#forgetOld()
  }

  async discard(staged: StagedSnapshot): Promise<void> {
    await this.#dropAside(staged.id)
  }

  /** Too many old snapshots harm nobody: what cannot be removed now is left to the next start. */
  async #forgetOld(): Promise<void> {
    const { disk, directory, retain } = this.#options
    for (const id of this.#ids.slice(0, -retain)) {
      this.#ids = this.#ids.filter((other) => other !== id)
      try {
        // Half a snapshot must never look like a damaged one.
        await disk.rename(`${directory}/${id}`, this.#aside(id))
        await disk.removeTree(this.#aside(id))
      } catch (error) {
        if (!(error instanceof DiskError)) throw error
      }
    }
  }

  async #dropAside(id: string): Promise<void> {
    try {
      await this.#options.disk.removeTree(this.#aside(id))
    } catch (error) {
      // The next start removes it.
      if (!(error instanceof DiskError)) throw error
    }
    this.#reserved.delete(id + TEMPORARY_SUFFIX)
  }

  #freeId(position: SnapshotPosition): string {
    for (let wallMs = Number(this.#options.clock.wallNs() / 1_000_000n); ; wallMs++) {
      const id = snapshotId(position, wallMs)
      if (!this.#ids.includes(id) && !this.#reserved.has(id + TEMPORARY_SUFFIX)) return id
    }
  }

  #aside(id: string): string {
    return `${this.#options.directory}/${id}${TEMPORARY_SUFFIX}`
  }

  /** The snapshot, or why it cannot be used. */
  async #load(id: string): Promise<LoadedSnapshot | string> {
    const { disk, directory } = this.#options
    try {
      const bytes = await readFile(disk, `${directory}/${id}/${META_FILE}`, META_MAX_BYTES)
      if (bytes === undefined) return `${META_FILE} is missing or too large`
      const meta = decodeMeta(bytes)
      if (meta === undefined) return `${META_FILE} is garbled`
      const named = parseSnapshotId(id)
      const { position } = meta
      if (meta.id !== id || named?.index !== position.index || named.term !== position.term) {
        return `${META_FILE} belongs to another snapshot`
      }
      const state = await readFile(disk, `${directory}/${id}/${STATE_FILE}`, meta.sizeBytes)
      if (state?.length !== meta.sizeBytes) return `${STATE_FILE} is missing or has another size`
      if (crcOf(state) !== meta.crc) return `the checksum of ${STATE_FILE} does not fit`
      return { id, position, state }
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      return reasonOf(error)
    }
  }
}

const FOREIGN = { reason: 'it is not a snapshot', index: undefined }

/** As the original orders them: by term, then index, then time. */
const byAge = (a: string, b: string): number => {
  const [left, right] = [parseSnapshotId(a), parseSnapshotId(b)]
  if (left === undefined || right === undefined) return 0
  return left.term - right.term || left.index - right.index || left.wallMs - right.wallMs
}
