/**
 * The cheapest NATS client: lines prepared beforehand, many in one write, and what arrives is cut
 * without decoding payloads. It is as lean as the gRPC load generator, so that neither system is
 * judged by its client.
 */
import { connect, type Socket } from 'node:net'

const CR = 13
const LF = 10
const SPACE = 32
/** First bytes of the commands that a client receives. */
const LETTER_M = 0x4d
const LETTER_H = 0x48
const LETTER_P = 0x50
const LETTER_MINUS = 0x2d

/** A message as ranges of the receive buffer, which is reused: copy to keep. */
export type OnDelivery = (delivery: {
  readonly bytes: Buffer
  readonly line: readonly [number, number]
  readonly payload: readonly [number, number]
  readonly hasHeaders: boolean
}) => void

export class RawNats {
  readonly #socket: Socket
  #onDelivery: OnDelivery = () => undefined
  #onBatch: () => void = () => undefined
  #rest: Buffer | undefined
  #pong: (() => void) | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('error', () => undefined)
  }

  static async open(url: string): Promise<RawNats> {
    const { hostname, port } = new URL(url)
    const socket = await new Promise<Socket>((resolve, reject) => {
      const opening = connect({ host: hostname, port: Number(port), noDelay: true })
      opening.once('error', reject)
      // The server's INFO comes first; nothing of it is needed.
      opening.once('data', () => resolve(opening))
    })
    const nats = new RawNats(socket)
    nats.write('CONNECT {"verbose":false,"pedantic":false,"headers":true,"lang":"raw"}\r\n')
    await nats.flush()
    return nats
  }

  onDelivery(onDelivery: OnDelivery, onBatch: () => void = () => undefined): void {
    this.#onDelivery = onDelivery
    this.#onBatch = onBatch
  }

  /** False when the caller should wait for `drained`. */
  write(commands: string | Buffer): boolean {
    return this.#socket.write(commands)
  }

  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.once('drain', resolve)
    })
  }

  /** Until the server has processed everything written before. */
  flush(): Promise<void> {
    return new Promise((resolve) => {
      this.#pong = resolve
      this.write('PING\r\n')
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #receive(chunk: Buffer): void {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk])
    this.#rest = undefined
    let at = 0
    while (at < bytes.length) {
      const next = this.#command(bytes, at)
      if (next === undefined) break
      at = next
    }
    if (at < bytes.length) this.#rest = bytes.subarray(at)
    this.#onBatch()
  }

  /** Takes one command; where the next begins, or undefined when this one is not complete. */
  #command(bytes: Buffer, at: number): number | undefined {
    const lineEnd = bytes.indexOf(LF, at)
    if (lineEnd < 0) return undefined
    const first = bytes[at]
    const after = lineEnd + 1
    if (first === LETTER_M || first === LETTER_H) {
      const size = lastNumber(bytes, lineEnd - 1)
      const end = after + size
      if (end + 2 > bytes.length) return undefined
      const hasHeaders = first === LETTER_H
      this.#onDelivery({ bytes, line: [at, lineEnd - 1], payload: [after, end], hasHeaders })
      return end + 2
    }
    if (first === LETTER_MINUS) throw new Error(bytes.toString('latin1', at, lineEnd))
    if (first === LETTER_P) {
      if (bytes[at + 1] === 0x49) this.write('PONG\r\n')
      else this.#pong?.()
    }
    return after
  }
}

/** The number that ends before `end` (exclusive, pointing at CR). */
function lastNumber(bytes: Buffer, end: number): number {
  let value = 0
  let scale = 1
  for (let at = bytes[end] === CR ? end - 1 : end; bytes[at] !== SPACE; at--) {
    value += ((bytes[at] ?? 0) - 48) * scale
    scale *= 10
  }
  return value
}

export function pubCommand(subject: string, reply: string, payload: Buffer): Buffer {
  const line = Buffer.from(`PUB ${subject} ${reply} ${payload.length}\r\n`)
  return Buffer.concat([line, payload, Buffer.from('\r\n')])
}
