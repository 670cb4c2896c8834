import type { Http2Stream } from 'node:http2'
import { inflate, type Encoding } from './compression.ts'
import { FrameSlicer, type SlicedChunk } from './frames-in.ts'
import type { MemoryBudget } from './memory-budget.ts'
import { messageAt, type MessageChunk } from './message-chunk.ts'
import { GrpcError, GrpcStatus } from './status.ts'

export interface IncomingOptions {
  readonly stream: Http2Stream
  readonly maxMessageBytes: number
  readonly budget: MemoryBudget
  /** Beyond this many waiting bytes the stream is paused until the consumer took them. */
  readonly queueMaxBytes: number
  /** What the peer may still send to a paused stream; counted against the budget meanwhile. */
  readonly streamWindowBytes: number
  /** Told of every read, for those who watch the connection's progress. */
  readonly onRead?: (bytes: number) => void
  /** Told of a read so small that it only costs: see `DRIBBLE_MAX_BYTES`. */
  readonly onDribble?: () => void
  /**
   * Called when all bytes are here, instead of ending the iteration: on the client only the
   * status, which comes later, tells whether that was a good end; it then calls `finish` or `fail`.
   */
  readonly onBytesEnd?: () => void
}

/**
 * A read of fewer bytes that completes no message is one of a dribble, beyond the first few of a
 * message: some clients send the prefix of a message on its own.
 */
const DRIBBLE_MAX_BYTES = 64
const DRIBBLES_FREE = 4

interface Waiter {
  readonly resolve: (result: IteratorResult<MessageChunk, undefined>) => void
  readonly reject: (error: GrpcError) => void
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined }

/**
 * The receiving half of a call: DATA payloads in, message chunks out, for one consumer.
 *
 * Back-pressure: when the consumer lags by more than `queueMaxBytes` the HTTP/2 stream is
 * paused; then no WINDOW_UPDATE goes out for this stream and the peer stops after at most one
 * stream window. The connection window is not held, so other calls go on.
 *
 * Chunks that came before an error are delivered before it; the error then repeats for ever.
 */
export class IncomingMessages implements AsyncIterableIterator<MessageChunk> {
  readonly #options: IncomingOptions
  readonly #slicer: FrameSlicer
  #encoding: Encoding = 'identity'
  #queue: SlicedChunk[] = []
  #queuedBytes = 0
  /** Bytes of this call now counted in the budget. */
  #counted = 0
  #paused = false
  /** Small reads since the last message was complete. */
  #dribbles = 0
  #ended = false
  #discarding = false
  #error: GrpcError | undefined
  #waiter: Waiter | undefined
  /** The chunk now being inflated piece by piece, and the next message of it. */
  #inflating: { chunk: SlicedChunk; next: number } | undefined
  #onFault: ((error: GrpcError) => void) | undefined

  constructor(options: IncomingOptions) {
    this.#options = options
    this.#slicer = new FrameSlicer({
      maxMessageBytes: options.maxMessageBytes,
      onChunk: (chunk) => this.#enqueue(chunk),
    })
    options.stream.on('data', (read: Buffer) => this.#onData(read))
    options.stream.on('end', options.onBytesEnd ?? (() => this.finish()))
  }

  /** How the peer said it encodes flagged messages; known when its headers are. */
  setEncoding(encoding: Encoding): void {
    this.#encoding = encoding
  }

  /** Called at once for a fault in what the peer sent, even while nobody reads. */
  onFault(listener: (error: GrpcError) => void): void {
    this.#onFault = listener
  }

  /** Ends the iteration with this error once the chunks already here are taken. */
  fail(error: GrpcError): void {
    if (this.#ended || this.#error !== undefined) return
    this.#error = error
    this.#recount()
    this.#settle()
  }

  /** Ends the iteration at once and drops what is held: the call is over. */
  close(error: GrpcError): void {
    this.#drop()
    this.#discarding = true
    this.#error ??= error
    this.#ended = false
    this.#settle()
  }

  next(): Promise<IteratorResult<MessageChunk, undefined>> {
    if (this.#inflating !== undefined) return this.#inflateNext(this.#inflating)
    const chunk = this.#queue.shift()
    if (chunk === undefined) return this.#wait()
    this.#taken(chunk)
    if (!chunk.compressed) return Promise.resolve({ done: false, value: chunk })
    return this.#inflateNext({ chunk, next: 0 })
  }

  /** The consumer will read no more: what arrives is thrown away, so the peer is not held up. */
  return(): Promise<IteratorResult<MessageChunk, undefined>> {
    this.#discarding = true
    this.#ended = true
    this.#drop()
    return Promise.resolve(DONE)
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<MessageChunk> {
    return this
  }

  #onData(read: Buffer): void {
    this.#options.onRead?.(read.length)
    if (this.#discarding || this.#error !== undefined) return
    try {
      this.#slicer.push(read)
    } catch (error) {
      this.#fault(asGrpcError(error))
      return
    }
    this.#recount()
    if (read.length < DRIBBLE_MAX_BYTES && this.#slicer.carriedBytes > 0) {
      if (++this.#dribbles > DRIBBLES_FREE) this.#options.onDribble?.()
    }
    if (this.#options.budget.isExceeded && this.#counted > 0) {
      this.#fault(new GrpcError(GrpcStatus.UNAVAILABLE, 'too many request bytes are waiting'))
    }
  }

  /** Ends the iteration in good order once the chunks already here are taken. */
  finish(): void {
    if (this.#ended || this.#error !== undefined) return
    try {
      this.#slicer.end()
    } catch (error) {
      this.#fault(asGrpcError(error))
      return
    }
    this.#ended = true
    this.#recount()
    this.#settle()
  }

  #fault(error: GrpcError): void {
    this.#options.stream.resume()
    this.fail(error)
    this.#onFault?.(error)
  }

  #enqueue(chunk: SlicedChunk): void {
    this.#dribbles = 0
    if (this.#waiter !== undefined && !chunk.compressed) {
      const { resolve } = this.#waiter
      this.#waiter = undefined
      resolve({ done: false, value: chunk })
      return
    }
    this.#queue.push(chunk)
    this.#queuedBytes += chunk.bytes.length
    if (this.#queuedBytes > this.#options.queueMaxBytes) this.#pause()
    this.#settle()
  }

  #taken(chunk: SlicedChunk): void {
    this.#queuedBytes -= chunk.bytes.length
    if (this.#paused && this.#queuedBytes <= this.#options.queueMaxBytes / 2) {
      this.#paused = false
      this.#options.stream.resume()
    }
    this.#recount()
  }

  #pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.#options.stream.pause()
  }

  /** Once nothing more can arrive a call no longer counts: it cannot grow, only shrink. */
  #recount(): void {
    const over = this.#ended || this.#error !== undefined
    const window = this.#paused ? this.#options.streamWindowBytes : 0
    const now = over ? 0 : this.#slicer.carriedBytes + this.#queuedBytes + window
    if (now === this.#counted) return
    this.#options.budget.add(now - this.#counted)
    this.#counted = now
  }

  #drop(): void {
    this.#queue = []
    this.#queuedBytes = 0
    this.#inflating = undefined
    this.#options.budget.add(-this.#counted)
    this.#counted = 0
    if (this.#paused) {
      this.#paused = false
      this.#options.stream.resume()
    }
  }

  #wait(): Promise<IteratorResult<MessageChunk, undefined>> {
    if (this.#error !== undefined) return Promise.reject(this.#error)
    if (this.#ended) return Promise.resolve(DONE)
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject }
    })
  }

  /** Answers a waiting consumer, if what it waits for is now here. */
  #settle(): void {
    const waiter = this.#waiter
    if (waiter === undefined) return
    if (this.#queue.length === 0 && !this.#ended && this.#error === undefined) return
    this.#waiter = undefined
    this.next().then(waiter.resolve, waiter.reject)
  }

  async #inflateNext(work: {
    chunk: SlicedChunk
    next: number
  }): Promise<IteratorResult<MessageChunk, undefined>> {
    this.#inflating = undefined
    if (this.#encoding === 'identity') {
      const error = new GrpcError(
        GrpcStatus.INTERNAL,
        'grpc: compressed flag set with identity or empty encoding',
      )
      this.#fault(error)
      throw error
    }
    try {
      const { chunk, next } = await inflate(work.chunk, work.next, this.#options.maxMessageBytes)
      if (next < work.chunk.count && !this.#discarding) {
        this.#inflating = { chunk: work.chunk, next }
      }
      return { done: false, value: chunk }
    } catch (error) {
      const fault = asGrpcError(error)
      this.#queue = []
      this.#fault(fault)
      throw fault
    }
  }
}

/**
 * The one message of a call that carries exactly one in this direction.
 * @throws GrpcError INTERNAL for none or several; whatever `incoming` fails with.
 */
export async function readSingle(incoming: IncomingMessages, what: string): Promise<Uint8Array> {
  let message: Uint8Array | undefined
  for (;;) {
    const result = await incoming.next()
    if (result.done === true) break
    if (message !== undefined || result.value.count !== 1) {
      throw new GrpcError(GrpcStatus.INTERNAL, `cardinality violation: more than one ${what}`)
    }
    message = messageAt(result.value, 0)
  }
  if (message === undefined) {
    throw new GrpcError(GrpcStatus.INTERNAL, `cardinality violation: no ${what}`)
  }
  return message
}

function asGrpcError(error: unknown): GrpcError {
  if (error instanceof GrpcError) return error
  return new GrpcError(GrpcStatus.INTERNAL, 'cannot read the messages of this call', {
    cause: error,
  })
}
