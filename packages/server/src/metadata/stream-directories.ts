import type { Disk, DiskFile } from '@liftbridge/log'
import { DiskError } from '@liftbridge/log'
import { encodeDirectoryName, type StreamIdentity } from '@liftbridge/metadata'
import { decodeIdentity, encodeIdentity, sameIncarnation } from './stream-identity.ts'

/** The file in a stream's directory that says whose it is. */
const IDENTITY_FILE = 'incarnation'
/** Directories of the server among those of the streams; no stream's begins with a dot. */
const DELETED = '.deleted'
const QUARANTINE = '.quarantine'
/** An identity file is some 400 bytes; more is not ours. */
const IDENTITY_MAX_BYTES = 4096

/** A stream's directory cannot be used; the text says why and what an operator can do. */
export class DirectoryRefused extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'DirectoryRefused'
  }
}

export type DirectoryReport =
  /** A directory that belongs to no stream there is; left alone [M9]. */
  | { readonly kind: 'unknown-directory'; readonly directory: string }
  /** Data of another incarnation stood in the way and was moved aside, not deleted [M9]. */
  | { readonly kind: 'quarantined'; readonly directory: string; readonly movedTo: string }

type Owner =
  | { readonly kind: 'none' }
  | { readonly kind: 'stream'; readonly identity: StreamIdentity }
  | { readonly kind: 'unreadable' }

/**
 * The directories `<root>/<stream>/<partition>`, and whose they are. A re-created stream must
 * never see the data of the old one [D-67], and no data may be deleted but by a committed
 * DeleteStream of that very incarnation [M9]. So each stream's directory holds an identity file,
 * written before the first partition:
 *
 *     identity file           on claim by incarnation i        on removal of incarnation i
 *     says i                  use                              delete
 *     missing                 adopt: data of Go Liftbridge     leave alone
 *     says another of name    move to .quarantine, start empty leave alone
 *     says another name       refuse (names folded together)   leave alone
 *     cannot be read          refuse: it may be i's data       leave alone
 *
 * Deleting is a rename into `.deleted` first, so that no crash leaves half a stream behind under
 * its name; `.deleted` is emptied at start.
 */
export class StreamDirectories {
  readonly #disk: Disk
  readonly #root: string
  readonly #report: (report: DirectoryReport) => void

  constructor(options: {
    readonly disk: Disk
    /** `<data.dir>/streams` */
    readonly root: string
    readonly report: (report: DirectoryReport) => void
  }) {
    this.#disk = options.disk
    this.#root = options.root
    this.#report = options.report
  }

  /** Where a partition's log is. */
  partitionPath(stream: string, partition: number): string {
    return `${this.#path(stream)}/${partition}`
  }

  /**
   * Makes the directory this incarnation's. Idempotent. Rejects with DirectoryRefused, or with a
   * DiskError; nothing may be opened then.
   */
  async claim(stream: StreamIdentity): Promise<void> {
    const path = this.#path(stream.name)
    const owner = await this.#ownerOf(path)
    if (owner.kind === 'stream') {
      if (sameIncarnation(owner.identity, stream)) return
      if (owner.identity.name !== stream.name) {
        throw new DirectoryRefused(
          `directory ${path} belongs to stream ${JSON.stringify(owner.identity.name)}: ` +
            'the file system does not tell the two names apart',
        )
      }
      await this.#quarantine(path, owner.identity)
    } else if (owner.kind === 'unreadable') {
      throw new DirectoryRefused(
        `${path}/${IDENTITY_FILE} is damaged, so it is not known whose data this is: ` +
          'remove that file to keep the data, or move the directory away to start empty',
      )
    }
    await this.#disk.makeDirectory(path)
    await this.#disk.syncDirectory(this.#root)
    await this.#writeIdentity(path, stream)
  }

  /** Deletes the data of a deleted incarnation; resolves with whether there was any. */
  async remove(stream: StreamIdentity): Promise<boolean> {
    const path = this.#path(stream.name)
    const owner = await this.#ownerOf(path)
    if (owner.kind !== 'stream' || !sameIncarnation(owner.identity, stream)) return false
    const moved = await this.#moveInto(DELETED, path, stream)
    await this.#disk.removeTree(moved)
    return true
  }

  /**
   * At start: finishes deletions, of streams that the log deleted too, and reports directories
   * that belong to no stream.
   */
  async tidy(
    streams: ReadonlyMap<string, StreamIdentity>,
    deleted: readonly StreamIdentity[],
  ): Promise<void> {
    await this.#disk.makeDirectory(this.#root)
    // A power cut could take the name, and all streams with it, however often they were synced [D2].
    await this.#disk.syncDirectory(this.#root.slice(0, this.#root.lastIndexOf('/')) || '/')
    await this.#disk.removeTree(`${this.#root}/${DELETED}`)
    const wanted = new Set([...streams.keys()].map(encodeDirectoryName))
    const gone = new Map<string, StreamIdentity[]>()
    for (const stream of deleted) {
      const directory = encodeDirectoryName(stream.name)
      gone.set(directory, [...(gone.get(directory) ?? []), stream])
    }
    for (const { name, kind } of await this.#disk.list(this.#root)) {
      if (kind !== 'directory' || name === QUARANTINE) continue
      let removed = false
      for (const stream of gone.get(name) ?? []) removed ||= await this.remove(stream)
      if (!removed && !wanted.has(name)) {
        this.#report({ kind: 'unknown-directory', directory: `${this.#root}/${name}` })
      }
    }
  }

  #path(stream: string): string {
    return `${this.#root}/${encodeDirectoryName(stream)}`
  }

  async #ownerOf(path: string): Promise<Owner> {
    let file: DiskFile
    try {
      file = await this.#disk.open(`${path}/${IDENTITY_FILE}`)
    } catch (error) {
      if (error instanceof DiskError && error.code === 'not-found') return { kind: 'none' }
      throw error
    }
    try {
      const bytes = await readAll(file)
      const identity = bytes === undefined ? undefined : decodeIdentity(bytes)
      return identity === undefined ? { kind: 'unreadable' } : { kind: 'stream', identity }
    } finally {
      await file.close()
    }
  }

  /** Written aside, synced and renamed: a crash leaves the whole file or none. */
  async #writeIdentity(path: string, stream: StreamIdentity): Promise<void> {
    const temporary = `${path}/${IDENTITY_FILE}.tmp`
    await this.#disk.remove(temporary)
    const file = await this.#disk.open(temporary, { create: true })
    try {
      await writeAll(file, encodeIdentity(stream))
      await file.sync()
    } finally {
      await file.close()
    }
    await this.#disk.rename(temporary, `${path}/${IDENTITY_FILE}`)
    await this.#disk.syncDirectory(path)
  }

  async #quarantine(path: string, identity: StreamIdentity): Promise<void> {
    const movedTo = await this.#moveInto(QUARANTINE, path, identity)
    this.#report({ kind: 'quarantined', directory: path, movedTo })
  }

  /** Moves a stream's directory under a free name, durably; resolves with the new path. */
  async #moveInto(folder: string, path: string, identity: StreamIdentity): Promise<string> {
    const parent = `${this.#root}/${folder}`
    await this.#disk.makeDirectory(parent)
    const taken = new Set((await this.#disk.list(parent)).map(({ name }) => name))
    const stem = `${encodeDirectoryName(identity.name).slice(0, 120)}@${identity.incarnation}`
    let name = stem
    for (let i = 2; taken.has(name); i += 1) name = `${stem}-${i}`
    await this.#disk.rename(path, `${parent}/${name}`)
    await this.#disk.syncDirectory(parent)
    await this.#disk.syncDirectory(this.#root)
    return `${parent}/${name}`
  }
}

/** The whole file; undefined when it is longer than any of ours. */
const readAll = async (file: DiskFile): Promise<Uint8Array | undefined> => {
  const size = await file.size()
  if (size > IDENTITY_MAX_BYTES) return undefined
  const bytes = new Uint8Array(size)
  let at = 0
  while (at < size) {
    const read = await file.read(bytes, at, size - at, at)
    if (read === 0) break
    at += read
  }
  return bytes.subarray(0, at)
}

const writeAll = async (file: DiskFile, bytes: Uint8Array): Promise<void> => {
  let at = 0
  while (at < bytes.length) at += await file.write(bytes, at, bytes.length - at, at)
}
