/**
 * Buffers that responses are written into, used again and again: at a gigabit of acks and messages
 * a fresh buffer per write would keep hundreds of megabytes waiting for the garbage collector.
 */

/** Size of a slab. One write of HTTP/2 is at most about this large. */
export const SLAB_BYTES: number = 64 * 1_024
/** Slabs kept for reuse by all calls together. */
const SPARE_MAX = 128

const spare: Buffer[] = []

/** A buffer of SLAB_BYTES for one owner. */
export function takeSlab(): Buffer {
  return spare.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES)
}

/** Gives a buffer back; nobody may read it any more. Buffers of other sizes are left to the collector. */
export function giveSlab(slab: Buffer): void {
  if (slab.length === SLAB_BYTES && spare.length < SPARE_MAX) spare.push(slab)
}

/**
 * A slab that is filled and sent piece by piece. It goes back when its owner has retired it and
 * every piece has left the process.
 */
export class SharedSlab {
  readonly bytes: Buffer
  #pending = 0
  #retired = false
  #given = false

  constructor(size: number = SLAB_BYTES) {
    this.bytes = size <= SLAB_BYTES ? takeSlab() : Buffer.allocUnsafeSlow(size)
  }

  /** Called for each piece that is handed out; its result is to be called when the piece is sent. */
  lend(): () => void {
    if (this.#retired) throw new Error('a retired slab belongs to others')
    this.#pending++
    return this.#sent
  }

  /** The owner writes no more into it, and lends no more of it. */
  retire(): void {
    this.#retired = true
    this.#giveOnce()
  }

  readonly #sent = (): void => {
    this.#pending--
    this.#giveOnce()
  }

  #giveOnce(): void {
    if (!this.#retired || this.#pending > 0 || this.#given) return
    this.#given = true
    giveSlab(this.bytes)
  }
}
