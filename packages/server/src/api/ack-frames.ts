/**
 * The answers of one PublishAsync call, written back to back and sent in runs. The buffer is taken
 * when the first answer comes and goes back when no more are due: an idle call holds none.
 */
import type { ResponseStream } from '@liftbridge/grpc'
import { DOES_NOT_FIT, type AckFields } from '@liftbridge/wire'
import type { AckSource } from '../partition/ack.ts'
import { SharedSlab } from './slabs.ts'

export class AckFrames {
  readonly #out: ResponseStream
  #slab: SharedSlab | undefined
  #written = 0
  #used = 0
  #behind = false
  #closed = false

  constructor(out: ResponseStream) {
    this.#out = out
  }

  /** Adds a success. */
  addAck(source: AckSource, ack: AckFields): void {
    if (this.#closed) return
    let slab = (this.#slab ??= new SharedSlab())
    let end = source.responses.write(slab.bytes, this.#used, ack)
    if (end === DOES_NOT_FIT) {
      slab = this.#renew(source.responses.size(ack))
      end = source.responses.write(slab.bytes, this.#used, ack)
    }
    this.#used = end
  }

  /** Adds a framed response as it is. */
  addFrame(frame: Uint8Array): void {
    if (this.#closed) return
    let slab = (this.#slab ??= new SharedSlab())
    if (this.#used + frame.length > slab.bytes.length) slab = this.#renew(frame.length)
    slab.bytes.set(frame, this.#used)
    this.#used += frame.length
  }

  /** Sends what was added. `idle`: nothing more is due, so the buffer goes back. */
  flush(idle: boolean): void {
    if (this.#closed) return
    this.#send()
    if (idle) this.#giveBack()
  }

  /** Resolves when the client has taken enough of what was sent; at once when it keeps up. */
  async drained(): Promise<void> {
    if (!this.#behind) return
    await this.#out.drained()
    this.#behind = false
  }

  /** The call is over: what still comes is dropped, for the buffer may belong to others. */
  close(): void {
    this.#closed = true
    this.#giveBack()
  }

  #renew(needed: number): SharedSlab {
    this.#send()
    this.#giveBack()
    const slab = new SharedSlab(needed)
    this.#slab = slab
    return slab
  }

  #giveBack(): void {
    this.#slab?.retire()
    this.#slab = undefined
    this.#written = 0
    this.#used = 0
  }

  #send(): void {
    if (this.#slab === undefined || this.#used === this.#written) return
    const frames = this.#slab.bytes.subarray(this.#written, this.#used)
    this.#written = this.#used
    const sent = this.#slab.lend()
    try {
      if (!this.#out.write(frames, sent)) this.#behind = true
    } catch {
      // The call is over; its requests end by themselves. The messages are stored all the same.
      sent()
    }
  }
}
