import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** Where a NATS server under test listens. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** A NATS client as bare as telnet: texts are byte strings, nothing is parsed or answered. */
export class RawClient {
  readonly socket: Socket
  /** The JSON of INFO. */
  info = ''
  #received = ''
  #closed = false
  #changed: () => void = () => {}

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (bytes) => {
      this.#received += bytes.toString('latin1')
      this.#changed()
    })
    // A server that cuts us while we still write resets the connection.
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#closed = true
      this.#changed()
    })
  }

  /** Connects and takes INFO off the stream; then sends `hello`, by default a quiet CONNECT. */
  static async open(address: Address, hello: string = QUIET): Promise<RawClient> {
    const client = new RawClient(connect(address.port, address.host))
    const line = await client.takeUpTo('\r\n')
    assert.match(line, /^INFO \{.*\} *\r\n$/)
    client.info = line.slice(5).trim()
    client.send(hello)
    return client
  }

  get closed(): boolean {
    return this.#closed
  }

  /** What has arrived and was not taken yet. */
  get received(): string {
    return this.#received
  }

  send(text: string): void {
    if (text !== '') this.socket.write(Buffer.from(text, 'latin1'))
  }

  /** Takes everything up to and with `mark`; fails when the server closes before. */
  async takeUpTo(mark: string): Promise<string> {
    await this.until(() => this.#closed || this.#received.includes(mark))
    const at = this.#received.indexOf(mark)
    assert.notEqual(at, -1, `closed after ${JSON.stringify(this.#received)}`)
    const taken = this.#received.slice(0, at + mark.length)
    this.#received = this.#received.slice(at + mark.length)
    return taken
  }

  /** Everything the server sent before it answered this PING, without the answer. */
  async untilPong(): Promise<string> {
    this.send('PING\r\n')
    return (await this.takeUpTo('PONG\r\n')).slice(0, -6)
  }

  /** Everything up to the end of the connection. */
  async untilClosed(): Promise<string> {
    await this.until(() => this.#closed)
    return this.#received
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#changed = resolve
      await promise
    }
  }

  /** Hangs up and waits until the server has done so too. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.socket.end()
    await once(this.socket, 'close')
  }
}

export const QUIET =
  'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}\r\n'
export const PLAIN = 'CONNECT {"verbose":false,"pedantic":false}\r\n'
export const VERBOSE = 'CONNECT {"verbose":true,"pedantic":true,"headers":true}\r\n'
