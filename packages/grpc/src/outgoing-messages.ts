import type { Http2Stream } from 'node:http2'
import { compressFrames } from './compression.ts'
import { GrpcError, GrpcStatus } from './status.ts'

/** The sending half of a streaming call. */
export interface OutgoingStream {
  /**
   * Sends one or more length-prefixed messages, back to back in `frames`, whose ownership
   * passes. Returns false when the peer or the socket is behind: await `drained()` before the
   * next write, or the backlog grows without bound. `sent`, when given, is called once the bytes
   * have left this process, or never will: `frames` may then be used again.
   * @throws GrpcError when the call is over: a loop that writes for ever ends here.
   */
  write(frames: Uint8Array, sent?: () => void): boolean
  /** Resolves when there is room again, and also when the call ends; it never rejects. */
  drained(): Promise<void>
  /** Bytes accepted by `write` and not yet handed to the socket. */
  readonly backlogBytes: number
}

/** Writes frames to an HTTP/2 stream, with back-pressure. Shared by server and client. */
export class OutgoingMessages implements OutgoingStream {
  readonly #stream: Http2Stream
  #compress = false
  #over: GrpcError | undefined
  #waiting: (() => void)[] = []

  constructor(stream: Http2Stream) {
    this.#stream = stream
    stream.on('drain', () => this.#wake())
    stream.on('close', () => this.#wake())
  }

  /** From now on messages that gain from it are gzipped; the headers must have said so. */
  setCompression(compress: boolean): void {
    this.#compress = compress
  }

  /** The call is over: writers are woken and told why. */
  end(reason: GrpcError): void {
    this.#over ??= reason
    this.#wake()
  }

  get backlogBytes(): number {
    return this.#stream.writableLength
  }

  write(frames: Uint8Array, sent?: () => void): boolean {
    if (this.#over !== undefined) throw this.#over
    if (!this.#stream.writable) {
      throw new GrpcError(GrpcStatus.CANCELLED, 'the call is over')
    }
    if (!this.#compress) return this.#stream.write(frames, sent)
    const compressed = compressFrames(frames)
    return this.#stream.write(compressed, sent)
  }

  drained(): Promise<void> {
    if (this.#over !== undefined || !this.#stream.writableNeedDrain) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}
