import { connect, type Socket } from 'node:net'

/** HTTP/2 frame types. */
export const FRAME = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const

export const END_STREAM = 1
export const END_HEADERS = 4

export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = new Uint8Array(0),
): Buffer {
  const bytes = Buffer.alloc(9 + payload.length)
  bytes.writeUIntBE(payload.length, 0, 3)
  bytes[3] = type
  bytes[4] = flags
  bytes.writeUInt32BE(streamId, 5)
  bytes.set(payload, 9)
  return bytes
}

/** Literal header fields without indexing: the simplest HPACK there is. */
export function headerBlock(fields: Readonly<Record<string, string>>): Buffer {
  const parts: Buffer[] = []
  for (const [name, value] of Object.entries(fields)) {
    parts.push(Buffer.from([0]), hpackText(name), hpackText(value))
  }
  return Buffer.concat(parts)
}

function hpackText(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes])
  const length = [127]
  let rest = bytes.length - 127
  while (rest >= 128) {
    length.push((rest & 127) | 128)
    rest >>>= 7
  }
  return Buffer.concat([Buffer.from([...length, rest]), bytes])
}

export function grpcHeaders(path: string, extra: Readonly<Record<string, string>> = {}): Buffer {
  return headerBlock({
    ':method': 'POST',
    ':scheme': 'http',
    ':path': path,
    ':authority': 'a',
    'content-type': 'application/grpc',
    te: 'trailers',
    ...extra,
  })
}

export const PREFACE = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  frame(FRAME.SETTINGS, 0, 0),
])

/** A peer that speaks frames and nothing else: it acknowledges nothing and follows no rule. */
export class RawPeer {
  readonly socket: Socket
  readonly received: {
    readonly type: number
    readonly flags: number
    readonly streamId: number
    readonly payload: Buffer
  }[] = []
  closed = false
  #rest: Buffer = Buffer.alloc(0)

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => undefined)
    socket.on('close', () => (this.closed = true))
    socket.on('data', (read: Buffer) => this.#parse(read))
  }

  static async connect(port: number, greeting: Uint8Array = PREFACE): Promise<RawPeer> {
    const socket = connect(port, '127.0.0.1')
    const peer = new RawPeer(socket)
    await new Promise((resolve) => socket.once('connect', resolve))
    socket.write(greeting)
    return peer
  }

  send(...frames: readonly Uint8Array[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(frames))
  }

  /** Sends `count` frames in groups, giving the server its turn between them; stops when cut. */
  async flood(count: number, make: (index: number) => Uint8Array, group = 50): Promise<number> {
    let sent = 0
    while (sent < count && !this.closed && !this.socket.destroyed) {
      const frames: Uint8Array[] = []
      for (let k = 0; k < group && sent < count; k++) frames.push(make(sent++))
      this.send(...frames)
      await new Promise((resolve) => setImmediate(resolve))
    }
    return sent
  }

  /** Without this the server's own settings, larger windows above all, are not in force. */
  async acknowledgeSettings(): Promise<void> {
    while (this.count(FRAME.SETTINGS) === 0) await new Promise((resolve) => setImmediate(resolve))
    this.send(frame(FRAME.SETTINGS, 1, 0))
  }

  count(type: number): number {
    return this.received.filter((f) => f.type === type).length
  }

  close(): void {
    this.socket.destroy()
  }

  #parse(read: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, read])
    while (this.#rest.length >= 9) {
      const length = this.#rest.readUIntBE(0, 3)
      if (this.#rest.length < 9 + length) return
      this.received.push({
        type: this.#rest[3] ?? 0,
        flags: this.#rest[4] ?? 0,
        streamId: this.#rest.readUInt32BE(5),
        payload: Buffer.from(this.#rest.subarray(9, 9 + length)),
      })
      this.#rest = this.#rest.subarray(9 + length)
    }
  }
}
