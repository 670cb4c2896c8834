import { STREAM_BUFFER_BYTES, STREAMS_BUFFER_BYTES } from './limits.ts'

/** What has arrived on all streams of a server and waits for its readers [D-54, B1]. */
export class StreamMemory {
  #bytes = 0

  /** Makes room for bytes on a stream that holds `held`; false when there is none. */
  take(count: number, held: number): boolean {
    if (held + count > STREAM_BUFFER_BYTES || this.#bytes + count > STREAMS_BUFFER_BYTES) {
      return false
    }
    this.#bytes += count
    return true
  }

  give(count: number): void {
    this.#bytes -= count
  }
}
