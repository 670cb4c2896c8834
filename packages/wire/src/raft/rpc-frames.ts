import { MsgpackReader } from '../msgpack/reader.ts'
import { MsgpackScanner } from '../msgpack/scanner.ts'
import { MsgpackWriter } from '../msgpack/writer.ts'
import { decodeText } from '../text.ts'
import { WireError } from '../wire-error.ts'
import { FrameBuffer } from './frame-buffer.ts'
import { readRequest, readResponse, RPC_TYPES, writeRequest, writeResponse } from './rpc-codec.ts'
import type { RaftHeader, RaftRequest, RaftResponse, RaftRpcKind } from './rpc.ts'

/**
 * RPCs on a byte stream [LB control plane 2.5]. From the client, for each request:
 *
 *     type   one byte: 0 AppendEntries, 1 RequestVote, 2 InstallSnapshot, 3 TimeoutNow,
 *            4 RequestPreVote
 *     value  the request in MessagePack
 *     body   only of InstallSnapshot: exactly `size` bytes
 *
 * From the server, for each request and in the same order:
 *
 *     error  text in MessagePack, empty when there was none
 *     value  the response, or nil beside an error
 */

/**
 * Bytes of one request without the body of a snapshot. 64 entries, each an operation that went
 * through one NATS message of a mebibyte.
 */
export const RAFT_REQUEST_MAX_BYTES: number = 64 * 1024 * 1024

/** Bytes of the error text and of the response, each. A server's responses take a hundred. */
const RAFT_RESPONSE_MAX_BYTES: number = 64 * 1024

/** The type byte and the request. For InstallSnapshot `request.size` bytes must follow. */
export function encodeRaftRequest(request: RaftRequest, from: RaftHeader): Uint8Array<ArrayBuffer> {
  const writer = new MsgpackWriter()
  writer.raw(RPC_TYPES[request.kind])
  writeRequest(writer, request, from)
  return writer.finish()
}

/** What a request is answered with. */
export type RaftReply =
  | { readonly kind: 'response'; readonly response: RaftResponse }
  /** The handler failed; the stream goes on. */
  | { readonly kind: 'error'; readonly error: string }

export function encodeRaftReply(reply: RaftReply, from: RaftHeader): Uint8Array<ArrayBuffer> {
  const writer = new MsgpackWriter()
  if (reply.kind === 'error') {
    // An empty text would say that there was no error.
    writer.text(reply.error === '' ? 'unknown error' : reply.error)
    writer.nil()
  } else {
    writer.text('')
    writeResponse(writer, reply.response, from)
  }
  return writer.finish()
}

export type RaftRequestEvent =
  | {
      readonly kind: 'request'
      readonly header: RaftHeader
      /** The data of its entries are views of bytes that nobody else has. */
      readonly request: RaftRequest
    }
  /** Some of the body of the last InstallSnapshot; `remaining` bytes of it are to come. */
  | { readonly kind: 'snapshot-bytes'; readonly bytes: Uint8Array; readonly remaining: number }
  /** The stream cannot be understood from here on: close it. Every later call says so again. */
  | { readonly kind: 'malformed'; readonly reason: string }

const kinds: ReadonlyMap<number, RaftRpcKind> = new Map(
  Object.entries(RPC_TYPES).map(([kind, type]) => [type, kind as RaftRpcKind]),
)

type PartialRequest = { readonly kind: RaftRpcKind; readonly scanner: MsgpackScanner }

/** Reads requests from the bytes of a stream, however they are cut. Never throws. */
export class RaftRequestReader {
  readonly #buffer = new FrameBuffer()
  readonly #maxBytes: number
  /** The value whose end is being looked for. */
  #value: PartialRequest | undefined
  #snapshotRemaining = 0
  #failed: string | undefined

  constructor(options: { readonly requestMaxBytes?: number } = {}) {
    this.#maxBytes = options.requestMaxBytes ?? RAFT_REQUEST_MAX_BYTES
  }

  /** Whether the stream may end here: between two requests. */
  get atBoundary(): boolean {
    return this.#value === undefined && this.#snapshotRemaining === 0 && this.#buffer.length === 0
  }

  /** Takes a copy of `chunk`. Call `next` until it gives nothing before pushing more. */
  push(chunk: Uint8Array): void {
    if (this.#failed === undefined) this.#buffer.push(chunk)
  }

  /** What comes next, or undefined when more bytes are needed to tell. */
  next(): RaftRequestEvent | undefined {
    try {
      if (this.#failed !== undefined) return { kind: 'malformed', reason: this.#failed }
      if (this.#snapshotRemaining > 0) return this.#takeSnapshot()
      return this.#takeRequest()
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      this.#failed = error.message
      return { kind: 'malformed', reason: error.message }
    }
  }

  #takeSnapshot(): RaftRequestEvent | undefined {
    const count = Math.min(this.#buffer.length, this.#snapshotRemaining)
    if (count === 0) return undefined
    this.#snapshotRemaining -= count
    const bytes = this.#buffer.take(count)
    return { kind: 'snapshot-bytes', bytes, remaining: this.#snapshotRemaining }
  }

  #takeRequest(): RaftRequestEvent | undefined {
    const value = this.#value ?? this.#takeType()
    if (value === undefined) return undefined
    const { bytes, start, end } = this.#buffer
    const length = value.scanner.scan(bytes, start, end)
    if (length < 0) return undefined
    const { header, request } = readRequest(
      new MsgpackReader(this.#buffer.take(length)),
      value.kind,
    )
    this.#value = undefined
    if (request.kind === 'install-snapshot') this.#snapshotRemaining = request.size
    return { kind: 'request', header, request }
  }

  #takeType(): PartialRequest | undefined {
    const type = this.#buffer.bytes[this.#buffer.start]
    if (this.#buffer.length === 0 || type === undefined) return undefined
    const kind = kinds.get(type)
    if (kind === undefined) throw new WireError('malformed', `unknown RPC type ${type}`)
    this.#buffer.take(1)
    this.#value = { kind, scanner: new MsgpackScanner(this.#maxBytes) }
    return this.#value
  }
}

export type RaftReplyEvent = RaftReply | { readonly kind: 'malformed'; readonly reason: string }

/** Reads replies from the bytes of a stream, however they are cut. Never throws. */
export class RaftReplyReader {
  readonly #buffer = new FrameBuffer()
  #scanner = new MsgpackScanner(RAFT_RESPONSE_MAX_BYTES)
  #error: string | undefined
  #failed: string | undefined

  /** Whether nothing of a further reply has arrived. */
  get atBoundary(): boolean {
    return this.#error === undefined && this.#buffer.length === 0
  }

  /** Takes a copy of `chunk`. */
  push(chunk: Uint8Array): void {
    if (this.#failed === undefined) this.#buffer.push(chunk)
  }

  /** The reply to a request of kind `kind`, or undefined when more bytes are needed. */
  next(kind: RaftRpcKind): RaftReplyEvent | undefined {
    if (this.#failed !== undefined) return { kind: 'malformed', reason: this.#failed }
    try {
      return this.#takeReply(kind)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      this.#failed = error.message
      return { kind: 'malformed', reason: error.message }
    }
  }

  #takeReply(kind: RaftRpcKind): RaftReply | undefined {
    if (this.#error === undefined) {
      const value = this.#takeValue()
      if (value === undefined) return undefined
      this.#error = decodeText(value.bytes())
    }
    const value = this.#takeValue()
    if (value === undefined) return undefined
    const error = this.#error
    this.#error = undefined
    if (error !== '') return { kind: 'error', error }
    if (value.takeNil()) throw new WireError('malformed', 'neither an error nor a response')
    return { kind: 'response', response: readResponse(value, kind) }
  }

  #takeValue(): MsgpackReader | undefined {
    const { bytes, start, end } = this.#buffer
    const length = this.#scanner.scan(bytes, start, end)
    if (length < 0) return undefined
    this.#scanner = new MsgpackScanner(RAFT_RESPONSE_MAX_BYTES)
    return new MsgpackReader(this.#buffer.take(length))
  }
}
