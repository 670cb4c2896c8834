import { DiskImage } from './disk-image.ts'

/** What a drive writes as a whole. */
export const SECTOR_BYTES = 512

/** The part of a sector that was written since it was last synced. */
export interface DirtySector {
  readonly low: number
  readonly high: number
  /** Number of the disk operation that wrote it last. */
  readonly sequence: number
  /** What it held between two writes that overlap: that may have been written back meanwhile. */
  readonly earlier: readonly SectorVersion[]
}

export interface SectorVersion {
  readonly low: number
  readonly bytes: Uint8Array
}

/** A sector keeps so many of them; enough for every way in which a log overwrites. */
const MAX_EARLIER_VERSIONS = 4

interface Shrink {
  readonly to: number
  readonly sequence: number
}

/** What a sync in flight will make durable. */
interface Sync {
  /** Counts the syncs of the file in the order in which they began. */
  readonly order: number
  readonly content: DiskImage
  readonly sectors: readonly (readonly [number, DirtySector])[]
  readonly shrinks: readonly Shrink[]
}

/** What becomes of a sector that was written and not synced when the power goes. */
export type SectorFate = 'old' | 'earlier' | 'new' | 'zero' | 'garbage' | 'torn'

/** How unsynced bytes of one file come through a power cut. */
export interface FilePowerCut {
  keepsTruncation(): boolean
  length(durable: number, cached: number): number
  sector(sector: number, dirty: DirtySector): SectorFate
  /** Chance for garbage and torn sectors. */
  fill(bytes: Uint8Array): void
  integer(below: number): number
}

/**
 * A file: what readers see (`cached`), what is certainly on the platter (`durable`), and which
 * parts differ. Outside the dirty sectors the two are equal, unless a sync lied.
 *
 * A sector is written as a whole or not at all where it holds bytes that were durable before
 * (what SQLite calls power-safe overwrite): zeros, garbage and tears reach only what was written
 * since. Otherwise no log could append next to what it has synced.
 */
export class FileNode {
  readonly kind = 'file'
  /** The name it last had, for reports. */
  path: string
  cached: DiskImage = new DiskImage()
  durable: DiskImage = new DiskImage()
  /** End of the last byte written, which is what the file costs of the disk's capacity. */
  writtenEnd = 0
  #dirty = new Map<number, DirtySector>()
  #shrinks: Shrink[] = []
  #syncsBegun = 0
  /** The latest sync, by its beginning, that has succeeded. */
  #syncedOrder = 0

  constructor(path: string) {
    this.path = path
  }

  get dirty(): ReadonlyMap<number, DirtySector> {
    return this.#dirty
  }

  get hasUnsyncedLength(): boolean {
    return this.#shrinks.length > 0 || this.cached.length !== this.durable.length
  }

  write(bytes: Uint8Array, position: number, sequence: number): void {
    const end = position + bytes.length
    const marks: [number, DirtySector][] = []
    for (let start = position; start < end;) {
      const sector = Math.floor(start / SECTOR_BYTES)
      const stop = Math.min(end, (sector + 1) * SECTOR_BYTES)
      const before = this.#dirty.get(sector)
      const low = Math.min(start, before?.low ?? start)
      const high = Math.max(stop, before?.high ?? stop)
      const earlier = before === undefined ? [] : this.#versions(before, start, stop)
      marks.push([sector, { low, high, sequence, earlier }])
      start = stop
    }
    this.cached.write(bytes, position)
    this.writtenEnd = Math.max(this.writtenEnd, end)
    for (const [sector, dirty] of marks) this.#dirty.set(sector, dirty)
  }

  truncate(length: number, sequence: number): void {
    if (length < this.cached.length) {
      this.#shrinks.push({ to: length, sequence })
      for (const [sector, dirty] of this.#dirty) {
        if (dirty.low >= length) this.#dirty.delete(sector)
        else if (dirty.high > length)
          this.#dirty.set(sector, { ...dirty, high: length, earlier: [] })
      }
    }
    this.cached.resize(length)
    this.writtenEnd = Math.min(this.writtenEnd, length)
  }

  /** Notes what is to become durable: everything written before this moment. */
  beginSync(): Sync {
    return {
      order: ++this.#syncsBegun,
      content: this.cached.fork(),
      sectors: [...this.#dirty],
      shrinks: this.#shrinks.slice(),
    }
  }

  /** The sync succeeded. */
  completeSync(sync: Sync): void {
    // One that began later has ended before, and covered all of this one and more.
    if (sync.order < this.#syncedOrder) return
    this.#syncedOrder = sync.order
    for (const shrink of sync.shrinks) {
      if (shrink.to < this.durable.length) this.durable.resize(shrink.to)
    }
    for (const [, dirty] of sync.sectors) copyRange(sync.content, this.durable, dirty)
    this.durable.resize(sync.content.length)
    this.forget(sync)
  }

  /** Marks clean what a sync covered, without making it durable: the lie of reliability 0.7. */
  forget(sync: Sync): void {
    for (const [sector, dirty] of sync.sectors) {
      const now = this.#dirty.get(sector)
      if (now === undefined) continue
      if (now.sequence === dirty.sequence) this.#dirty.delete(sector)
      else if (isAppended(dirty, now, (range) => this.#isUnchanged(sync, range))) {
        // Appended to while the sync was under way: what it covered is not at risk any more.
        this.#dirty.set(sector, { ...now, low: dirty.high, earlier: [] })
      }
    }
    this.#shrinks = this.#shrinks.filter((shrink) => !sync.shrinks.includes(shrink))
  }

  /** Drops everything unsynced, as btrfs may after a failed sync. */
  revert(): void {
    this.setBoth(this.durable)
  }

  /** Decides what is left after the power went. */
  cutPower(plan: FilePowerCut): void {
    if (this.#dirty.size === 0 && !this.hasUnsyncedLength) {
      this.setBoth(this.durable)
      return
    }
    const image = this.durable.fork()
    const shrunkTo = Math.min(...this.#shrinks.map((shrink) => shrink.to))
    const wasShrunk = shrunkTo < image.length
    const isShrunk = wasShrunk && plan.keepsTruncation()
    if (isShrunk) image.resize(shrunkTo)
    // Blocks behind a cut that did not reach the disk are still those of the old file.
    const reach = wasShrunk && !isShrunk ? shrunkTo : Infinity
    const length = isShrunk || !wasShrunk ? this.#lengthAfterCut(plan, image.length) : image.length
    for (const [sector, dirty] of this.#dirty) {
      if (dirty.low < reach) applyFate(plan, { sector, dirty, from: this.cached, to: image })
    }
    image.resize(length)
    this.setBoth(image)
  }

  /** Replaces the content as if it had always been so, for damage at rest. */
  setBoth(image: DiskImage): void {
    this.cached = image
    this.durable = image.fork()
    this.writtenEnd = image.length
    this.#dirty.clear()
    this.#shrinks = []
  }

  fork(): FileNode {
    const copy = new FileNode(this.path)
    copy.cached = this.cached.fork()
    copy.durable = this.durable.fork()
    copy.writtenEnd = this.writtenEnd
    copy.#dirty = new Map(this.#dirty)
    copy.#shrinks = this.#shrinks.slice()
    return copy
  }

  #isUnchanged(
    sync: Sync,
    { low, high }: { readonly low: number; readonly high: number },
  ): boolean {
    const [then, now] = [new Uint8Array(high - low), new Uint8Array(high - low)]
    sync.content.read(then, 0, then.length, low)
    this.cached.read(now, 0, now.length, low)
    return Buffer.compare(then, now) === 0
  }

  /** The versions of a dirty sector that is about to be written from `start` to `stop`. */
  #versions(dirty: DirtySector, start: number, stop: number): readonly SectorVersion[] {
    // Appending within a sector makes a longer version of it, which tearing covers.
    if (start >= dirty.high || stop <= dirty.low) return dirty.earlier
    const bytes = new Uint8Array(dirty.high - dirty.low)
    this.cached.read(bytes, 0, bytes.length, dirty.low)
    return [...dirty.earlier.slice(1 - MAX_EARLIER_VERSIONS), { low: dirty.low, bytes }]
  }

  #lengthAfterCut(plan: FilePowerCut, durable: number): number {
    const cached = this.cached.length
    return cached === durable ? cached : plan.length(durable, cached)
  }
}

/** Whether what a sync covered of a sector has only been added to behind since. */
function isAppended(
  covered: DirtySector,
  now: DirtySector,
  isUnchanged: (range: DirtySector) => boolean,
): boolean {
  return now.low === covered.low && now.high > covered.high && isUnchanged(covered)
}

/** A directory: the names processes see, and those that are certainly on the disk. */
export class DirectoryNode {
  readonly kind = 'directory'
  path: string
  cached: Map<string, DiskNode> = new Map()
  durable: Map<string, DiskNode> = new Map()

  constructor(path: string) {
    this.path = path
  }
}

export type DiskNode = FileNode | DirectoryNode

interface SectorCut {
  readonly sector: number
  readonly dirty: DirtySector
  readonly from: DiskImage
  readonly to: DiskImage
}

function applyFate(plan: FilePowerCut, cut: SectorCut): void {
  const { dirty, from, to } = cut
  const fate = plan.sector(cut.sector, dirty)
  if (fate === 'old') return
  if (fate === 'earlier') {
    const version = dirty.earlier[plan.integer(Math.max(1, dirty.earlier.length))]
    if (version !== undefined) to.write(version.bytes, version.low)
  } else if (fate === 'new') {
    copyRange(from, to, dirty)
  } else if (fate === 'torn') {
    const high = dirty.low + plan.integer(dirty.high - dirty.low + 1)
    copyRange(from, to, { low: dirty.low, high })
  } else {
    const bytes = new Uint8Array(dirty.high - dirty.low)
    if (fate === 'garbage') plan.fill(bytes)
    to.write(bytes, dirty.low)
  }
}

function copyRange(
  from: DiskImage,
  to: DiskImage,
  range: { readonly low: number; readonly high: number },
): void {
  const bytes = new Uint8Array(range.high - range.low)
  from.read(bytes, 0, bytes.length, range.low)
  to.write(bytes, range.low)
}
