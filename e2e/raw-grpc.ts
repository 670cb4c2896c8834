/**
 * The cheapest gRPC client that node:http2 allows, for load: requests are encoded beforehand or by
 * hand, many messages share a write, and replies are cut by their length prefix without decoding.
 * Package `grpc` is deliberately not used: what it does wrong must not cancel out.
 */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2'

/** Large windows, so that the measured limit is the server's, not the flow control's. */
const WINDOW_BYTES = 16 * 1024 * 1024
/** The compression flag and the length before each message. */
export const PREFIX_BYTES = 5

const MESSAGE_MAX_BYTES = 16 * 1024 * 1024

/** How a call ended. `code` is undefined when the connection broke before any status came. */
export type CallEnd = { readonly code: number | undefined; readonly message: string }

export class RawConnection {
  readonly #session: ClientHttp2Session
  #broken: Error | undefined

  private constructor(session: ClientHttp2Session) {
    this.#session = session
    session.on('error', (error: Error) => (this.#broken = error))
  }

  static open(address: string): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const session = connect(`http://${address}`, {
        settings: { initialWindowSize: WINDOW_BYTES, maxFrameSize: 1 << 20 },
      })
      session.once('error', reject)
      session.once('connect', () => {
        session.off('error', reject)
        session.setLocalWindowSize(WINDOW_BYTES)
        resolve(new RawConnection(session))
      })
    })
  }

  /** Starts a call; write the requests to it. */
  call(method: string, headers: IncomingHttpHeaders = {}): RawCall {
    return new RawCall(
      this.#session.request({
        [constants.HTTP2_HEADER_METHOD]: 'POST',
        [constants.HTTP2_HEADER_PATH]: `/proto.API/${method}`,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...headers,
      }),
    )
  }

  /** One request, one reply; rejects when the status is not OK. */
  async unary(method: string, request: Buffer, timeout = '10S'): Promise<Buffer> {
    const call = this.call(method, { 'grpc-timeout': timeout })
    let reply: Buffer | undefined
    call.onMessages((bytes, start, end) => {
      reply = Buffer.from(bytes.subarray(start, end))
    })
    call.end(prefixed(request))
    const { code, message } = await call.ended
    if (code === 0 && reply !== undefined) return reply
    throw new Error(`${method}: status ${code} ${message} ${this.#broken?.message ?? ''}`)
  }

  get broken(): boolean {
    return this.#broken !== undefined || this.#session.destroyed
  }

  close(): void {
    this.#session.destroy()
  }
}

/** Is given each message as a range of a larger buffer, which is reused: copy to keep. */
export type OnMessage = (bytes: Buffer, start: number, end: number) => void

export type OnFault = (error: Error) => void

function rethrow(error: Error): void {
  throw error
}

/** Calls back for each whole message; where the first incomplete one begins. */
function eachMessage(bytes: Buffer, onMessage: OnMessage): number {
  let at = 0
  while (at + PREFIX_BYTES <= bytes.length) {
    const size = bytes.readUInt32BE(at + 1)
    // Without this a mangled prefix would look like a server that never answers.
    if (bytes[at] !== 0 || size > MESSAGE_MAX_BYTES) {
      throw new Error(
        `a mangled message prefix: ${JSON.stringify(bytes.toString('latin1', at, at + 40))}`,
      )
    }
    const end = at + PREFIX_BYTES + size
    if (end > bytes.length) break
    onMessage(bytes, at + PREFIX_BYTES, end)
    at = end
  }
  return at
}

export class RawCall {
  readonly #stream: ClientHttp2Stream
  readonly ended: Promise<CallEnd>
  #status: CallEnd | undefined

  constructor(stream: ClientHttp2Stream) {
    this.#stream = stream
    const onStatus = (headers: IncomingHttpHeaders): void => {
      const code = headers['grpc-status']
      if (code === undefined) return
      const message = decodeURIComponent(String(headers['grpc-message'] ?? ''))
      this.#status = { code: Number(code), message }
    }
    stream.on('response', onStatus)
    stream.on('trailers', onStatus)
    stream.on('error', () => undefined)
    this.ended = new Promise((resolve) => {
      stream.once('close', () => {
        resolve(this.#status ?? { code: undefined, message: 'the connection broke' })
      })
    })
  }

  /**
   * Cuts what arrives into messages. `onBatch` runs once for each piece that the socket gave.
   * What cannot be cut, or what a callback throws, goes to `onFault`; by default it is thrown,
   * which ends the process: load on a server that answers garbage measures nothing.
   */
  onMessages(onMessage: OnMessage, onBatch?: () => void, onFault: OnFault = rethrow): void {
    let rest: Buffer | undefined
    let faulty = false
    this.#stream.on('data', (chunk: Buffer) => {
      if (faulty) return
      const bytes = rest === undefined ? chunk : Buffer.concat([rest, chunk])
      try {
        const at = eachMessage(bytes, onMessage)
        rest = at < bytes.length ? bytes.subarray(at) : undefined
        onBatch?.()
      } catch (error) {
        faulty = true
        onFault(error instanceof Error ? error : new Error(String(error)))
      }
    })
  }

  /** Writes length-prefixed messages; false when the caller should wait for `drained`. */
  write(messages: Buffer): boolean {
    return this.#stream.write(messages)
  }

  get needsDrain(): boolean {
    return this.#stream.writableNeedDrain
  }

  /** Until there is room to write again, or the call is over. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#stream.off('drain', done)
        this.#stream.off('close', done)
        resolve()
      }
      this.#stream.on('drain', done)
      this.#stream.on('close', done)
    })
  }

  end(messages?: Buffer): void {
    if (messages === undefined) this.#stream.end()
    else this.#stream.end(messages)
  }

  get closed(): boolean {
    return this.#stream.closed || this.#stream.destroyed
  }

  cancel(): void {
    this.#stream.close(constants.NGHTTP2_CANCEL)
  }
}

/** One message with its 5-byte prefix, uncompressed. */
export function prefixed(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(PREFIX_BYTES + message.length)
  framed[0] = 0
  framed.writeUInt32BE(message.length, 1)
  framed.set(message, PREFIX_BYTES)
  return framed
}
