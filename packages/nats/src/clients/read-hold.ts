import type { Socket } from 'node:net'
import type { Subscriber } from '../routing/subscription.ts'

/**
 * Back-pressure on one publisher: it is not read until every subscriber it just overfilled has
 * caught up, for at most `maxMs`. TCP then slows it down, and nothing gathers in memory.
 */
export class ReadHold {
  readonly #socket: Socket
  readonly #maxMs: number
  #held = false

  constructor(socket: Socket, maxMs: number) {
    this.#socket = socket
    this.#maxMs = maxMs
  }

  holdFor(congested: ReadonlySet<Subscriber>): void {
    if (this.#held) return
    this.#held = true
    this.#socket.pause()
    let missing = congested.size
    const resume = (): void => {
      if (!this.#held) return
      this.#held = false
      clearTimeout(timer)
      this.#socket.resume()
    }
    const timer = setTimeout(resume, this.#maxMs)
    for (const subscriber of congested) {
      subscriber.onceRelieved(() => {
        missing--
        if (missing === 0) resume()
      })
    }
  }
}
