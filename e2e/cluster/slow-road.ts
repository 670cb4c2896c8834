/** A TCP relay that keeps each piece for a while, in order: a long way between two ends. */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { once } from 'node:events'

/** Beyond that an end that sends is made to wait, as a full pipe would. */
const KEPT_MAX_BYTES = 8 * 1024 * 1024

export class SlowRoad {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly port: number

  private constructor(server: Server, port: number) {
    this.#server = server
    this.port = port
  }

  /** Relays connections at `host`, any port, to `targetPort` there. */
  static async open(host: string, targetPort: number, delayMs: () => number): Promise<SlowRoad> {
    const server = createServer()
    server.listen(0, host)
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    const road = new SlowRoad(server, address.port)
    server.on('connection', (near) => {
      const far = connect(targetPort, host)
      road.#relay(near, far, delayMs)
      road.#relay(far, near, delayMs)
    })
    return road
  }

  /** Breaks every connection. */
  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #relay(from: Socket, to: Socket, delayMs: () => number): void {
    this.#sockets.add(from)
    let dueMs = 0
    let kept = 0
    from.setNoDelay(true)
    from.on('data', (piece: Buffer) => {
      dueMs = Math.max(dueMs, performance.now() + delayMs())
      kept += piece.length
      if (kept > KEPT_MAX_BYTES) from.pause()
      const waitMs = Math.max(dueMs - performance.now(), 0)
      setTimeout(() => {
        kept -= piece.length
        if (kept <= KEPT_MAX_BYTES) from.resume()
        if (!to.destroyed) to.write(piece)
      }, waitMs)
    })
    from.on('error', () => undefined)
    from.on('close', () => {
      this.#sockets.delete(from)
      to.destroy()
    })
  }
}
