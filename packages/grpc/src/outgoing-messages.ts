import type { Http2Stream } from 'node:http2'
import { compressFrames } from './compression.ts'
import { GrpcError, GrpcStatus } from './status.ts'

/** The sending half of a streaming call. */
export interface OutgoingStream {
  /**
   * Sends one or more length-prefixed messages, back to back in `frames`, whose ownership
   * passes. Returns false when the peer or the socket is behind: await `drained()` before the
   * next write, or the backlog grows without bound. `sent`, when given, is called once the bytes
   * have left this process: `frames` may then be used again. It is not called when the stream was
   * cut before that; such a buffer is left to the garbage collector.
   * @throws GrpcError when the call is over: a loop that writes for ever ends here.
   */
  write(frames: Uint8Array, sent?: () => void): boolean
  /** Resolves when there is room again, and also when the call ends; it never rejects. */
  drained(): Promise<void>
  /** Bytes accepted by `write` and not yet handed to the socket. */
  readonly backlogBytes: number
}

/** For the many calls that end well: an Error with a stack for each would cost more than the rest. */
export const CALL_OVER: GrpcError = new GrpcError(GrpcStatus.CANCELLED, 'the call is over')

/** Writes frames to an HTTP/2 stream, with back-pressure. Shared by server and client. */
export class OutgoingMessages implements OutgoingStream {
  readonly #stream: Http2Stream
  #compress = false
  #over: GrpcError | undefined
  #listening = false
  #waiting: (() => void)[] = []

  constructor(stream: Http2Stream) {
    this.#stream = stream
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
    if (!this.#stream.writable) throw CALL_OVER
    if (sent === undefined) return this.#stream.write(this.encode(frames))
    return this.#stream.write(this.encode(frames), (error) => {
      // A part of what a cut stream was sending may still wait in the socket, and node:http2 calls
      // back without an error then: the buffer must not be filled with what others are to get.
      if (!error && !this.#stream.destroyed) sent()
    })
  }

  /** `frames` as they go on the wire: gzipped where the call agreed to that and it gains. */
  encode(frames: Uint8Array): Uint8Array {
    return this.#compress ? compressFrames(frames) : frames
  }

  drained(): Promise<void> {
    const stream = this.#stream
    if (this.#over !== undefined || stream.destroyed || !stream.writableNeedDrain) {
      return Promise.resolve()
    }
    if (!this.#listening) {
      // Most calls never fall behind, so they do not pay for these listeners.
      this.#listening = true
      this.#stream.on('drain', () => this.#wake())
      this.#stream.on('close', () => this.#wake())
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}
