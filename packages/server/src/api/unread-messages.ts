/**
 * What all subscriptions together have been sent and their clients have not read: each may hold a
 * message of megabytes, and there may be thousands of them. Over the bound the one that has stood
 * still for the longest is cut; its client resumes where it was, when it reads again [reliability B1].
 */

/** Some fifteen hundred subscriptions that catch up at a time, a slab each, stay within it. */
const UNREAD_MAX_BYTES = 96 * 1_024 * 1_024

/** A subscription that is behind. */
export interface Reader {
  /** Ends it and frees what it holds. It must not write any more. */
  cut(): void
}

export class UnreadMessages {
  readonly #maxBytes: number
  /** Bytes of each subscription that has any, in the order of their last progress. */
  readonly #held = new Map<Reader, number>()
  #bytes = 0

  constructor(maxBytes: number = UNREAD_MAX_BYTES) {
    this.#maxBytes = maxBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Notes a write; cuts others, or this very one, when it is too much. */
  add(reader: Reader, bytes: number): void {
    this.#held.set(reader, (this.#held.get(reader) ?? 0) + bytes)
    this.#bytes += bytes
    for (const oldest of this.#held.keys()) {
      if (this.#bytes <= this.#maxBytes) return
      this.forget(oldest)
      oldest.cut()
    }
  }

  /** A write has left the process. Nothing when the reader was forgotten meanwhile. */
  sent(reader: Reader, bytes: number): void {
    const held = this.#held.get(reader)
    if (held === undefined) return
    this.#bytes -= bytes
    // It goes to the end of the order: it reads.
    this.#held.delete(reader)
    if (held > bytes) this.#held.set(reader, held - bytes)
  }

  /** The subscription is over. */
  forget(reader: Reader): void {
    this.#bytes -= this.#held.get(reader) ?? 0
    this.#held.delete(reader)
  }
}

/** Of this process, as the slabs are. */
export const unreadMessages: UnreadMessages = new UnreadMessages()
