/**
 * Open files of all logs of a server, bounded. A segment names its files with `CachedFile` and
 * borrows the handle for the length of one operation; handles that nobody borrows are closed, the
 * longest unused first, when others are needed. Without this, ten thousand idle partitions would
 * hold twenty thousand descriptors.
 *
 * No operation borrows a second file while it holds one, so waiting for a free place cannot
 * deadlock.
 */
import { type Disk, DiskError, type DiskFile } from './disk.ts'

const DEFAULT_MAX_OPEN = 512

export class FileCache {
  readonly disk: Disk
  readonly #maxOpen: number
  /** Open files in order of last use. */
  readonly #open = new Set<CachedFile>()
  readonly #waiting: (() => void)[] = []
  /** Handles that exist or are being opened or closed. */
  #places = 0

  constructor(disk: Disk, options: { readonly maxOpen?: number } = {}) {
    this.disk = disk
    this.#maxOpen = Math.max(1, options.maxOpen ?? DEFAULT_MAX_OPEN)
  }

  /** Handles in existence, for metrics and tests. */
  get openCount(): number {
    return this.#places
  }

  /** @internal Takes a place for one handle, closing an unused one if need be. */
  async takePlace(): Promise<void> {
    while (this.#places >= this.#maxOpen) {
      const idle = this.#firstIdle()
      if (idle === undefined) await new Promise<void>((resolve) => this.#waiting.push(resolve))
      else await idle.evict()
    }
    this.#places++
  }

  /** @internal */
  givePlaceBack(): void {
    this.#places--
    this.wakeWaiter()
  }

  /** @internal A handle became idle or a place free. */
  wakeWaiter(): void {
    this.#waiting.shift()?.()
  }

  /** @internal */
  touch(file: CachedFile): void {
    this.#open.delete(file)
    this.#open.add(file)
  }

  /** @internal */
  forget(file: CachedFile): void {
    this.#open.delete(file)
  }

  #firstIdle(): CachedFile | undefined {
    for (const file of this.#open) if (file.idle) return file
    return undefined
  }
}

/** One file, opened when it is needed. */
export class CachedFile {
  readonly path: string
  readonly #cache: FileCache
  #handle: DiskFile | undefined
  #opening: Promise<DiskFile> | undefined
  #closing: Promise<void> | undefined
  #borrowers = 0
  #dirty = false
  #discarded = false
  #onSyncFailed: (error: unknown) => void = () => {}

  constructor(cache: FileCache, path: string) {
    this.#cache = cache
    this.path = path
  }

  /** True when the handle may be closed. */
  get idle(): boolean {
    return this.#borrowers === 0 && this.#handle !== undefined && this.#closing === undefined
  }

  /**
   * Says that bytes were written that no sync covers yet. An error of writing them back could go
   * unnoticed once the handle is closed, so eviction syncs first and reports a failure here [D7].
   * To be said before the handle of a write is given back, and after the write: a sync that runs
   * meanwhile covers a part of it only.
   */
  markDirty(onSyncFailed: (error: unknown) => void): void {
    this.#dirty = true
    this.#onSyncFailed = onSyncFailed
  }

  /** Syncs what was written before the call. */
  async sync(): Promise<void> {
    const handle = await this.borrow()
    try {
      this.#dirty = false
      await handle.sync()
    } finally {
      this.giveBack()
    }
  }

  /** The handle without waiting, when it is open. Balance with `giveBack`. */
  tryBorrow(): DiskFile | undefined {
    if (this.#handle === undefined || this.#closing !== undefined) return undefined
    this.#borrowers++
    this.#cache.touch(this)
    return this.#handle
  }

  /** The handle, opened if need be, and made if `create`. Balance with `giveBack`. */
  async borrow(options: { readonly create?: boolean } = {}): Promise<DiskFile> {
    for (;;) {
      if (this.#discarded) throw new DiskError('not-found', this.path, 'the file was given up')
      const handle = this.tryBorrow()
      if (handle !== undefined) return handle
      if (this.#closing !== undefined) await this.#closing
      else if (this.#opening !== undefined) await this.#opening.catch(ignore)
      else return this.#open(options.create ?? false)
    }
  }

  giveBack(): void {
    this.#borrowers--
    if (this.#borrowers > 0) return
    if (this.#discarded) void this.evict()
    else this.#cache.wakeWaiter()
  }

  /** Closes the handle as soon as nobody borrows it; the file may be renamed over or removed. */
  async discard(): Promise<void> {
    this.#discarded = true
    this.#dirty = false
    if (this.idle) await this.evict()
    else await this.#closing
  }

  /** @internal Closes the idle handle. */
  async evict(): Promise<void> {
    if (this.#handle === undefined) return
    this.#closing ??= this.#close()
    await this.#closing
  }

  /** Opens the handle and borrows it at once, so that nobody can evict it in between. */
  #open(create: boolean): Promise<DiskFile> {
    const opening = this.#openHandle(create).finally(() => {
      this.#opening = undefined
    })
    this.#opening = opening
    return opening
  }

  async #openHandle(create: boolean): Promise<DiskFile> {
    await this.#cache.takePlace()
    try {
      const handle = await this.#cache.disk.open(this.path, { create })
      this.#handle = handle
      this.#borrowers++
      this.#cache.touch(this)
      return handle
    } catch (error) {
      this.#cache.givePlaceBack()
      throw error
    }
  }

  async #close(): Promise<void> {
    const handle = this.#handle
    if (handle !== undefined) {
      if (this.#dirty) await this.#syncBeforeClose(handle)
      this.#cache.forget(this)
      await handle.close()
      this.#handle = undefined
      this.#cache.givePlaceBack()
    }
    this.#closing = undefined
  }

  async #syncBeforeClose(handle: DiskFile): Promise<void> {
    try {
      this.#dirty = false
      await handle.sync()
    } catch (error) {
      this.#onSyncFailed(error)
    }
  }
}

function ignore(): void {
  // Whoever opens gets the error; those who waited try for themselves.
}
