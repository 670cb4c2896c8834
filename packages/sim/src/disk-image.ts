/** Unit of sharing between images. */
const PAGE_BYTES = 4096

interface Page {
  readonly bytes: Uint8Array
  /** Seen by more than one image: the next writer makes its own copy. */
  shared: boolean
}

/**
 * The bytes of a simulated file: sparse, and copied page by page when written after a `fork`, so
 * that keeping the state of a disk at every operation costs only what was changed.
 */
export class DiskImage {
  #pages: (Page | undefined)[] = []
  #length = 0

  get length(): number {
    return this.#length
  }

  /** An independent image with the same bytes. */
  fork(): DiskImage {
    const copy = new DiskImage()
    for (const page of this.#pages) if (page !== undefined) page.shared = true
    copy.#pages = this.#pages.slice()
    copy.#length = this.#length
    return copy
  }

  /** Copies up to `length` bytes from `position`; returns how many there were. */
  read(into: Uint8Array, offset: number, length: number, position: number): number {
    const count = Math.max(0, Math.min(length, this.#length - position))
    for (let taken = 0; taken < count;) {
      const start = (position + taken) % PAGE_BYTES
      const step = Math.min(count - taken, PAGE_BYTES - start)
      const page = this.#pages[Math.floor((position + taken) / PAGE_BYTES)]
      if (page === undefined) into.fill(0, offset + taken, offset + taken + step)
      else into.set(page.bytes.subarray(start, start + step), offset + taken)
      taken += step
    }
    return count
  }

  /** Stores bytes; the image grows as needed. */
  write(bytes: Uint8Array, position: number): void {
    for (let stored = 0; stored < bytes.length;) {
      const start = (position + stored) % PAGE_BYTES
      const step = Math.min(bytes.length - stored, PAGE_BYTES - start)
      const page = this.#ownPage(Math.floor((position + stored) / PAGE_BYTES))
      page.set(bytes.subarray(stored, stored + step), start)
      stored += step
    }
    this.#length = Math.max(this.#length, position + bytes.length)
  }

  /** Cuts, or extends with zeros. */
  resize(length: number): void {
    if (length < this.#length) {
      this.#pages.length = Math.min(this.#pages.length, Math.ceil(length / PAGE_BYTES))
      const last = Math.floor(length / PAGE_BYTES)
      // What lies behind the cut must read as zeros if the file grows again.
      if (this.#pages[last] !== undefined) this.#ownPage(last).fill(0, length % PAGE_BYTES)
    }
    this.#length = length
  }

  /** A copy of all bytes. */
  bytes(): Uint8Array {
    const all = new Uint8Array(this.#length)
    this.read(all, 0, this.#length, 0)
    return all
  }

  #ownPage(index: number): Uint8Array {
    const present = this.#pages[index]
    if (present !== undefined && !present.shared) return present.bytes
    const bytes = present === undefined ? new Uint8Array(PAGE_BYTES) : present.bytes.slice()
    this.#pages[index] = { bytes, shared: false }
    return bytes
  }
}
