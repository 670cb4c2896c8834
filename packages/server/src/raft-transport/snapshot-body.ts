import type { RaftRequestReader } from '@liftbridge/wire'
import { REQUEST_STALL_MS } from './limits.ts'
import type { NatsStream } from './nats-stream.ts'
import { RaftTransportError } from './transport-error.ts'

/**
 * The bytes of a snapshot as they come in, to be read once, with `for await`. They come no faster
 * than they are read. Reading throws RaftTransportError when the stream ends before they do.
 */
export class SnapshotBody implements AsyncIterable<Uint8Array> {
  /** Bytes in all. */
  readonly size: number
  readonly #stream: NatsStream
  readonly #requests: RaftRequestReader
  #remaining: number

  constructor(stream: NatsStream, requests: RaftRequestReader, size: number) {
    this.#stream = stream
    this.#requests = requests
    this.size = size
    this.#remaining = size
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    while (this.#remaining > 0) yield await this.#next()
  }

  /** Passes over what was not read. */
  async drain(): Promise<void> {
    while (this.#remaining > 0) await this.#next()
  }

  async #next(): Promise<Uint8Array> {
    for (;;) {
      const event = this.#requests.next()
      if (event?.kind === 'snapshot-bytes') {
        this.#remaining = event.remaining
        return event.bytes
      }
      if (event !== undefined) throw new RaftTransportError('closed', 'no bytes of a snapshot')
      const bytes = await this.#stream.read(REQUEST_STALL_MS)
      if (bytes === undefined) {
        throw new RaftTransportError('closed', 'the stream ended within a snapshot')
      }
      this.#requests.push(bytes)
    }
  }
}
